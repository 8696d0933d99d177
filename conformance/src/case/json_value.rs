//! The published JSON form of values and patterns: plain JSON stands for itself, everything else is an object whose one key begins
//! with `$`.

use serde_json::{Map, Value as Json, json};

use super::value::{Bounds, Call, Pattern, Payload, Piece, Template, TextPattern, TokenCall, Value};

/// A text: a string, or `{"$text": [...]}` with names between the strings.
pub(super) fn template(text: &Template) -> Json {
    match text.as_literal() {
        Some(literal) => json!(literal),
        None => {
            let pieces = text.0.iter().map(|piece| match piece {
                Piece::Literal(literal) => json!(literal),
                Piece::Name(path) => json!({"$name": path.0.join(".")}),
            });
            json!({"$text": pieces.collect::<Vec<_>>()})
        }
    }
}

pub(super) fn value(of: &Value) -> Json {
    match of {
        Value::Null => Json::Null,
        Value::Bool(b) => json!(b),
        Value::Number(n) => Json::Number(n.clone()),
        Value::Text(text) => template(text),
        Value::List(items) => Json::Array(items.iter().map(value).collect()),
        Value::Object(of) => fields(of, value),
        Value::Name(path) => json!({"$name": path.0.join(".")}),
        Value::Call(of) => call(of),
    }
}

/// Fields by name. A name that holds names has no JSON form of its own and is written as the case writes it.
fn fields<T>(of: &[(Template, T)], inner: impl Fn(&T) -> Json) -> Json {
    let named = of.iter().map(|(name, value)| {
        let key = name.as_literal().map_or_else(|| super::print_value::Bare(name).to_string(), ToOwned::to_owned);
        (key, inner(value))
    });
    Json::Object(named.collect::<Map<_, _>>())
}

fn call(of: &Call) -> Json {
    match of {
        Call::Fresh(inside) => json!({"$fresh": inside.as_ref().map(template)}),
        Call::Repeat(what, times) => json!({"$repeat": [value(what), value(times)]}),
        Call::Token(order) => json!({"$token": token(order)}),
        Call::Now => json!({"$now": true}),
        Call::Hex(digits) => json!({"$hex": digits}),
    }
}

fn token(of: &TokenCall) -> Json {
    let claims: Map<String, Json> = of.claims.iter().map(|(name, claim)| (name.clone(), value(claim))).collect();
    json!({
        "actor": of.actor,
        "expires": of.expires.as_ref().map(ToString::to_string),
        "foreignKey": of.foreign_key,
        "algorithm": of.algorithm,
        "dropped": of.dropped,
        "claims": claims,
    })
}

/// Objects are open and arrays exact, as in the case language; the others are `$exactly`, `$holds`, `$each`, `$type`, `$regex`, `$not`,
/// `$as`, `$oneOf`.
pub(super) fn pattern(of: &Pattern) -> Json {
    match of {
        Pattern::Value(of) => value(of),
        Pattern::Object { exact: false, fields: of } => fields(of, pattern),
        Pattern::Object { exact: true, fields: of } => json!({"$exactly": fields(of, pattern)}),
        Pattern::List(items) => Json::Array(items.iter().map(pattern).collect()),
        Pattern::Holds(items) => json!({"$holds": items.iter().map(pattern).collect::<Vec<_>>()}),
        Pattern::Each(inner) => json!({"$each": pattern(inner)}),
        Pattern::Kind { kind, bounds } => {
            let name = super::value::KINDS.iter().find(|(_, k)| k == kind).map_or("any", |(name, _)| *name);
            with_bounds(name, bounds.as_ref())
        }
        Pattern::Regex(expression) => json!({"$regex": expression.source}),
        Pattern::Text(name) => json!({"$holds": {"$name": name.0.join(".")}}),
        Pattern::Not(inner) => json!({"$not": pattern(inner)}),
        Pattern::As(inner, name) => json!({"$as": name, "of": pattern(inner)}),
        Pattern::OneOf(options) => json!({"$oneOf": options.iter().map(pattern).collect::<Vec<_>>()}),
    }
}

fn with_bounds(name: &str, bounds: Option<&Bounds>) -> Json {
    let Some(Bounds { low, high }) = bounds else { return json!({"$type": name}) };
    json!({"$type": name, "min": low.as_ref().map(value), "max": high.as_ref().map(value)})
}

/// A text's pattern: a string is the whole text; `{"prefix", "json"}` a text with JSON behind it.
pub(super) fn text_pattern(of: &TextPattern) -> Json {
    match of {
        TextPattern::Pattern(of) => pattern(of),
        TextPattern::Exact(text) => template(text),
        TextPattern::Json(prefix, json) => json!({"$prefix": template(prefix), "json": pattern(json)}),
    }
}

pub(super) fn payload(of: &Payload) -> Json {
    match of {
        Payload::Value(of) => value(of),
        Payload::Bare(text) => template(text),
    }
}
