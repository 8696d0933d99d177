//! The JSON objects of `sessions`, shared by both sides, with their conversions to the vocabulary.

use serde::{Deserialize, Serialize};

use crate::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};

/// A message: what `send_message` wraps in `message`, and what `receive_message` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageJson {
    /// Who says it.
    pub user_id: String,
    /// The sender's display name.
    pub username: String,
    /// The text.
    pub content: String,
    /// Milliseconds since the Unix epoch, as the sender says.
    pub timestamp: u64,
}

/// A user in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserJson {
    /// Who.
    pub user_id: String,
    /// The name to show.
    pub username: String,
}

/// `system_message`: one event name for everything that happens in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "eventType", rename_all = "snake_case")]
pub enum SystemJson {
    /// A user is new in the room.
    Connect(UserJson),
    /// A user is back whose departure had been told.
    Reconnect(UserJson),
    /// A user has left, and did not come back within the grace period.
    Disconnect(UserJson),
    /// For who has just joined: the other users that are in the room.
    ExistingUsers {
        /// Each once.
        users: Vec<UserJson>,
    },
}

impl From<&Member> for UserJson {
    fn from(member: &Member) -> Self {
        Self { user_id: member.user.to_string(), username: member.name.clone() }
    }
}

impl From<UserJson> for Member {
    fn from(json: UserJson) -> Self {
        Self { user: UserId::from(json.user_id), name: json.username }
    }
}

impl From<&Message> for MessageJson {
    fn from(message: &Message) -> Self {
        Self {
            user_id: message.sender.user.to_string(),
            username: message.sender.name.clone(),
            content: message.text.clone(),
            timestamp: message.sent_at_ms,
        }
    }
}

impl From<MessageJson> for Message {
    /// Nothing is stored here, so there is neither an id nor a position; and the room is the one that the reader is in.
    fn from(json: MessageJson) -> Self {
        Self {
            id: MessageId::from(""),
            room: RoomId::from(""),
            sender: Member { user: UserId::from(json.user_id), name: json.username },
            text: json.content,
            kind: MessageKind::Text,
            sent_at_ms: json.timestamp,
            sequence: 0,
            receiver: None,
            attachment: None,
            read_at_ms: None,
        }
    }
}
