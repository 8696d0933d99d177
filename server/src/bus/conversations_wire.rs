//! What a notice of `conversations` looks like on its channel: a frame with the documented fields, and whom it is for.

use chatwright_protocol::{
    dialects::conversations::wire::{MessageJson, TypingJson},
    vocabulary::{Member, RoomId, UserId},
};
use serde::{Deserialize, Serialize, de::Error as _};

use super::{Notice, NoticeBody};
use crate::store::{InstanceId, Stored};

#[derive(Serialize, Deserialize)]
struct NoticeJson<'a> {
    origin: String,
    participants: Vec<String>,
    #[serde(flatten)]
    body: BodyJson<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum BodyJson<'a> {
    NewMessage(MessageJson<'a>),
    Typing(TypingJson),
}

/// The notice as text; empty for what this dialect does not know.
pub(super) fn to_json(notice: &Notice) -> String {
    let body = match &notice.body {
        NoticeBody::Message(stored) => BodyJson::NewMessage(MessageJson::from(&stored.message)),
        NoticeBody::Typing { member, active } => BodyJson::Typing(TypingJson {
            conversation_id: notice.room.to_string(),
            user_id: member.user.to_string(),
            is_typing: Some(*active),
        }),
        NoticeBody::Joined(_) | NoticeBody::Left(_) | NoticeBody::Said { .. } | NoticeBody::Moved { .. } => {
            return String::new();
        }
    };
    let participants = notice.audience.iter().map(ToString::to_string).collect();
    let json = NoticeJson { origin: notice.origin.as_str().to_owned(), participants, body };
    serde_json::to_string(&json).expect("strings and numbers always serialise")
}

/// A notice from what came on the channel of a conversation. The channel decides which it is, not the payload.
pub(super) fn from_json(text: &[u8], room: &RoomId) -> Result<Notice, serde_json::Error> {
    let NoticeJson { origin, participants, body } = serde_json::from_slice(text)?;
    let body = match body {
        BodyJson::NewMessage(json) => {
            let mut message = json.message().map_err(serde_json::Error::custom)?;
            message.room = room.clone();
            NoticeBody::Message(Stored { generation: 0, message })
        }
        BodyJson::Typing(json) => {
            let member = Member::nameless(UserId::from(json.user_id));
            NoticeBody::Typing { member, active: json.is_typing.unwrap_or(true) }
        }
    };
    let audience = participants.into_iter().map(UserId::from).collect();
    Ok(Notice { origin: InstanceId::from(origin.as_str()), room: room.clone(), audience, body })
}
