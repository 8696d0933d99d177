//! The client's side of `rooms`: [`Command`] -> packet; a server's packet -> [`Event`]. Lenient where the document contradicts itself.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::wire::{ErrorJson, HistoryJson, MembershipJson, MessageJson, TypingJson, UsersJson, kind_name};
use crate::{
    dialects::{AppPacket, HistoryRoute, MembersRoute, Unreadable, percent_encode},
    vocabulary::{Audience, Command, Event, Member, Message, MessageKind, Refusal, RoomId, RoomKind, UserId},
};

/// `GET /api/chat/:roomId/history`: up to as many messages as a room keeps (`MAX_MESSAGE_HISTORY`).
pub const HISTORY: HistoryRoute = HistoryRoute {
    listener: "rest",
    lag: Duration::ZERO,
    messages_max: 1000,
    target: |room, limit| format!("/api/chat/{}/history?limit={limit}", percent_encode(room.as_str())),
    decode: |body| {
        let json: HistoryJson = read("history", body)?;
        Ok(json.messages.into_iter().map(Message::from).collect())
    },
};

/// `GET /api/chat/:roomId/users`.
pub const MEMBERS: MembersRoute = MembersRoute {
    listener: "rest",
    target: |room| format!("/api/chat/{}/users", percent_encode(room.as_str())),
    decode: |body| Ok(read::<UsersJson>("users", body)?.users.into_iter().map(UserId::from).collect()),
};

/// How a command is said.
#[must_use]
pub fn encode(command: &Command) -> Option<AppPacket> {
    Some(match command {
        Command::Authenticate { user, name } => {
            AppPacket::event("authenticate", json!({"userId": user.as_str(), "username": name}))
        }
        Command::Join { room, kind, participants, claimed: _ } => {
            let mut payload = json!({"roomId": room.as_str()});
            if let Some(kind) = kind {
                payload["type"] = json!(match kind {
                    RoomKind::Direct => "direct",
                    RoomKind::Group => "group",
                });
            }
            if !participants.is_empty() {
                payload["participants"] = json!(participants.iter().map(UserId::as_str).collect::<Vec<_>>());
            }
            AppPacket::event("join_room", payload)
        }
        Command::Leave { room } => AppPacket::event("leave_room", json!({"roomId": room.as_str()})),
        Command::Send { to: Audience::Room(room), text, kind, .. } => {
            let mut payload = json!({"roomId": room.as_str(), "message": text});
            if *kind != MessageKind::Text {
                payload["messageType"] = json!(kind_name(*kind));
            }
            AppPacket::event("send_message", payload)
        }
        Command::Typing { to: Audience::Room(room), active, .. } => {
            AppPacket::event("typing", json!({"roomId": room.as_str(), "isTyping": active}))
        }
        Command::Send { to: Audience::Users(_) | Audience::Here, .. }
        | Command::Typing { to: Audience::Users(_) | Audience::Here, .. }
        | Command::Quit
        | Command::LoadHistory { .. }
        | Command::Resume { .. }
        | Command::MarkRead { .. }
        | Command::OpenChat { .. }
        | Command::CloseChat { .. } => return None,
    })
}

/// What a server's packet tells. The document names the live event both `new_message` and `message`: either is read.
///
/// `message_history` and `room_users` do not name their room: the returned event carries the room of the newest message, or an
/// empty id; the caller knows which `join_room` it belongs to, since answers come in the order of requests.
///
/// # Errors
/// [`Unreadable`] for an unknown event or a payload of another shape than documented.
pub fn decode(packet: &AppPacket) -> Result<Event, Unreadable> {
    let AppPacket::Event { name, args } = packet else {
        return Err(unreadable("frame", "a Socket.IO event was expected"));
    };
    let payload = args.first().ok_or_else(|| unreadable(name, "the payload is missing"))?;
    Ok(match name.as_str() {
        "new_message" | "message" => Event::Message(read::<MessageJson>(name, payload)?.into()),
        "message_history" => {
            let messages: Vec<Message> =
                read::<Vec<MessageJson>>(name, payload)?.into_iter().map(Message::from).collect();
            Event::History { room: messages.last().map_or_else(|| RoomId::from(""), |m| m.room.clone()), messages }
        }
        "room_users" => Event::Members {
            room: RoomId::from(""),
            users: read::<Vec<String>>(name, payload)?
                .into_iter()
                .map(|user| Member::nameless(UserId::from(user)))
                .collect(),
        },
        "user_joined" => membership(name, payload, |room, member| Event::Joined { room, member })?,
        "user_left" => membership(name, payload, |room, member| Event::Left { room, member })?,
        "user_typing" => {
            let json: TypingJson = read(name, payload)?;
            Event::Typing {
                room: RoomId::from(json.room_id.unwrap_or_default()),
                member: Member { user: UserId::from(json.user_id), name: json.username },
                active: json.is_typing,
            }
        }
        "error" => Event::Refused(refusal(&read::<ErrorJson>(name, payload)?.message)),
        _ => return Err(unreadable(name, "no such event in this dialect")),
    })
}

fn membership(name: &str, payload: &Value, event: fn(RoomId, Member) -> Event) -> Result<Event, Unreadable> {
    let json: MembershipJson = read(name, payload)?;
    Ok(event(RoomId::from(json.room_id), Member { user: UserId::from(json.user_id), name: json.username }))
}

/// The refusal that these words stand for: the documented ones are known, others are kept as they came by the raw packet.
fn refusal(message: &str) -> Refusal {
    if message == Refusal::NotAuthenticated.to_string() {
        Refusal::NotAuthenticated
    } else if message == Refusal::NotMember.to_string() {
        Refusal::NotMember
    } else if message == Refusal::UnknownEvent.to_string() {
        Refusal::UnknownEvent
    } else if message == Refusal::Unavailable.to_string() {
        Refusal::Unavailable
    } else {
        Refusal::Invalid { field: "payload", problem: "refused by the server" }
    }
}

fn read<T: DeserializeOwned>(name: &str, payload: &Value) -> Result<T, Unreadable> {
    T::deserialize(payload).map_err(|problem| unreadable(name, &problem.to_string()))
}

fn unreadable(packet: &str, problem: &str) -> Unreadable {
    Unreadable { packet: packet.to_owned(), problem: problem.to_owned() }
}
