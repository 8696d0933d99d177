//! What the channels of `direct` carry: the four that the document names, and one for what it leaves out (`chat:{conversationId}:signal`).
//!
//! | channel | text | published by |
//! |---|---|---|
//! | `chat:{conversationId}` | the message as `new_message` has it | this service |
//! | `chat:{conversationId}:read` | `messages_read`, with `readBy` | this service |
//! | `chat:{conversationId}:signal` | typing, a chat started or ended | this service |
//! | `user_status` | `user_status_change` | this service |
//! | `incoming_message` | a message that the main server took | the main server |
//!
//! Each text of ours also carries `origin`, the instance that says it: an instance ignores its own.

use chatwright_protocol::{
    dialects::direct::{
        conversation::id_of,
        server::status,
        wire::{MessageJson, ONLINE, ReadJson, StatusJson, UserJson},
    },
    iso8601,
    vocabulary::{Message, MessageId, RoomId, UserId},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::channels::Interest;
use crate::{chance, store::InstanceId};

const CHAT: &str = "chat:";
const READ: &str = ":read";
const SIGNAL: &str = ":signal";
const EARLY: &str = ":early";
const USER_STATUS: &str = "user_status";
const INCOMING: &str = "incoming_message";

/// What every instance listens to.
pub const INTEREST: Interest = Interest { named: &[USER_STATUS, INCOMING], beginning: &[CHAT] };

/// What happened, as the channels tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectNotice {
    /// A message was stored.
    Message(Message),
    /// A message waits for a store that is away. It is told now and has no position yet; [`DirectNotice::Message`] follows when it has.
    Early(Message),
    /// A message came from the main server, which keeps it; it has no position here.
    Incoming(Message),
    /// A user has read messages.
    Read {
        /// In which conversation.
        conversation: RoomId,
        /// Who.
        reader: UserId,
        /// Which.
        messages: Vec<MessageId>,
        /// When.
        read_at_ms: u64,
    },
    /// Something that is not stored.
    Signal {
        /// In which conversation.
        conversation: RoomId,
        /// Who.
        by: UserId,
        /// What.
        signal: Signal,
    },
    /// A user is connected now, or not any more.
    Status {
        /// Who.
        user: UserId,
        /// Connected or not.
        online: bool,
        /// Since when.
        at_ms: u64,
    },
}

/// What is told and not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The user types.
    Typing,
    /// The user stopped typing.
    StopTyping,
    /// The user started the chat.
    Started,
    /// The user ended the chat.
    Ended,
}

