//! The JSON objects of `gateway`, shared by both sides and by its REST routes, with their conversions to the vocabulary.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};

/// A message as `receiveMessage` and as an element of `GET /messages/history/:roomId`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageJson {
    /// The server's id of it. An addition of the reference (REF): a stranger may leave it out.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where.
    pub room_id: String,
    /// Who sent it.
    pub user_id: String,
    /// The sender's display name.
    pub username: String,
    /// The text.
    pub text: String,
    /// When: milliseconds since the Unix epoch from the reference; a stranger may repeat whatever the sender wrote.
    #[serde(default)]
    pub timestamp: Value,
}

impl From<&Message> for MessageJson {
    fn from(message: &Message) -> Self {
        Self {
            id: Some(message.id.to_string()),
            room_id: message.room.to_string(),
            user_id: message.sender.user.to_string(),
            username: message.sender.name.clone(),
            text: message.text.clone(),
            timestamp: message.sent_at_ms.into(),
        }
    }
}

impl From<MessageJson> for Message {
    /// An absent `_id` becomes empty, and a timestamp that is no number 0: a stranger need not send them.
    fn from(json: MessageJson) -> Self {
        Self {
            id: MessageId::from(json.id.unwrap_or_default()),
            room: RoomId::from(json.room_id),
            sender: Member { user: UserId::from(json.user_id), name: json.username },
            text: json.text,
            kind: MessageKind::Text,
            attachment: None,
            sent_at_ms: json.timestamp.as_u64().unwrap_or(0),
            sequence: 0,
            receiver: None,
            read_at_ms: None,
        }
    }
}

/// An account as the answers of `/auth/register` and `/auth/login` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserJson {
    /// Its id.
    pub id: String,
    /// The e-mail address that it was registered with.
    pub email: String,
    /// The name that messages show (REF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// The answer of `/auth/register` and `/auth/login`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedInJson {
    /// Words for people; only after a registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A JSON Web Token.
    pub token: String,
    /// Whose.
    pub user: UserJson,
}
