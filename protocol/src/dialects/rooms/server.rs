//! The server's side of `rooms`: a client's packet -> [`Command`]; [`Event`] -> the packet that the client reads.

use serde_json::{Map, Value};

use super::wire::{ErrorJson, MembershipJson, MessageJson, TypingJson, kind_of_name};
use crate::{
    dialects::{AppPacket, Spoken},
    vocabulary::{Audience, Command, Event, Member, MessageKind, Refusal, RoomId, RoomKind, UserId},
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
        "authenticate" => authenticate(payload(args)?),
        "join_room" => join(payload(args)?),
        "leave_room" => Ok(Command::Leave { room: room(payload(args)?)? }),
        "send_message" => send(payload(args)?),
        "typing" => typing(payload(args)?),
        _ => Err(Refusal::UnknownEvent),
    }
}

/// The packet that a client reads for this event.
#[must_use]
pub fn encode(event: &Event) -> Option<Spoken> {
    Some(match event {
        Event::Message(message) => Spoken::event("new_message", &MessageJson::from(message)),
        Event::History { messages, .. } => {
            let messages: Vec<MessageJson> = messages.iter().map(MessageJson::from).collect();
            Spoken::event("message_history", &messages)
        }
        Event::Members { users, .. } => {
            Spoken::event("room_users", &users.iter().map(|member| member.user.as_str()).collect::<Vec<_>>())
        }
        Event::Joined { room, member } => Spoken::event("user_joined", &membership(room, member)),
        Event::Left { room, member } => Spoken::event("user_left", &membership(room, member)),
        Event::Typing { room, member, active } => Spoken::event(
            "user_typing",
            &TypingJson {
                user_id: member.user.to_string(),
                username: member.name.clone(),
                is_typing: *active,
                room_id: Some(room.to_string()),
            },
        ),
        Event::Refused(refusal) => Spoken::event("error", &ErrorJson { message: refusal.to_string() }),
        Event::Sent(_)
        | Event::Resumed
        | Event::Returned { .. }
        | Event::Read { .. }
        | Event::ChatOpened { .. }
        | Event::ChatClosed { .. }
        | Event::Presence { .. }
        | Event::Authenticated { .. }
        | Event::NotAuthenticated(_)
        | Event::Stopping => return None,
    })
}

/// The packet that a client reads when a packet of it was refused: `error`, whatever it was.
#[must_use]
pub fn refuse(_: &AppPacket, refusal: &Refusal) -> Option<Spoken> {
    encode(&Event::Refused(refusal.clone()))
}

fn authenticate(payload: &Map<String, Value>) -> Result<Command, Refusal> {
    Ok(Command::Authenticate {
        user: UserId::from(text(payload, "userId")?),
        name: text(payload, "username")?.to_owned(),
    })
}

fn join(payload: &Map<String, Value>) -> Result<Command, Refusal> {
    let kind = match optional_text(payload, "type")? {
        None => None,
        Some("direct") => Some(RoomKind::Direct),
        Some("group") => Some(RoomKind::Group),
        Some(_) => return Err(Refusal::Invalid { field: "type", problem: "must be direct or group" }),
    };
    Ok(Command::Join { room: room(payload)?, kind, participants: participants(payload)?, claimed: None })
}

fn participants(payload: &Map<String, Value>) -> Result<Vec<UserId>, Refusal> {
    let wrong = || Refusal::Invalid { field: "participants", problem: "must be an array of strings" };
    match payload.get("participants") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => value
            .as_array()
            .ok_or_else(wrong)?
            .iter()
            .map(|user| user.as_str().map(UserId::from).ok_or_else(wrong))
            .collect(),
    }
}

fn send(payload: &Map<String, Value>) -> Result<Command, Refusal> {
    let kind = match optional_text(payload, "messageType")? {
        None => MessageKind::Text,
        Some(name) => kind_of_name(name)
            .filter(|kind| *kind != MessageKind::System)
            .ok_or(Refusal::Invalid { field: "messageType", problem: "must be text, image or file" })?,
    };
    let to = Audience::Room(room(payload)?);
    Ok(Command::Send {
        to,
        text: text(payload, "message")?.to_owned(),
        kind,
        attachment: None,
        claimed: None,
        sent_at_ms: None,
    })
}

fn typing(payload: &Map<String, Value>) -> Result<Command, Refusal> {
    let active = payload
        .get("isTyping")
        .and_then(Value::as_bool)
        .ok_or(Refusal::Invalid { field: "isTyping", problem: "must be true or false" })?;
    Ok(Command::typing(Audience::Room(room(payload)?), active))
}

fn payload(args: &[Value]) -> Result<&Map<String, Value>, Refusal> {
    args.first().and_then(Value::as_object).ok_or(Refusal::Invalid { field: "payload", problem: "must be an object" })
}

fn room(payload: &Map<String, Value>) -> Result<RoomId, Refusal> {
    text(payload, "roomId").map(RoomId::from)
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

fn membership(room: &RoomId, member: &Member) -> MembershipJson {
    MembershipJson { room_id: room.to_string(), user_id: member.user.to_string(), username: member.name.clone() }
}
