//! Parses the steps with which a case serves a client.

use super::{
    cursor::{Cursor, Parsed},
    parse::Source,
    parse_options::{at_option, named, transport},
    parse_pattern::pattern,
    parse_step::{at_tail, tail},
    parse_value::{span, value},
    parse_world::integer,
    serve::{Serve, Starting},
    value::Pattern,
};

/// A step behind its verb; `None` if the verb is another.
pub(super) fn serve(source: &Source, c: &mut Cursor, verb: &str) -> Parsed<Option<Serve>> {
    let serve = match verb {
        "starts" => Serve::Starts(starting(c)?),
        "accepts" => {
            let pattern = wanted(c)?;
            let mut headers = Vec::new();
            while c.eat("header.") {
                headers.push(named(c)?);
                c.blanks();
            }
            Serve::Accepts { pattern, headers, tail: tail(source, c)? }
        }
        "refuses" => {
            let status = integer(c)?;
            c.blanks();
            Serve::Refuses { status, pattern: wanted(c)?, tail: tail(source, c)? }
        }
        "unasked" => Serve::Unasked(span(c)?, tail(source, c)?),
        _ => return Ok(None),
    };
    Ok(Some(serve))
}

/// What a request must look like, if anything is said about it.
fn wanted(c: &mut Cursor) -> Parsed<Option<Pattern>> {
    let found = if c.at_end() || at_tail(c) || at_option(c) { None } else { Some(pattern(c)?) };
    c.blanks();
    Ok(found)
}

fn starting(c: &mut Cursor) -> Parsed<Starting> {
    let mut starting = Starting::default();
    c.blanks();
    while at_option(c) {
        if c.eat("transport=") {
            starting.transport = Some(transport(c)?);
        } else if c.eat("auth=") {
            starting.auth = Some(value(c)?);
        } else if c.eat("env.") {
            starting.variables.push(named(c)?);
        } else {
            return Err(c.expected("`transport=`, `auth=` or `env.NAME=`"));
        }
        c.blanks();
    }
    Ok(starting)
}
