//! The port `store`: what outlives a connection. Messages and rooms ([`MessageStore`]), who is where ([`RosterStore`]), whose client may come back
//! to another instance ([`away`]).
//!
//! Several traits, because a deployment may keep them in different places (messages in a document store behind a cache, the roster
//! only where keys expire). One folder or file per technology.

pub mod archive;
pub mod archived;
pub mod away;
pub mod conversations;
pub mod direct;
pub mod gateway;
pub mod memory;
pub mod memory_away;
pub mod memory_direct;
pub mod memory_gateway;
pub mod memory_roster;
pub mod mongodb;
pub mod postgres;
pub mod redis;
pub mod sessions;

use std::{fmt, sync::Arc, time::Duration};

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, RoomKind, UserId};
use futures_util::future::BoxFuture;

/// The answer of a store.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Why a store did not do it. Both mean that nothing may be confirmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is away or too slow: the same request may succeed later. It may or may not have taken effect.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The store answered something that this code does not understand: a bug or foreign data under our keys.
    #[error("store answered nonsense: {0}")]
    Corrupt(String),
}

/// Where a message stands in its room.
///
/// Positions of one room are totally ordered: first by generation, then by sequence. The generation changes only when the store
/// lost its data and counts from 1 again; without it, an instance that had seen message 57 would take the new message 1 for an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Which life of the store; grows.
    pub generation: u64,
    /// From 1, without gaps within a generation.
    pub sequence: u64,
}

impl Position {
    /// The position that follows in the same generation.
    #[must_use]
    pub fn next(self) -> Self {
        Self { sequence: self.sequence + 1, ..self }
    }
}

/// A message that has no position yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Made by the server; the key of idempotency.
    pub id: MessageId,
    /// Where.
    pub room: RoomId,
    /// Who sent it, as verified.
    pub sender: Member,
    /// The text as sent.
    pub text: String,
    /// What kind of content the text is.
    pub kind: MessageKind,
    /// Milliseconds since the Unix epoch.
    pub sent_at_ms: u64,
}

impl Draft {
    /// The message once it stands at `position`.
    #[must_use]
    pub fn placed(self, position: Position) -> Stored {
        Stored {
            generation: position.generation,
            message: Message {
                id: self.id,
                room: self.room,
                sender: self.sender,
                text: self.text,
                kind: self.kind,
                sent_at_ms: self.sent_at_ms,
                sequence: position.sequence,
                receiver: None,
                attachment: None,
                read_at_ms: None,
            },
        }
    }
}

/// A message that the store confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The generation of its position; the sequence is in the message.
    pub generation: u64,
    /// The message.
    pub message: Message,
}

impl Stored {
    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { generation: self.generation, sequence: self.message.sequence }
    }
}

/// The newest messages of a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Oldest first.
    pub messages: Vec<Stored>,
    /// Where the room stood when this was read; not below the last message's position. Messages may have expired, so it can be
    /// above zero while `messages` is empty. The default (0, 0) means that nothing was ever stored.
    pub latest: Position,
}

/// What is known of a room beyond its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRecord {
    /// Which.
    pub room: RoomId,
    /// What it is for.
    pub kind: RoomKind,
    /// Who belongs to it, as its first joiner said.
    pub participants: Vec<UserId>,
}

/// Whether a draft may already have been stored by an attempt whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// It cannot be there yet: the store need not look.
    First,
    /// It may be there: the store looks for its id among the newest messages before it writes.
    Again,
}

/// Messages and rooms.
///
/// Promises of every adapter:
/// - *Order*: [`append`](Self::append) gives positions without gaps, each once, in the order in which appends take effect; a reader
///   that sees position n sees (or has lost to expiry and trimming) all before it.
/// - *Atomicity*: an append is there with its position or not at all; two concurrent ones never share a position.
/// - *Idempotency*: with [`Attempt::Again`] a draft whose id is among the kept messages is not written twice; its first position is
///   returned. Without this, a retry after a lost answer would put a message into the history twice.
/// - *Confirmation*: `Ok` means that the message survives the death of any server instance.
/// - *Expiry*: at most `history_messages_max` messages per room are kept, the newest; a room's messages may be dropped
///   `history_ttl` after its newest one.
/// - *Time*: each call answers within a bounded time.
pub trait MessageStore: Send + Sync {
    /// Stores a message and gives it its position.
    fn append<'a>(&'a self, draft: &'a Draft, attempt: Attempt) -> StoreFuture<'a, Position>;

    /// The newest `limit` messages of a room, oldest first.
    fn history<'a>(&'a self, room: &'a RoomId, limit: usize) -> StoreFuture<'a, History>;

