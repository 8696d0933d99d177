//! Parses the steps that belong to nobody: `use`, `wait`, `auth`, `target`, `backend`, `ear`, and what probes ask.

use super::{
    act::Tail,
    ast::{Asked, ConnectOptions, StepAct, WorldVerb},
    cursor::{Cursor, Parsed},
    parse::Source,
    parse_options,
    parse_pattern::pattern,
    parse_step::{actor_name, tail},
    parse_value::{payload_word, span, value},
    value::Payload,
};

/// The verbs of control with their words.
pub(super) const VERBS: [(&str, WorldVerb); 6] = [
    ("stops", WorldVerb::Stops),
    ("starts", WorldVerb::Starts),
    ("kills", WorldVerb::Kills),
    ("restarts", WorldVerb::Restarts),
    ("pauses", WorldVerb::Pauses),
    ("resumes", WorldVerb::Resumes),
];

/// A step of the world; `None` if the line starts with none of its words.
pub(super) fn world(source: &Source, c: &mut Cursor) -> Parsed<Option<StepAct>> {
    let act = if c.eat_word("use") {
        use_line(c)?
    } else if c.eat_word("wait") {
        StepAct::Wait(span(c)?)
    } else if c.eat_word("auth") {
        auth(c)?
    } else if c.eat_word("target") {
        if c.eat_word("logged") {
            c.blanks();
            return asks(source, c, Asked::Log).map(Some);
        }
        target(source, c)?
    } else if c.eat_word("ear") {
        if !c.eat_word("heard") {
            return Err(c.expected("`heard`"));
        }
        asks(source, c, Asked::Ear)?
    } else if c.eat_word("backend") {
        let name = c.take(|ch| ch.is_ascii_alphanumeric() || ch == '-');
        c.blanks();
        if c.eat_word("asked") {
            c.blanks();
            // A document is a question too, and so is a list of words: they are asked as JSON.
            let is_json = c.starts_with("{") || c.starts_with("[");
            let question = if is_json { Payload::Value(value(c)?) } else { payload_word(c)? };
            c.blanks();
            if !c.eat_word("says") {
                return Err(c.expected("`says`"));
            }
            c.blanks();
            return asks(source, c, Asked::Backend { name, question }).map(Some);
        }
        if c.eat_word("heard") {
            c.blanks();
            return asks(source, c, Asked::Heard { backend: name }).map(Some);
        }
        if c.eat_word("listens") {
            c.blanks();
            return Ok(Some(StepAct::Listens { backend: name, channel: payload_word(c)? }));
        }
        StepAct::Backend { name, verb: verb(c)? }
    } else {
        return Ok(None);
    };
    Ok(Some(act))
}

/// What is done to an instance; an orderly end may have to have an exit code.
fn target(source: &Source, c: &mut Cursor) -> Parsed<StepAct> {
    let verb = verb(c)?;
    c.blanks();
    let instance = if c.peek().is_some_and(|ch| ch.is_ascii_digit()) { integer(c)? } else { 1 };
    c.blanks();
    let mark = c.mark();
    let code = if c.eat("code=") { Some(integer(c)?) } else { None };
    if code.is_some() && !matches!(verb, WorldVerb::Stops | WorldVerb::Restarts) {
        return Err(c.error_at(mark, "only what `stops` or `restarts` ends by itself, with a code"));
    }
    let tail = match code {
        Some(_) => tail(source, c)?,
        None => Tail::default(),
    };
    Ok(StepAct::Target { verb, instance, code, tail })
}

fn asks(source: &Source, c: &mut Cursor, asked: Asked) -> Parsed<StepAct> {
    let says = pattern(c)?;
    c.blanks();
    Ok(StepAct::Asks { asked, says, tail: tail(source, c)? })
}

fn use_line(c: &mut Cursor) -> Parsed<StepAct> {
    let mut actors = vec![actor_name(c)?];
    c.blanks();
    while c.eat(",") {
        c.blanks();
        actors.push(actor_name(c)?);
        c.blanks();
    }
    let mut preamble = None;
    let mut options = ConnectOptions::default();
    if !c.at_end() && !parse_options::at_option(c) {
        let name = c.take(|ch| ch.is_ascii_alphanumeric() || ch == '_' || ch == '-');
        if name.is_empty() {
            return Err(c.expected("the name of a preamble, such as `in`"));
        }
        let mut args = Vec::new();
        while !c.at_end() && !parse_options::at_option(c) {
            args.push(value(c)?);
        }
        preamble = Some((name, args));
    }
    parse_options::connect(c, &mut options)?;
    Ok(StepAct::Use { actors, preamble, options })
}

fn verb(c: &mut Cursor) -> Parsed<WorldVerb> {
    for (word, verb) in VERBS {
        if c.eat_word(word) {
            return Ok(verb);
        }
    }
    let words: Vec<&str> = VERBS.iter().map(|(word, _)| *word).collect();
    Err(c.expected(&format!("one of {}", words.join(", "))))
}

fn auth(c: &mut Cursor) -> Parsed<StepAct> {
    if !c.eat_word("answers") {
        return Err(c.expected("`answers`"));
    }
    let status = integer(c)?;
    let (mut user, mut delay, mut actor) = (None, None, None);
    while !c.at_end() {
        if c.eat("user=") {
            user = Some(value(c)?);
        } else if c.eat("delay=") {
            delay = Some(span(c)?);
        } else if c.eat("for=") {
            actor = Some(actor_name(c)?.user);
        } else {
            return Err(c.expected("`user=JSON`, `delay=D` or `for=ACTOR`"));
        }
    }
    Ok(StepAct::Auth { status, user, delay, actor })
}

/// A whole number that fits.
pub(super) fn integer<T: std::str::FromStr>(c: &mut Cursor) -> Parsed<T> {
    let mark = c.mark();
    let digits = c.take(|ch| ch.is_ascii_digit());
    if digits.is_empty() {
        return Err(c.expected("a number"));
    }
    digits.parse().map_err(|_| c.error_at(mark, "this number is too large here"))
}
