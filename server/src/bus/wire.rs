//! What a notice looks like on a channel: one flat JSON object; a message has the documented fields of `new_message`.

use chatwright_protocol::{
    dialects::rooms::wire::{kind_name, kind_of_name},
    vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId},
};
use serde::{Deserialize, Serialize};

use super::{Movement, Notice, NoticeBody};
use crate::store::{InstanceId, Stored};

#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum NoticeJson {
    NewMessage(MessageJson),
    UserJoined(MemberJson),
    UserLeft(MemberJson),
    UserTyping(TypingJson),
    Said(SaidJson),
    Moved(MovedJson),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageJson {
    origin: String,
    room_id: String,
    user_id: String,
    username: String,
    message: String,
    timestamp: u64,
    message_id: String,
    message_type: String,
    sequence: u64,
    generation: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberJson {
    origin: String,
    room_id: String,
    user_id: String,
    username: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypingJson {
    origin: String,
    room_id: String,
    user_id: String,
    username: String,
    is_typing: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SaidJson {
    origin: String,
    room_id: String,
    user_id: String,
    username: String,
    content: String,
    timestamp: u64,
    number: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MovedJson {
    origin: String,
    room_id: String,
    user_id: String,
    username: String,
    movement: MovementJson,
    version: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum MovementJson {
    Came,
    CameBack,
    Went,
}

impl From<Movement> for MovementJson {
    fn from(movement: Movement) -> Self {
        match movement {
            Movement::Came => Self::Came,
            Movement::CameBack => Self::CameBack,
            Movement::Went => Self::Went,
        }
    }
}

impl From<MovementJson> for Movement {
    fn from(json: MovementJson) -> Self {
        match json {
            MovementJson::Came => Self::Came,
            MovementJson::CameBack => Self::CameBack,
            MovementJson::Went => Self::Went,
        }
    }
}

/// The notice as text.
pub(super) fn to_json(notice: &Notice) -> String {
    let origin = || notice.origin.as_str().to_owned();
    let member = |member: &Member| MemberJson {
        origin: origin(),
        room_id: notice.room.to_string(),
        user_id: member.user.to_string(),
        username: member.name.clone(),
    };
    let json = match &notice.body {
        NoticeBody::Message(stored) => NoticeJson::NewMessage(MessageJson {
            origin: origin(),
            room_id: stored.message.room.to_string(),
            user_id: stored.message.sender.user.to_string(),
            username: stored.message.sender.name.clone(),
            message: stored.message.text.clone(),
            timestamp: stored.message.sent_at_ms,
            message_id: stored.message.id.to_string(),
            message_type: kind_name(stored.message.kind).to_owned(),
            sequence: stored.message.sequence,
            generation: stored.generation,
        }),
        NoticeBody::Joined(who) => NoticeJson::UserJoined(member(who)),
        NoticeBody::Left(who) => NoticeJson::UserLeft(member(who)),
        NoticeBody::Typing { member: who, active } => NoticeJson::UserTyping(TypingJson {
            origin: origin(),
            room_id: notice.room.to_string(),
            user_id: who.user.to_string(),
            username: who.name.clone(),
            is_typing: *active,
        }),
        NoticeBody::Said { message, number } => NoticeJson::Said(SaidJson {
            origin: origin(),
            room_id: notice.room.to_string(),
            user_id: message.sender.user.to_string(),
            username: message.sender.name.clone(),
            content: message.text.clone(),
            timestamp: message.sent_at_ms,
            number: *number,
        }),
        NoticeBody::Moved { member: who, movement, version } => NoticeJson::Moved(MovedJson {
            origin: origin(),
            room_id: notice.room.to_string(),
            user_id: who.user.to_string(),
            username: who.name.clone(),
            movement: (*movement).into(),
            version: *version,
        }),
    };
    serde_json::to_string(&json).expect("strings and numbers always serialise")
}

/// A notice from what came on the channel of `room`. The channel decides which room it is, not the payload.
pub(super) fn from_json(text: &[u8], room: &RoomId) -> Result<Notice, serde_json::Error> {
    let member = |user: String, name: String| Member { user: UserId::from(user), name };
    let (origin, body) = match serde_json::from_slice(text)? {
        NoticeJson::NewMessage(json) => (
            json.origin,
            NoticeBody::Message(Stored {
                generation: json.generation,
                message: Message {
                    id: MessageId::from(json.message_id),
                    room: room.clone(),
                    sender: member(json.user_id, json.username),
                    text: json.message,
                    kind: kind_of_name(&json.message_type).unwrap_or_default(),
                    sent_at_ms: json.timestamp,
                    sequence: json.sequence,
                    receiver: None,
                    attachment: None,
                    read_at_ms: None,
                },
            }),
        ),
        NoticeJson::UserJoined(json) => (json.origin, NoticeBody::Joined(member(json.user_id, json.username))),
        NoticeJson::UserLeft(json) => (json.origin, NoticeBody::Left(member(json.user_id, json.username))),
        NoticeJson::UserTyping(json) => {
            let body = NoticeBody::Typing { member: member(json.user_id, json.username), active: json.is_typing };
            (json.origin, body)
        }
        NoticeJson::Said(json) => {
            let sender = member(json.user_id, json.username);
            let message = unstored(room.clone(), sender, json.content, json.timestamp);
            (json.origin, NoticeBody::Said { message, number: json.number })
        }
        NoticeJson::Moved(json) => {
            let member = member(json.user_id, json.username);
            (json.origin, NoticeBody::Moved { member, movement: json.movement.into(), version: json.version })
        }
    };
    let origin = InstanceId::from(origin.as_str());
    Ok(Notice { origin, room: room.clone(), audience: Vec::new(), body })
}

/// A message that no store has given an id or a position.
fn unstored(room: RoomId, sender: Member, text: String, sent_at_ms: u64) -> Message {
    Message {
        id: MessageId::from(""),
        room,
        sender,
        text,
        kind: MessageKind::Text,
        sent_at_ms,
        sequence: 0,
        receiver: None,
        read_at_ms: None,
        attachment: None,
    }
}
