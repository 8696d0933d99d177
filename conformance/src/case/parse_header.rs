//! Parses the header lines of a case: what it proves, what it needs, and on what it is played.

use super::{
    ast::{Case, Own},
    cursor::{Cursor, Parsed},
    parse_options::named,
    parse_pattern::variable,
    parse_value::{span, value},
    value::Payload,
};
use crate::outcome::ClauseId;

/// The words that header lines begin with.
pub(super) const HEADERS: [&str; 9] =
    ["clause", "needs", "within", "manual", "let", "own", "with", "without", "dotenv"];

/// Reads a header line; `false` if it is not one.
pub(super) fn header(c: &mut Cursor, case: &mut Case) -> Parsed<bool> {
    let mark = c.mark();
    if c.eat_word("clause") {
        words(c, "a clause such as `rooms/5.1`", |c, word| {
            let known = word.rsplit_once('/').is_some_and(|(spec, number)| !spec.is_empty() && !number.is_empty());
            if known {
                Ok(())
            } else {
                Err(c.error(&format!("expected a clause such as `rooms/5.1` before here, found `{word}`")))
            }
        })
        .map(|found| case.clauses.extend(found.into_iter().map(ClauseId)))?;
    } else if c.eat_word("needs") {
        case.needs.extend(words(c, "what is needed", need)?);
    } else if c.eat_word("within") {
        case.within = Some(span(c)?);
    } else if c.eat_word("manual") {
        c.expect("pings")?;
        case.manual_pings = true;
    } else if c.eat_word("let") {
        let name = variable(c)?;
        c.blanks();
        c.expect("=")?;
        c.blanks();
        case.lets.push((name, value(c)?));
    } else if c.eat_word("own") {
        case.own = Some(own(c)?);
    } else if c.eat_word("with") {
        let found = variables(c)?;
        of_own(c, mark, case)?.with.extend(found);
    } else if c.eat_word("without") {
        let found = words(c, "the name of a variable", is_variable)?;
        of_own(c, mark, case)?.without.extend(found);
    } else if c.eat_word("dotenv") {
        let found = variables(c)?;
        of_own(c, mark, case)?.dotenv.extend(found);
    } else {
        return Ok(false);
    }
    if c.at_end() { Ok(true) } else { Err(c.expected("the end of the line")) }
}

/// `own instance [may fail]`.
fn own(c: &mut Cursor) -> Parsed<Own> {
    if !c.eat_word("instance") {
        return Err(c.expected("`instance`"));
    }
    let may_fail = c.eat_word("may");
    if may_fail && !c.eat_word("fail") {
        return Err(c.expected("`fail`"));
    }
    Ok(Own { may_fail, ..Own::default() })
}

/// The instance that a line speaks of; the line that asks for it stands before.
fn of_own<'c>(c: &Cursor, mark: usize, case: &'c mut Case) -> Parsed<&'c mut Own> {
    case.own.as_mut().ok_or_else(|| c.error_at(mark, "expected the line `own instance` before this one"))
}

/// `NAME=TEXT ...`.
fn variables(c: &mut Cursor) -> Parsed<Vec<(String, Payload)>> {
    let mut found = Vec::new();
    while !c.at_end() {
        let variable = named(c)?;
        is_variable(c, &variable.0)?;
        found.push(variable);
    }
    if found.is_empty() { Err(c.expected("`NAME=TEXT`")) } else { Ok(found) }
}

fn is_variable(c: &Cursor, word: &str) -> Parsed<()> {
    let known = word.starts_with(|ch: char| ch.is_ascii_alphabetic() || ch == '_')
        && word.chars().all(|ch| ch.is_ascii_alphanumeric() || ch == '_');
    if known { Ok(()) } else { Err(c.error(&format!("expected the name of a variable before here, found `{word}`"))) }
}

/// What a case can need; a typo here would make it *not run* for ever.
fn need(c: &Cursor, word: &str) -> Parsed<()> {
    let known = match word.split_once('=') {
        Some(("instances", count)) => count.parse::<u32>().is_ok_and(|count| count > 0),
        Some(("identity", kind)) => matches!(kind, "token" | "open"),
        Some(("backend" | "tls" | "dialect" | "listener", name)) => !name.is_empty(),
        Some((name, number)) if name == "port" || name.starts_with("port.") => {
            number.parse::<u16>().is_ok_and(|number| number > 0)
        }
        Some(_) => false,
        None => matches!(word, "exclusive" | "control" | "auth-stub" | "websocket" | "polling" | "socket.io"),
    };
    let all = "`exclusive`, `control`, `instances=N`, `auth-stub`, `identity=token`, `identity=open`, `backend=NAME`, `listener=NAME`, `tls=NAME`, `port=N`, `port.NAME=N`, `websocket`, `polling`, `socket.io`, `dialect=NAME`";
    if known { Ok(()) } else { Err(c.error(&format!("expected one of {all} before here, found `{word}`"))) }
}

fn words(c: &mut Cursor, what: &str, check: impl Fn(&Cursor, &str) -> Parsed<()>) -> Parsed<Vec<String>> {
    let mut found = Vec::new();
    while !c.at_end() {
        let word = c.take(|c| !c.is_whitespace());
        check(c, &word)?;
        found.push(word);
    }
    if found.is_empty() { Err(c.expected(what)) } else { Ok(found) }
}
