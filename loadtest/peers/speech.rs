//! What clients say to each kind of server, and what they make of what they hear.

use std::{net::SocketAddr, ops::Range, time::UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::contender::SECRET;

/// The sizes of the rooms that every client is in under load.
pub(crate) const ROOM_SIZES: [usize; 2] = [10, 100];

/// Stands for a text, and for nothing else.
const TEXT: &str = "~";

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// Lines over TCP.
    Floor,
    /// JSON over WebSocket: rooms, and nothing proved.
    Bare,
    /// Socket.IO: the dialect `rooms`, of which the small servers speak what is needed here.
    Rooms,
    /// JSON over WebSocket: the dialect `conversations`.
    Conversations,
}

/// What a client makes of what it hears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It answers.
    Answer(Vec<String>),
    /// It is in one more room.
    Joined,
    /// Somebody's text.
    Delivery,
    /// Nothing of interest.
    Other,
}

/// The room of this size in which a client is: its name, and who is in it.
pub(crate) fn room(size: usize, client: usize, clients: usize) -> (String, Range<usize>) {
    let first = client / size * size;
    (format!("r{size}-{}", client / size), first..clients.min(first + size))
}

impl Speech {
    /// The request that opens a WebSocket.
    pub(crate) fn opening(self, server: SocketAddr) -> Option<String> {
        let path = match self {
            Self::Floor => return None,
            Self::Bare => "/",
            Self::Rooms => "/socket.io/?EIO=4&transport=websocket",
            Self::Conversations => "/api/v1/chat",
        };
        let headers = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        Some(format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{headers}\r\n\r\n"))
    }

    /// The first words.
    pub(crate) fn hello(self, client: usize, rooms: &[usize]) -> Vec<String> {
        match self {
            Self::Floor | Self::Bare => self.joins(client, rooms),
            Self::Rooms => Vec::new(), // the server begins
            Self::Conversations => vec![json!({"type": "auth", "token": token(client)}).to_string()],
        }
    }

    /// How often a client hears that it has joined.
    pub(crate) fn joins_count(self, rooms: &[usize]) -> usize {
        if self == Self::Conversations { 1 } else { rooms.len() }
    }

    fn joins(self, client: usize, rooms: &[usize]) -> Vec<String> {
        let join = |size: &usize| {
            let (room, _) = room(*size, client, usize::MAX);
            match self {
                Self::Floor => format!("join {room}"),
                Self::Bare | Self::Conversations => json!({"type": "join_room", "roomId": room}).to_string(),
                Self::Rooms => format!("42{}", json!(["join_room", {"roomId": room}])),
            }
        };
        rooms.iter().map(join).collect()
    }

    /// A message to a room: what stands before its text, and what behind it. Made once for many, since a list of a hundred recipients for each
    /// would have the crowd busy and the server waiting.
    pub(crate) fn message(self, size: usize, client: usize, clients: usize) -> (String, String) {
        let (room, members) = room(size, client, clients);
        let sender = user(client);
        let whole = match self {
            Self::Floor => format!("send {room} {TEXT}"),
            Self::Bare => {
                json!({"type": "send_message", "roomId": room, "userId": sender, "message": TEXT}).to_string()
            }
            Self::Rooms => {
                format!("42{}", json!(["send_message", {"roomId": room, "userId": sender, "message": TEXT}]))
            }
            Self::Conversations => {
                let recipients: Vec<_> = members.filter(|member| *member != client).map(user).collect();
                json!({"type": "send_message", "recipientIds": recipients, "content": TEXT}).to_string()
            }
        };
        let (before, behind) = whole.split_once(TEXT).expect("the text is in it");
        (before.to_owned(), behind.to_owned())
    }

    /// What a frame says to a client.
    pub(crate) fn hear(self, client: usize, rooms: &[usize], frame: &[u8]) -> Heard {
        match self {
            Self::Floor if frame == b"joined" => Heard::Joined,
            Self::Floor => Heard::Delivery,
            Self::Bare | Self::Conversations => {
                if frame.starts_with(b"{\"type\":\"new_message\"") {
                    Heard::Delivery
                } else if frame.starts_with(b"{\"type\":\"joined\"") || frame.starts_with(b"{\"type\":\"auth_success\"")
                {
                    Heard::Joined
                } else {
                    Heard::Other
                }
            }
            Self::Rooms if frame.starts_with(b"42[\"new_message\"") => Heard::Delivery,
            Self::Rooms if frame.starts_with(b"42[\"message_history\"") => Heard::Joined,
            Self::Rooms if frame.starts_with(b"0") => {
                Heard::Answer(vec![format!("40{}", json!({"token": token(client)}))])
            }
            Self::Rooms if frame.starts_with(b"40") => Heard::Answer(self.joins(client, rooms)),
            Self::Rooms if frame == b"2" => Heard::Answer(vec!["3".to_owned()]),
            Self::Rooms => Heard::Other,
        }
    }
}

fn user(client: usize) -> String {
    format!("user-{client}")
}

fn token(client: usize) -> String {
    let (user, an_hour_later) = (user(client), now_ms() / 1000 + 3600);
    let claims = json!({"sub": user, "id": user, "userId": user, "username": user, "exp": an_hour_later});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).expect("JSON and a secret always make a token")
}

/// What the small servers make of a message: as many bytes as the chat servers', and an id and a time of its own.
pub(crate) fn new_message(sent: &Value) -> Value {
    let timestamp = now_ms();
    json!({
        "roomId": sent["roomId"],
        "userId": sent["userId"],
        "username": sent["userId"],
        "message": sent["message"],
        "timestamp": timestamp,
        "messageId": format!("{timestamp:036x}"),
        "messageType": "text",
    })
}

fn now_ms() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
