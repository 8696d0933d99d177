//! What "stored" means to `gateway`'s chat service: the durable queue has taken the message. The newest messages of each room stand in a
//! second place for a while, which gives live messages their positions and lets instances catch up with each other.

use std::sync::Arc;

use chatwright_protocol::vocabulary::RoomId;

use crate::{
    events::queue::PersistQueue,
    store::{Attempt, Draft, History, MessageStore, Position, RoomRecord, StoreError, StoreFuture},
};

/// A message store whose confirmation is the queue's.
pub struct ConfirmedMessages {
    queue: Arc<dyn PersistQueue>,
    recent: Arc<dyn MessageStore>,
}

impl ConfirmedMessages {
    /// Confirms by this queue; `recent` keeps the newest messages.
    #[must_use]
    pub fn new(queue: Arc<dyn PersistQueue>, recent: Arc<dyn MessageStore>) -> Self {
        Self { queue, recent }
    }
}

impl MessageStore for ConfirmedMessages {
    /// The queue first: nobody may hear as confirmed what it has not taken. A second attempt publishes a second time; whoever stores
    /// recognises the id.
    fn append<'a>(&'a self, draft: &'a Draft, attempt: Attempt) -> StoreFuture<'a, Position> {
        Box::pin(async move {
            let message = draft.clone().placed(Position::default()).message;
            let taken = self.queue.publish(&message).await;
            taken.map_err(|problem| StoreError::Unavailable(problem.to_string()))?;
            self.recent.append(draft, attempt).await
        })
    }

    fn history<'a>(&'a self, room: &'a RoomId, limit: usize) -> StoreFuture<'a, History> {
        self.recent.history(room, limit)
    }

    fn since<'a>(&'a self, room: &'a RoomId, after: Position) -> StoreFuture<'a, History> {
        self.recent.since(room, after)
    }

    fn latest<'a>(&'a self, rooms: &'a [RoomId]) -> StoreFuture<'a, Vec<Position>> {
        self.recent.latest(rooms)
    }

    fn open_room<'a>(&'a self, record: &'a RoomRecord) -> StoreFuture<'a, RoomRecord> {
        Box::pin(std::future::ready(Ok(record.clone()))) // rooms have no records here: whoever names one is in it
    }

    fn room<'a>(&'a self, _: &'a RoomId) -> StoreFuture<'a, Option<RoomRecord>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Only the queue, which is what [`technology`](Self::technology) names: the second place is the server of the bus, which answers for
    /// itself.
    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.queue.ping().await.map_err(|problem| StoreError::Unavailable(problem.to_string())) })
    }

    fn technology(&self) -> &'static str {
        self.queue.technology()
    }
}
