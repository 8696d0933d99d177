//! The server's side of `conversations`: a client's frame -> [`Command`]; [`Event`] -> the frame that the client reads.

use serde::Serialize;
use serde_json::{Map, Value};

use super::wire::{AuthenticatedJson, FrameJson, HistoryJson, MessageJson, SendJson, TypingJson};
use crate::{
    dialects::{AppPacket, Spoken},
    vocabulary::{Audience, Command, Event, Message, MessageId, Refusal, RoomId, UserId},
};

/// The types of the frames that tell of a message.
const NEW_MESSAGE: &str = "new_message";
const MESSAGE_SENT: &str = "message_sent";

/// Positions that one `resume` may name; a user has fewer conversations that still matter to him.
const RESUMED_MAX: usize = 1000;

/// The token of an `auth` frame; `None` for any other frame, and for one whose token is no string.
#[must_use]
pub fn token(packet: &AppPacket) -> Option<&str> {
    let AppPacket::Json(frame) = packet else { return None };
    if frame.get("type").and_then(Value::as_str) != Some("auth") {
        return None;
    }
    frame.get("token").and_then(Value::as_str)
}

/// What a frame behind the first asks for.
///
/// # Errors
/// A [`Refusal`] when the type is unknown, or a field is missing or of the wrong type. A second `auth` is one.
pub fn decode(packet: &AppPacket) -> Result<Command, Refusal> {
    let wrong = Refusal::Invalid { field: "frame", problem: "must be a JSON object with a type" };
    let AppPacket::Json(Value::Object(frame)) = packet else { return Err(wrong) };
    match frame.get("type").and_then(Value::as_str) {
        Some("auth") => Err(Refusal::IdentityFixed),
        Some("send_message") => send(frame),
        Some("typing") => typing(frame),
        Some("load_history") => load_history(frame),
        Some("resume") => resume(frame),
        Some(_) => Err(Refusal::UnknownEvent),
        None => Err(wrong),
    }
}

/// What a frame asks for that is a `send_message` of exactly the documented fields, once each. Anything else is [`decode`]'s to judge,
/// which takes this one as well, in a multiple of the time: a message to a hundred would grow a tree of a hundred strings first.
#[must_use]
pub fn decode_text(frame: &str) -> Option<Command> {
    // To serde an array of the fields' values would do as well.
    let json: SendJson<'_> =
        frame.trim_ascii_start().starts_with('{').then(|| serde_json::from_str(frame).ok()).flatten()?;
    (json.kind == "send_message").then(|| Command::send(Audience::Users(json.recipient_ids.0), json.content))
}

/// The frames that tell of a message: its sender reads that it was sent, all participants read the message. They are the same as
/// [`encode`] makes of [`Event::Sent`] and [`Event::Message`], and the message is written once.
#[must_use]
pub fn encode_message(message: &Message) -> (Spoken, Spoken) {
    let told = frame(NEW_MESSAGE, &MessageJson::from(message));
    let (before, behind) = told.json().split_once(NEW_MESSAGE).expect("the type stands in front");
    let sent = told.with([before, MESSAGE_SENT, behind].concat());
    (sent, told)
}

/// The frame that a client reads for this event.
#[must_use]
pub fn encode(event: &Event) -> Option<Spoken> {
    Some(match event {
        Event::Message(message) => frame(NEW_MESSAGE, &MessageJson::from(message)),
        Event::Sent(message) => frame(MESSAGE_SENT, &MessageJson::from(message)),
        Event::History { room, messages } => {
            let messages = messages.iter().map(MessageJson::from).collect();
            frame("history", &HistoryJson { conversation_id: room.to_string(), messages })
        }
        Event::Resumed => bare("resumed"),
        Event::Typing { room, member, active } => {
            let (conversation_id, user_id) = (room.to_string(), member.user.to_string());
            frame("typing", &TypingJson { conversation_id, user_id, is_typing: Some(*active) })
        }
        Event::Authenticated { member } => frame(
            "auth_success",
            &AuthenticatedJson { user_id: member.user.to_string(), username: member.name.clone() },
        ),
        Event::NotAuthenticated(words) => failure("auth_error", words),
        Event::Stopping => bare("server_shutdown"),
        Event::Refused(refusal) => failure("error", &refusal.to_string()),
        Event::Members { .. }
        | Event::Joined { .. }
        | Event::Left { .. }
        | Event::Returned { .. }
        | Event::Read { .. }
        | Event::ChatOpened { .. }
        | Event::ChatClosed { .. }
        | Event::Presence { .. } => return None,
    })
}

