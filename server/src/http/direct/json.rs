//! The answers of the REST routes as JSON.

use chatwright_protocol::{
    dialects::direct::wire::{self, UserJson},
    iso8601,
    vocabulary::{Message, UserId},
};
use serde::Serialize;

use crate::{chat::direct::Names, store::direct::ConversationSummary};

/// `{"success":true,"data":[...]}`.
#[derive(Debug, Serialize)]
pub(super) struct ListJson<T> {
    success: bool,
    data: Vec<T>,
}

impl<T> ListJson<T> {
    pub(super) fn of(data: Vec<T>) -> Self {
        Self { success: true, data }
    }
}

/// A page of history.
#[derive(Debug, Serialize)]
pub(super) struct PageJson {
    pub(super) success: bool,
    pub(super) data: Vec<MessageJson>,
    pub(super) pagination: PaginationJson,
}

#[derive(Debug, Serialize)]
pub(super) struct PaginationJson {
    pub(super) total: u64,
    pub(super) page: usize,
    pub(super) limit: u64,
    pub(super) pages: u64,
}

/// A message as on the socket, with its users named.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct MessageJson(wire::MessageJson);

impl MessageJson {
    pub(super) fn new(message: &Message, names: &Names) -> Self {
        let named = |user: &UserId| UserJson::Named { id: user.to_string(), name: name(user, names) };
        let mut json = wire::MessageJson::from(message);
        json.sender_id = named(&message.sender.user);
        if let Some(receiver) = &message.receiver {
            json.receiver_id = named(receiver);
        }
        Self(json)
    }
}

/// A conversation in the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationJson {
    conversation_id: String,
    last_message: String,
    last_message_time: String,
    unread_count: u64,
    other_user_id: String,
    other_user: OtherUserJson,
}

/// A user as others may see him.
#[derive(Debug, Serialize)]
struct OtherUserJson {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    email: String,
}

impl ConversationJson {
    pub(super) fn new(summary: &ConversationSummary, names: &Names) -> Self {
        let peer = &summary.peer;
        Self {
            conversation_id: summary.conversation.to_string(),
            last_message: summary.last.text.clone(),
            last_message_time: iso8601::from_unix_ms(summary.last.sent_at_ms),
            unread_count: summary.unread,
            other_user_id: peer.to_string(),
            other_user: OtherUserJson {
                id: peer.to_string(),
                name: name(peer, names),
                email: names.get(peer).map(|record| record.email.clone()).unwrap_or_default(),
            },
        }
    }
}

/// The name to show: the id where no token ever stated one.
fn name(user: &UserId, names: &Names) -> String {
    names.get(user).map_or_else(|| user.to_string(), |record| record.name.clone())
}
