//! The client's side of `direct`: [`Command`] -> packet; a server's packet -> [`Event`].
//!
//! The document's payloads name their speaker as `userId`. A command that claims nobody is said without it: good where the connection is
//! verified or has joined; a bot that speaks to strangers claims itself.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::wire::{
    ChatHistoryJson, EndedJson, ErrorJson, MessageJson, OFFLINE, ONLINE, ReadJson, SentJson, StartedJson, StatusJson,
    TypingJson, kind_name,
};
use crate::{
    dialects::{AppPacket, HistoryRoute, Unreadable, percent_encode},
    iso8601,
    vocabulary::{Audience, Command, Event, Member, Message, MessageId, MessageKind, Refusal, RoomId, UserId},
};

/// `GET /api/chat/history/:targetUserId`: the newest page of the conversation with a user, whom the room's name stands for.
pub const HISTORY: HistoryRoute = HistoryRoute {
    listener: "rest",
    lag: Duration::ZERO,
    messages_max: 1000,
    target: |peer, limit| format!("/api/chat/history/{}?limit={limit}", percent_encode(peer.as_str())),
    decode: |body| {
        let json: PageJson = read("history", body)?;
        Ok(json.data.into_iter().map(Message::from).collect())
    },
};

/// The messages in a page of history; what else it says is nobody's question here.
#[derive(Debug, Deserialize)]
struct PageJson {
    data: Vec<MessageJson>,
}

/// How a command is said.
#[must_use]
pub fn encode(command: &Command) -> Option<AppPacket> {
    Some(match command {
        Command::Authenticate { user, .. } => AppPacket::event("user_join", json!(user.as_str())),
        Command::OpenChat { peer, claimed } => AppPacket::event("start_chat", parties(claimed.as_ref(), peer)),
        Command::CloseChat { peer, claimed } => AppPacket::event("end_chat", parties(claimed.as_ref(), peer)),
        Command::Send { to, text, kind, attachment, claimed, .. } => {
            let claimed = claimed.as_ref().map(|member| &member.user);
            let mut payload = parties(claimed, only(to)?);
            payload["message"] = json!(text);
            if *kind != MessageKind::Text {
                payload["messageType"] = json!(kind_name(*kind));
            }
            if let Some(attachment) = attachment {
                payload["attachmentUrl"] = json!(attachment);
            }
            AppPacket::event("send_message", payload)
        }
        Command::Typing { to, active, claimed } => {
            let name = if *active { "user_typing" } else { "user_stop_typing" };
            AppPacket::event(name, parties(claimed.as_ref(), only(to)?))
        }
        Command::LoadHistory { of, before: _, limit, claimed } => {
            let mut payload = parties(claimed.as_ref(), only(of)?);
            if let Some(limit) = limit {
                payload["limit"] = json!(limit);
            }
            AppPacket::event("load_chat_history", payload)
        }
        Command::MarkRead { room, messages } => {
            let ids: Vec<&str> = messages.iter().map(MessageId::as_str).collect();
            AppPacket::event("mark_as_read", json!({"conversationId": room.as_str(), "messageIds": ids}))
        }
        Command::Join { .. } | Command::Leave { .. } | Command::Resume { .. } | Command::Quit => return None,
    })
}

/// What a server's packet tells.
///
/// # Errors
/// [`Unreadable`] for an unknown event or a payload of another shape than documented.
pub fn decode(packet: &AppPacket) -> Result<Event, Unreadable> {
    let AppPacket::Event { name, args } = packet else {
        return Err(unreadable("frame", "a Socket.IO event was expected"));
    };
    let payload = args.first().ok_or_else(|| unreadable(name, "the payload is missing"))?;
    Ok(match name.as_str() {
        "new_message" => Event::Message(read::<MessageJson>(name, payload)?.into()),
        "message_sent" => Event::Sent(read::<SentJson>(name, payload)?.into()),
        "chat_history" => {
            let json: ChatHistoryJson = read(name, payload)?;
            let messages = json.messages.into_iter().map(Message::from).collect();
            Event::History { room: RoomId::from(json.conversation_id), messages }
        }
        "user_typing" => typing(name, payload, true)?,
        "user_stop_typing" => typing(name, payload, false)?,
        "messages_read" => {
            let json: ReadJson = read(name, payload)?;
            Event::Read {
                room: RoomId::from(json.conversation_id.unwrap_or_default()),
                messages: json.message_ids.into_iter().map(MessageId::from).collect(),
                read_at_ms: iso8601::to_unix_ms(&json.read_at).unwrap_or(0),
            }
        }
        "chat_started" => {
            let json: StartedJson = read(name, payload)?;
            Event::ChatOpened { room: RoomId::from(json.conversation_id), by: UserId::from(json.initiator_id) }
        }
        "chat_ended" => {
            let json: EndedJson = read(name, payload)?;
            Event::ChatClosed { room: RoomId::from(json.conversation_id), by: UserId::from(json.user_id) }
        }
        "user_status_change" => presence(name, payload)?,
        "message_error" | "history_error" | "chat_error" => {
            Event::Refused(refusal(&read::<ErrorJson>(name, payload)?.error))
        }
        _ => return Err(unreadable(name, "no such event in this dialect")),
    })
}

/// The one other user of an audience; `None` for those that this dialect has no words for.
fn only(audience: &Audience) -> Option<&UserId> {
    match audience {
        Audience::Users(users) => match users.as_slice() {
            [peer] => Some(peer),
            _ => None,
        },
        Audience::Room(_) | Audience::Here => None,
    }
}

fn parties(claimed: Option<&UserId>, peer: &UserId) -> Value {
    let mut payload = json!({"targetUserId": peer.as_str()});
    if let Some(claimed) = claimed {
        payload["userId"] = json!(claimed.as_str());
    }
    payload
}

fn typing(name: &str, payload: &Value, active: bool) -> Result<Event, Unreadable> {
    let json: TypingJson = read(name, payload)?;
    let member = Member::nameless(UserId::from(json.user_id));
    Ok(Event::Typing { room: RoomId::from(json.conversation_id), member, active })
}

fn presence(name: &str, payload: &Value) -> Result<Event, Unreadable> {
    let json: StatusJson = read(name, payload)?;
    let online = match json.kind.as_str() {
        ONLINE => true,
        OFFLINE => false,
        _ => return Err(unreadable(name, "the type is neither user_online nor user_offline")),
    };
    Ok(Event::Presence {
        user: UserId::from(json.user_id),
        online,
        at_ms: iso8601::to_unix_ms(&json.timestamp).unwrap_or(0),
    })
}

/// The refusal that these words stand for: those of the reference are known, others are kept as they came by the raw packet.
fn refusal(error: &str) -> Refusal {
    let known = [Refusal::NotAuthenticated, Refusal::NotMember, Refusal::UnknownEvent, Refusal::Unavailable];
    known
        .into_iter()
        .find(|refusal| refusal.to_string() == error)
        .unwrap_or(Refusal::Invalid { field: "payload", problem: "refused by the server" })
}

fn read<T: DeserializeOwned>(name: &str, payload: &Value) -> Result<T, Unreadable> {
    T::deserialize(payload).map_err(|problem| unreadable(name, &problem.to_string()))
}

fn unreadable(packet: &str, problem: &str) -> Unreadable {
    Unreadable { packet: packet.to_owned(), problem: problem.to_owned() }
}
