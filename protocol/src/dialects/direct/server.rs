//! The server's side of `direct`: a client's packet -> [`Command`]; [`Event`] -> the packet that the client reads.

use serde_json::{Map, Value};

use super::wire::{
    ChatHistoryJson, EndedJson, ErrorJson, MessageJson, OFFLINE, ONLINE, ReadJson, SentJson, StartedJson, StatusJson,
    TypingJson, kind_of_name,
};
use crate::{
    dialects::{AppPacket, Spoken},
    iso8601,
    vocabulary::{Audience, Command, Event, Member, MessageId, MessageKind, Refusal, RoomId, UserId},
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
        "user_join" => user_join(args),
        "start_chat" => parties(args).map(|Parties { claimed, peer }| Command::OpenChat { peer, claimed }),
        "end_chat" => parties(args).map(|Parties { claimed, peer }| Command::CloseChat { peer, claimed }),
        "send_message" => send(args),
        "user_typing" => typing(args, true),
        "user_stop_typing" => typing(args, false),
        "load_chat_history" => load_history(args),
        "mark_as_read" => mark_as_read(payload(args)?),
        _ => Err(Refusal::UnknownEvent),
    }
}

/// The packet that a client reads for this event.
#[must_use]
pub fn encode(event: &Event) -> Option<Spoken> {
    Some(match event {
        Event::Message(message) => Spoken::event("new_message", &MessageJson::from(message)),
        Event::Sent(message) => Spoken::event("message_sent", &SentJson::from(message)),
        Event::History { room, messages } => {
            let messages = messages.iter().map(MessageJson::from).collect();
            Spoken::event("chat_history", &ChatHistoryJson { conversation_id: room.to_string(), messages })
        }
        Event::Typing { room, member, active } => {
            let json = TypingJson { user_id: member.user.to_string(), conversation_id: room.to_string() };
            Spoken::event(if *active { "user_typing" } else { "user_stop_typing" }, &json)
        }
        Event::Read { room, messages, read_at_ms } => {
            let json = ReadJson {
                message_ids: messages.iter().map(MessageId::to_string).collect(),
                read_at: iso8601::from_unix_ms(*read_at_ms),
                conversation_id: Some(room.to_string()),
            };
            Spoken::event("messages_read", &json)
        }
        Event::ChatOpened { room, by } => {
            let json = StartedJson { conversation_id: room.to_string(), initiator_id: by.to_string() };
            Spoken::event("chat_started", &json)
        }
        Event::ChatClosed { room, by } => {
            let json = EndedJson { conversation_id: room.to_string(), user_id: by.to_string() };
            Spoken::event("chat_ended", &json)
        }
        Event::Presence { user, online, at_ms } => Spoken::event("user_status_change", &status(user, *online, *at_ms)),
        Event::Refused(refusal) => error("chat_error", refusal),
        Event::Members { .. }
        | Event::Joined { .. }
        | Event::Left { .. }
        | Event::Returned { .. }
        | Event::Authenticated { .. }
        | Event::NotAuthenticated(_)
        | Event::Resumed
        | Event::Stopping => return None,
    })
}

/// The packet that a client reads when a packet of it was refused: `message_error` for a message, `history_error` for a history,
/// `chat_error` for the rest, of which the document says nothing.
#[must_use]
pub fn refuse(packet: &AppPacket, refusal: &Refusal) -> Option<Spoken> {
    let asked = match packet {
        AppPacket::Event { name, .. } => name.as_str(),
        AppPacket::Json(_) => "",
    };
    Some(match asked {
        "send_message" => error("message_error", refusal),
        "load_chat_history" => error("history_error", refusal),
        _ => error("chat_error", refusal),
    })
}

/// A user's status as the event and the channel say it.
#[must_use]
pub fn status(user: &UserId, online: bool, at_ms: u64) -> StatusJson {
    StatusJson {
        kind: if online { ONLINE } else { OFFLINE }.to_owned(),
        user_id: user.to_string(),
        timestamp: iso8601::from_unix_ms(at_ms),
    }
}

/// The id as a string; the object that other dialects send is understood too.
fn user_join(args: &[Value]) -> Result<Command, Refusal> {
    let user = match args.first() {
        Some(Value::String(user)) => user.as_str(),
        Some(Value::Object(payload)) => text(payload, "userId")?,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => {
            return Err(Refusal::Invalid { field: "userId", problem: "must be a string" });
        }
    };
    Ok(Command::Authenticate { user: UserId::from(user), name: String::new() })
}

/// Who speaks, as he says, and with whom.
struct Parties {
    claimed: Option<UserId>,
    peer: UserId,
}

fn parties(args: &[Value]) -> Result<Parties, Refusal> {
    let payload = payload(args)?;
    let claimed = optional_text(payload, "userId")?.map(UserId::from);
    Ok(Parties { claimed, peer: UserId::from(text(payload, "targetUserId")?) })
}

fn send(args: &[Value]) -> Result<Command, Refusal> {
    let Parties { claimed, peer } = parties(args)?;
    let payload = payload(args)?;
    let kind = match optional_text(payload, "messageType")? {
        None => MessageKind::Text,
        Some(name) => kind_of_name(name)
            .ok_or(Refusal::Invalid { field: "messageType", problem: "must be text, image or file" })?,
    };
    Ok(Command::Send {
        to: Audience::Users(vec![peer]),
        text: text(payload, "message")?.to_owned(),
        kind,
        attachment: optional_text(payload, "attachmentUrl")?.map(str::to_owned),
        claimed: claimed.map(Member::nameless),
        sent_at_ms: None,
    })
}

fn typing(args: &[Value], active: bool) -> Result<Command, Refusal> {
    let Parties { claimed, peer } = parties(args)?;
    Ok(Command::Typing { to: Audience::Users(vec![peer]), active, claimed })
}

fn load_history(args: &[Value]) -> Result<Command, Refusal> {
    let Parties { claimed, peer } = parties(args)?;
    let limit = match payload(args)?.get("limit") {
        None | Some(Value::Null) => None,
        Some(Value::Number(limit)) if limit.is_u64() || limit.is_i64() => {
            // A negative number is taken for the nearest that is allowed, which the core knows.
            Some(limit.as_u64().map_or(0, |limit| usize::try_from(limit).unwrap_or(usize::MAX)))
        }
        Some(Value::Number(_) | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Refusal::Invalid { field: "limit", problem: "must be a whole number" });
        }
    };
    Ok(Command::LoadHistory { of: Audience::Users(vec![peer]), before: None, limit, claimed })
}

fn mark_as_read(payload: &Map<String, Value>) -> Result<Command, Refusal> {
    let wrong = || Refusal::Invalid { field: "messageIds", problem: "must be an array of strings" };
    let ids = payload.get("messageIds").and_then(Value::as_array).ok_or_else(wrong)?;
    let messages = ids.iter().map(|id| id.as_str().map(MessageId::from).ok_or_else(wrong)).collect::<Result<_, _>>()?;
    Ok(Command::MarkRead { room: RoomId::from(text(payload, "conversationId")?), messages })
}

fn error(name: &'static str, refusal: &Refusal) -> Spoken {
    Spoken::event(name, &ErrorJson { error: refusal.to_string() })
}

fn payload(args: &[Value]) -> Result<&Map<String, Value>, Refusal> {
    args.first().and_then(Value::as_object).ok_or(Refusal::Invalid { field: "payload", problem: "must be an object" })
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
