//! Parses the steps of an actor.

use super::{
    act::{Act, Arrives, ExpectMode, Expected, Incoming, Outgoing, Tail},
    ast::{ActorName, ConnectOptions, Step, StepAct},
    cursor::{Cursor, Parsed},
    parse::{RESERVED, Source},
    parse_options::{answered, at_option, connect, frame, listener, named, nsp, request},
    parse_pattern::{event_name, event_names, pattern, regex, text_pattern, variable},
    parse_serve::serve,
    parse_value::{at_function, hex_digits, payload_rest, payload_word, span, value},
    parse_world::integer,
    value::{Call, Pattern, Payload, Value},
};
use crate::outcome::ClauseId;

/// The verbs of an actor, for the error that lists them.
const VERBS: &str = "`>`, `<`, `<?`, `<*`, `&`, `connects`, `tries`, `opens`, `refused`, `never`, `allow`, `quiet`, `leaves`, \
                     `disconnected`, `upgrades`, `closed`, `sends`, `gets`, `requests`, `answered`, `dials`, `drops`, \
                     `stops reading`, `resumes reading`, `returns`, `starts`, `accepts`, `refuses` or `unasked`";

pub(super) fn actor_name(c: &mut Cursor) -> Parsed<ActorName> {
    let mark = c.mark();
    let user = c.take(|ch| ch.is_ascii_lowercase() || ch.is_ascii_digit() || ch == '_');
    if !user.starts_with(|ch: char| ch.is_ascii_lowercase()) {
        c.back_to(mark);
        return Err(c.expected("an actor (a lower-case name) or a step's word"));
    }
    if RESERVED.contains(&user.as_str()) {
        return Err(c.error_at(mark, &format!("`{user}` is a word of the language and cannot name an actor")));
    }
    let device = if c.eat(".") { integer(c)? } else { 1 };
    let instance = if c.eat("@") { Some(integer(c)?) } else { None };
    Ok(ActorName { user, device, instance })
}

pub(super) fn act(source: &Source, c: &mut Cursor, line: u32) -> Parsed<Act> {
    if c.eat("<?") {
        return expects(source, c, line, ExpectMode::Optional);
    }
    if c.eat("<*") {
        return expects(source, c, line, ExpectMode::Skipping);
    }
    if c.eat("<") {
        return expects(source, c, line, ExpectMode::Next);
    }
    if c.eat(">") {
        c.blanks();
        return emits(c);
    }
    let mark = c.mark();
    let word = c.take(|ch| ch.is_ascii_lowercase());
    if c.peek().is_some_and(|ch| !ch.is_whitespace()) {
        return Err(c.error_at(mark, &format!("expected {VERBS}")));
    }
    c.blanks();
    match connection_verb(source, c, line, &word)? {
        Some(act) => Ok(act),
        None => match serve(source, c, &word)? {
            Some(serve) => Ok(Act::Serves(serve)),
            None => wire_verb(source, c, &word)?
                .ok_or_else(|| c.error_at(mark, &format!("expected {VERBS}, found `{word}`"))),
        },
    }
}

fn connection_verb(source: &Source, c: &mut Cursor, line: u32, word: &str) -> Parsed<Option<Act>> {
    let act = match word {
        "connects" => Act::Connects(options(c)?, tail(source, c)?),
        "tries" => Act::Tries(options(c)?),
        "opens" => Act::Opens(options(c)?, tail(source, c)?),
        "refused" => {
            let wanted = if c.at_end() || at_tail(c) { None } else { Some(pattern(c)?) };
            Act::Refused(wanted, tail(source, c)?)
        }
        "never" => Act::Never(expected(source, c, line)?),
        "allow" if c.eat_word("disconnected") => Act::AllowsEnd { instead: c.eat_word("instead") },
        "allow" => Act::Allows(expected(source, c, line)?),
        "quiet" => Act::Quiet(span(c)?, tail(source, c)?),
        "leaves" => Act::Leaves(maybe_nsp(c)?),
        "disconnected" => Act::Disconnected(maybe_nsp(c)?, tail(source, c)?),
        "upgrades" => Act::Upgrades(tail(source, c)?),
        "closed" => Act::Closed(codes(c)?, tail(source, c)?),
        "returns" => Act::Returns(tail(source, c)?),
        "drops" => Act::Drops,
        "stops" if c.eat_word("reading") => Act::StopsReading,
        "resumes" if c.eat_word("reading") => Act::ResumesReading,
        _ => return Ok(None),
    };
    Ok(Some(act))
}

