//! `gateway`: the contracts of its ports in memory and on Redis, and its services in one process and apart.
#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

#[path = "../support/mod.rs"]
mod support;

mod apart;
mod cache;
mod http;
mod persist;
mod ports;
mod recovery;
mod tokens;

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};
use chatwright_server::chat::gateway::object_id;

/// What Ann said, on its way to the store.
fn message(room: &RoomId, text: &str) -> Message {
    Message {
        id: MessageId::from(object_id()),
        room: room.clone(),
        sender: Member { user: UserId::from("ann"), name: "Ann".to_owned() },
        text: text.to_owned(),
        kind: MessageKind::Text,
        attachment: None,
        sent_at_ms: 1,
        sequence: 0,
        receiver: None,
        read_at_ms: None,
    }
}
