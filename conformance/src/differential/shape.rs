//! What was observed, without what differs from play to play: the words of the judge's names for its values, kinds for ids and times, and
//! `…` where a server differs from itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use regex::Regex;
use serde_json::Value;

/// One thing that was said: words, and the JSON between them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape(pub(super) Vec<Piece>);

/// A piece of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Text that is no JSON.
    Words(String),
    /// A value of JSON.
    Json(Value),
}

/// What stands where a server's own plays differ.
const VARIES: &str = "@varies";

/// As much of an answer's words says what it is: a status and its name, a kind of packet.
const HEAD_WORDS: usize = 2;
/// Of a text that is cut, so much is compared.
const HEAD_CHARS_MAX: usize = 40;

/// The clocks and limits of a target by the names of Engine.IO's open packet: they are its setting, not its behaviour.
pub(super) type Settings = BTreeMap<String, u64>;

struct Kind {
    expression: Regex,
    name: &'static str,
}

/// Values that are new each time, by what they look like. The first that fits counts.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    [
        (r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", "@token"),
        (r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "@id"),
        (r"\b[0-9a-f]{24}\b", "@id"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)", "@time"),
        (r"\b(127\.0\.0\.1|localhost|\[::1\]):\d+", "@address"),
        (r"\b1[6-9]\d{11}\b", "@millis"),
        (r"\b\d+(\.\d+)? ?(ms|s|µs)\b", "@duration"),
    ]
    .into_iter()
    .map(|(expression, name)| Kind { expression: Regex::new(expression).expect("a fixed expression compiles"), name })
    .collect()
});

/// An id as Engine.IO and Socket.IO make them, and other tokens of chance: long, without a blank, of several kinds of letters.
static CHANCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9_-]{15,}$").expect("a fixed expression compiles"));

impl Shape {
    /// Reads the text of a transcript. Of one that the transcript has cut, only the beginning counts.
    pub(super) fn of(text: &str, names: &BTreeMap<String, String>, settings: &Settings) -> Self {
        let mut pieces = Vec::new();
        if is_cut(text) {
            let head = text.split(['{', '[', '"']).next().unwrap_or_default().trim();
            let head = head.char_indices().nth(HEAD_CHARS_MAX).map_or(head, |(at, _)| &head[..at]);
            return Self(vec![Piece::Words(plain_words(head, names)), Piece::Words("… (long)".to_owned())]);
        }
        let mut words = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if matches!(first, '{' | '[' | '"')
                && let Some((value, read)) = leading_json(rest)
            {
                flush(&mut words, names, &mut pieces);
                pieces.push(Piece::Json(plain(value, names, settings, "")));
                rest = &rest[read..];
            } else {
                words.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        flush(&mut words, names, &mut pieces);
        Self(pieces)
    }

    /// The event's name, the status, the kind of packet: what it is before its content.
    pub(super) fn head(&self) -> String {
        match self.0.first() {
            Some(Piece::Words(words)) => words.split_whitespace().take(HEAD_WORDS).collect::<Vec<_>>().join(" "),
            Some(Piece::Json(value)) => match value.get("type") {
                Some(Value::String(kind)) => kind.clone(),
                Some(_) | None => "JSON".to_owned(),
            },
            None => String::new(),
        }
    }

    /// Its form: two of the same form can be compared place by place.
    pub(super) fn skeleton(&self) -> String {
        let kinds = self.0.iter().map(|piece| match piece {
            Piece::Words(_) => 'w',
            Piece::Json(_) => 'j',
        });
        format!("{} {}", self.head(), kinds.collect::<String>())
    }

    /// As it is shown.
    pub(super) fn show(&self) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Words(words) => words.trim().to_owned(),
                Piece::Json(value) => value.to_string(),
            })
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Whether the transcript holds only the beginning of it.
fn is_cut(text: &str) -> bool {
    text.ends_with(" characters)") && text.contains("… (")
}

fn leading_json(text: &str) -> Option<(Value, usize)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = stream.next()?.ok()?;
    Some((value, stream.byte_offset()))
}

fn flush(words: &mut String, names: &BTreeMap<String, String>, pieces: &mut Vec<Piece>) {
    let taken = std::mem::take(words);
    if !taken.trim().is_empty() {
        pieces.push(Piece::Words(plain_words(taken.trim(), names)));
    }
}

fn plain(value: Value, names: &BTreeMap<String, String>, settings: &Settings, key: &str) -> Value {
    match value {
        Value::String(text) => Value::String(plain_text(&text, names)),
        Value::Number(number) => match number.as_u64() {
            Some(there) if settings.get(key) == Some(&there) => Value::String(format!("@{key}")),
            Some(_) | None => {
                let text = number.to_string();
                match KINDS.iter().find(|kind| kind.expression.is_match(&text)) {
                    Some(kind) => Value::String(kind.name.to_owned()),
                    None => Value::Number(number),
                }
            }
        },
        Value::Array(items) => Value::Array(items.into_iter().map(|item| plain(item, names, settings, "")).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| {
                    let value = plain(value, names, settings, &key);
                    (plain_text(&key, names), value)
                })
                .collect(),
        ),
        other @ (Value::Null | Value::Bool(_)) => other,
    }
}

fn plain_text(text: &str, names: &BTreeMap<String, String>) -> String {
    if let Some(name) = names.get(text) {
        return name.clone();
    }
    let words = plain_words(text, names);
    let kinds = [char::is_uppercase, char::is_lowercase, char::is_numeric as fn(char) -> bool];
    let mixed = kinds.iter().filter(|kind| words.contains(**kind)).count() >= 2 && words.contains(char::is_numeric);
    if mixed && CHANCE.is_match(&words) { "@id".to_owned() } else { words }
}

