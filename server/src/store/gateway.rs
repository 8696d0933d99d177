//! The ports of `gateway`'s services: accounts ([`AccountStore`]), messages for ever ([`Archive`]), and a cache in front of them
//! ([`HistoryCache`]). Each service has those that it needs and no others.

use chatwright_protocol::vocabulary::{Message, MessageId, RoomId, UserId};

use super::StoreFuture;

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Made by the server: 24 hex digits.
    pub id: UserId,
    /// The address as it is compared: trimmed, lower case.
    pub email: String,
    /// The name that messages show.
    pub name: String,
    /// Argon2id in its text form: parameters, salt and hash. Never shown, never logged.
    pub password_hash: String,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

/// The answer to a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Registration {
    /// The account is there now.
    Created,
    /// There is one with this address; nothing was changed.
    Taken,
}

/// Accounts.
///
/// Promises of every adapter:
/// - *Atomicity*: of two registrations with one address exactly one is [`Registration::Created`], also when they meet. Without this, two
///   people would share an address, and whose password counts would be chance.
/// - *Confirmation*: `Created` means that the account survives the death of any instance, and that [`by_email`](Self::by_email) finds it.
/// - *Time*: each call answers within a bounded time.
pub trait AccountStore: Send + Sync {
    /// Makes the account, unless its address is taken.
    fn register<'a>(&'a self, account: &'a Account) -> StoreFuture<'a, Registration>;

    /// The account of this address, which is compared as it is.
    fn by_email<'a>(&'a self, email: &'a str) -> StoreFuture<'a, Option<Account>>;

    /// Whether the store answers now.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// The name of the technology, for health answers and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}

/// Some messages of a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Oldest first; each with the sequence that the archive gave it.
    pub messages: Vec<Message>,
    /// The sequence of the room's newest message when this was read; 0: it has none.
    pub latest: u64,
}

/// Messages for ever, by room.
///
/// Promises of every adapter:
/// - *Idempotency*: a message whose id is there is not written again; the sequence that it has is returned. Without this, each message
///   that the queue delivers twice would stand in the history twice.
/// - *Order*: [`insert`](Self::insert) gives each message of a room a sequence above all that it gave before; pages are in that order. Gaps
///   are allowed. The message's own [`Message::sequence`] is not looked at.
/// - *Confirmation*: `Ok` means that the message survives the death of any instance, and that each page read from now on has it, if it is
///   among those asked for. Pages read one after the other never lose a message: they are read where writes are confirmed.
/// - *Time*: each call answers within a bounded time.
pub trait Archive: Send + Sync {
    /// Stores a message; returns its sequence.
    fn insert<'a>(&'a self, message: &'a Message) -> StoreFuture<'a, u64>;

    /// The newest `limit` messages of a room, or the newest that stand before a message of it. A `before` that the room does not have:
    /// none.
    fn newest<'a>(&'a self, room: &'a RoomId, limit: usize, before: Option<&'a MessageId>) -> StoreFuture<'a, Page>;

    /// Whether the archive answers now.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// The name of the technology, for health answers and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}

/// A time in which the cache has not been emptied as a whole: what was read from the archive in one era is not taken in another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Era(pub String);

/// What a reader finds in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The list of the room; `None`: a miss.
    pub page: Option<Page>,
    /// When he looked: shown again when he fills in what he has read meanwhile.
    pub era: Era,
}

/// The newest messages of rooms, kept for a while where reading is cheap. Cache-aside: whoever misses reads the archive and fills.
///
/// The race that this must not lose: a reader misses and reads the archive; a message is stored and the room cleared; then the slow
/// reader fills in the list that he read before it. Everybody after him would be told an older list than was seen already. So each room
/// has a *floor*, the highest sequence that anybody has seen: a list below it is not taken, and raising it clears the list.
///
/// A cache that was away has missed messages: its lists may be older than what was read from the archive meanwhile. So they can be
/// forgotten all at once; readers who were under way then fill in nothing.
///
/// Promises of every adapter:
/// - *Never backwards*: after [`raise`](Self::raise) to n or [`fill`](Self::fill) with n returned `Ok`, no `read` returns a list below n.
/// - *Eras*: after [`forget_all`](Self::forget_all) returned `Ok`, no `read` returns a list of an earlier era, and none is taken.
/// - *Failures show*: no call is made again behind the caller's back. One that fails says that the cache may have missed something.
/// - *Atomicity*: each call takes effect as a whole.
/// - *Expiry*: a list is forgotten after the cache's time to live; a floor lives longer than any reader takes; an era has no end.
/// - *Time*: each call answers within a bounded time.
pub trait HistoryCache: Send + Sync {
    /// What is there of a room.
    fn read<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Looked>;

    /// Offers a list that was read from the archive since the cache was looked at in this era; an older one than is known is not taken.
    fn fill<'a>(&'a self, room: &'a RoomId, page: &'a Page, era: &'a Era) -> StoreFuture<'a, ()>;

    /// Says that the room has a message of this sequence: an older list is forgotten.
    fn raise<'a>(&'a self, room: &'a RoomId, sequence: u64) -> StoreFuture<'a, ()>;

    /// Begins a new era: all lists are forgotten.
    fn forget_all(&self) -> StoreFuture<'_, ()>;

    /// Whether the cache answers now.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// The name of the technology, for health answers and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}
