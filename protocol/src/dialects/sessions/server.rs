//! The server's side of `sessions`: a client's packet -> [`Command`]; [`Event`] -> the packet that the client reads.

use serde_json::{Map, Value};

use super::wire::{MessageJson, SystemJson, UserJson};
use crate::{
    dialects::{AppPacket, Spoken},
    vocabulary::{Audience, Command, Event, Member, MessageKind, Refusal, RoomId, UserId},
};

/// The largest whole number that a JSON number holds exactly everywhere.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// What a client's packet asks for.
///
/// # Errors
/// A [`Refusal`] when the event is unknown, its payload is missing, or a field is missing or of the wrong type.
pub fn decode(packet: &AppPacket) -> Result<Command, Refusal> {
    let AppPacket::Event { name, args } = packet else {
        return Err(Refusal::UnknownEvent);
    };
    match name.as_str() {
        "join_room" => join(payload(args)?),
        "send_message" => send(payload(args)?),
        "leave_session" => Ok(Command::Quit),
        _ => Err(Refusal::UnknownEvent),
    }
}

/// The packet that a client reads for this event.
#[must_use]
pub fn encode(event: &Event) -> Option<Spoken> {
    Some(match event {
        Event::Message(message) => Spoken::event("receive_message", &MessageJson::from(message)),
        Event::Joined { member, .. } => system(&SystemJson::Connect(member.into())),
        Event::Returned { member, .. } => system(&SystemJson::Reconnect(member.into())),
        Event::Left { member, .. } => system(&SystemJson::Disconnect(member.into())),
        Event::Members { users, .. } => {
            system(&SystemJson::ExistingUsers { users: users.iter().map(UserJson::from).collect() })
        }
        Event::Sent(_)
        | Event::Resumed
        | Event::History { .. }
        | Event::Typing { .. }
        | Event::Read { .. }
        | Event::ChatOpened { .. }
        | Event::ChatClosed { .. }
        | Event::Presence { .. }
        | Event::Authenticated { .. }
        | Event::NotAuthenticated(_)
        | Event::Stopping
        | Event::Refused(_) => return None,
    })
}

/// Nothing: the document has no event for errors. A client that wants to know asks for an acknowledgement.
#[must_use]
pub fn refuse(_: &AppPacket, _: &Refusal) -> Option<Spoken> {
    None
}

fn join(payload: &Map<String, Value>) -> Result<Command, Refusal> {
    Ok(Command::Join {
        room: RoomId::from(text(payload, "roomId")?),
        kind: None,
        participants: Vec::new(),
        claimed: Some(speaker(payload)?),
    })
}

fn send(payload: &Map<String, Value>) -> Result<Command, Refusal> {
    let message = payload
        .get("message")
        .and_then(Value::as_object)
        .ok_or(Refusal::Invalid { field: "message", problem: "must be an object" })?;
    Ok(Command::Send {
        to: Audience::Here,
        text: text(message, "content")?.to_owned(),
        kind: MessageKind::Text,
        attachment: None,
        claimed: Some(speaker(message)?),
        sent_at_ms: Some(milliseconds(message, "timestamp")?),
    })
}

fn speaker(object: &Map<String, Value>) -> Result<Member, Refusal> {
    Ok(Member { user: UserId::from(text(object, "userId")?), name: text(object, "username")?.to_owned() })
}

fn payload(args: &[Value]) -> Result<&Map<String, Value>, Refusal> {
    args.first().and_then(Value::as_object).ok_or(Refusal::Invalid { field: "payload", problem: "must be an object" })
}

fn text<'a>(object: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, Refusal> {
    object.get(field).and_then(Value::as_str).ok_or(Refusal::Invalid { field, problem: "must be a string" })
}

/// A time that a client made: some clocks give fractions of a millisecond, which are cut off.
fn milliseconds(object: &Map<String, Value>, field: &'static str) -> Result<u64, Refusal> {
    let wrong = Refusal::Invalid { field, problem: "must be milliseconds since 1970" };
    let number = match object.get(field) {
        Some(Value::Number(number)) => number,
        Some(Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) | None => {
            return Err(wrong);
        }
    };
    if let Some(whole) = number.as_u64() {
        return Ok(whole);
    }
    match number.as_f64() {
        Some(fraction) if (0.0..=EXACT_MAX).contains(&fraction) =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is within 0 and 2^53, and the fraction is to be cut off"
            )]
            Ok(fraction as u64)
        }
        Some(_) | None => Err(wrong),
    }
}

fn system(json: &SystemJson) -> Spoken {
    Spoken::event("system_message", json)
}
