//! Parses values, spans and functions: what a case sends.

use serde_json::Number;

use super::{
    cursor::{Cursor, Parsed},
    value::{Amount, Call, Payload, Piece, Span, SpanTerm, Template, TokenCall, Value},
};

/// The functions of the language.
const FUNCTIONS: [&str; 5] = ["fresh", "repeat", "token", "now", "hex"];

pub(super) fn value(c: &mut Cursor) -> Parsed<Value> {
    match c.peek() {
        Some('"') => quoted(c).map(Value::Text),
        Some('{') => object(c),
        Some('[') => list(c),
        Some('$') => {
            c.bump();
            c.path().map(Value::Name)
        }
        Some('-' | '0'..='9') => number(c).map(Value::Number),
        _ => word_value(c),
    }
}

fn word_value(c: &mut Cursor) -> Parsed<Value> {
    for (word, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
        if c.eat(word) {
            return Ok(value);
        }
    }
    if at_function(c) {
        return call(c).map(Value::Call);
    }
    Err(c.expected("a value (JSON, `$name` or a function)"))
}

pub(super) fn at_function(c: &Cursor) -> bool {
    FUNCTIONS.iter().any(|name| c.starts_with(&format!("{name}(")))
}

fn call(c: &mut Cursor) -> Parsed<Call> {
    let name = c.take(|c| c.is_ascii_lowercase());
    c.expect("(")?;
    c.blanks();
    let call = match name.as_str() {
        "now" => Call::Now,
        "hex" => Call::Hex(hex_digits(c)?),
        "fresh" if c.peek() == Some('"') => Call::Fresh(Some(quoted(c)?)),
        "fresh" => Call::Fresh(None),
        "repeat" => {
            let what = value(c)?;
            c.blanks();
            c.expect(",")?;
            c.blanks();
            Call::Repeat(Box::new(what), Box::new(value(c)?))
        }
        _ => Call::Token(token(c)?),
    };
    c.blanks();
    c.expect(")")?;
    Ok(call)
}

pub(super) fn hex_digits(c: &mut Cursor) -> Parsed<String> {
    let mark = c.mark();
    let digits = c.take(|c| c.is_ascii_hexdigit()).to_ascii_lowercase();
    if !digits.len().is_multiple_of(2) {
        return Err(c.error_at(mark, "expected an even number of hex digits"));
    }
    Ok(digits)
}

fn token(c: &mut Cursor) -> Parsed<TokenCall> {
    let mut token = TokenCall { actor: c.take(|c| c.is_ascii_alphanumeric() || c == '_'), ..TokenCall::default() };
    if token.actor.is_empty() {
        return Err(c.expected("an actor"));
    }
    loop {
        c.blanks();
        if !c.eat(",") {
            return Ok(token);
        }
        c.blanks();
        if c.eat("exp=") {
            token.expires = Some(span(c)?);
        } else if c.eat("key=other") {
            token.foreign_key = true;
        } else if c.eat("alg=") {
            token.algorithm = Some(c.take(|c| c.is_ascii_alphanumeric()));
        } else if c.eat("drop=") {
            token.dropped.push(c.take(|c| c.is_ascii_alphanumeric() || c == '_'));
        } else if c.eat("claim.") {
            let name = c.take(|c| c.is_ascii_alphanumeric() || c == '_');
            c.expect("=")?;
            token.claims.push((name, value(c)?));
        } else {
            return Err(c.expected("`exp=`, `key=other`, `alg=`, `drop=` or `claim.NAME=`"));
        }
    }
}

fn list(c: &mut Cursor) -> Parsed<Value> {
    c.expect("[")?;
    let mut items = Vec::new();
    c.blanks();
    while !c.eat("]") {
        items.push(value(c)?);
        separator(c, "]")?;
    }
    Ok(Value::List(items))
}

fn object(c: &mut Cursor) -> Parsed<Value> {
    c.expect("{")?;
    let mut fields = Vec::new();
    c.blanks();
    while !c.eat("}") {
        let key = key(c)?;
        fields.push((key, value(c)?));
        separator(c, "}")?;
    }
    Ok(Value::Object(fields))
}

/// A field's name and its colon.
pub(super) fn key(c: &mut Cursor) -> Parsed<Template> {
    if c.peek() != Some('"') {
        return Err(c.expected("a field's name in quotes"));
    }
    let key = quoted(c)?;
    c.blanks();
    c.expect(":")?;
    c.blanks();
    Ok(key)
}

/// A comma, or (without moving) what closes.
pub(super) fn separator(c: &mut Cursor, close: &str) -> Parsed<()> {
    c.blanks();
    if c.starts_with(close) {
        return Ok(());
    }
    if !c.eat(",") {
        return Err(c.expected(&format!("`,` or `{close}`")));
    }
    c.blanks();
    if c.starts_with(close) { Err(c.expected("another element after `,`")) } else { Ok(()) }
}

