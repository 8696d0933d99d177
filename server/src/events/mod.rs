//! The port `events`: other services learn that a message was sent (a notification service, for instance).

pub mod conversations_wire;
pub mod json_lines;
pub mod kafka;
pub mod memory;
pub mod memory_queue;
pub mod queue;
pub mod rabbitmq;
pub mod rabbitmq_queue;
pub mod several;
pub mod wire;

use std::fmt;

use chatwright_protocol::vocabulary::{Message, MessageId, RoomId, RoomKind, UserId};
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::store::RoomRecord;

/// A message was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSent {
    /// Which message; the same when it is said again.
    pub message: MessageId,
    /// Where.
    pub room: RoomId,
    /// Who sent it.
    pub sender: UserId,
    /// The other participant of a direct room; `None` in a group.
    pub receiver: Option<UserId>,
    /// All other participants, where the dialect says them.
    pub recipients: Vec<UserId>,
    /// The same when the event is said again, where the dialect has such an id.
    pub dedupe_id: Option<Uuid>,
    /// The text.
    pub text: String,
    /// Milliseconds since the Unix epoch.
    pub sent_at_ms: u64,
}

impl MessageSent {
    /// The event of a message of a room with this record, if it has one.
    #[must_use]
    pub fn of(message: &Message, record: Option<&RoomRecord>) -> Self {
        Self {
            message: message.id.clone(),
            room: message.room.clone(),
            sender: message.sender.user.clone(),
            receiver: record.and_then(|record| other_participant(record, &message.sender.user)),
            recipients: Vec::new(),
            dedupe_id: None,
            text: message.text.clone(),
            sent_at_ms: message.sent_at_ms,
        }
    }
}

/// The event was not taken over; it is to be offered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken(
    /// Words for the log.
    pub String,
);

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event not taken: {}", self.0)
    }
}

impl std::error::Error for NotTaken {}

/// Takes over what other services shall learn.
///
/// Promises of every adapter: *delivery* at least once from `Ok` on (a receiver recognises repetitions by the message id); *order* per
/// room as offered; *time* bounded. A broker that is away delays events and never messages: the caller does not wait for it.
pub trait EventSink: Send + Sync {
    /// Takes over one event.
    fn offer<'a>(&'a self, event: &'a MessageSent) -> BoxFuture<'a, Result<(), NotTaken>>;

    /// Takes over several, and says of each whether it is taken. Of one room none is taken behind one that is not.
    fn offer_all<'a>(&'a self, events: &'a [&'a MessageSent]) -> BoxFuture<'a, Vec<Result<(), NotTaken>>> {
        Box::pin(async move {
            let mut offered = Vec::with_capacity(events.len());
            for event in events {
                let taken = match offered.last() {
                    Some(Err(problem)) => Err(NotTaken::clone(problem)),
                    Some(Ok(())) | None => self.offer(event).await,
                };
                offered.push(taken);
            }
            offered
        })
    }

    /// Whether it would take an event now. Who cannot tell without one says yes.
    fn ping(&self) -> BoxFuture<'_, Result<(), NotTaken>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The name of the technology, for `/health` and logs, e.g. `kafka`.
    fn technology(&self) -> &'static str;
}

/// The one other participant of a direct room.
fn other_participant(record: &RoomRecord, sender: &UserId) -> Option<UserId> {
    if record.kind != RoomKind::Direct {
        return None;
    }
    let mut others = record.participants.iter().filter(|user| *user != sender);
    match (others.next(), others.next()) {
        (Some(other), None) => Some(other.clone()),
        (Some(_), Some(_)) | (None, _) => None,
    }
}
