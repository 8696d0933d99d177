//! The JSON objects of `rooms`, shared by both sides and by its REST routes, with their conversions to the vocabulary.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};

/// A message as `new_message`, as an element of `message_history` and in REST answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageJson<'a> {
    /// Where.
    pub room_id: Cow<'a, str>,
    /// Who sent it.
    pub user_id: Cow<'a, str>,
    /// The sender's display name.
    pub username: Cow<'a, str>,
    /// The text.
    pub message: Cow<'a, str>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// The server's id of it. An addition of the reference (REF): a stranger may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Cow<'a, str>>,
    /// `text`, `image`, `file` or `system` (REF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<Cow<'a, str>>,
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
pub struct HistoryJson<'a> {
    /// Always `true`; a failure is another object.
    pub success: bool,
    /// Oldest first.
    pub messages: Vec<MessageJson<'a>>,
}

/// The answer of `GET /api/chat/:roomId/users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersJson {
    /// Each once.
    pub users: Vec<String>,
}

impl<'a> From<&'a Message> for MessageJson<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            room_id: message.room.as_str().into(),
            user_id: message.sender.user.as_str().into(),
            username: message.sender.name.as_str().into(),
            message: message.text.as_str().into(),
            timestamp: message.sent_at_ms,
            message_id: Some(message.id.as_str().into()),
            message_type: Some(kind_name(message.kind).into()),
            sequence: (message.sequence > 0).then_some(message.sequence),
        }
    }
}

impl From<MessageJson<'_>> for Message {
    /// An absent `messageId` becomes empty and an absent `sequence` 0: a stranger need not send them.
    fn from(json: MessageJson<'_>) -> Self {
        Self {
            id: MessageId::from(json.message_id.as_deref().unwrap_or_default()),
            room: RoomId::from(&*json.room_id),
            sender: Member { user: UserId::from(&*json.user_id), name: json.username.into_owned() },
            text: json.message.into_owned(),
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
