//! The port behind the messages of `rooms`: what is kept for good, written after the message was confirmed and read where the front forgot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

use chatwright_protocol::vocabulary::{MessageId, RoomId};
use futures_util::future::ready;

use super::{Position, RoomRecord, StoreFuture, Stored};

/// Something to keep for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A message at its position.
    Message(Stored),
    /// A room's record, as it counts.
    Room(RoomRecord),
}

/// An archive of messages and rooms.
///
/// Promises of every adapter:
/// - *Idempotency*: keeping the same twice is the same as once. Without this, a retry after a lost answer would double a message.
/// - *Atomicity*: a message is kept together with the event that tells of it, or neither is.
/// - *Confirmation*: `Ok` means that it survives the death of the archive's process.
/// - *Order*: messages are read in the order of their positions, whatever the order in which they were written.
/// - *Time*: each call answers within a bounded time.
pub trait Archive: Send + Sync {
    /// Keeps messages and rooms' records; a later record of a room takes the place of an earlier one. A room's last message is the one with
    /// the highest position, in whatever order they come. After an error some may be kept: all are to be kept again.
    fn keep<'a>(&'a self, kept: &'a [Kept]) -> StoreFuture<'a, ()>;

    /// The newest `limit` messages of a room below a position, oldest first.
    fn before<'a>(&'a self, room: &'a RoomId, before: Position, limit: usize) -> StoreFuture<'a, Vec<Stored>>;

    /// A room's record.
    fn room<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Option<RoomRecord>>;

    /// Messages of which other services have not learned, in the order of their positions.
    fn unpublished(&self, limit: usize) -> StoreFuture<'_, Vec<Stored>>;

    /// Other services have learned of these messages.
    fn published<'a>(&'a self, messages: &'a [MessageId]) -> StoreFuture<'a, ()>;

    /// Whether the archive answers now.
    fn ping(&self) -> StoreFuture<'_, ()>;
}

/// An archive in this process, for tests.
#[derive(Debug, Default)]
pub struct MemoryArchive(Mutex<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    messages: BTreeMap<(RoomId, Position), Stored>,
    pending: BTreeSet<(Position, MessageId)>,
    rooms: BTreeMap<RoomId, RoomRecord>,
}

impl MemoryArchive {
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().expect("no code panics while it holds the shelves")
    }
}

impl Archive for MemoryArchive {
    fn keep<'a>(&'a self, kept: &'a [Kept]) -> StoreFuture<'a, ()> {
        let mut shelves = self.shelves();
        for one in kept {
            match one {
                Kept::Message(stored) => {
                    let key = (stored.message.room.clone(), stored.position());
                    if shelves.messages.insert(key, stored.clone()).is_none() {
                        shelves.pending.insert((stored.position(), stored.message.id.clone()));
                    }
                }
                Kept::Room(record) => {
                    shelves.rooms.insert(record.room.clone(), record.clone());
                }
            }
        }
        Box::pin(ready(Ok(())))
    }

    fn before<'a>(&'a self, room: &'a RoomId, before: Position, limit: usize) -> StoreFuture<'a, Vec<Stored>> {
        let range = (room.clone(), Position::default())..(room.clone(), before);
        let mut messages: Vec<Stored> =
            self.shelves().messages.range(range).rev().take(limit).map(|(_, stored)| stored.clone()).collect();
        messages.reverse();
        Box::pin(ready(Ok(messages)))
    }

    fn room<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Option<RoomRecord>> {
        Box::pin(ready(Ok(self.shelves().rooms.get(room).cloned())))
    }

    fn unpublished(&self, limit: usize) -> StoreFuture<'_, Vec<Stored>> {
        let shelves = self.shelves();
        let mut pending: Vec<Stored> =
            shelves.messages.values().filter(|stored| shelves.is_pending(stored)).cloned().collect();
        pending.sort_by_key(Stored::position);
        pending.truncate(limit);
        Box::pin(ready(Ok(pending)))
    }

    fn published<'a>(&'a self, messages: &'a [MessageId]) -> StoreFuture<'a, ()> {
        self.shelves().pending.retain(|(_, pending)| !messages.contains(pending));
        Box::pin(ready(Ok(())))
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }
}

impl Shelves {
    fn is_pending(&self, stored: &Stored) -> bool {
        self.pending.contains(&(stored.position(), stored.message.id.clone()))
    }
}