fn wire_verb(source: &Source, c: &mut Cursor, word: &str) -> Parsed<Option<Act>> {
    let act = match word {
        "sends" => Act::Sends(sends(c)?),
        "gets" => Act::Gets(gets(c)?, tail(source, c)?),
        "requests" => Act::Requests(request(c)?),
        "answered" => Act::Answered(answered(c, at_tail)?, tail(source, c)?),
        "dials" => dials(c)?,
        _ => return Ok(None),
    };
    Ok(Some(act))
}

fn options(c: &mut Cursor) -> Parsed<ConnectOptions> {
    let mut options = ConnectOptions::default();
    connect(c, &mut options)?;
    Ok(options)
}

fn maybe_nsp(c: &mut Cursor) -> Parsed<Option<String>> {
    let found = if c.eat("nsp=") { Some(nsp(c)?) } else { None };
    c.blanks();
    Ok(found)
}

fn codes(c: &mut Cursor) -> Parsed<Vec<u16>> {
    let mut codes = Vec::new();
    if c.peek().is_some_and(|ch| ch.is_ascii_digit()) {
        codes.push(integer(c)?);
        while c.eat("|") {
            codes.push(integer(c)?);
        }
    }
    Ok(codes)
}

fn emits(c: &mut Cursor) -> Parsed<Act> {
    if c.eat("ack=$") {
        c.back_to(c.mark() - 1);
        let name = variable(c)?;
        let (args, _, nsp) = sent_arguments(c, false)?;
        return Ok(Act::Acknowledges { name, args, nsp });
    }
    if c.peek().is_some_and(|ch| ch == '{' || ch == '[' || ch == '$') {
        return value(c).map(Act::SendsJson);
    }
    let event = event_name(c)?;
    let (args, ack, nsp) = sent_arguments(c, true)?;
    Ok(Act::Emits { event, args, ack, nsp })
}

/// The arguments of an emit, the id of the acknowledgement it asks for, its namespace.
type SentArguments = (Vec<Value>, Option<u64>, Option<String>);

fn sent_arguments(c: &mut Cursor, may_ask: bool) -> Parsed<SentArguments> {
    let (mut args, mut ack, mut namespace) = (Vec::new(), None, None);
    while !c.at_end() {
        if may_ask && c.eat("ack=") {
            ack = Some(integer(c)?);
        } else if c.eat("nsp=") {
            namespace = Some(nsp(c)?);
        } else {
            args.push(value(c)?);
        }
    }
    Ok((args, ack, namespace))
}

fn expects(source: &Source, c: &mut Cursor, line: u32, mode: ExpectMode) -> Parsed<Act> {
    c.blanks();
    expected(source, c, line).map(|one| Act::Expects { mode, group: vec![one] })
}

/// What stands behind `<`, `&`, `never` and `allow`.
pub(super) fn expected(source: &Source, c: &mut Cursor, line: u32) -> Parsed<Expected> {
    let what = if c.eat("ack=") {
        let id = integer(c)?;
        let (args, _, nsp) = expected_arguments(c, false)?;
        Arrives::Ack { id, args, nsp }
    } else if c.peek().is_some_and(|ch| "{[@!~($".contains(ch)) {
        Arrives::Json(pattern(c)?)
    } else {
        let names = event_names(c)?;
        let (args, ack, nsp) = expected_arguments(c, true)?;
        Arrives::Event { names, args, ack, nsp }
    };
    Ok(Expected { line, what, tail: tail(source, c)? })
}

/// The patterns of an event's arguments, the name of the acknowledgement it asks for, its namespace.
type ExpectedArguments = (Vec<Pattern>, Option<String>, Option<String>);

fn expected_arguments(c: &mut Cursor, may_ask: bool) -> Parsed<ExpectedArguments> {
    let (mut args, mut ack, mut namespace) = (Vec::new(), None, None);
    while !c.at_end() && !at_tail(c) {
        if may_ask && c.eat("ack=") {
            ack = Some(variable(c)?);
        } else if c.eat("nsp=") {
            namespace = Some(nsp(c)?);
        } else {
            args.push(pattern(c)?);
        }
    }
    Ok((args, ack, namespace))
}

/// Puts an `&` line into the group of the expectation above it.
pub(super) fn join_group(c: &Cursor, steps: &mut [Step], actor: &ActorName, one: Expected) -> Parsed<()> {
    if let Some(Step {
        act: StepAct::Actor { actor: above, does: Act::Expects { group, mode: ExpectMode::Next } }, ..
    }) = steps.last_mut()
        && above.key() == actor.key()
    {
        group.push(one);
        return Ok(());
    }
    Err(c.error_at(0, "`&` belongs directly below a `<` line of the same actor"))
}

