//! The client's side of `sessions`: [`Command`] -> packet; a server's packet -> [`Event`].

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::wire::{MessageJson, SystemJson};
use crate::{
    dialects::{AppPacket, Unreadable},
    vocabulary::{Audience, Command, Event, Member, RoomId},
};

/// How a command is said. Payloads name their speaker here: a join or a message without `claimed`, or a message without its time, cannot be
/// said, and neither can a message to another room than the one that the connection is in.
#[must_use]
pub fn encode(command: &Command) -> Option<AppPacket> {
    Some(match command {
        Command::Join { room, claimed: Some(Member { user, name }), kind: _, participants: _ } => {
            AppPacket::event("join_room", json!({"userId": user.as_str(), "username": name, "roomId": room.as_str()}))
        }
        Command::Send {
            to: Audience::Here,
            text,
            claimed: Some(Member { user, name }),
            sent_at_ms: Some(at),
            kind: _,
            attachment: _,
        } => {
            let message = json!({"userId": user.as_str(), "username": name, "content": text, "timestamp": at});
            AppPacket::event("send_message", json!({"message": message}))
        }
        Command::Quit => AppPacket::Event { name: "leave_session".to_owned(), args: Vec::new() },
        Command::Join { claimed: None, .. }
        | Command::Send { .. }
        | Command::Authenticate { .. }
        | Command::Leave { .. }
        | Command::Typing { .. }
        | Command::LoadHistory { .. }
        | Command::Resume { .. }
        | Command::MarkRead { .. }
        | Command::OpenChat { .. }
        | Command::CloseChat { .. } => return None,
    })
}

/// What a server's packet tells. No packet names its room: the returned event carries an empty id, and means the one room that the
/// connection is in.
///
/// # Errors
/// [`Unreadable`] for an unknown event or a payload of another shape than documented.
pub fn decode(packet: &AppPacket) -> Result<Event, Unreadable> {
    let AppPacket::Event { name, args } = packet else {
        return Err(unreadable("frame", "a Socket.IO event was expected"));
    };
    let payload = args.first().ok_or_else(|| unreadable(name, "the payload is missing"))?;
    let room = RoomId::from("");
    Ok(match name.as_str() {
        "receive_message" => Event::Message(read::<MessageJson>(name, payload)?.into()),
        "system_message" => match read(name, payload)? {
            SystemJson::Connect(user) => Event::Joined { room, member: user.into() },
            SystemJson::Reconnect(user) => Event::Returned { room, member: user.into() },
            SystemJson::Disconnect(user) => Event::Left { room, member: user.into() },
            SystemJson::ExistingUsers { users } => {
                Event::Members { room, users: users.into_iter().map(Member::from).collect() }
            }
        },
        _ => return Err(unreadable(name, "no such event in this dialect")),
    })
}

fn read<T: DeserializeOwned>(name: &str, payload: &Value) -> Result<T, Unreadable> {
    T::deserialize(payload).map_err(|problem| unreadable(name, &problem.to_string()))
}

fn unreadable(packet: &str, problem: &str) -> Unreadable {
    Unreadable { packet: packet.to_owned(), problem: problem.to_owned() }
}
