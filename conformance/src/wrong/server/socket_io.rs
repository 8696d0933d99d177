//! Socket.IO over an Engine.IO session: CONNECT with a token, events with and without acknowledgements, attachments.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value, json};

use super::{
    House, Misbehaviour, SECRET,
    session::{Packet, Session},
};

/// As the reference parser has it.
const ATTACHMENTS_MAX: usize = 10;
/// Events that no application may send.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The Socket.IO side of a session.
#[derive(Debug, Default)]
pub(super) struct SocketIo {
    pub(super) user: Option<(String, String)>,
    connected: bool,
    /// A binary event whose attachments have not all arrived.
    binary: Option<(usize, Option<u64>)>,
}

impl SocketIo {
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }
}

/// A packet that is none; the session does not survive it.
#[derive(Debug)]
pub(super) struct Broken;

/// One message of a client.
pub(super) fn receive(house: &Arc<House>, session: &Arc<Session>, message: Packet) -> Result<(), Broken> {
    match message {
        Packet::Binary(_) => attachment(session),
        Packet::Text(text) => packet(house, session, &text),
    }
}

fn attachment(session: &Arc<Session>) -> Result<(), Broken> {
    let mut state = session.socket_io();
    let (missing, ack) = state.binary.take().ok_or(Broken)?;
    if missing > 1 {
        state.binary = Some((missing - 1, ack));
    } else if let Some(id) = ack {
        drop(state);
        session.send_text(format!("43{id}[{}]", json!({"ok": false, "error": "unknown event"})));
    }
    Ok(())
}

/// `<type>[<n>-][<namespace>,][<id>][JSON]`
struct Parsed<'a> {
    attachments: usize,
    namespace: &'a str,
    id: Option<u64>,
    payload: Option<Value>,
}

fn parse(text: &str, binary: bool) -> Result<Parsed<'_>, Broken> {
    let (attachments, rest) = match binary {
        true => text.split_once('-').and_then(|(count, rest)| Some((count.parse().ok()?, rest))).ok_or(Broken)?,
        false => (0, text),
    };
    let (namespace, rest) = match rest.starts_with('/') {
        true => rest.split_once(',').unwrap_or((rest, "")),
        false => ("/", rest),
    };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (id, json) = rest.split_at(digits);
    let id = if id.is_empty() { None } else { Some(id.parse().map_err(|_| Broken)?) };
    let payload = if json.is_empty() { None } else { Some(serde_json::from_str(json).map_err(|_| Broken)?) };
    Ok(Parsed { attachments, namespace, id, payload })
}

fn packet(house: &Arc<House>, session: &Arc<Session>, text: &str) -> Result<(), Broken> {
    if session.socket_io().binary.is_some() {
        return Err(Broken);
    }
    let kind = text.chars().next().ok_or(Broken)?;
    let parsed = parse(&text[kind.len_utf8()..], matches!(kind, '5' | '6'))?;
    if kind == '0' {
        return connect(house, session, &parsed);
    }
    let connected = session.socket_io().connected || house.is(Misbehaviour::NoConnectNeeded);
    if !connected || parsed.namespace != "/" {
        return Err(Broken);
    }
    match kind {
        '1' if parsed.payload.is_some() => Err(Broken),
        '1' => {
            if !house.is(Misbehaviour::DisconnectIgnored) {
                session.socket_io().connected = false;
                house.hub().disconnect(session.number);
            }
            Ok(())
        }
        '2' => event(house, session, &parsed),
        '3' | '6' if parsed.id.is_some() && parsed.payload.as_ref().is_some_and(Value::is_array) => Ok(()),
        '5' if parsed.attachments > ATTACHMENTS_MAX => Err(Broken),
        '5' => {
            arguments(&parsed)?;
            session.socket_io().binary = (parsed.attachments > 0).then_some((parsed.attachments, parsed.id));
            Ok(())
        }
        _ => Err(Broken),
    }
}

fn connect(house: &Arc<House>, session: &Arc<Session>, parsed: &Parsed<'_>) -> Result<(), Broken> {
    let auth = match &parsed.payload {
        None => &Map::new(),
        Some(Value::Object(auth)) => auth,
        Some(_) => return Err(Broken),
    };
    if parsed.namespace != "/" {
        let answer = if house.is(Misbehaviour::AnyNamespace) { "40" } else { "44" };
        let body = if answer == "40" {
            json!({"sid": format!("n{}", house.number())})
        } else {
            json!({"message": "Invalid namespace"})
        };
        session.send_text(format!("{answer}{},{body}", parsed.namespace));
        return Ok(());
    }
    if session.socket_io().connected {
        return Err(Broken);
    }
    let token = auth.get("token").and_then(Value::as_str).or(session.authorization.as_deref()).unwrap_or_default();
    let Some(user) = verify(token) else {
        session.send_text(format!("44{}", json!({"message": "Authentication error: invalid token"})));
        return Ok(());
    };
    let mut state = session.socket_io();
    state.connected = true;
    state.user = Some(user);
    drop(state);
    let shows = house.is(Misbehaviour::ConnectShowsEngineSid);
    let sid = if shows { session.sid.clone() } else { format!("c{}", session.number) };
    session.send_text(if house.is(Misbehaviour::ConnectWithoutSid) {
        "40{}".to_owned()
    } else {
        format!("40{}", json!({"sid": sid}))
    });
    Ok(())
}

/// The user that a token speaks for.
pub(super) fn verify(token: &str) -> Option<(String, String)> {
    let token = token
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or(token, |(_, token)| token);
    let mut rules = Validation::new(Algorithm::HS256);
    rules.leeway = 0;
    let claims =
        decode::<Map<String, Value>>(token.trim(), &DecodingKey::from_secret(SECRET.as_bytes()), &rules).ok()?.claims;
    let claim = |name: &str| claims.get(name)?.as_str().map(str::to_owned);
    Some((claim("userId").or_else(|| claim("id")).or_else(|| claim("sub"))?, claim("username")?))
}

fn arguments<'a>(parsed: &'a Parsed<'_>) -> Result<(&'a str, Option<&'a Value>), Broken> {
    let payload = parsed.payload.as_ref().and_then(Value::as_array).ok_or(Broken)?;
    match payload.first().ok_or(Broken)? {
        Value::String(name) if !RESERVED.contains(&name.as_str()) => Ok((name, payload.get(1))),
        Value::Number(_) => Ok(("", None)),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => Err(Broken),
    }
}

fn event(house: &Arc<House>, session: &Arc<Session>, parsed: &Parsed<'_>) -> Result<(), Broken> {
    let (name, argument) = arguments(parsed)?;
    let outcome = house.hub().event(house, session, name, argument);
    if let Err(error) = &outcome {
        session.send_text(format!("42{}", json!(["error", {"message": error}])));
    }
    let Some(id) = parsed.id.filter(|_| !house.is(Misbehaviour::AckMissing)) else { return Ok(()) };
    let answer = match outcome {
        Ok(()) => json!([{"ok": true}]),
        Err(error) => json!([{"ok": false, "error": error}]),
    };
    let id = if house.is(Misbehaviour::AckWrongId) { id.wrapping_add(1) } else { id };
    for _ in 0..if house.is(Misbehaviour::AckTwice) { 2 } else { 1 } {
        session.send_text(format!("43{id}{answer}"));
    }
    Ok(())
}