pub(super) fn at_tail(c: &Cursor) -> bool {
    c.starts_with("§") || c.starts_with("within ") || c.starts_with("after ")
}

pub(super) fn tail(source: &Source, c: &mut Cursor) -> Parsed<Tail> {
    let mut tail = Tail::default();
    while !c.at_end() {
        if c.eat_word("within") {
            tail.within = Some(span(c)?);
        } else if c.eat_word("after") {
            tail.after = Some(span(c)?);
        } else if c.eat("§") {
            let cited = c.take(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '.' | '-' | '/'));
            if cited.is_empty() {
                return Err(c.expected("a clause's number"));
            }
            tail.clause = Some(ClauseId(if cited.contains('/') { cited } else { format!("{}/{cited}", source.spec) }));
        } else {
            return Err(c.expected("`within D`, `after D`, `§CLAUSE` or the end of the line"));
        }
    }
    Ok(tail)
}

fn sends(c: &mut Cursor) -> Parsed<Outgoing> {
    let maybe = |c: &mut Cursor| if c.at_end() { Ok(None) } else { payload_rest(c).map(Some) };
    if c.eat_word("packet") {
        return payload_rest(c).map(Outgoing::Packet);
    }
    if c.eat_word("text") {
        return payload_rest(c).map(Outgoing::Text);
    }
    if c.eat_word("binary") {
        return bytes(c).map(Outgoing::Binary);
    }
    if c.eat_word("ping") {
        return maybe(c).map(Outgoing::Ping);
    }
    if c.eat_word("pong") {
        return maybe(c).map(Outgoing::Pong);
    }
    if c.eat_word("close") {
        let code = if c.at_end() { None } else { Some(integer(c)?) };
        c.blanks();
        return Ok(Outgoing::Close(code, maybe(c)?));
    }
    if c.eat_word("frame") {
        return frame(c, payload_rest);
    }
    if c.eat_word("bytes") {
        return payload_rest(c).map(Outgoing::Bytes);
    }
    Err(c.expected("`packet`, `text`, `binary`, `ping`, `pong`, `close`, `frame` or `bytes`"))
}

/// `00ff`, or a function that makes bytes.
fn bytes(c: &mut Cursor) -> Parsed<Payload> {
    if at_function(c) || c.starts_with("$") {
        return value(c).map(Payload::Value);
    }
    hex_digits(c).map(|digits| Payload::Value(Value::Call(Call::Hex(digits))))
}

fn gets(c: &mut Cursor) -> Parsed<Incoming> {
    let maybe = |c: &mut Cursor| if c.at_end() || at_tail(c) { Ok(None) } else { text_pattern(c).map(Some) };
    if c.eat_word("packet") {
        return if c.eat_word("binary") { binary(c) } else { text_pattern(c).map(Incoming::Packet) };
    }
    if c.eat_word("text") {
        return text_pattern(c).map(Incoming::Text);
    }
    if c.eat_word("binary") {
        return binary(c);
    }
    if c.eat_word("ping") {
        return maybe(c).map(Incoming::Ping);
    }
    if c.eat_word("pong") {
        return maybe(c).map(Incoming::Pong);
    }
    if c.eat_word("close") {
        return codes(c).map(Incoming::Close);
    }
    if c.eat_word("end") {
        return Ok(Incoming::End);
    }
    if c.eat_word("bytes") {
        return regex(c).map(Incoming::Bytes);
    }
    Err(c.expected("`packet`, `binary`, `text`, `ping`, `pong`, `close`, `end` or `bytes`"))
}

fn binary(c: &mut Cursor) -> Parsed<Incoming> {
    if c.at_end() || at_tail(c) {
        return Ok(Incoming::Binary(None));
    }
    if c.peek().is_some_and(|ch| ch.is_ascii_hexdigit()) && !at_function(c) {
        return hex_digits(c).map(|digits| Incoming::Binary(Some(Pattern::Value(Value::Call(Call::Hex(digits))))));
    }
    pattern(c).map(|wanted| Incoming::Binary(Some(wanted)))
}

fn dials(c: &mut Cursor) -> Parsed<Act> {
    let path = if c.eat_word("tcp") { None } else { Some(payload_word(c)?) };
    let (mut on, mut headers, mut window) = (None, Vec::new(), None);
    c.blanks();
    while at_option(c) {
        if c.eat("on=") {
            on = Some(listener(c)?);
        } else if c.eat("window=") {
            window = Some(integer(c)?);
        } else if c.eat("header.") {
            headers.push(named(c)?);
        } else {
            return Err(c.expected("`on=`, `window=` or `header.NAME=`"));
        }
        c.blanks();
    }
    Ok(Act::Dials { path, on, headers, window })
}
