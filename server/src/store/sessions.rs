//! The port of `sessions`: who is in a room, who may still come back, and who is gone. Nothing that is said is kept.

pub mod failover;
pub mod memory;
pub mod redis;

use std::time::Duration;

use chatwright_protocol::vocabulary::{Member, RoomId};

use super::{Device, Entry, InstanceId, Lease, StoreFuture};

/// How a user was found who enters a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// Nobody knew him there.
    New,
    /// His departure had been confirmed, and the room still exists.
    Back,
    /// He never left: another device of his is there, or his grace period had not ended.
    Present,
}

/// A point in the life of a store, growing with each change. It tells which of two statements about a user is the newer one.
pub type Version = u64;

/// The answer to who enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// How he was found.
    pub arrival: Arrival,
    /// The room with him in it.
    pub room: Presence,
}

/// Who is in a room: those with a device there and those in their grace period, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presence {
    /// The users, in the order of their ids.
    pub members: Vec<Member>,
    /// When that was so.
    pub version: Version,
}

/// A user whose departure is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// From which room.
    pub room: RoomId,
    /// Who.
    pub member: Member,
    /// When.
    pub version: Version,
}

/// The departures that are due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// Those confirmed by this very question.
    pub departures: Vec<Departure>,
    /// After how long the next grace period ends; `None`: nobody is in one.
    pub next: Option<Duration>,
}

/// A room takes no more users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoomFull;

/// Who is in which room, in the whole cluster.
///
/// Promises of every adapter:
/// - *Grace*: a user leaves a room when his last device there does and none comes within the grace period, on whatever instance. Without
///   this, a page reload behind a balancer would be told as a departure.
/// - *Once*: each departure is returned by [`due`](Self::due) to one caller in the cluster, whoever started the grace period and whether he
///   still lives.
/// - *Atomicity*: of two devices of a user that enter at once, at most one is told [`Arrival::New`] or [`Arrival::Back`].
/// - *Expiry*: the devices of an instance whose lease ran out count as gone since then: their users' grace periods begin.
/// - *Clean-up*: a room with nobody in it and nobody in a grace period is forgotten, also who was there before.
/// - *Versions* never repeat and never go back, also when the store lost its data.
/// - *Idempotency*: entering and leaving twice is the same as once.
/// - *Time*: each call answers within a bounded time.
pub trait SessionStore: Send + Sync {
    /// Puts a device into a room that takes at most `users_max` users.
    fn enter<'a>(
        &'a self,
        room: &'a RoomId,
        device: &'a Device,
        users_max: usize,
    ) -> StoreFuture<'a, Result<Entered, RoomFull>>;

    /// Takes a device out of a room. If it was its user's last one, his grace period begins.
    fn leave<'a>(&'a self, room: &'a RoomId, device: &'a Device, grace: Duration) -> StoreFuture<'a, ()>;

    /// Who is in a room.
    fn present<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Presence>;

    /// Confirms the departures whose grace periods have ended. `grace` is that of the users of dead instances; `None`: nobody is taken for
    /// dead now, because the store itself was away and all leases may have run out.
    fn due(&self, grace: Option<Duration>) -> StoreFuture<'_, Due>;

    /// Renews the lease of an instance; the first call makes it.
    fn renew<'a>(&'a self, instance: &'a InstanceId, lease: Duration) -> StoreFuture<'a, Lease>;

    /// Ends the lease of an instance whose devices have left (a clean stop).
    fn resign<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, ()>;

    /// All that is entered for an instance, in no particular order; each entry has its room.
    fn entries<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, Vec<Entry>>;

    /// Why the state is not shared with the other instances now; `None`: it is, or there are no others.
    fn alone(&self) -> Option<String>;

    /// The name of the technology, for `/health` and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}
