//! The client's side of `conversations`: [`Command`] -> frame; a server's frame -> [`Event`]. Lenient where the document is silent.

use serde::{Deserialize as _, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::wire::{AuthenticatedJson, ErrorJson, HistoryJson, MessageJson, TypingJson};
use crate::{
    dialects::{AppPacket, Unreadable},
    vocabulary::{Audience, Command, Event, Member, Message, Refusal, RoomId, UserId},
};

/// The first frame of every connection.
#[must_use]
pub fn auth(token: &str) -> AppPacket {
    AppPacket::Json(json!({"type": "auth", "token": token}))
}

/// How a command is said. `load_history` and `resume` are the reference's: another server answers them with `error`.
#[must_use]
pub fn encode(command: &Command) -> Option<AppPacket> {
    Some(AppPacket::Json(match command {
        Command::Send { to: Audience::Users(users), text, .. } => {
            let recipients: Vec<&str> = users.iter().map(UserId::as_str).collect();
            json!({"type": "send_message", "recipientIds": recipients, "content": text})
        }
        Command::Typing { to: Audience::Room(room), active, .. } => {
            let mut frame = json!({"type": "typing", "conversationId": room.as_str()});
            if !active {
                frame["isTyping"] = json!(false);
            }
            frame
        }
        Command::LoadHistory { of: Audience::Room(room), before, limit, .. } => {
            let mut frame = json!({"type": "load_history", "conversationId": room.as_str()});
            if let Some(before) = before {
                frame["before"] = json!(before.as_str());
            }
            if let Some(limit) = limit {
                frame["limit"] = json!(limit);
            }
            frame
        }
        Command::Resume { seen } => {
            let seen: Map<String, Value> = seen.iter().map(|(room, at)| (room.to_string(), json!(at))).collect();
            json!({"type": "resume", "seen": seen})
        }
        Command::Send { to: Audience::Room(_) | Audience::Here, .. }
        | Command::Typing { to: Audience::Users(_) | Audience::Here, .. }
        | Command::LoadHistory { of: Audience::Users(_) | Audience::Here, .. }
        | Command::Authenticate { .. }
        | Command::Join { .. }
        | Command::Leave { .. }
        | Command::Quit
        | Command::MarkRead { .. }
        | Command::OpenChat { .. }
        | Command::CloseChat { .. } => return None,
    }))
}

/// What a server's frame tells. `typing` is read with its fields in `data` (the ruling) or beside `type`.
///
/// # Errors
/// [`Unreadable`] for an unknown type or a frame of another shape than documented.
pub fn decode(packet: &AppPacket) -> Result<Event, Unreadable> {
    let AppPacket::Json(frame) = packet else {
        return Err(unreadable("packet", "a JSON frame was expected"));
    };
    let kind = frame.get("type").and_then(Value::as_str).ok_or_else(|| unreadable("frame", "type is missing"))?;
    Ok(match kind {
        "new_message" => Event::Message(message(kind, data(kind, frame)?)?),
        "message_sent" => Event::Sent(message(kind, data(kind, frame)?)?),
        "history" => {
            let json: HistoryJson = read(kind, data(kind, frame)?)?;
            let messages = json.messages.into_iter().map(|json| json.message().map_err(|why| unreadable(kind, why)));
            Event::History { room: RoomId::from(json.conversation_id), messages: messages.collect::<Result<_, _>>()? }
        }
        "resumed" => Event::Resumed,
        "typing" => {
            let json: TypingJson = read(kind, frame.get("data").unwrap_or(frame))?;
            Event::Typing {
                room: RoomId::from(json.conversation_id),
                member: Member::nameless(UserId::from(json.user_id)),
                active: json.is_typing.unwrap_or(true),
            }
        }
        "auth_success" => {
            // Who one is stands in one's own token; the frame need not repeat it.
            let json = frame.get("data").and_then(|data| AuthenticatedJson::deserialize(data).ok());
            let member = json.map(|json| Member { user: UserId::from(json.user_id), name: json.username });
            Event::Authenticated { member: member.unwrap_or_else(|| Member::nameless(UserId::from(""))) }
        }
        "auth_error" => Event::NotAuthenticated(read::<ErrorJson>(kind, frame)?.error),
        "server_shutdown" => Event::Stopping,
        "error" => Event::Refused(refusal(&read::<ErrorJson>(kind, frame)?.error)),
        _ => return Err(unreadable(kind, "no such frame in this dialect")),
    })
}

fn data<'a>(kind: &str, frame: &'a Value) -> Result<&'a Value, Unreadable> {
    frame.get("data").ok_or_else(|| unreadable(kind, "data is missing"))
}

fn message(kind: &str, data: &Value) -> Result<Message, Unreadable> {
    read::<MessageJson>(kind, data)?.message().map_err(|problem| unreadable(kind, problem))
}

/// The refusal that these words stand for: those of the reference are known, others are kept as they came by the raw frame.
fn refusal(words: &str) -> Refusal {
    let known = [Refusal::NotMember, Refusal::UnknownEvent, Refusal::IdentityFixed, Refusal::Unavailable];
    known
        .into_iter()
        .find(|refusal| refusal.to_string() == words)
        .unwrap_or(Refusal::Invalid { field: "frame", problem: "refused by the server" })
}

fn read<T: DeserializeOwned>(kind: &str, value: &Value) -> Result<T, Unreadable> {
    T::deserialize(value).map_err(|problem| unreadable(kind, &problem.to_string()))
}

fn unreadable(packet: &str, problem: &str) -> Unreadable {
    Unreadable { packet: packet.to_owned(), problem: problem.to_owned() }
}
