//! The JSON objects of `conversations`, shared by both sides, with their conversions to the vocabulary.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

use crate::{
    iso8601,
    vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId},
};

/// A frame of the server.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct FrameJson<'a, T> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
}

/// `send_message`, to the letter.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SendJson<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) recipient_ids: UsersJson,
    pub(super) content: String,
}

/// Room for so many ids at first: a list that grows from nothing is copied thrice before it is as long.
const USUAL_USERS: usize = 16;

/// Room for so many more at once if there are more: who writes to so many mostly writes to a great many.
const MANY_USERS: usize = 112;

/// Users' ids.
#[derive(Debug)]
pub(super) struct UsersJson(pub(super) Vec<UserId>);

impl<'de> Deserialize<'de> for UsersJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ids;
        impl<'de> Visitor<'de> for Ids {
            type Value = UsersJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of users' ids")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut ids: A) -> Result<UsersJson, A::Error> {
                let mut users = Vec::with_capacity(USUAL_USERS);
                while let Some(UserJson(user)) = ids.next_element()? {
                    if users.len() == users.capacity() {
                        users.reserve(MANY_USERS);
                    }
                    users.push(user);
                }
                Ok(UsersJson(users))
            }
        }
        deserializer.deserialize_seq(Ids)
    }
}

/// A user's id, made of the frame's text without a copy in between.
#[derive(Debug)]
struct UserJson(UserId);

impl<'de> Deserialize<'de> for UserJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Id;
        impl Visitor<'_> for Id {
            type Value = UserJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a user's id")
            }

            fn visit_str<E: Error>(self, id: &str) -> Result<UserJson, E> {
                Ok(UserJson(UserId::from(id)))
            }
        }
        deserializer.deserialize_str(Id)
    }
}

/// A message: `data` of `message_sent` and `new_message`, an element of `history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageJson<'a> {
    /// The server's id of it.
    pub id: Cow<'a, str>,
    /// Where.
    pub conversation_id: Cow<'a, str>,
    /// Who sent it.
    pub sender_id: Cow<'a, str>,
    /// The text.
    pub content: Cow<'a, str>,
    /// ISO 8601 in UTC.
    pub created_at: Cow<'a, str>,
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
pub struct HistoryJson<'a> {
    /// Which conversation.
    pub conversation_id: String,
    /// Oldest first.
    pub messages: Vec<MessageJson<'a>>,
}

/// `auth_error` and `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorJson {
    /// Words for the client.
    pub error: String,
}

impl<'a> From<&'a Message> for MessageJson<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            id: message.id.as_str().into(),
            conversation_id: message.room.as_str().into(),
            sender_id: message.sender.user.as_str().into(),
            content: message.text.as_str().into(),
            created_at: iso8601::from_unix_ms(message.sent_at_ms).into(),
            sequence: (message.sequence > 0).then_some(message.sequence),
        }
    }
}

impl MessageJson<'_> {
    /// The message; an absent `sequence` becomes 0, since a stranger need not send one.
    ///
    /// # Errors
    /// Words for a `createdAt` that is no instant in UTC.
    pub fn message(self) -> Result<Message, &'static str> {
        Ok(Message {
            id: MessageId::from(&*self.id),
            room: RoomId::from(&*self.conversation_id),
            sender: Member::nameless(UserId::from(&*self.sender_id)),
            text: self.content.into_owned(),
            kind: MessageKind::Text,
            sent_at_ms: iso8601::to_unix_ms(&self.created_at).ok_or("createdAt is no ISO 8601 instant in UTC")?,
            sequence: self.sequence.unwrap_or(0),
            receiver: None,
            attachment: None,
            read_at_ms: None,
        })
    }
}
