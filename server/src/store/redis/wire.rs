//! The JSON objects that stand in Redis: a message of a history, a room's record.

use chatwright_protocol::{
    dialects::rooms::wire::{kind_name, kind_of_name},
    vocabulary::{Member, Message, MessageId, RoomId, RoomKind, UserId},
};
use serde::{Deserialize, Serialize};

use crate::store::{Draft, RoomRecord, StoreError, Stored};

/// An element of `chat:history:{roomId}`, with the documented fields and ours behind them. `sequence` and `generation` are written by the
/// script that knows them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageJson {
    room_id: String,
    user_id: String,
    username: String,
    message: String,
    timestamp: u64,
    message_id: String,
    message_type: String,
    #[serde(default, skip_serializing)]
    sequence: u64,
    #[serde(default, skip_serializing)]
    generation: u64,
}

/// A draft as the script takes it: an object that the script completes before its last brace.
pub(super) fn draft_json(draft: &Draft) -> String {
    let json = MessageJson {
        room_id: draft.room.to_string(),
        user_id: draft.sender.user.to_string(),
        username: draft.sender.name.clone(),
        message: draft.text.clone(),
        timestamp: draft.sent_at_ms,
        message_id: draft.id.to_string(),
        message_type: kind_name(draft.kind).to_owned(),
        sequence: 0,
        generation: 0,
    };
    serde_json::to_string(&json).expect("strings and numbers always serialise")
}

/// A message as it stands in the list.
pub(super) fn stored(text: &str) -> Result<Stored, StoreError> {
    let json: MessageJson = serde_json::from_str(text).map_err(|problem| StoreError::Corrupt(problem.to_string()))?;
    Ok(Stored {
        generation: json.generation,
        message: Message {
            id: MessageId::from(json.message_id),
            room: RoomId::from(json.room_id),
            sender: Member { user: UserId::from(json.user_id), name: json.username },
            text: json.message,
            kind: kind_of_name(&json.message_type).unwrap_or_default(),
            sent_at_ms: json.timestamp,
            sequence: json.sequence,
            receiver: None,
            attachment: None,
            read_at_ms: None,
        },
    })
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordJson {
    room_id: String,
    #[serde(rename = "type")]
    kind: String,
    participants: Vec<String>,
}

/// A room's record as text.
pub(super) fn record_json(record: &RoomRecord) -> String {
    let kind = match record.kind {
        RoomKind::Direct => "direct",
        RoomKind::Group => "group",
    };
    let json = RecordJson {
        room_id: record.room.to_string(),
        kind: kind.to_owned(),
        participants: record.participants.iter().map(UserId::to_string).collect(),
    };
    serde_json::to_string(&json).expect("strings always serialise")
}

/// A room's record from text.
pub(super) fn record(text: &str) -> Result<RoomRecord, StoreError> {
    let json: RecordJson = serde_json::from_str(text).map_err(|problem| StoreError::Corrupt(problem.to_string()))?;
    Ok(RoomRecord {
        room: RoomId::from(json.room_id),
        kind: if json.kind == "direct" { RoomKind::Direct } else { RoomKind::Group },
        participants: json.participants.into_iter().map(UserId::from).collect(),
    })
}

/// Who a device's entry belongs to.
#[derive(Debug, Serialize, Deserialize)]
struct MemberJson {
    u: String,
    n: String,
}

/// A member as text.
pub(super) fn member_json(member: &Member) -> String {
    let json = MemberJson { u: member.user.to_string(), n: member.name.clone() };
    serde_json::to_string(&json).expect("strings always serialise")
}

/// A member from text.
pub(super) fn member(text: &str) -> Result<Member, StoreError> {
    let json: MemberJson = serde_json::from_str(text).map_err(|problem| StoreError::Corrupt(problem.to_string()))?;
    Ok(Member { user: UserId::from(json.u), name: json.n })
}
