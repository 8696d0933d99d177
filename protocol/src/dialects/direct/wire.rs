//! The JSON objects of `direct`, shared by both sides and by its REST routes, with their conversions to the vocabulary.

use serde::{Deserialize, Serialize};

use crate::{
    iso8601,
    vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId},
};

/// A message as `new_message` and as an element of `chat_history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageJson {
    /// The server's id of it: 24 hex digits.
    #[serde(rename = "_id")]
    pub id: String,
    /// Which conversation.
    pub conversation_id: String,
    /// Who sent it.
    pub sender_id: UserJson,
    /// Whom it is for.
    pub receiver_id: UserJson,
    /// The text.
    pub message: String,
    /// `text`, `image` or `file`.
    #[serde(default = "text_kind")]
    pub message_type: String,
    /// The address of what the text goes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_url: Option<String>,
    /// Whether the receiver has read it.
    #[serde(default)]
    pub is_read: bool,
    /// When he did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<String>,
    /// When the server took it, ISO 8601.
    pub created_at: String,
    /// Position in the conversation (REF); lets a bot notice what it missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// A user in a message: his id on the socket, his id and name by REST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UserJson {
    /// The id alone.
    Id(String),
    /// With the name to show.
    Named {
        /// The id.
        #[serde(rename = "_id")]
        id: String,
        /// The name to show.
        #[serde(default)]
        name: String,
    },
}

impl UserJson {
    /// The user behind it; the name is empty where none is given.
    #[must_use]
    pub fn member(self) -> Member {
        match self {
            Self::Id(id) => Member::nameless(UserId::from(id)),
            Self::Named { id, name } => Member { user: UserId::from(id), name },
        }
    }
}

fn text_kind() -> String {
    kind_name(MessageKind::Text).to_owned()
}

/// `message_sent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentJson {
    /// The server's id of the message.
    #[serde(rename = "_id")]
    pub id: String,
    /// Who sent it.
    pub sender_id: UserJson,
    /// The text.
    pub message: String,
    /// When the server took it, ISO 8601.
    pub created_at: String,
    /// Which conversation (REF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Whom it is for (REF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver_id: Option<UserJson>,
    /// Position in the conversation (REF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// `chat_history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatHistoryJson {
    /// Which conversation.
    pub conversation_id: String,
    /// Oldest first.
    pub messages: Vec<MessageJson>,
}

/// `user_typing` and `user_stop_typing`, to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypingJson {
    /// Who.
    pub user_id: String,
    /// Which conversation.
    pub conversation_id: String,
}

/// `messages_read`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadJson {
    /// Which.
    pub message_ids: Vec<String>,
    /// When, ISO 8601.
    pub read_at: String,
    /// Which conversation (REF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
}

/// `chat_started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartedJson {
    /// Which conversation.
    pub conversation_id: String,
    /// Who started it.
    pub initiator_id: String,
}

/// `chat_ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedJson {
    /// Which conversation.
    pub conversation_id: String,
    /// Who ended it.
    pub user_id: String,
}

/// `user_status_change`, and what the channel `user_status` carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusJson {
    /// `user_online` or `user_offline`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who.
    pub user_id: String,
    /// Since when, ISO 8601.
    pub timestamp: String,
}

/// The type of a status in which the user is connected.
pub const ONLINE: &str = "user_online";
/// The type of a status in which he is not.
pub const OFFLINE: &str = "user_offline";

/// `message_error`, `history_error` and `chat_error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorJson {
    /// Words for the client.
    pub error: String,
}

impl From<&Message> for MessageJson {
    fn from(message: &Message) -> Self {
        let receiver = message.receiver.as_ref().map_or_else(String::new, UserId::to_string);
        Self {
            id: message.id.to_string(),
            conversation_id: message.room.to_string(),
            sender_id: UserJson::Id(message.sender.user.to_string()),
            receiver_id: UserJson::Id(receiver),
            message: message.text.clone(),
            message_type: kind_name(message.kind).to_owned(),
            attachment_url: message.attachment.clone(),
            is_read: message.read_at_ms.is_some(),
            read_at: message.read_at_ms.map(iso8601::from_unix_ms),
            created_at: iso8601::from_unix_ms(message.sent_at_ms),
            sequence: (message.sequence > 0).then_some(message.sequence),
        }
    }
}

impl From<MessageJson> for Message {
    /// A time that is none becomes 0: times are for people, and a stranger may write them otherwise. One who marks a message read
    /// without saying when counts as having read it when it was sent.
    fn from(json: MessageJson) -> Self {
        let sent_at_ms = iso8601::to_unix_ms(&json.created_at).unwrap_or(0);
        let read_at_ms = json.read_at.as_deref().and_then(iso8601::to_unix_ms).or(json.is_read.then_some(sent_at_ms));
        Self {
            id: MessageId::from(json.id),
            room: RoomId::from(json.conversation_id),
            sender: json.sender_id.member(),
            text: json.message,
            kind: kind_of_name(&json.message_type).unwrap_or_default(),
            attachment: json.attachment_url,
            sent_at_ms,
            sequence: json.sequence.unwrap_or(0),
            receiver: Some(json.receiver_id.member().user),
            read_at_ms,
        }
    }
}

impl From<&Message> for SentJson {
    fn from(message: &Message) -> Self {
        let full = MessageJson::from(message);
        Self {
            id: full.id,
            sender_id: full.sender_id,
            message: full.message,
            created_at: full.created_at,
            conversation_id: Some(full.conversation_id),
            receiver_id: Some(full.receiver_id),
            sequence: full.sequence,
        }
    }
}

impl From<SentJson> for Message {
    /// What a stranger leaves out is empty: the conversation, the receiver, the position.
    fn from(json: SentJson) -> Self {
        Self {
            id: MessageId::from(json.id),
            room: RoomId::from(json.conversation_id.unwrap_or_default()),
            sender: json.sender_id.member(),
            text: json.message,
            kind: MessageKind::Text,
            attachment: None,
            sent_at_ms: iso8601::to_unix_ms(&json.created_at).unwrap_or(0),
            sequence: json.sequence.unwrap_or(0),
            receiver: json.receiver_id.map(|receiver| receiver.member().user),
            read_at_ms: None,
        }
    }
}

/// The name of a message kind on the wire. `system` is never said in this dialect; it goes as text.
#[must_use]
pub fn kind_name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Text | MessageKind::System => "text",
        MessageKind::Image => "image",
        MessageKind::File => "file",
    }
}

/// The message kind of a name on the wire.
#[must_use]
pub fn kind_of_name(name: &str) -> Option<MessageKind> {
    match name {
        "text" => Some(MessageKind::Text),
        "image" => Some(MessageKind::Image),
        "file" => Some(MessageKind::File),
        _ => None,
    }
}
