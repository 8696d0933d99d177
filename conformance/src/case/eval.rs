//! Turns the values of a case into data: names are looked up, functions called. Pure but for what the [`Scope`] answers.

use std::time::Duration;

use serde_json::Number;

use super::value::{Amount, Call, Path, Payload, Piece, Span, Template, TokenCall, Value};
use crate::datum::{Datum, unhex};

/// The longest text or byte string that `repeat` makes: larger than any message that a server must take.
const REPEATED_BYTES_MAX: usize = 64 << 20;

/// What a case's names and functions stand for while it is played.
pub trait Scope {
    /// The value of `$name`.
    fn lookup(&self, path: &Path) -> Option<Datum>;
    /// A clock of the target, for `$timing.name`.
    fn clock(&self, name: &str) -> Option<Duration>;
    /// A token made to order.
    ///
    /// # Errors
    /// Says why there can be none.
    fn token(&self, call: &TokenCall) -> Result<String, String>;
    /// A string that no other case has, holding `inside`.
    fn fresh(&self, inside: Option<&str>) -> String;
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> u64;
}

/// The data that a value stands for.
///
/// # Errors
/// Says which name or function has no value.
pub fn eval(value: &Value, scope: &dyn Scope) -> Result<Datum, String> {
    Ok(match value {
        Value::Null => Datum::Null,
        Value::Bool(b) => Datum::Bool(*b),
        Value::Number(n) => Datum::Number(n.clone()),
        Value::Text(text) => Datum::Text(eval_template(text, scope)?),
        Value::List(items) => Datum::List(items.iter().map(|item| eval(item, scope)).collect::<Result<_, _>>()?),
        Value::Object(fields) => Datum::Object(
            fields
                .iter()
                .map(|(key, value)| Ok((eval_template(key, scope)?, eval(value, scope)?)))
                .collect::<Result<_, String>>()?,
        ),
        Value::Name(path) => named(path, scope)?,
        Value::Call(call) => called(call, scope)?,
    })
}

fn named(path: &Path, scope: &dyn Scope) -> Result<Datum, String> {
    scope.lookup(path).ok_or_else(|| format!("${} has no value here", path.0.join(".")))
}

fn called(call: &Call, scope: &dyn Scope) -> Result<Datum, String> {
    Ok(match call {
        Call::Fresh(None) => Datum::Text(scope.fresh(None)),
        Call::Fresh(Some(inside)) => Datum::Text(scope.fresh(Some(&eval_template(inside, scope)?))),
        Call::Token(order) => Datum::Text(scope.token(order)?),
        Call::Now => Datum::Number(Number::from(scope.now_ms())),
        Call::Hex(digits) => Datum::Bytes(unhex(digits).ok_or_else(|| format!("hex({digits}) are no bytes"))?),
        Call::Repeat(what, times) => repeated(&eval(what, scope)?, &eval(times, scope)?)?,
    })
}

fn repeated(what: &Datum, times: &Datum) -> Result<Datum, String> {
    let count = times.as_u64().and_then(|n| usize::try_from(n).ok());
    let count = count.ok_or_else(|| format!("repeat(..., {times}) is no number of times"))?;
    let fits = |length: usize| length.checked_mul(count).is_some_and(|total| total <= REPEATED_BYTES_MAX);
    match (what.as_text(), what.as_bytes()) {
        (Some(text), _) if fits(text.len()) => Ok(Datum::Text(text.repeat(count))),
        (_, Some(bytes)) if fits(bytes.len()) => Ok(Datum::Bytes(bytes.repeat(count))),
        (_, _) => Err(format!("repeat({}, {count}) is no text or bytes of bearable length", super::clipped(what))),
    }
}

/// The text that a template stands for.
///
/// # Errors
/// Says which name has no value.
pub fn eval_template(text: &Template, scope: &dyn Scope) -> Result<String, String> {
    let mut out = String::new();
    for piece in &text.0 {
        match piece {
            Piece::Literal(literal) => out.push_str(literal),
            Piece::Name(path) => out.push_str(&named(path, scope)?.to_plain()),
        }
    }
    Ok(out)
}

/// A path of a URL: the names inside it are percent-encoded, what the case wrote itself stays as it is.
///
/// # Errors
/// Says which name has no value.
pub(crate) fn eval_url(payload: &Payload, scope: &dyn Scope) -> Result<String, String> {
    let text = match payload {
        Payload::Bare(text) | Payload::Value(Value::Text(text)) => text,
        Payload::Value(other) => return eval(other, scope).map(|datum| datum.to_plain()),
    };
    let mut out = String::new();
    for piece in &text.0 {
        match piece {
            Piece::Literal(literal) => out.push_str(literal),
            Piece::Name(path) => out.push_str(&percent_encoded(&named(path, scope)?.to_plain())),
        }
    }
    Ok(out)
}

/// Everything but the unreserved characters as `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// The text of a payload.
///
/// # Errors
/// Says which name or function has no value.
pub fn eval_text(payload: &Payload, scope: &dyn Scope) -> Result<String, String> {
    match payload {
        Payload::Bare(text) => eval_template(text, scope),
        Payload::Value(value) => eval(value, scope).map(|datum| datum.to_plain()),
    }
}

/// The bytes of a payload: bytes as they are, a text as UTF-8.
///
/// # Errors
/// Says which name or function has no value.
pub fn bytes_of(payload: &Payload, scope: &dyn Scope) -> Result<Vec<u8>, String> {
    match payload {
        Payload::Bare(text) => eval_template(text, scope).map(String::into_bytes),
        Payload::Value(value) => {
            let datum = eval(value, scope)?;
            Ok(datum.as_bytes().map_or_else(|| datum.to_plain().into_bytes(), <[u8]>::to_vec))
        }
    }
}

/// The length of a span in milliseconds; may be negative.
///
/// # Errors
/// Says which clock the target does not have.
pub(crate) fn eval_millis(span: &Span, scope: &dyn Scope) -> Result<i64, String> {
    let mut total: i64 = 0;
    for term in &span.0 {
        let millis = match &term.amount {
            Amount::Millis(ms) => *ms,
            Amount::Clock(name) => {
                let clock =
                    scope.clock(name).ok_or_else(|| format!("the target has no clock `{name}` in its [timing]"))?;
                u64::try_from(clock.as_millis()).unwrap_or(u64::MAX)
            }
            Amount::Name(path) => {
                let datum = named(path, scope)?;
                datum.as_u64().ok_or_else(|| format!("{datum} is no duration"))?
            }
        };
        let signed = i64::try_from(millis).unwrap_or(i64::MAX);
        total = if term.minus { total.saturating_sub(signed) } else { total.saturating_add(signed) };
    }
    Ok(total)
}

/// The length of a span that cannot be negative.
///
/// # Errors
/// Says which clock the target does not have.
pub fn eval_span(span: &Span, scope: &dyn Scope) -> Result<Duration, String> {
    eval_millis(span, scope).map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}
