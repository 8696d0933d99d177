//! Accounts, the archive and the cache of `gateway` kept in this process: the default, and the double in tests.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use chatwright_protocol::vocabulary::{Message, MessageId, RoomId};
use futures_util::future::ready;

use super::{
    StoreError, StoreFuture,
    gateway::{Account, AccountStore, Archive, Era, HistoryCache, Looked, Page, Registration},
};

/// How many accounts are kept; more are refused as if the store were away. Bounds the memory of a server that anybody may register at.
pub const ACCOUNTS_MAX: usize = 100_000;

/// How many rooms the archive remembers; beyond it the one that was quiet longest is forgotten.
pub const ARCHIVE_ROOMS_MAX: usize = 10_000;

/// How many messages of a room are kept, the newest. A database keeps them all; memory cannot.
pub const ARCHIVE_MESSAGES_MAX: usize = 10_000;

/// How many rooms the cache knows; beyond it all lists are forgotten, which is a miss for everybody once.
pub const CACHE_ROOMS_MAX: usize = 10_000;

const TECHNOLOGY: &str = "memory";

/// Accounts in memory.
#[derive(Debug, Default)]
pub struct MemoryAccounts {
    accounts: Mutex<HashMap<String, Account>>,
}

impl MemoryAccounts {
    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().expect("no code panics while it holds the accounts")
    }

    fn enter(&self, account: &Account) -> Result<Registration, StoreError> {
        let mut accounts = self.accounts();
        if accounts.contains_key(&account.email) {
            return Ok(Registration::Taken);
        }
        if accounts.len() >= ACCOUNTS_MAX {
            return Err(StoreError::Unavailable("too many accounts for memory".to_owned()));
        }
        accounts.insert(account.email.clone(), account.clone());
        Ok(Registration::Created)
    }
}

impl AccountStore for MemoryAccounts {
    fn register<'a>(&'a self, account: &'a Account) -> StoreFuture<'a, Registration> {
        Box::pin(ready(self.enter(account)))
    }

    fn by_email<'a>(&'a self, email: &'a str) -> StoreFuture<'a, Option<Account>> {
        Box::pin(ready(Ok(self.accounts().get(email).cloned())))
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn technology(&self) -> &'static str {
        TECHNOLOGY
    }
}

/// The archive in memory: the newest messages of each room.
#[derive(Debug, Default)]
pub struct MemoryArchive {
    rooms: Mutex<HashMap<RoomId, Shelf>>,
}

#[derive(Debug, Default)]
struct Shelf {
    latest: u64,
    messages: VecDeque<Message>,
    touched: Option<Instant>,
}

impl MemoryArchive {
    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, Shelf>> {
        self.rooms.lock().expect("no code panics while it holds the rooms")
    }

    fn put(&self, message: &Message) -> u64 {
        let mut rooms = self.rooms();
        if rooms.len() >= ARCHIVE_ROOMS_MAX && !rooms.contains_key(&message.room) {
            let quiet = rooms.iter().min_by_key(|(_, shelf)| shelf.touched).map(|(room, _)| room.clone());
            quiet.and_then(|room| rooms.remove(&room));
        }
        let shelf = rooms.entry(message.room.clone()).or_default();
        if let Some(there) = shelf.messages.iter().rev().find(|there| there.id == message.id) {
            return there.sequence;
        }
        shelf.latest += 1;
        shelf.messages.push_back(Message { sequence: shelf.latest, ..message.clone() });
        if shelf.messages.len() > ARCHIVE_MESSAGES_MAX {
            shelf.messages.pop_front();
        }
        shelf.touched = Some(Instant::now());
        shelf.latest
    }

    fn page(&self, room: &RoomId, limit: usize, before: Option<&MessageId>) -> Page {
        let rooms = self.rooms();
        let Some(shelf) = rooms.get(room) else { return Page::default() };
        let end = match before {
            None => shelf.messages.len(),
            Some(id) => shelf.messages.iter().position(|message| message.id == *id).unwrap_or(0),
        };
        let messages = shelf.messages.range(end.saturating_sub(limit)..end).cloned().collect();
        Page { messages, latest: shelf.latest }
    }
}

impl Archive for MemoryArchive {
    fn insert<'a>(&'a self, message: &'a Message) -> StoreFuture<'a, u64> {
        Box::pin(ready(Ok(self.put(message))))
    }

    fn newest<'a>(&'a self, room: &'a RoomId, limit: usize, before: Option<&'a MessageId>) -> StoreFuture<'a, Page> {
        Box::pin(ready(Ok(self.page(room, limit, before))))
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn technology(&self) -> &'static str {
        TECHNOLOGY
    }
}

/// The cache in memory.
#[derive(Debug)]
pub struct MemoryCache {
    ttl: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    era: u64,
    rooms: HashMap<RoomId, Cached>,
}

#[derive(Debug, Default)]
struct Cached {
    floor: u64,
    list: Option<(Page, Instant)>,
}

impl MemoryCache {
    /// An empty cache whose lists live so long.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no code panics while it holds the lists")
    }
}

impl Kept {
    fn era(&self) -> Era {
        Era(self.era.to_string())
    }

    fn cached(&mut self, room: &RoomId) -> &mut Cached {
        if self.rooms.len() >= CACHE_ROOMS_MAX && !self.rooms.contains_key(room) {
            self.rooms.clear(); // a floor without a list matters only to a reader who is under way now: of another era, he fills in nothing
            self.era += 1;
        }
        self.rooms.entry(room.clone()).or_default()
    }
}

impl HistoryCache for MemoryCache {
    fn read<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Looked> {
        let kept = self.kept();
        let list = kept.rooms.get(room).and_then(|cached| cached.list.as_ref());
        let page = list.filter(|(_, since)| since.elapsed() < self.ttl).map(|(page, _)| page.clone());
        Box::pin(ready(Ok(Looked { page, era: kept.era() })))
    }

    fn fill<'a>(&'a self, room: &'a RoomId, page: &'a Page, era: &'a Era) -> StoreFuture<'a, ()> {
        let mut kept = self.kept();
        if kept.era() == *era {
            let cached = kept.cached(room);
            if page.latest >= cached.floor {
                *cached = Cached { floor: page.latest, list: Some((page.clone(), Instant::now())) };
            }
        }
        Box::pin(ready(Ok(())))
    }

    fn raise<'a>(&'a self, room: &'a RoomId, sequence: u64) -> StoreFuture<'a, ()> {
        let mut kept = self.kept();
        let cached = kept.cached(room);
        if sequence > cached.floor {
            *cached = Cached { floor: sequence, list: None };
        }
        Box::pin(ready(Ok(())))
    }

    fn forget_all(&self) -> StoreFuture<'_, ()> {
        let mut kept = self.kept();
        kept.era += 1;
        kept.rooms.values_mut().for_each(|cached| cached.list = None);
        Box::pin(ready(Ok(())))
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn technology(&self) -> &'static str {
        TECHNOLOGY
    }
}
