//! The cache of histories as the message service uses it: one that has failed is not believed before all its lists are forgotten.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chatwright_protocol::vocabulary::RoomId;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::store::{
    StoreError,
    gateway::{Era, HistoryCache, Looked, Page},
};

/// How often a cache that is in doubt is asked to forget.
const RETRY: Duration = Duration::from_millis(100);

/// A cache with a memory for its failures.
///
/// A cache that was away comes back with the lists that it had, and nobody could tell it of the messages that were stored meanwhile.
/// Whoever has read these from the archive must not be told an older list afterwards. So after each failure the cache is *in doubt*: it is
/// not asked any more, which also spares everybody the wait for one that hangs, until it has forgotten all its lists. It begins in doubt,
/// because nobody knows what the process before this one could not tell it.
///
/// What remains: an instance that reaches the cache while the one that stores messages does not. Its lists are as old as their time to live
/// at most.
pub struct NewestMessages {
    cache: Arc<dyn HistoryCache>,
    /// How often the cache has failed.
    failures: AtomicU64,
    /// How many of these failures it has forgotten its lists after.
    forgotten: AtomicU64,
    work: Notify,
}

impl NewestMessages {
    /// This cache, in doubt until [`tend`](Self::tend) has begun.
    #[must_use]
    pub fn new(cache: Arc<dyn HistoryCache>) -> Self {
        Self { cache, failures: AtomicU64::new(1), forgotten: AtomicU64::new(0), work: Notify::new() }
    }

    /// Looks after a cache in doubt, until it is told to stop.
    pub async fn tend(self: Arc<Self>, stopping: CancellationToken) {
        let tending = async {
            loop {
                let failures = self.failures.load(Ordering::SeqCst);
                if failures == self.forgotten.load(Ordering::SeqCst) {
                    self.work.notified().await;
                } else if self.cache.forget_all().await.is_ok() {
                    self.forgotten.store(failures, Ordering::SeqCst); // a failure since then counts on
                    tracing::info!(
                        cache = self.cache.technology(),
                        "the cache has forgotten all lists and is believed"
                    );
                } else {
                    sleep(RETRY).await;
                }
            }
        };
        stopping.run_until_cancelled(tending).await;
    }

    /// What the cache has of a room; `None`: it is in doubt, and nothing may be filled in either.
    pub(super) async fn read(&self, room: &RoomId) -> Option<Looked> {
        if self.is_doubted() {
            return None;
        }
        self.judged(self.cache.read(room).await)
    }

    /// Offers what was read from the archive since the cache was looked at.
    pub(super) async fn fill(&self, room: &RoomId, page: &Page, era: &Era) {
        if self.is_doubted() {
            self.doubt(); // it was not told: what it forgets must include what it has taken from others meanwhile
        } else {
            self.judged(self.cache.fill(room, page, era).await);
        }
    }

    /// When this returns, nobody is told a list any more that does not reach up to here.
    pub(super) async fn raise(&self, room: &RoomId, sequence: u64) {
        if self.is_doubted() {
            self.doubt();
        } else {
            self.judged(self.cache.raise(room, sequence).await);
        }
    }

    /// Whether the cache is in use, and its technology.
    #[must_use]
    pub fn state(&self) -> (&'static str, bool) {
        (self.cache.technology(), !self.is_doubted())
    }

    fn is_doubted(&self) -> bool {
        self.failures.load(Ordering::SeqCst) != self.forgotten.load(Ordering::SeqCst)
    }

    fn judged<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(problem) => {
                tracing::warn!(%problem, "the cache is in doubt: histories are read from the archive");
                self.doubt();
                None
            }
        }
    }

    fn doubt(&self) {
        self.failures.fetch_add(1, Ordering::SeqCst);
        self.work.notify_one();
    }
}
