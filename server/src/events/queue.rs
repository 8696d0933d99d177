//! The port between `gateway`'s chat service, which publishes each message, and its message service, which stores it: a durable queue.
//!
//! A message that was published is confirmed to its sender, before any database has it. So the queue is the promise: what it took, it
//! keeps until somebody says that it is stored.

use chatwright_protocol::vocabulary::Message;
use futures_util::future::BoxFuture;

use super::NotTaken;

/// The publishing end.
///
/// Promises of every adapter:
/// - *Confirmation*: `Ok` means that the broker has written the message down: it survives the death of the broker's process and of any
///   instance. An adapter reconnects by itself; while the broker is away each call fails within a bounded time.
/// - *Order*: messages that one instance publishes one after the other are delivered in that order.
/// - *Delivery*: at least once; whoever stores recognises repetitions by the message's id. After an error the message may or may not
///   have been taken; publishing it again is right.
pub trait PersistQueue: Send + Sync {
    /// Hands over one message.
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), NotTaken>>;

    /// Whether the broker takes messages now.
    fn ping(&self) -> BoxFuture<'_, Result<(), NotTaken>>;

    /// The name of the technology, for health answers and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}

/// One message that waits to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Names this delivery to [`PersistFeed::settle`]; means nothing after a reconnection.
    pub tag: u64,
    /// What is to be stored. Its `sequence` is 0: the archive gives it one.
    pub message: Message,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is stored: the queue may forget it.
    Stored,
    /// It can never be stored, in words for the log: it goes to the dead letters, where people look.
    Dead(String),
}

/// The consuming end.
///
/// Promises of every adapter:
/// - *Acknowledgement by hand*: a delivery that is not settled comes again, to this consumer or to another one, when this one dies or
///   loses its connection. Settling what was delivered over an earlier connection does nothing.
/// - *Order*: deliveries come in the order of the queue, one at a time, and to one living consumer at a time, however many wait: the next
///   one comes after the last was settled. Otherwise two consumers would store two messages of one sender in either order. Who retries
///   therefore does so with the delivery in hand.
/// - *Dead letters*: what the adapter cannot even read goes there by itself and is never delivered.
/// - *Reconnection*: by itself; [`next`](Self::next) just takes longer.
pub trait PersistFeed: Send + Sync {
    /// The next message; waits for one. Dropping the future loses nothing.
    fn next(&self) -> BoxFuture<'_, Pending>;

    /// Says what became of a delivery.
    fn settle(&self, tag: u64, outcome: Settled) -> BoxFuture<'_, ()>;

    /// Whether deliveries can come now.
    fn ping(&self) -> BoxFuture<'_, Result<(), NotTaken>>;

    /// The name of the technology, for health answers and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}
