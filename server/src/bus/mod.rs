//! The port `bus`: what one instance tells the others, now. It forgets: whoever was not subscribed has missed it.

pub mod channels;
mod conversations_wire;
pub mod direct;
pub mod memory;
pub mod redis;
mod wire;

use std::fmt;

use chatwright_protocol::vocabulary::{Member, Message, RoomId, UserId};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::store::{InstanceId, Stored, sessions::Version};

/// What travels between instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who says it; an instance ignores its own.
    pub origin: InstanceId,
    /// Where it belongs.
    pub room: RoomId,
    /// Whom it is for, in dialects that address users; empty: whoever is in the room.
    pub audience: Vec<UserId>,
    /// What happened.
    pub body: NoticeBody,
}

/// What happened in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeBody {
    /// A message was stored. It carries its position: a receiver that misses one before it reads the store.
    Message(Stored),
    /// A user entered.
    Joined(Member),
    /// A user left.
    Left(Member),
    /// A user types.
    Typing {
        /// Who.
        member: Member,
        /// Started or stopped.
        active: bool,
    },
    /// Something was said that is stored nowhere. Its number is unlike that of anything else which this origin said lately: who hears it
    /// twice knows it.
    Said {
        /// What.
        message: Message,
        /// Its number.
        number: u64,
    },
    /// A user of a session room came or went.
    Moved {
        /// Who.
        member: Member,
        /// Where to.
        movement: Movement,
        /// When, in the life of the store: what is older than something known is no news.
        version: Version,
    },
}

/// How a user of a session room moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Movement {
    /// He is new.
    Came,
    /// He is back after a confirmed departure.
    CameBack,
    /// His departure is confirmed.
    Went,
}

impl NoticeBody {
    /// The user who must not hear it himself, if there is one.
    #[must_use]
    pub fn silent_for(&self) -> Option<&UserId> {
        match self {
            Self::Message(_) | Self::Said { .. } => None,
            Self::Joined(member) | Self::Left(member) | Self::Typing { member, .. } | Self::Moved { member, .. } => {
                Some(&member.user)
            }
        }
    }
}

/// What a subscriber receives.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all deliveries are notices, and a box for each would cost more than it saves"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A notice of a subscribed room.
    Notice(Notice),
    /// The link was away and is back, or notices were dropped because the subscriber was too slow: anything may have been missed in
    /// any room, so compare with the store before going on.
    Gap,
}

/// The bus does not work now. Local delivery goes on without it; the other instances catch up from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusDown(
    /// Words for the log.
    pub String,
);

impl fmt::Display for BusDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bus unavailable: {}", self.0)
    }
}

impl std::error::Error for BusDown {}

/// How many deliveries may wait for an instance's reader before the bus drops them and says [`Delivery::Gap`] instead.
pub const DELIVERIES_WAITING_MAX: usize = 16 * 1024;

/// Tells other instances what happened in a room.
///
/// Promises of every adapter:
/// - *Order*: notices that one instance publishes to one room arrive in that order. Between instances there is no order: positions give it.
/// - *Delivery*: at most once; a notice published after [`subscribe`](Self::subscribe) returned `Ok` arrives, unless [`Delivery::Gap`] follows.
///   Without the gap, an instance would never notice what it missed while Redis was away.
/// - *Reconnection*: an adapter reconnects and subscribes again by itself, for all rooms that were asked for, also those asked for
///   while it was away; then it says [`Delivery::Gap`].
/// - *Isolation*: rooms are named exactly; no character of a room id is special.
/// - *Time*: publishing never waits for a receiver; each call answers within a bounded time.
pub trait Bus: Send + Sync {
    /// Whether there is nobody else to tell, so that a notice need not even be made.
    fn is_alone(&self) -> bool {
        false
    }

    /// Tells the subscribers of the notice's room. Queued in order; an error means that nobody may have heard it.
    fn publish(&self, notice: Notice) -> BoxFuture<'_, Result<(), BusDown>>;

    /// Asks for the notices of a room from now on. With an error the wish is kept and fulfilled when the bus is back.
    fn subscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), BusDown>>;

    /// Ends the wish.
    fn unsubscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, ()>;

    /// Whether the bus works now.
    fn ping(&self) -> BoxFuture<'_, Result<(), BusDown>>;

    /// The name of the technology, for `/health` and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}

/// The reading end of an instance's bus; each adapter's constructor gives one.
pub type Deliveries = mpsc::Receiver<Delivery>;
