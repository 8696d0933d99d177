//! The namespaces of the echo application, and whom each lets in.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// How long `/slow` takes to let somebody in.
pub(super) const SLOW: Duration = Duration::from_millis(150);

/// What opens `/guarded`.
const KEY: &str = "open sesame";

/// What comes of a CONNECT.
#[derive(Debug, PartialEq)]
pub(super) enum Admission {
    /// Let in.
    Now,
    /// Let in after [`SLOW`].
    Later,
    /// Not let in: a message, and what else the error says.
    Refused(&'static str, Option<Value>),
}

/// Asks to be let into a namespace with this payload.
pub(super) fn knock(namespace: &str, auth: &Map<String, Value>) -> Admission {
    match namespace {
        "/" | "/custom" | "/greeting" => Admission::Now,
        "/slow" => Admission::Later,
        "/guarded" if auth.get("key").and_then(Value::as_str) == Some(KEY) => Admission::Now,
        "/guarded" => Admission::Refused("wrong key", None),
        "/refused" => Admission::Refused("not here", Some(json!({"code": 7, "why": ["a", "b"]}))),
        other if is_dynamic(other) => Admission::Now,
        _ => Admission::Refused("Invalid namespace", None),
    }
}

/// Whether it is `/dynamic-N`.
pub(super) fn is_dynamic(namespace: &str) -> bool {
    let digits = namespace.strip_prefix("/dynamic-");
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What who comes in is told first.
pub(super) fn greetings(namespace: &str) -> &'static [u64] {
    if namespace == "/greeting" { &[1, 2, 3] } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_exists_if_the_contract_names_it() {
        let open = |namespace: &str| knock(namespace, &Map::new()) == Admission::Now;
        for namespace in ["/", "/custom", "/dynamic-0", "/dynamic-42", "/greeting"] {
            assert!(open(namespace), "{namespace}");
        }
        for namespace in ["/dynamic-", "/dynamic-x", "/dynamic-1x", "/Custom", "/custom/", "/guarded", "/nowhere", ""] {
            assert!(!open(namespace), "{namespace}");
        }
    }

    #[test]
    fn the_guard_wants_the_key() {
        let with = |key: Value| knock("/guarded", &Map::from_iter([("key".to_owned(), key)]));
        assert_eq!(with(json!(KEY)), Admission::Now);
        assert_eq!(with(json!(["open sesame"])), Admission::Refused("wrong key", None));
    }
}
