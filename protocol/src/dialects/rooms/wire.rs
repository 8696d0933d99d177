//! The JSON objects of `rooms`, shared by both sides and by its REST routes, with their conversions to the vocabulary.

use serde::{Deserialize, Serialize};

use crate::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};

/// A message as `new_message`, as an element of `message_history` and in REST answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageJson {
    /// Where.
    pub room_id: String,
    /// Who sent it.
    pub user_id: String,
    /// The sender's display name.
    pub username: String,
    /// The text.
    pub message: String,
    /// Milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// The server's id of it. An addition of the reference (REF): a stranger may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// `text`, `image`, `file` or `system` (REF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// Position in the room (REF); lets a bot notice what it missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// `user_joined` and `user_left`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MembershipJson {
    /// Which room.
    pub room_id: String,
    /// Who.
    pub user_id: String,
    /// The name to show.
    pub username: String,
}

/// `user_typing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypingJson {
    /// Who.
    pub user_id: String,
    /// The name to show.
    pub username: String,
    /// Started or stopped.
    pub is_typing: bool,
    /// Which room (REF): the document leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<String>,
}

/// `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorJson {
    /// Words for the client.
    pub message: String,
}

/// The answer of `GET /api/chat/:roomId/history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryJson {
    /// Always `true`; a failure is another object.
    pub success: bool,
    /// Oldest first.
    pub messages: Vec<MessageJson>,
}

/// The answer of `GET /api/chat/:roomId/users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersJson {
    /// Each once.
    pub users: Vec<String>,
}

impl From<&Message> for MessageJson {
    fn from(message: &Message) -> Self {
        Self {
            room_id: message.room.to_string(),
            user_id: message.sender.user.to_string(),
            username: message.sender.name.clone(),
            message: message.text.clone(),
            timestamp: message.sent_at_ms,
            message_id: Some(message.id.to_string()),
            message_type: Some(kind_name(message.kind).to_owned()),
            sequence: (message.sequence > 0).then_some(message.sequence),
        }
    }
}

impl From<MessageJson> for Message {
    /// An absent `messageId` becomes empty and an absent `sequence` 0: a stranger need not send them.
    fn from(json: MessageJson) -> Self {
        Self {
            id: MessageId::from(json.message_id.unwrap_or_default()),
            room: RoomId::from(json.room_id),
            sender: Member { user: UserId::from(json.user_id), name: json.username },
            text: json.message,
            kind: json.message_type.as_deref().and_then(kind_of_name).unwrap_or_default(),
            sent_at_ms: json.timestamp,
            sequence: json.sequence.unwrap_or(0),
            receiver: None,
            attachment: None,
            read_at_ms: None,
        }
    }
}

/// The name of a message kind on the wire.
#[must_use]
pub fn kind_name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Text => "text",
        MessageKind::Image => "image",
        MessageKind::File => "file",
        MessageKind::System => "system",
    }
}

/// The message kind of a name on the wire.
#[must_use]
pub fn kind_of_name(name: &str) -> Option<MessageKind> {
    match name {
        "text" => Some(MessageKind::Text),
        "image" => Some(MessageKind::Image),
        "file" => Some(MessageKind::File),
        "system" => Some(MessageKind::System),
        _ => None,
    }
}
