//! Histories before a cache that goes away with the lists that it has and comes back with them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chatwright_protocol::vocabulary::RoomId;
use chatwright_server::{
    chat::{
        Limits,
        gateway::{Histories, NewestMessages, Persister, Question},
    },
    events::{memory_queue::MemoryQueue, queue::PersistQueue as _},
    metrics::Metrics,
    store::{
        StoreError, StoreFuture,
        gateway::{Archive as _, Era, HistoryCache, Looked, Page},
        memory_gateway::{MemoryArchive, MemoryCache},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{message, support::PATIENCE};

/// Fails while it is away, and keeps what it has.
struct Outage {
    away: AtomicBool,
    reads: AtomicUsize,
    behind: MemoryCache,
}

impl Outage {
    fn or<'a, T: Send + 'a>(&self, answer: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        if self.away.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StoreError::Unavailable("away".to_owned()))));
        }
        answer
    }
}

impl HistoryCache for Outage {
    fn read<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Looked> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.or(self.behind.read(room))
    }

    fn fill<'a>(&'a self, room: &'a RoomId, page: &'a Page, era: &'a Era) -> StoreFuture<'a, ()> {
        if self.away.load(Ordering::SeqCst) {
            return self.or(Box::pin(std::future::ready(Ok(()))));
        }
        self.behind.fill(room, page, era)
    }

    fn raise<'a>(&'a self, room: &'a RoomId, sequence: u64) -> StoreFuture<'a, ()> {
        if self.away.load(Ordering::SeqCst) {
            return self.or(Box::pin(std::future::ready(Ok(()))));
        }
        self.behind.raise(room, sequence)
    }

    fn forget_all(&self) -> StoreFuture<'_, ()> {
        if self.away.load(Ordering::SeqCst) {
            return self.or(Box::pin(std::future::ready(Ok(()))));
        }
        self.behind.forget_all()
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        self.or(self.behind.ping())
    }

    fn technology(&self) -> &'static str {
        "outage"
    }
}

struct Service {
    cache: Arc<Outage>,
    newest: Arc<NewestMessages>,
    archive: Arc<MemoryArchive>,
    queue: MemoryQueue,
    histories: Histories,
    stopping: CancellationToken,
}

impl Service {
    fn new() -> Self {
        let behind = MemoryCache::new(Duration::from_secs(600));
        let cache = Arc::new(Outage { away: AtomicBool::new(false), reads: AtomicUsize::new(0), behind });
        let newest = Arc::new(NewestMessages::new(Arc::clone(&cache) as _));
        let archive = Arc::new(MemoryArchive::default());
        let histories = Histories {
            archive: Arc::clone(&archive) as _,
            cache: Arc::clone(&newest),
            limits: Limits::default(),
            metrics: Metrics::new(),
        };
        let (queue, stopping) = (MemoryQueue::default(), CancellationToken::new());
        let persister =
            Persister { feed: Arc::new(queue.feed()), archive: Arc::clone(&archive) as _, cache: Arc::clone(&newest) };
        tokio::spawn(persister.run(stopping.clone()));
        Self { cache, newest, archive, queue, histories, stopping }
    }

    fn tend(&self) {
        tokio::spawn(Arc::clone(&self.newest).tend(self.stopping.clone()));
    }

    async fn believed(&self) {
        let began = Instant::now();
        while !self.newest.state().1 {
            assert!(began.elapsed() < PATIENCE, "the cache stays in doubt");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn say(&self, room: &RoomId, text: &str) {
        let before = self.archive.newest(room, 1, None).await.unwrap().latest;
        self.queue.publish(&message(room, text)).await.unwrap();
        let began = Instant::now();
        while self.archive.newest(room, 1, None).await.unwrap().latest == before {
            assert!(began.elapsed() < PATIENCE, "nobody stores it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn history(&self, room: &RoomId) -> Vec<String> {
        let question = Question { room: room.clone(), limit: None, before: None };
        self.histories.read(&question).await.unwrap().into_iter().map(|message| message.text).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_comes_back_with_older_lists_makes_nobody_read_backwards() {
    let (service, room) = (Service::new(), RoomId::from("lobby"));
    service.tend();
    service.believed().await;
    service.say(&room, "one").await;
    assert_eq!(service.history(&room).await, ["one"]);
    assert!(service.cache.read(&room).await.unwrap().page.is_some(), "the list is cached");
    service.cache.away.store(true, Ordering::SeqCst);
    service.say(&room, "two").await;
    assert_eq!(service.history(&room).await, ["one", "two"], "without the cache the archive is read");
    service.cache.away.store(false, Ordering::SeqCst);
    let began = Instant::now();
    while !service.newest.state().1 {
        assert_eq!(service.history(&room).await, ["one", "two"], "an older list is told");
        assert!(began.elapsed() < PATIENCE, "the cache stays in doubt");
    }
    assert_eq!(service.history(&room).await, ["one", "two"]);
    let list = service.cache.read(&room).await.unwrap().page.expect("the cache is used again");
    assert_eq!(list.messages.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_cache_that_has_just_failed() {
    let (service, room) = (Service::new(), RoomId::from("lobby"));
    service.tend();
    service.believed().await;
    service.cache.away.store(true, Ordering::SeqCst);
    for number in 1..=3 {
        service.say(&room, "more").await;
        assert_eq!(service.history(&room).await.len(), number);
    }
    assert!(service.cache.reads.load(Ordering::SeqCst) <= 1, "it is asked again and again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_a_process_that_is_gone_are_not_believed() {
    let (service, room) = (Service::new(), RoomId::from("lobby"));
    let looked = service.cache.read(&room).await.unwrap();
    let old = Page { messages: vec![message(&room, "old")], latest: 1 };
    service.cache.fill(&room, &old, &looked.era).await.unwrap();
    service.say(&room, "one").await;
    assert_eq!(service.history(&room).await, ["one"], "what stood there before this process began");
    service.tend();
    service.believed().await;
    assert_eq!(service.history(&room).await, ["one"]);
}