fn number(c: &mut Cursor) -> Parsed<Number> {
    let mark = c.mark();
    let mut text = String::new();
    if c.eat("-") {
        text.push('-');
    }
    text += &c.take(|c| c.is_ascii_digit());
    if c.starts_with(".") && !c.starts_with("..") {
        c.bump();
        text.push('.');
        text += &c.take(|c| c.is_ascii_digit());
    }
    if c.eat("e") || c.eat("E") {
        text.push('e');
        text += &c.take(|c| c.is_ascii_digit() || c == '+' || c == '-');
    }
    serde_json::from_str(&text).map_err(|_| c.error_at(mark, "expected a number as JSON writes it"))
}

/// A string in quotes with JSON's escapes, `${name}` and `\$`.
pub(super) fn quoted(c: &mut Cursor) -> Parsed<Template> {
    let start = c.mark();
    c.expect("\"")?;
    let (mut pieces, mut literal) = (Vec::new(), String::new());
    loop {
        if c.eat("${") {
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Name(c.path()?));
            c.expect("}")?;
            continue;
        }
        match c.bump() {
            None => return Err(c.error_at(start, "expected a closing quote on the same line")),
            Some('"') => break,
            Some('\\') => literal.push(escape(c)?),
            Some(other) => literal.push(other),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(Template(pieces))
}

fn escape(c: &mut Cursor) -> Parsed<char> {
    let mark = c.mark();
    Ok(match c.bump() {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some(plain @ ('"' | '\\' | '/' | '$')) => plain,
        Some('u') => {
            let first = unit(c)?;
            let units =
                if (0xD800..0xDC00).contains(&first) && c.eat("\\u") { vec![first, unit(c)?] } else { vec![first] };
            let decoded = char::decode_utf16(units).collect::<Result<Vec<_>, _>>();
            match decoded.as_deref() {
                Ok([one]) => *one,
                Ok(_) | Err(_) => {
                    return Err(c.error_at(mark, "a lone surrogate is no character; send it with `sends bytes`"));
                }
            }
        }
        _ => return Err(c.error_at(mark, r#"expected one of \" \\ \/ \n \t \r \b \f \uXXXX \$"#)),
    })
}

fn unit(c: &mut Cursor) -> Parsed<u16> {
    let mark = c.mark();
    let digits: String = (0..4).map_while(|_| c.bump()).collect();
    u16::from_str_radix(&digits, 16).map_err(|_| c.error_at(mark, "expected four hex digits"))
}

/// `2s`, `-1s`, `$timing.grace+500ms`.
pub(super) fn span(c: &mut Cursor) -> Parsed<Span> {
    let mut terms = Vec::new();
    let mut minus = c.eat("-");
    loop {
        terms.push(SpanTerm { minus, amount: amount(c)? });
        minus = match c.peek() {
            Some('+') => false,
            Some('-') => true,
            _ => return Ok(Span(terms)),
        };
        c.bump();
    }
}

fn amount(c: &mut Cursor) -> Parsed<Amount> {
    let mark = c.mark();
    if c.eat("$timing.") {
        return Ok(Amount::Clock(c.take(|c| c.is_ascii_alphanumeric() || c == '_')));
    }
    if c.eat("$") {
        return c.path().map(Amount::Name);
    }
    let whole = c.take(|c| c.is_ascii_digit());
    let fraction = if c.eat(".") { c.take(|c| c.is_ascii_digit()) } else { String::new() };
    let unit_millis: u64 = match c.take(|c| c.is_ascii_lowercase()).as_str() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(c.error_at(mark, "expected a duration such as `250ms`, `1.5s`, `2m` or `$timing.grace`")),
    };
    // Thousandths suffice: the smallest unit is a millisecond.
    let thousandths: u64 = format!("{fraction:0<3}")[..3].parse().unwrap_or(0);
    let whole: u64 = whole.parse().map_err(|_| c.error_at(mark, "expected a duration such as `250ms`"))?;
    whole
        .checked_mul(unit_millis)
        .and_then(|ms| ms.checked_add(thousandths * unit_millis / 1_000))
        .map(Amount::Millis)
        .ok_or_else(|| c.error_at(mark, "expected a shorter duration"))
}

/// A quoted text, a name, a function, or else one bare word.
pub(super) fn payload_word(c: &mut Cursor) -> Parsed<Payload> {
    if at_payload_value(c) {
        return value(c).map(Payload::Value);
    }
    let text = c.bare(|_, ch| ch.is_whitespace())?;
    if text.0.is_empty() { Err(c.expected("a text")) } else { Ok(Payload::Bare(text)) }
}

/// A quoted text, a name, a function, or else the rest of the line as it stands.
pub(super) fn payload_rest(c: &mut Cursor) -> Parsed<Payload> {
    let mark = c.mark();
    if at_payload_value(c) {
        let parsed = value(c);
        if c.rest_is_void() || parsed.is_err() && c.starts_with("\"") {
            return parsed.map(Payload::Value);
        }
        c.back_to(mark);
    }
    let text = c.bare(|c, _| c.rest_is_void())?;
    if text.0.is_empty() { Err(c.expected("a text")) } else { Ok(Payload::Bare(text)) }
}

fn at_payload_value(c: &Cursor) -> bool {
    c.starts_with("\"") || at_function(c) || (c.starts_with("$") && !c.starts_with("${"))
}