    /// The kept messages above `after`, oldest first. Those of a later generation count as above.
    fn since<'a>(&'a self, room: &'a RoomId, after: Position) -> StoreFuture<'a, History>;

    /// Where each of these rooms stands, in the order asked. Cheap: an instance asks regularly for all rooms that it serves, so that
    /// a lost bus message is noticed even if no other follows. Asking also keeps a room's position from expiring.
    fn latest<'a>(&'a self, rooms: &'a [RoomId]) -> StoreFuture<'a, Vec<Position>>;

    /// Makes the room's record if it has none; returns the record that counts.
    fn open_room<'a>(&'a self, record: &'a RoomRecord) -> StoreFuture<'a, RoomRecord>;

    /// The room's record.
    fn room<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Option<RoomRecord>>;

    /// Whether the store answers now.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// The name of the technology, for `/health` and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}

/// A server process, unique among all that ever ran. Devices belong to an instance and expire with its lease.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// An id that nobody else has.
    #[must_use]
    pub fn fresh() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string().into())
    }

    /// The id as text: 32 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for InstanceId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceId({})", &self.0)
    }
}

/// One connection of one user on one instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    /// Where it is connected.
    pub instance: InstanceId,
    /// Its public id: never the engine's session id.
    pub id: DeviceId,
    /// Whose it is.
    pub member: Member,
}

/// The public id of a connection: may be shown to anybody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// An id that nobody else has. Says nothing about the engine's session id, which is a secret.
    #[must_use]
    pub fn fresh() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string().into())
    }

    /// The id as text: 32 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DeviceId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The answer to a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admission {
    /// It counts now.
    Admitted,
    /// The user has as many living connections as allowed; nothing was changed.
    Full,
}

/// How an instance's lease was found when it was renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lease {
    /// It held: what the instance entered is still there.
    Held,
    /// It had run out (or the store lost its data): the instance's devices may have been removed and must be entered again.
    Lost,
}

/// What the cluster's roster holds for an instance: a connection (`room` is `None`) or a device in a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Which device.
    pub device: Device,
    /// In which room.
    pub room: Option<RoomId>,
}

/// A user whose last device in a room vanished with a dead instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Departure {
    /// Which room.
    pub room: RoomId,
    /// Who.
    pub member: Member,
}

/// Who is connected, and who is in which room, in the whole cluster.
///
/// Promises of every adapter:
/// - *Atomicity*: of two devices of a user that enter a room at once, exactly one is told `first`; of two that leave, exactly one
///   `last`. Of two connections that ask for the last free place, one gets it. Without this a room would hear `user_joined` twice.
/// - *Expiry*: a device counts only while its instance's lease lives. After an instance died, at most `lease` later its devices count
///   nowhere, and [`reap`](Self::reap) hands each departure to exactly one caller. Without this, ghosts would fill rosters and limits for ever.
/// - *Idempotency*: entering, leaving, connecting and disconnecting twice is the same as once (the second time is never `first` or `last`).
/// - *Time*: each call answers within a bounded time.
pub trait RosterStore: Send + Sync {
    /// Renews the lease of an instance; the first call makes it.
    fn renew<'a>(&'a self, instance: &'a InstanceId, lease: Duration) -> StoreFuture<'a, Lease>;

    /// Ends the lease of an instance whose devices have left (a clean stop).
    fn resign<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, ()>;

    /// Counts a connection of its user, unless he has `connections_max` others; marks him on-line.
    fn connect<'a>(&'a self, device: &'a Device, connections_max: usize) -> StoreFuture<'a, Admission>;

    /// Uncounts a connection; marks the user off-line if it was his last.
    fn disconnect<'a>(&'a self, device: &'a Device) -> StoreFuture<'a, ()>;

    /// Puts a device into a room; `true` if its user was not there before.
    fn enter<'a>(&'a self, room: &'a RoomId, device: &'a Device) -> StoreFuture<'a, bool>;

    /// Takes a device out of a room; `true` if its user is gone from there with it.
    fn leave<'a>(&'a self, room: &'a RoomId, device: &'a Device) -> StoreFuture<'a, bool>;

    /// The users in a room, each once, in the order of their ids.
    fn members<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Vec<UserId>>;

    /// Says that these devices' users are still here (refreshes their presence, which expires by itself).
    fn refresh<'a>(&'a self, devices: &'a [Device]) -> StoreFuture<'a, ()>;

    /// All that is entered for an instance, in no particular order. Together with what the instance knows itself, it heals a roster
    /// that missed something while the store was away.
    fn entries<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, Vec<Entry>>;

    /// Removes the devices of instances whose lease ran out; returns the users that are gone by it. Each departure is returned once,
    /// to one caller in the cluster.
    fn reap(&self) -> StoreFuture<'_, Vec<Departure>>;
}