#[derive(Serialize, Deserialize)]
struct Said<T> {
    #[serde(flatten)]
    what: T,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadText {
    #[serde(flatten)]
    read: ReadJson,
    read_by: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignalText {
    conversation_id: String,
    user_id: String,
    #[serde(rename = "type")]
    signal: Signal,
}

/// What the main server says of a message; it may leave out what can be worked out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IncomingText {
    #[serde(rename = "_id")]
    id: Option<String>,
    sender_id: UserJson,
    receiver_id: UserJson,
    message: String,
    message_type: Option<String>,
    attachment_url: Option<String>,
    created_at: Option<String>,
}

/// The channel and the text of a notice. [`DirectNotice::Incoming`] is the main server's to say, and said here in its place.
#[must_use]
pub fn said(notice: &DirectNotice, origin: &InstanceId) -> (String, String) {
    let text = |channel: String, json: Result<String, serde_json::Error>| {
        (channel, json.expect("plain structs of strings and numbers always serialise"))
    };
    let origin = Some(origin.as_str().to_owned());
    match notice {
        DirectNotice::Message(message) => {
            let what = MessageJson::from(message);
            text(format!("{CHAT}{}", message.room), serde_json::to_string(&Said { what, origin }))
        }
        DirectNotice::Early(message) => {
            let what = MessageJson::from(message);
            text(format!("{CHAT}{}{EARLY}", message.room), serde_json::to_string(&Said { what, origin }))
        }
        DirectNotice::Incoming(message) => {
            text(INCOMING.to_owned(), serde_json::to_string(&Said { what: MessageJson::from(message), origin }))
        }
        DirectNotice::Read { conversation, reader, messages, read_at_ms } => {
            let read = ReadJson {
                message_ids: messages.iter().map(MessageId::to_string).collect(),
                read_at: iso8601::from_unix_ms(*read_at_ms),
                conversation_id: Some(conversation.to_string()),
            };
            let what = ReadText { read, read_by: reader.to_string() };
            text(format!("{CHAT}{conversation}{READ}"), serde_json::to_string(&Said { what, origin }))
        }
        DirectNotice::Signal { conversation, by, signal } => {
            let what =
                SignalText { conversation_id: conversation.to_string(), user_id: by.to_string(), signal: *signal };
            text(format!("{CHAT}{conversation}{SIGNAL}"), serde_json::to_string(&Said { what, origin }))
        }
        DirectNotice::Status { user, online, at_ms } => {
            text(USER_STATUS.to_owned(), serde_json::to_string(&Said { what: status(user, *online, *at_ms), origin }))
        }
    }
}

/// What a text on a channel means, and which instance said it if one of ours did.
///
/// # Errors
/// Why it cannot be understood.
pub fn understood(channel: &str, text: &str, now_ms: u64) -> Result<(DirectNotice, Option<InstanceId>), String> {
    if channel == USER_STATUS {
        let Said { what, origin }: Said<StatusJson> = read(text)?;
        let at_ms = iso8601::to_unix_ms(&what.timestamp).unwrap_or(now_ms);
        let notice = DirectNotice::Status { user: UserId::from(what.user_id), online: what.kind == ONLINE, at_ms };
        return Ok((notice, instance(origin)));
    }
    if channel == INCOMING {
        return Ok((DirectNotice::Incoming(incoming(text, now_ms)?), None));
    }
    let place = channel.strip_prefix(CHAT).ok_or("no channel of this dialect")?;
    if place.ends_with(READ) {
        let Said { what: ReadText { read, read_by }, origin }: Said<ReadText> = self::read(text)?;
        let notice = DirectNotice::Read {
            conversation: RoomId::from(place.trim_end_matches(READ)),
            reader: UserId::from(read_by),
            messages: read.message_ids.into_iter().map(MessageId::from).collect(),
            read_at_ms: iso8601::to_unix_ms(&read.read_at).unwrap_or(now_ms),
        };
        return Ok((notice, instance(origin)));
    }
    if place.ends_with(SIGNAL) {
        let Said { what, origin }: Said<SignalText> = read(text)?;
        let conversation = RoomId::from(place.trim_end_matches(SIGNAL));
        let notice = DirectNotice::Signal { conversation, by: UserId::from(what.user_id), signal: what.signal };
        return Ok((notice, instance(origin)));
    }
    let Said { what, origin }: Said<MessageJson> = read(text)?;
    if place.ends_with(EARLY) {
        return Ok((DirectNotice::Early(what.into()), instance(origin)));
    }
    Ok((DirectNotice::Message(what.into()), instance(origin)))
}

/// The message of the main server. Every instance hears it, so an id that it lacks is made of its text: the same everywhere.
fn incoming(text: &str, now_ms: u64) -> Result<Message, String> {
    let said: IncomingText = read(text)?;
    let (sender, receiver) = (said.sender_id.member(), said.receiver_id.member());
    let conversation = id_of(&sender.user, &receiver.user);
    let id = said.id.unwrap_or_else(|| id_of_text(text));
    let json = MessageJson {
        id,
        conversation_id: conversation.to_string(),
        sender_id: UserJson::Id(sender.user.to_string()),
        receiver_id: UserJson::Id(receiver.user.to_string()),
        message: said.message,
        message_type: said.message_type.unwrap_or_else(|| "text".to_owned()),
        attachment_url: said.attachment_url,
        is_read: false,
        read_at: None,
        created_at: said.created_at.unwrap_or_else(|| iso8601::from_unix_ms(now_ms)),
        sequence: None,
    };
    Ok(json.into())
}

/// 24 hex digits that follow from a text (FNV-1a, twice from different starts).
fn id_of_text(text: &str) -> String {
    let hash = |start: u64| {
        text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    let (one, other) = (hash(0xcbf2_9ce4_8422_2325), hash(0x8422_2325_cbf2_9ce4));
    format!("{one:016x}{:08x}", other >> 32)
}

/// An id of a stored message: 24 hex digits, in the order of time as far as milliseconds tell.
#[must_use]
pub fn fresh_id() -> MessageId {
    let mut id = chance::timed_uuid().simple().to_string();
    id.truncate(24);
    MessageId::from(id)
}

fn instance(origin: Option<String>) -> Option<InstanceId> {
    origin.map(|origin| InstanceId::from(origin.as_str()))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|problem| problem.to_string())
}
