//! The opening of a WebSocket, checked before the engine says 101 (RFC 6455, 4.2.1): the engine itself looks at the key's presence only.
//! And a query that says two things at once, which a proxy in front may read differently than we do.

use axum::{
    Json,
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version,
    header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use serde::Serialize;

/// The one version that exists.
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// A key is a nonce of this size, in base64.
const KEY_BYTES: usize = 16;
/// Engine.IO's code for a request that contradicts itself.
const BAD_REQUEST: u8 = 3;

#[derive(Serialize)]
struct EngineError {
    code: u8,
    message: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    Malformed,
    Version,
}

pub(super) async fn checked(request: Request, next: Next) -> Response {
    match problem(&request) {
        None => next.run(request).await,
        Some(problem) => refusal(problem),
    }
}

fn problem<B>(request: &http::Request<B>) -> Option<Problem> {
    let query = request.uri().query().unwrap_or_default();
    if ["EIO=", "transport=", "sid="]
        .iter()
        .any(|name| query.split('&').filter(|pair| pair.starts_with(name)).count() > 1)
    {
        return Some(Problem::Malformed);
    }
    if request.method() != Method::GET || !query.split('&').any(|pair| pair == "transport=websocket") {
        return None;
    }
    let headers = request.headers();
    let is_upgrade = request.version() >= Version::HTTP_11
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket");
    if !is_upgrade {
        return Some(Problem::Malformed);
    }
    if only(headers, &SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Some(Problem::Version);
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).and_then(|key| STANDARD.decode(key.as_bytes().trim_ascii()).ok());
    (key.is_none_or(|key| key.len() != KEY_BYTES)).then_some(Problem::Malformed)
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether a list of tokens, perhaps over several lines, names this one.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}

fn refusal(problem: Problem) -> Response {
    let (status, message) = match problem {
        Problem::Malformed => (StatusCode::BAD_REQUEST, "Bad request"),
        Problem::Version => (StatusCode::UPGRADE_REQUIRED, "Unsupported WebSocket version"),
    };
    let mut response = (status, Json(EngineError { code: BAD_REQUEST, message })).into_response();
    if problem == Problem::Version {
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, VERSION);
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    response
}

/// The engine's own answer to a request that makes no sense.
pub(super) fn bad_request() -> Response {
    refusal(Problem::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn verdict(query: &str, headers: &[(&str, &str)]) -> Option<Problem> {
        let mut request = http::Request::get(format!("/socket.io/?{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        problem(&request.body(()).expect("a request"))
    }

    fn opening(changed: &[(&str, &str)]) -> Option<Problem> {
        let usual = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ];
        let kept = usual.into_iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        let headers: Vec<(&str, &str)> =
            kept.chain(changed.iter().copied().filter(|(_, value)| !value.is_empty())).collect();
        verdict("EIO=4&transport=websocket", &headers)
    }

    #[test]
    fn an_opening_as_in_the_rfc_passes_in_any_case_and_among_other_tokens() {
        assert_eq!(opening(&[]), None);
        assert_eq!(opening(&[("connection", "keep-alive, UPGRADE"), ("upgrade", "h2c, WebSocket")]), None);
        assert_eq!(opening(&[("connection", "keep-alive"), ("connection", "Upgrade")]), None);
    }

    #[test]
    fn missing_short_long_doubled_and_mangled_keys_are_refused() {
        for key in [
            "",
            "c2hvcnQ=",
            "dGhlIHNhbXBsZSBub25jZXRoZSBzYW1wbGUgbm9uY2U=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "not base64 at all!!!!!!!",
        ] {
            assert_eq!(opening(&[("sec-websocket-key", key)]), Some(Problem::Malformed), "{key}");
        }
        assert_eq!(opening(&[("sec-websocket-key", KEY), ("sec-websocket-key", KEY)]), Some(Problem::Malformed));
    }

    #[test]
    fn another_version_is_told_the_right_one() {
        for version in ["", "8", "0", "13, 8", "14"] {
            assert_eq!(opening(&[("sec-websocket-version", version)]), Some(Problem::Version), "{version}");
        }
        let response = refusal(Problem::Version);
        assert_eq!((response.status().as_u16(), &response.headers()[SEC_WEBSOCKET_VERSION]), (426, &VERSION));
    }

    #[test]
    fn a_plain_request_for_a_websocket_is_refused() {
        assert_eq!(verdict("EIO=4&transport=websocket", &[]), Some(Problem::Malformed));
        assert_eq!(opening(&[("upgrade", "")]), Some(Problem::Malformed));
        assert_eq!(opening(&[("connection", "keep-alive")]), Some(Problem::Malformed));
    }

    #[test]
    fn a_query_that_says_two_things_is_refused_and_one_for_polling_is_not_looked_at() {
        for query in [
            "EIO=4&EIO=3&transport=polling",
            "EIO=4&transport=polling&transport=websocket",
            "EIO=4&transport=polling&sid=a&sid=b",
        ] {
            assert_eq!(verdict(query, &[]), Some(Problem::Malformed), "{query}");
        }
        assert_eq!(verdict("EIO=4&transport=polling&t=1&t=2", &[("upgrade", "websocket")]), None);
    }
}
