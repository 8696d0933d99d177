//! Connections whose clients are away, for whichever instance they come back to: who they are, where they stand in their rooms, and what
//! they were told lately.

use std::{fmt, time::Duration};

use chatwright_protocol::vocabulary::{RoomId, UserId};

use super::{DeviceId, Position, StoreFuture};

/// A connection without a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Whose it is, as verified. Nobody else gets it.
    pub user: UserId,
    /// Under which public id.
    pub id: DeviceId,
    /// Who has kept it: what an instance finds may be another's by now.
    pub keeper: String,
    /// How far it was told.
    pub trail: Trail,
}

/// How far a connection was told, and what of that its client may not have read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trail {
    /// Its rooms, each with the last message that it was told there.
    pub standing: Vec<(RoomId, Position)>,
    /// The last offset before `told` that is known; `None`: `told` is all that there ever was.
    pub forgotten: Option<String>,
    /// Events in the order in which it was told them.
    pub told: Vec<Told>,
}

/// An event under its offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What the client says if this is the last one that it has read. No two of one connection are equal.
    pub offset: String,
    /// As the client reads it.
    pub text: String,
}

/// What outlives the instance that a client has lost.
///
/// Promises:
/// - *Once*: of several that [`take`](Self::take) a connection, one gets it; from then on [`add`](Self::add) says that it is gone.
/// - *Privacy*: who is somebody else gets nothing, and takes nothing away by asking.
/// - *Order*: what was told comes back in the order kept and added.
/// - *Bounds*: it vanishes after its window; of what was told, at least the newest `told_max` stay, and not many more.
/// - *Time*: each call answers within a bounded time.
pub trait AwayStore: fmt::Debug + Send + Sync {
    /// Keeps a connection under a private id for so long. One that is kept there already is replaced.
    fn keep<'a>(&'a self, private_id: &'a str, away: &'a Away, window: Duration) -> StoreFuture<'a, ()>;

    /// It was told more, `more.told`, and stands as `more` says. `false`: it is not kept any more. The window stays as it is.
    fn add<'a>(&'a self, private_id: &'a str, more: &'a Trail, told_max: usize) -> StoreFuture<'a, bool>;

    /// Takes it, if it is this user's.
    fn take<'a>(&'a self, private_id: &'a str, user: &'a UserId) -> StoreFuture<'a, Option<Away>>;

    /// It is over, or its client is back where it was.
    fn forget<'a>(&'a self, private_id: &'a str) -> StoreFuture<'a, ()>;
}
