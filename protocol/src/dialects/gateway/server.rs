//! The server's side of `gateway`: a client's packet -> [`Command`]; [`Event`] -> the packet that the client reads.

use serde_json::{Map, Value};

use super::wire::MessageJson;
use crate::{
    dialects::{AppPacket, Spoken},
    vocabulary::{Audience, Command, Event, Member, MessageKind, Refusal, RoomId, UserId},
};

/// What a client's packet asks for.
///
/// # Errors
/// A [`Refusal`] when the event is unknown, its payload is missing, or a field is missing or of the wrong type.
pub fn decode(packet: &AppPacket) -> Result<Command, Refusal> {
    let AppPacket::Event { name, args } = packet else {
        return Err(Refusal::UnknownEvent);
    };
    match name.as_str() {
        "joinRoom" => join(args.first()),
        "sendMessage" => send(args.first()),
        _ => Err(Refusal::UnknownEvent),
    }
}

/// The packet that a client reads for this event: the dialect has one, `receiveMessage`.
#[must_use]
pub fn encode(event: &Event) -> Option<Spoken> {
    match event {
        Event::Message(message) => Some(Spoken::event("receiveMessage", &MessageJson::from(message))),
        Event::Sent(_)
        | Event::History { .. }
        | Event::Members { .. }
        | Event::Joined { .. }
        | Event::Left { .. }
        | Event::Returned { .. }
        | Event::Typing { .. }
        | Event::Read { .. }
        | Event::ChatOpened { .. }
        | Event::ChatClosed { .. }
        | Event::Presence { .. }
        | Event::Authenticated { .. }
        | Event::NotAuthenticated(_)
        | Event::Stopping
        | Event::Resumed
        | Event::Refused(_) => None,
    }
}

/// The dialect has no error event: only who asked for an acknowledgement learns of a refusal.
#[must_use]
pub fn refuse(_: &AppPacket, _: &Refusal) -> Option<Spoken> {
    None
}

/// `joinRoom ROOM`; an object with `roomId` is taken too.
fn join(payload: Option<&Value>) -> Result<Command, Refusal> {
    let room = match payload {
        Some(Value::Object(object)) => object.get("roomId").and_then(Value::as_str),
        Some(other) => other.as_str(),
        None => None,
    };
    room.map(|room| Command::join(RoomId::from(room)))
        .ok_or(Refusal::Invalid { field: "roomId", problem: "must be a string" })
}

fn send(payload: Option<&Value>) -> Result<Command, Refusal> {
    let payload = payload
        .and_then(Value::as_object)
        .ok_or(Refusal::Invalid { field: "payload", problem: "must be an object" })?;
    let room = RoomId::from(text(payload, "roomId")?);
    let words = text(payload, "text")?.to_owned();
    let user = optional_text(payload, "userId")?;
    let name = optional_text(payload, "username")?;
    let claimed = user.map(|user| Member { user: UserId::from(user), name: name.unwrap_or(user).to_owned() });
    let sent_at_ms = match payload.get("timestamp") {
        None | Some(Value::Null | Value::String(_)) => None,
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Refusal::Invalid { field: "timestamp", problem: "must be a number or a string" });
        }
    };
    Ok(Command::Send {
        to: Audience::Room(room),
        text: words,
        kind: MessageKind::Text,
        attachment: None,
        claimed,
        sent_at_ms,
    })
}

fn text<'a>(payload: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, Refusal> {
    payload.get(field).and_then(Value::as_str).ok_or(Refusal::Invalid { field, problem: "must be a string" })
}

fn optional_text<'a>(payload: &'a Map<String, Value>, field: &'static str) -> Result<Option<&'a str>, Refusal> {
    match payload.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(Refusal::Invalid { field, problem: "must be a string" }),
    }
}
