//! The client's side of `gateway`: [`Command`] -> packet; a server's packet -> [`Event`].

use std::time::Duration;

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::wire::MessageJson;
use crate::{
    dialects::{AppPacket, HistoryRoute, Unreadable, percent_encode},
    vocabulary::{Audience, Command, Event, Message},
};

/// `GET /messages/history/:roomId` of the API gateway.
pub const HISTORY: HistoryRoute = HistoryRoute {
    listener: "rest",
    lag: Duration::from_secs(5),
    messages_max: 1000,
    target: |room, limit| format!("/messages/history/{}?limit={limit}", percent_encode(room.as_str())),
    decode: |body| {
        let json: Vec<MessageJson> = Vec::deserialize(body).map_err(|problem| unreadable("history", &problem))?;
        Ok(json.into_iter().map(Message::from).collect())
    },
};

/// How a command is said. `sendMessage` names its speaker if the command does; a server that verifies does not look at it.
#[must_use]
pub fn encode(command: &Command) -> Option<AppPacket> {
    Some(match command {
        Command::Join { room, .. } => AppPacket::event("joinRoom", json!(room.as_str())),
        Command::Send { to: Audience::Room(room), text, claimed, sent_at_ms, .. } => {
            let mut payload = json!({"roomId": room.as_str(), "text": text});
            if let Some(speaker) = claimed {
                payload["userId"] = json!(speaker.user.as_str());
                payload["username"] = json!(speaker.name);
            }
            if let Some(at) = sent_at_ms {
                payload["timestamp"] = json!(at);
            }
            AppPacket::event("sendMessage", payload)
        }
        Command::Send { to: Audience::Users(_) | Audience::Here, .. }
        | Command::Authenticate { .. }
        | Command::Leave { .. }
        | Command::Quit
        | Command::Typing { .. }
        | Command::LoadHistory { .. }
        | Command::MarkRead { .. }
        | Command::OpenChat { .. }
        | Command::CloseChat { .. }
        | Command::Resume { .. } => return None,
    })
}

/// What a server's packet tells.
///
/// # Errors
/// [`Unreadable`] for an unknown event or a payload of another shape than documented.
pub fn decode(packet: &AppPacket) -> Result<Event, Unreadable> {
    let AppPacket::Event { name, args } = packet else {
        return Err(unreadable("frame", &"a Socket.IO event was expected"));
    };
    if name != "receiveMessage" {
        return Err(unreadable(name, &"no such event in this dialect"));
    }
    let payload = args.first().unwrap_or(&Value::Null);
    let json = MessageJson::deserialize(payload).map_err(|problem| unreadable(name, &problem))?;
    Ok(Event::Message(json.into()))
}

fn unreadable(packet: &str, problem: &dyn std::fmt::Display) -> Unreadable {
    Unreadable { packet: packet.to_owned(), problem: problem.to_string() }
}
