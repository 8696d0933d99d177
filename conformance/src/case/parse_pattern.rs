//! Parses patterns: what an answer must look like.

use regex::Regex;

use super::{
    cursor::{Cursor, Parsed},
    parse_value::{at_function, key, quoted, separator, value},
    value::{Bounds, Expression, KINDS, Pattern, Template, TextPattern, Value},
};

/// Alternatives, each perhaps captured.
pub(super) fn pattern(c: &mut Cursor) -> Parsed<Pattern> {
    let mut options = vec![captured(c)?];
    while bar_follows(c) {
        options.push(captured(c)?);
    }
    Ok(match options.pop() {
        Some(only) if options.is_empty() => only,
        Some(last) => {
            options.push(last);
            Pattern::OneOf(options)
        }
        None => Pattern::OneOf(options),
    })
}

fn bar_follows(c: &mut Cursor) -> bool {
    let mark = c.mark();
    c.blanks();
    if c.eat("|") {
        c.blanks();
        return true;
    }
    c.back_to(mark);
    false
}

fn captured(c: &mut Cursor) -> Parsed<Pattern> {
    let mut inner = unary(c)?;
    loop {
        let mark = c.mark();
        c.blanks();
        if !c.eat("as ") {
            c.back_to(mark);
            return Ok(inner);
        }
        c.blanks();
        inner = Pattern::As(Box::new(inner), variable(c)?);
    }
}

/// `$x`.
pub(super) fn variable(c: &mut Cursor) -> Parsed<String> {
    if !c.eat("$") {
        return Err(c.expected("a name such as `$x`"));
    }
    let name = c.take(|c| c.is_ascii_alphanumeric() || c == '_');
    if name.is_empty() { Err(c.expected("a name")) } else { Ok(name) }
}

fn unary(c: &mut Cursor) -> Parsed<Pattern> {
    match c.peek() {
        Some('!') => {
            c.bump();
            Ok(Pattern::Not(Box::new(unary(c)?)))
        }
        Some('(') => {
            c.bump();
            c.blanks();
            let inner = pattern(c)?;
            c.blanks();
            c.expect(")")?;
            Ok(inner)
        }
        Some('{') => object(c),
        Some('[') => list(c),
        Some('@') => kind(c),
        Some('~') if c.starts_with("~$") => {
            c.expect("~$")?;
            c.path().map(Pattern::Text)
        }
        Some('~') => regex(c).map(Pattern::Regex),
        _ => {
            let mark = c.mark();
            value(c).map(Pattern::Value).map_err(|e| if c.mark() == mark { c.expected("a pattern") } else { e })
        }
    }
}

/// `~"regex"`, checked here so that a typo is found when the case is read.
pub(super) fn regex(c: &mut Cursor) -> Parsed<Expression> {
    let mark = c.mark();
    c.expect("~\"")?;
    let mut text = String::new();
    loop {
        match c.bump() {
            None => return Err(c.error_at(mark, "expected a closing quote on the same line")),
            Some('"') => break,
            Some('\\') if c.peek() == Some('"') => {
                c.bump();
                text.push('"');
            }
            Some(other) => text.push(other),
        }
    }
    match Regex::new(&text) {
        Ok(regex) => Ok(Expression { source: text, regex }),
        Err(e) => Err(c.error_at(mark, &format!("not a regular expression: {}", last_line(&e.to_string())))),
    }
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

fn object(c: &mut Cursor) -> Parsed<Pattern> {
    c.expect("{")?;
    let exact = c.eat("=");
    let mut fields: Vec<(Template, Pattern)> = Vec::new();
    c.blanks();
    while !c.eat("}") {
        let key = key(c)?;
        fields.push((key, pattern(c)?));
        separator(c, "}")?;
    }
    Ok(Pattern::Object { exact, fields })
}

fn list(c: &mut Cursor) -> Parsed<Pattern> {
    c.expect("[")?;
    if c.eat("+") {
        c.blanks();
        let inner = pattern(c)?;
        c.blanks();
        c.expect("]")?;
        return Ok(Pattern::Each(Box::new(inner)));
    }
    let holds = c.eat("*");
    let mut items = Vec::new();
    c.blanks();
    while !c.eat("]") {
        items.push(pattern(c)?);
        separator(c, "]")?;
    }
    Ok(if holds { Pattern::Holds(items) } else { Pattern::List(items) })
}

fn kind(c: &mut Cursor) -> Parsed<Pattern> {
    let mark = c.mark();
    c.expect("@")?;
    let word = c.take(|c| c.is_ascii_alphanumeric());
    let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == word) else {
        let known: Vec<String> = KINDS.iter().map(|(name, _)| format!("@{name}")).collect();
        return Err(c.error_at(mark, &format!("expected one of {}", known.join(" "))));
    };
    let bounds = if c.eat("(") { Some(bounds(c)?) } else { None };
    Ok(Pattern::Kind { kind: *kind, bounds })
}

fn bounds(c: &mut Cursor) -> Parsed<Bounds> {
    c.blanks();
    let low = if c.starts_with("..") { None } else { Some(bound(c)?) };
    c.blanks();
    let high = if c.eat("..") {
        c.blanks();
        if c.starts_with(")") { None } else { Some(bound(c)?) }
    } else {
        low.clone()
    };
    c.blanks();
    c.expect(")")?;
    Ok(Bounds { low, high })
}

fn bound(c: &mut Cursor) -> Parsed<Value> {
    let mark = c.mark();
    let value = value(c)?;
    let fits = match value {
        Value::Number(_) | Value::Name(_) => true,
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Object(_) | Value::Call(_) => false,
    };
    if fits { Ok(value) } else { Err(c.error_at(mark, "expected a number or a name")) }
}

/// The pattern of a text: quoted, `~"regex"`, `@type`, `!...`, a name, or a bare word that may go on as JSON.
pub(super) fn text_pattern(c: &mut Cursor) -> Parsed<TextPattern> {
    let general = c.peek().is_some_and(|ch| "\"~@!(".contains(ch)) || at_function(c);
    if general || (c.starts_with("$") && !c.starts_with("${")) {
        return pattern(c).map(TextPattern::Pattern);
    }
    let prefix = c.bare(|_, ch| ch.is_whitespace() || ch == '{' || ch == '[')?;
    if c.peek().is_some_and(|ch| ch == '{' || ch == '[') {
        return pattern(c).map(|json| TextPattern::Json(prefix, json));
    }
    if prefix.0.is_empty() { Err(c.expected("a text or a pattern")) } else { Ok(TextPattern::Exact(prefix)) }
}

/// An event's name: bare or quoted; for expectations several joined by `|`, or `*` for any.
pub(super) fn event_names(c: &mut Cursor) -> Parsed<Vec<Template>> {
    if c.eat_word("*")
        || (c.peek() == Some('*') && {
            c.bump();
            c.rest_is_void()
        })
    {
        return Ok(Vec::new());
    }
    let mut names = vec![event_name(c)?];
    while c.eat("|") {
        names.push(event_name(c)?);
    }
    Ok(names)
}

pub(super) fn event_name(c: &mut Cursor) -> Parsed<Template> {
    if c.peek() == Some('"') {
        return quoted(c);
    }
    let name = c.bare(|_, ch| ch.is_whitespace() || "|{}[]()\"'=,;§".contains(ch))?;
    if name.0.is_empty() { Err(c.expected("an event's name")) } else { Ok(name) }
}
