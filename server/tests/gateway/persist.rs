//! The message service's worker before an archive that fails.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chatwright_protocol::vocabulary::{Message, MessageId, RoomId};
use chatwright_server::{
    chat::gateway::{NewestMessages, Persister},
    events::{memory_queue::MemoryQueue, queue::PersistQueue as _},
    store::{
        StoreError, StoreFuture,
        gateway::{Archive, HistoryCache as _, Page},
        memory_gateway::{MemoryArchive, MemoryCache},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{message, support::PATIENCE};

/// Fails as it is told to, then works.
#[derive(Default)]
struct Failing {
    failures: Mutex<VecDeque<StoreError>>,
    /// A message of this text is never understood.
    poison: &'static str,
    behind: MemoryArchive,
}

impl Archive for Failing {
    fn insert<'a>(&'a self, message: &'a Message) -> StoreFuture<'a, u64> {
        if message.text == self.poison {
            return Box::pin(std::future::ready(Err(StoreError::Corrupt("poison".to_owned()))));
        }
        match self.failures.lock().unwrap().pop_front() {
            Some(problem) => Box::pin(std::future::ready(Err(problem))),
            None => self.behind.insert(message),
        }
    }

    fn newest<'a>(&'a self, room: &'a RoomId, limit: usize, before: Option<&'a MessageId>) -> StoreFuture<'a, Page> {
        self.behind.newest(room, limit, before)
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        self.behind.ping()
    }

    fn technology(&self) -> &'static str {
        "failing"
    }
}

async fn stored(archive: &Failing, room: &RoomId, count: usize) -> Vec<String> {
    let began = Instant::now();
    loop {
        let page = archive.newest(room, 100, None).await.unwrap();
        if page.messages.len() >= count {
            return page.messages.into_iter().map(|message| message.text).collect();
        }
        assert!(began.elapsed() < PATIENCE, "{} of {count} are stored", page.messages.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_is_away_delays_messages_and_keeps_their_order() {
    let (queue, room) = (MemoryQueue::default(), RoomId::from("lobby"));
    let away = || StoreError::Unavailable("away".to_owned());
    let archive = Arc::new(Failing { failures: Mutex::new([away(), away(), away()].into()), ..Failing::default() });
    let cache = Arc::new(MemoryCache::new(Duration::from_secs(60)));
    let sent: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    for text in &sent {
        queue.publish(&message(&room, text)).await.unwrap();
    }
    let persister = Persister {
        feed: Arc::new(queue.feed()),
        archive: Arc::clone(&archive) as _,
        cache: Arc::new(NewestMessages::new(Arc::clone(&cache) as _)),
    };
    let stopping = CancellationToken::new();
    let worker = tokio::spawn(persister.run(stopping.clone()));
    assert_eq!(stored(&archive, &room, 10).await, sent);
    stopping.cancel();
    worker.await.unwrap();
    assert!(queue.dead_letters().is_empty(), "that an archive is away is nobody's fault");
    assert_eq!(cache.read(&room).await.unwrap().page, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_be_stored_is_a_dead_letter_and_holds_nobody_up() {
    let (queue, room) = (MemoryQueue::default(), RoomId::from("lobby"));
    let archive = Arc::new(Failing { poison: "poison", ..Failing::default() });
    let cache = Arc::new(NewestMessages::new(Arc::new(MemoryCache::new(Duration::from_secs(60)))));
    for text in ["before", "poison", "after"] {
        queue.publish(&message(&room, text)).await.unwrap();
    }
    let persister = Persister { feed: Arc::new(queue.feed()), archive: Arc::clone(&archive) as _, cache };
    let stopping = CancellationToken::new();
    let worker = tokio::spawn(persister.run(stopping.clone()));
    assert_eq!(stored(&archive, &room, 2).await, ["before", "after"]);
    stopping.cancel();
    worker.await.unwrap();
    let dead = queue.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].0.text, "poison");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stops_leaves_its_message_to_the_next_one() {
    let (queue, room) = (MemoryQueue::default(), RoomId::from("lobby"));
    let away = (0..1000).map(|_| StoreError::Unavailable("away".to_owned())).collect();
    let archive = Arc::new(Failing { failures: Mutex::new(away), ..Failing::default() });
    let worker = |stopping: &CancellationToken| {
        let cache = Arc::new(NewestMessages::new(Arc::new(MemoryCache::new(Duration::from_secs(60)))));
        let persister = Persister { feed: Arc::new(queue.feed()), archive: Arc::clone(&archive) as _, cache };
        tokio::spawn(persister.run(stopping.clone()))
    };
    queue.publish(&message(&room, "in hand")).await.unwrap();
    let stopping = CancellationToken::new();
    let first = worker(&stopping);
    let began = Instant::now();
    while archive.failures.lock().unwrap().len() == 1000 {
        assert!(began.elapsed() < PATIENCE, "the first worker does not try");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stopping.cancel();
    first.await.unwrap();
    archive.failures.lock().unwrap().clear();
    let stopping = CancellationToken::new();
    let second = worker(&stopping);
    assert_eq!(stored(&archive, &room, 1).await, ["in hand"]);
    stopping.cancel();
    second.await.unwrap();
}