fn frame(kind: &'static str, data: &impl Serialize) -> Spoken {
    Spoken::frame(&FrameJson { kind, data: Some(data), error: None })
}

fn bare(kind: &'static str) -> Spoken {
    Spoken::frame(&FrameJson::<()> { kind, data: None, error: None })
}

fn failure(kind: &'static str, words: &str) -> Spoken {
    Spoken::frame(&FrameJson::<()> { kind, data: None, error: Some(words) })
}

/// The frame that a client reads when a frame of it was refused: `error`, whatever it was.
#[must_use]
pub fn refuse(_: &AppPacket, refusal: &Refusal) -> Option<Spoken> {
    encode(&Event::Refused(refusal.clone()))
}

fn send(frame: &Map<String, Value>) -> Result<Command, Refusal> {
    let wrong = || Refusal::Invalid { field: "recipientIds", problem: "must be an array of strings" };
    let recipients = frame
        .get("recipientIds")
        .and_then(Value::as_array)
        .ok_or_else(wrong)?
        .iter()
        .map(|user| user.as_str().map(UserId::from).ok_or_else(wrong))
        .collect::<Result<_, _>>()?;
    Ok(Command::send(Audience::Users(recipients), text(frame, "content")?))
}

fn typing(frame: &Map<String, Value>) -> Result<Command, Refusal> {
    let active = match frame.get("isTyping") {
        None | Some(Value::Null) => true,
        Some(value) => {
            value.as_bool().ok_or(Refusal::Invalid { field: "isTyping", problem: "must be true or false" })?
        }
    };
    Ok(Command::typing(Audience::Room(conversation(frame)?), active))
}

fn load_history(frame: &Map<String, Value>) -> Result<Command, Refusal> {
    let before = match frame.get("before") {
        None | Some(Value::Null) => None,
        Some(_) => Some(MessageId::from(text(frame, "before")?)),
    };
    let limit = match frame.get("limit") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let wrong = Refusal::Invalid { field: "limit", problem: "must be a positive integer" };
            let limit = value.as_u64().filter(|limit| *limit > 0).ok_or(wrong)?;
            Some(usize::try_from(limit).unwrap_or(usize::MAX))
        }
    };
    Ok(Command::LoadHistory { of: Audience::Room(conversation(frame)?), before, limit, claimed: None })
}

fn resume(frame: &Map<String, Value>) -> Result<Command, Refusal> {
    let wrong = || Refusal::Invalid { field: "seen", problem: "must map conversation ids to sequences" };
    let seen = match frame.get("seen") {
        None | Some(Value::Null) => return Ok(Command::Resume { seen: Vec::new() }),
        Some(value) => value.as_object().filter(|seen| seen.len() <= RESUMED_MAX).ok_or_else(wrong)?,
    };
    let seen = seen
        .iter()
        .map(|(conversation, sequence)| Ok((RoomId::from(conversation.as_str()), sequence.as_u64().ok_or_else(wrong)?)))
        .collect::<Result<_, Refusal>>()?;
    Ok(Command::Resume { seen })
}

fn conversation(frame: &Map<String, Value>) -> Result<RoomId, Refusal> {
    text(frame, "conversationId").map(RoomId::from)
}

fn text<'a>(frame: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, Refusal> {
    frame.get(field).and_then(Value::as_str).ok_or(Refusal::Invalid { field, problem: "must be a string" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::{Member, MessageKind};

    #[test]
    fn a_message_written_once_reads_as_both_of_its_events() {
        let message = Message {
            id: MessageId::from("new_message"),
            room: RoomId::from("\"type\":\"new_message\""),
            sender: Member::nameless(UserId::from("alice")),
            text: "new_message".to_owned(),
            kind: MessageKind::Text,
            sent_at_ms: 1,
            sequence: 2,
            receiver: None,
            attachment: None,
            read_at_ms: None,
        };
        let (sent, told) = encode_message(&message);
        assert_eq!(Some(sent), encode(&Event::Sent(message.clone())));
        assert_eq!(Some(told), encode(&Event::Message(message)));
    }
}
