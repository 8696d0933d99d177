//! Parses `key=value` options: of connections, requests and frames.

use super::{
    act::{Answered, Body, BodyPattern, Outgoing, Request, StatusPattern},
    ast::{ConnectOptions, Transport},
    cursor::{Cursor, Parsed},
    parse_pattern::{pattern, text_pattern},
    parse_value::{payload_word, value},
    parse_world::integer,
    value::Payload,
};

/// The transports with their words.
pub(super) const TRANSPORTS: [(&str, Transport); 3] =
    [("websocket", Transport::Websocket), ("polling", Transport::Polling), ("upgrade", Transport::Upgrade)];

/// Whether an option `key=` comes next.
pub(super) fn at_option(c: &Cursor) -> bool {
    let word = c.peek_word();
    word.split_once('=').is_some_and(|(key, _)| {
        !key.is_empty() && key.chars().all(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '.' | '-' | '_'))
    })
}

/// Options of `connects`, `tries`, `opens`, `use`, as far as there are any.
pub(super) fn connect(c: &mut Cursor, options: &mut ConnectOptions) -> Parsed<()> {
    c.blanks();
    while at_option(c) {
        if c.eat("auth=") {
            options.auth = Some(value(c)?);
        } else if c.eat("nsp=") {
            options.nsp = Some(nsp(c)?);
        } else if c.eat("transport=") {
            options.transport = Some(transport(c)?);
        } else if c.eat("path=") {
            options.path = Some(payload_word(c)?);
        } else if c.eat("on=") {
            options.on = Some(listener(c)?);
        } else if c.eat("window=") {
            options.window = Some(integer(c)?);
        } else if c.eat("header.") {
            options.headers.push(named(c)?);
        } else if c.eat("query.") {
            options.query.push(named(c)?);
        } else {
            return Err(c.expected(
                "`auth=`, `nsp=`, `transport=`, `path=`, `on=`, `window=`, `header.NAME=` or `query.NAME=`",
            ));
        }
        c.blanks();
    }
    Ok(())
}

pub(super) fn nsp(c: &mut Cursor) -> Parsed<String> {
    if !c.starts_with("/") {
        return Err(c.expected("a namespace such as `/admin`"));
    }
    Ok(c.take(|ch| !ch.is_whitespace()))
}

pub(super) fn transport(c: &mut Cursor) -> Parsed<Transport> {
    for (word, transport) in TRANSPORTS {
        if c.eat_word(word) {
            return Ok(transport);
        }
    }
    Err(c.expected("`websocket`, `polling` or `upgrade`"))
}

pub(super) fn listener(c: &mut Cursor) -> Parsed<String> {
    let name = c.take(|ch| ch.is_ascii_alphanumeric() || ch == '-' || ch == '_');
    if name.is_empty() { Err(c.expected("the name of a listener")) } else { Ok(name) }
}

/// `Name=TEXT` behind `header.` or `query.`.
pub(super) fn named(c: &mut Cursor) -> Parsed<(String, Payload)> {
    let name = option_name(c)?;
    // An empty value is allowed: it is something a server may meet.
    if c.peek().is_none_or(char::is_whitespace) {
        return Ok((name, Payload::Bare(super::value::Template::default())));
    }
    payload_word(c).map(|text| (name, text))
}

fn option_name(c: &mut Cursor) -> Parsed<String> {
    let name = c.take(|ch| !ch.is_whitespace() && ch != '=');
    c.expect("=")?;
    Ok(name)
}

pub(super) fn request(c: &mut Cursor) -> Parsed<Request> {
    let method = c.take(|ch| ch.is_ascii_alphabetic());
    if method.is_empty() {
        return Err(c.expected("a method such as `GET`"));
    }
    c.blanks();
    let path = payload_word(c)?;
    let mut request = Request { method, path, on: None, headers: Vec::new(), anonymous: false, body: None };
    while !c.at_end() {
        if c.eat_word("anonymous") {
            request.anonymous = true;
        } else if c.eat("on=") {
            request.on = Some(listener(c)?);
        } else if c.eat("header.") {
            request.headers.push(named(c)?);
        } else if c.eat("body=") {
            request.body = Some(Body::Json(value(c)?));
        } else if c.eat("text=") {
            request.body = Some(Body::Text(payload_word(c)?));
        } else {
            return Err(c.expected("`on=`, `header.NAME=`, `anonymous`, `body=JSON` or `text=TEXT`"));
        }
    }
    Ok(request)
}

/// What follows `answered`, up to its tail.
pub(super) fn answered(c: &mut Cursor, at_tail: impl Fn(&Cursor) -> bool) -> Parsed<Answered> {
    let mut answered = Answered { status: vec![status(c)?], headers: Vec::new(), body: None };
    while c.eat("|") {
        answered.status.push(status(c)?);
    }
    while !c.at_end() && !at_tail(c) {
        if c.eat("header.") {
            let name = option_name(c)?;
            answered.headers.push((name, text_pattern(c)?));
        } else if answered.body.is_some() {
            return Err(c.expected("`within D`, `after D`, `§CLAUSE` or the end of the line"));
        } else if c.eat("text=") {
            answered.body = Some(BodyPattern::Text(text_pattern(c)?));
        } else {
            answered.body = Some(BodyPattern::Json(pattern(c)?));
        }
    }
    Ok(answered)
}

fn status(c: &mut Cursor) -> Parsed<StatusPattern> {
    let mark = c.mark();
    let word = c.take(|ch| ch.is_ascii_alphanumeric());
    let class = word.strip_suffix("xx").and_then(|digit| digit.parse().ok()).filter(|digit| (1..=5).contains(digit));
    let exact = word.parse().ok().filter(|status| (100..=599).contains(status));
    match (class, exact) {
        (Some(class), _) => Ok(StatusPattern::Class(class)),
        (None, Some(status)) => Ok(StatusPattern::Exact(status)),
        (None, None) => Err(c.error_at(mark, "expected a status such as `200`, `4xx` or `400|404`")),
    }
}

/// What follows `sends frame`.
pub(super) fn frame(c: &mut Cursor, payload: impl Fn(&mut Cursor) -> Parsed<Payload>) -> Parsed<Outgoing> {
    let (mut fin, mut rsv, mut opcode, mut mask, mut length) = (true, 0, None, true, None);
    c.blanks();
    while at_option(c) {
        let mark = c.mark();
        if c.eat("fin=") {
            fin = flag(c)?;
        } else if c.eat("mask=") {
            mask = flag(c)?;
        } else if c.eat("rsv=") {
            rsv = integer(c)?;
        } else if c.eat("opcode=") {
            opcode = Some(integer(c)?);
        } else if c.eat("length=") {
            length = Some(integer(c)?);
        } else {
            return Err(c.expected("`fin=`, `rsv=`, `opcode=`, `mask=` or `length=`"));
        }
        if rsv > 7 || opcode.is_some_and(|o| o > 15) {
            return Err(c.error_at(mark, "expected `rsv` from 0 to 7 and `opcode` from 0 to 15"));
        }
        c.blanks();
    }
    let payload = if c.at_end() { Payload::Bare(super::value::Template::default()) } else { payload(c)? };
    Ok(Outgoing::Frame { fin, rsv, opcode, mask, length, payload })
}

fn flag(c: &mut Cursor) -> Parsed<bool> {
    let mark = c.mark();
    match integer(c)? {
        0_u8 => Ok(false),
        1 => Ok(true),
        _ => Err(c.error_at(mark, "expected 0 or 1")),
    }
}