fn plain_words(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    // The longest first: one value may stand inside another.
    let mut known: Vec<_> = names.iter().collect();
    known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    for (value, name) in known {
        if text.contains(value.as_str()) {
            text = text.replace(value.as_str(), name);
        }
    }
    for kind in KINDS.iter() {
        text = kind.expression.replace_all(&text, kind.name).into_owned();
    }
    text
}

/// A place inside a shape: the number of the piece, then keys and indices.
pub(super) type Place = (usize, Vec<String>);

/// The places at which shapes of one skeleton differ among themselves.
pub(super) fn varying(shapes: &[&Shape]) -> BTreeSet<Place> {
    let mut found = BTreeSet::new();
    if let Some((first, others)) = shapes.split_first() {
        for other in others {
            for (at, (a, b)) in first.0.iter().zip(&other.0).enumerate() {
                match (a, b) {
                    (Piece::Json(a), Piece::Json(b)) => {
                        let mut parts = Vec::new();
                        part(Some(a), Some(b), &mut Vec::new(), &mut parts);
                        found.extend(parts.into_iter().map(|parted| (at, parted.path)));
                    }
                    (a, b) if a != b => drop(found.insert((at, Vec::new()))),
                    (Piece::Words(_) | Piece::Json(_), _) => {}
                }
            }
        }
    }
    found
}

/// The shape with `@varies` at these places.
pub(super) fn masked(shape: &Shape, places: &BTreeSet<Place>) -> Shape {
    let mut shape = shape.clone();
    for (at, path) in places {
        match shape.0.get_mut(*at) {
            Some(Piece::Json(value)) => mask(value, path),
            Some(Piece::Words(words)) => VARIES.clone_into(words),
            None => {}
        }
    }
    shape
}

fn mask(value: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        *value = Value::String(VARIES.to_owned());
        return;
    };
    match value {
        Value::Object(fields) if rest.is_empty() => {
            drop(fields.insert(first.clone(), Value::String(VARIES.to_owned())))
        }
        Value::Object(fields) => {
            if let Some(inner) = fields.get_mut(first) {
                mask(inner, rest);
            }
        }
        Value::Array(items) => {
            if let Some(inner) = first.parse().ok().and_then(|i: usize| items.get_mut(i)) {
                mask(inner, rest);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Where two values part, and what stands there on either side; `None`: nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parted {
    pub(super) path: Vec<String>,
    pub(super) a: Option<Value>,
    pub(super) b: Option<Value>,
}

/// Finds where two values part. Arrays of another length part as a whole.
pub(super) fn part(a: Option<&Value>, b: Option<&Value>, path: &mut Vec<String>, found: &mut Vec<Parted>) {
    let mut inner = |key: String, a: Option<&Value>, b: Option<&Value>, found: &mut Vec<Parted>| {
        path.push(key);
        part(a, b, path, found);
        path.pop();
    };
    match (a, b) {
        (Some(a), Some(b)) if a == b => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            for (key, value) in a {
                inner(key.clone(), Some(value), b.get(key), found);
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                inner(key.clone(), None, Some(value), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                inner(i.to_string(), Some(a), Some(b), found);
            }
        }
        (a, b) => found.push(Parted { path: path.clone(), a: a.cloned(), b: b.cloned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Shape {
        let names = BTreeMap::from([
            ("alice-0123456789abcdef".to_owned(), "$alice.id".to_owned()),
            ("0123456789abcdef".to_owned(), "…".to_owned()),
        ]);
        Shape::of(text, &names, &Settings::from([("pingInterval".to_owned(), 500)]))
    }

    #[test]
    fn ids_times_ports_and_the_order_of_keys_are_no_behaviour() {
        let one = shape(
            r#"new_message {"userId":"alice-0123456789abcdef","id":"0199d7c4-52c8-7a3e-9a52-3f7f2f9a1c11","timestamp":1795000000000}"#,
        );
        let other = shape(
            r#"new_message {"timestamp": 1795000000999, "id": "65f1a7b2c3d4e5f6a7b8c9d0", "userId": "alice-0123456789abcdef"}"#,
        );
        assert_eq!(one, other);
        assert_eq!(shape("200 see http://127.0.0.1:4711/x"), shape("200 see http://127.0.0.1:80/x"));
        assert_eq!(
            shape(r#"packet 0{"sid":"lv_VI97HAXpY6yYWAAAC","pingInterval":500}"#).show(),
            r#"packet 0 {"sid":"@id","pingInterval":"@pingInterval"}"#
        );
    }

    #[test]
    fn words_and_the_kinds_of_values_are_behaviour() {
        assert_ne!(shape("close 1000"), shape("close 1001"));
        assert_ne!(shape(r#"error {"at":1795000000000}"#), shape(r#"error {"at":"2026-11-21T20:00:00.000Z"}"#));
        assert_ne!(shape(r#"error {"code":"ROOM_ID_REQUIRED"}"#), shape(r#"error {"code":"MISSING_ROOM_ID"}"#));
    }

    #[test]
    fn of_a_text_that_is_cut_only_the_beginning_counts() {
        let cut = |last: char| shape(&format!("message_history [{{\"m\":\"{last}… (4711 characters)"));
        assert_eq!(cut('a'), cut('b'));
        assert_ne!(cut('a'), shape("message_history []"));
    }

    #[test]
    fn what_differs_from_play_to_play_is_masked() {
        let (one, two) = (shape(r#"stats {"n":1,"x":"a"}"#), shape(r#"stats {"n":2,"x":"a"}"#));
        let places = varying(&[&one, &two]);
        assert_eq!(masked(&one, &places), masked(&two, &places));
        assert_eq!(masked(&one, &places).show(), r#"stats {"n":"@varies","x":"a"}"#);
    }
}
