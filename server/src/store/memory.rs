//! Messages and rooms kept in this process: the default, and the double in tests (instances may share one).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use chatwright_protocol::vocabulary::RoomId;
use futures_util::future::ready;

use super::{Attempt, Draft, History, MessageStore, Position, RoomRecord, StoreError, StoreFuture, Stored};

/// The memory's one life: it counts on as long as the process lives.
const GENERATION: u64 = 1;

/// How many rooms are remembered; beyond it, the one that was quiet longest is forgotten with its messages. It bounds the memory of a
/// server whose clients make up room names.
pub const ROOMS_MAX: usize = 100_000;

/// What is kept of each room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many messages of a room.
    pub history_messages_max: usize,
    /// How long after its newest message a room's messages are kept.
    pub history_ttl: Duration,
}

/// Messages in memory.
#[derive(Debug)]
pub struct MemoryMessages {
    retention: Retention,
    rooms: Mutex<HashMap<RoomId, Room>>,
}

#[derive(Debug, Default)]
struct Room {
    record: Option<RoomRecord>,
    sequence: u64,
    messages: VecDeque<Stored>,
    touched: Option<Instant>,
}

impl MemoryMessages {
    /// An empty store.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self { retention, rooms: Mutex::new(HashMap::new()) }
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, Room>> {
        self.rooms.lock().expect("no code panics while it holds the rooms")
    }

    fn place(&self, draft: &Draft, attempt: Attempt) -> Position {
        let mut rooms = self.rooms();
        make_place(&mut rooms, &draft.room);
        let room = rooms.entry(draft.room.clone()).or_default();
        room.expire(self.retention.history_ttl);
        if attempt == Attempt::Again
            && let Some(there) = room.messages.iter().rev().find(|stored| stored.message.id == draft.id)
        {
            return there.position();
        }
        room.sequence += 1;
        let position = room.position();
        room.messages.push_back(draft.clone().placed(position));
        while room.messages.len() > self.retention.history_messages_max {
            room.messages.pop_front();
        }
        room.touched = Some(Instant::now());
        position
    }

    fn read(&self, room: &RoomId, read: impl FnOnce(&Room) -> Vec<Stored>) -> History {
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(room) else { return History::default() };
        room.expire(self.retention.history_ttl);
        History { messages: read(room), latest: room.position() }
    }
}

impl Room {
    fn position(&self) -> Position {
        if self.sequence == 0 {
            return Position::default();
        }
        Position { generation: GENERATION, sequence: self.sequence }
    }

    fn expire(&mut self, ttl: Duration) {
        if self.touched.is_some_and(|touched| touched.elapsed() > ttl) {
            self.messages.clear();
        }
    }
}

/// Forgets the room that was quiet longest if a new one would be too many.
fn make_place(rooms: &mut HashMap<RoomId, Room>, wanted: &RoomId) {
    if rooms.len() < ROOMS_MAX || rooms.contains_key(wanted) {
        return;
    }
    let quietest = rooms.iter().min_by_key(|(_, room)| room.touched).map(|(id, _)| id.clone());
    if let Some(quietest) = quietest {
        rooms.remove(&quietest);
    }
}

impl MessageStore for MemoryMessages {
    fn append<'a>(&'a self, draft: &'a Draft, attempt: Attempt) -> StoreFuture<'a, Position> {
        Box::pin(ready(Ok(self.place(draft, attempt))))
    }

    fn history<'a>(&'a self, room: &'a RoomId, limit: usize) -> StoreFuture<'a, History> {
        let history = self.read(room, |room| {
            let skip = room.messages.len().saturating_sub(limit);
            room.messages.iter().skip(skip).cloned().collect()
        });
        Box::pin(ready(Ok(history)))
    }

    fn since<'a>(&'a self, room: &'a RoomId, after: Position) -> StoreFuture<'a, History> {
        let history = self.read(room, |room| {
            let start = room.messages.partition_point(|stored| stored.position() <= after);
            room.messages.iter().skip(start).cloned().collect()
        });
        Box::pin(ready(Ok(history)))
    }

    fn latest<'a>(&'a self, rooms: &'a [RoomId]) -> StoreFuture<'a, Vec<Position>> {
        let known = self.rooms();
        let positions =
            rooms.iter().map(|room| known.get(room).map_or_else(Position::default, Room::position)).collect();
        Box::pin(ready(Ok(positions)))
    }

    fn open_room<'a>(&'a self, record: &'a RoomRecord) -> StoreFuture<'a, RoomRecord> {
        let mut rooms = self.rooms();
        make_place(&mut rooms, &record.room);
        let room = rooms.entry(record.room.clone()).or_default();
        room.touched.get_or_insert_with(Instant::now);
        let counts = room.record.get_or_insert_with(|| record.clone()).clone();
        Box::pin(ready(Ok(counts)))
    }

    fn room<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Option<RoomRecord>> {
        let record = self.rooms().get(room).and_then(|room| room.record.clone());
        Box::pin(ready(Ok(record)))
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(ready(Ok::<(), StoreError>(())))
    }

    fn technology(&self) -> &'static str {
        "memory"
    }
}
