//! The JSON objects of `conversations`, shared by both sides, with their conversions to the vocabulary.

use serde::{Deserialize, Serialize};

use crate::{
    iso8601,
    vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId},
};

/// A message: `data` of `message_sent` and `new_message`, an element of `history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageJson {
    /// The server's id of it.
    pub id: String,
    /// Where.
    pub conversation_id: String,
    /// Who sent it.
    pub sender_id: String,
    /// The text.
    pub content: String,
    /// ISO 8601 in UTC.
    pub created_at: String,
    /// Position in the conversation (REF); lets a bot notice what it missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// `data` of `auth_success` (REF: the document shows the frame without any).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatedJson {
    /// Who the connection is.
    pub user_id: String,
    /// The name to show; the document's messages hold none.
    #[serde(default)]
    pub username: String,
}

/// `data` of `typing` from the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypingJson {
    /// Which conversation.
    pub conversation_id: String,
    /// Who.
    pub user_id: String,
    /// Started or stopped (REF); the document only knows the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_typing: Option<bool>,
}

/// `data` of `history` (REF).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryJson {
    /// Which conversation.
    pub conversation_id: String,
    /// Oldest first.
    pub messages: Vec<MessageJson>,
}

/// `auth_error` and `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorJson {
    /// Words for the client.
    pub error: String,
}

impl From<&Message> for MessageJson {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id.to_string(),
            conversation_id: message.room.to_string(),
            sender_id: message.sender.user.to_string(),
            content: message.text.clone(),
            created_at: iso8601::from_unix_ms(message.sent_at_ms),
            sequence: (message.sequence > 0).then_some(message.sequence),
        }
    }
}

impl MessageJson {
    /// The message; an absent `sequence` becomes 0, since a stranger need not send one.
    ///
    /// # Errors
    /// Words for a `createdAt` that is no instant in UTC.
    pub fn message(self) -> Result<Message, &'static str> {
        Ok(Message {
            id: MessageId::from(self.id),
            room: RoomId::from(self.conversation_id),
            sender: Member::nameless(UserId::from(self.sender_id)),
            text: self.content,
            kind: MessageKind::Text,
            sent_at_ms: iso8601::to_unix_ms(&self.created_at).ok_or("createdAt is no ISO 8601 instant in UTC")?,
            sequence: self.sequence.unwrap_or(0),
            receiver: None,
            attachment: None,
            read_at_ms: None,
        })
    }
}
