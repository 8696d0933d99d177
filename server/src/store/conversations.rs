//! The port for `conversations`: messages between exact sets of users, and the events about them that other services shall learn.

pub mod memory;

use chatwright_protocol::vocabulary::{Message, MessageId, RoomId, UserId};
use uuid::Uuid;

use super::{Attempt, StoreFuture};
use crate::events::MessageSent;

/// A message that has neither conversation nor sequence yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Made by the server (a cuid); the key of idempotency.
    pub id: MessageId,
    /// Who sends it, as verified.
    pub sender: UserId,
    /// Sender and recipients: sorted, each once, at least two.
    pub participants: Vec<UserId>,
    /// The text as sent.
    pub text: String,
    /// Milliseconds since the Unix epoch: `createdAt`.
    pub sent_at_ms: u64,
}

/// A conversation as somebody finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which.
    pub conversation: RoomId,
    /// Its participants, sorted; they never change.
    pub participants: Vec<UserId>,
    /// The sequence of its newest message.
    pub sequence: u64,
}

/// An event that waits to be told to other services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEvent {
    /// Its place in the outbox; grows.
    pub place: u64,
    /// The event, complete with recipients and `dedupe_id`, which is the same whenever the event is handed out.
    pub event: MessageSent,
}

/// Which messages of a conversation are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// The newest.
    Newest,
    /// The newest of those before this message; none if the conversation has no such message.
    Before(MessageId),
    /// The oldest of those above this sequence.
    Above(u64),
}

/// Conversations and their messages.
///
/// Promises of every adapter:
/// - *Identity*: the same set of participants is the same conversation, also when the first messages of two senders meet. Without this two
///   people who greet each other at once would talk past each other for ever.
/// - *Order*: [`send`](Self::send) gives sequences from 1 without gaps, each once, in the order in which sends take effect; a reader that
///   sees sequence n sees all before it.
/// - *Atomicity*: conversation, participants, message, `lastMessageAt` and the event in the outbox are there together or not at all.
/// - *Idempotency*: with [`Attempt::Again`] a letter whose id is stored is not written twice; its first message is returned.
/// - *Confirmation*: `Ok` means that the message survives the death of any server instance.
/// - *Outbox*: an event is handed out by [`waiting_events`](Self::waiting_events) until [`events_told`](Self::events_told); events of one
///   conversation come in the order of its sequences. Instances ask at once: an adapter may hand the same event to two of them (receivers
///   recognise it by its `dedupe_id`), better to one.
/// - *Time*: each call answers within a bounded time.
pub trait ConversationStore: Send + Sync {
    /// Stores a message in the conversation of exactly its participants, which is made with a fresh id (a cuid) if it is not there;
    /// moves `lastMessageAt`, and the sender's `lastReadAt`.
    fn send<'a>(&'a self, letter: &'a Letter, attempt: Attempt) -> StoreFuture<'a, Message>;

    /// A conversation as it is now; `None`: no such.
    fn conversation<'a>(&'a self, conversation: &'a RoomId) -> StoreFuture<'a, Option<Head>>;

    /// At most `limit` messages of a conversation, always oldest first; none of one that is not there.
    fn messages<'a>(&'a self, conversation: &'a RoomId, page: &'a Page, limit: usize) -> StoreFuture<'a, Vec<Message>>;

    /// The conversations of any of these users whose newest message was sent at or after `active_since_ms`: those with the newest
    /// messages, at most `limit`, each once.
    fn heads<'a>(&'a self, users: &'a [UserId], active_since_ms: u64, limit: usize) -> StoreFuture<'a, Vec<Head>>;

    /// Moves a participant's `lastReadAt` forward to this instant. Nothing happens for who is no participant.
    fn mark_read<'a>(&'a self, conversation: &'a RoomId, user: &'a UserId, at_ms: u64) -> StoreFuture<'a, ()>;

    /// Nobody of this process will ask for events. A store that only this process knows need not keep any; in others somebody else may ask.
    fn expect_no_reader(&self) {}

    /// The oldest events that wait, at most `limit`.
    fn waiting_events(&self, limit: usize) -> StoreFuture<'_, Vec<WaitingEvent>>;

    /// These events were taken over; they are handed out no more.
    fn events_told<'a>(&'a self, places: &'a [u64]) -> StoreFuture<'a, ()>;

    /// Whether the store answers now.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// The name of the technology, for `/health` and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}

/// The event about a stored message.
#[must_use]
pub fn event_of(message: &Message, participants: &[UserId], dedupe_id: Uuid) -> MessageSent {
    MessageSent {
        message: message.id.clone(),
        room: message.room.clone(),
        sender: message.sender.user.clone(),
        receiver: None,
        recipients: participants.iter().filter(|user| **user != message.sender.user).cloned().collect(),
        dedupe_id: Some(dedupe_id),
        text: message.text.clone(),
        sent_at_ms: message.sent_at_ms,
    }
}
