//! Every port's contract over every adapter that runs without containers.

mod support;

use std::{sync::Arc, time::Duration};

use chatwright_server::{
    bus::{memory::MemoryHub, redis::RedisBus},
    contract::{
        account_store_keeps_its_promises, away_store_keeps_its_promises, bus_keeps_its_promises,
        conversation_store_keeps_its_promises, direct_store_keeps_its_promises, event_sink_keeps_its_promises,
        gateway_archive_keeps_its_promises, message_store_keeps_its_promises, persist_queue_keeps_its_promises,
        room_archive_keeps_its_promises, roster_store_keeps_its_promises,
    },
    events::{json_lines::JsonLines, memory::MemoryEvents, memory_queue::MemoryQueue, wire},
    redis_link::{RedisLink, RedisOptions},
    store::{
        archive::MemoryArchive,
        conversations::memory::MemoryConversations,
        memory::{MemoryMessages, Retention},
        memory_away::MemoryAway,
        memory_direct::MemoryDirect,
        memory_gateway::{self, MemoryAccounts},
        memory_roster::MemoryRoster,
        redis::{RedisAway, RedisMessages, RedisRoster},
    },
};
use support::redis::Redis;

const RETENTION: Retention = Retention { history_messages_max: 40, history_ttl: Duration::from_secs(600) };

fn options(redis: &Redis) -> RedisOptions {
    RedisOptions { server: redis.config("prefix:"), timeout: Duration::from_secs(3) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_in_memory() {
    let store = Arc::new(MemoryMessages::new(RETENTION));
    message_store_keeps_its_promises(store, RETENTION.history_messages_max).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_on_redis() {
    let Some(redis) = Redis::start().await else { return };
    let store = Arc::new(RedisMessages::new(RedisLink::new(&options(&redis)).expect("a link"), RETENTION));
    message_store_keeps_its_promises(store, RETENTION.history_messages_max).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roster_in_memory() {
    roster_store_keeps_its_promises(Arc::new(MemoryRoster::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roster_on_redis() {
    let Some(redis) = Redis::start().await else { return };
    let roster = RedisRoster::new(RedisLink::new(&options(&redis)).expect("a link"));
    roster_store_keeps_its_promises(Arc::new(roster)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_in_memory() {
    away_store_keeps_its_promises(Arc::new(MemoryAway::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_on_redis() {
    let Some(redis) = Redis::start().await else { return };
    let away = RedisAway::new(RedisLink::new(&options(&redis)).expect("a link"));
    away_store_keeps_its_promises(Arc::new(away)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bus_in_memory() {
    let hub = MemoryHub::default();
    let [one, two, three] = [(); 3].map(|()| {
        let (bus, deliveries) = hub.endpoint();
        (Arc::new(bus) as _, deliveries)
    });
    bus_keeps_its_promises(one, two, three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bus_on_redis() {
    let Some(redis) = Redis::start().await else { return };
    let [one, two, three] = [(); 3].map(|()| {
        let (bus, deliveries) = RedisBus::new(&options(&redis)).expect("a bus");
        (Arc::new(bus) as _, deliveries)
    });
    bus_keeps_its_promises(one, two, three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_in_memory() {
    conversation_store_keeps_its_promises(Arc::new(MemoryConversations::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_messages_in_memory() {
    direct_store_keeps_its_promises(Arc::new(MemoryDirect::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_archive_and_queue_of_gateway_in_memory() {
    account_store_keeps_its_promises(Arc::new(MemoryAccounts::default())).await;
    gateway_archive_keeps_its_promises(Arc::new(memory_gateway::MemoryArchive::default())).await;
    let queue = MemoryQueue::default();
    let dead = persist_queue_keeps_its_promises(&queue, queue.feed(), queue.feed()).await;
    assert_eq!(queue.dead_letters().into_iter().map(|(message, _)| message).collect::<Vec<_>>(), [dead]);
}

#[tokio::test]
async fn archive_in_memory() {
    room_archive_keeps_its_promises(Arc::new(MemoryArchive::default())).await;
}

#[tokio::test]
async fn events_in_memory() {
    let sink = MemoryEvents::new(100);
    event_sink_keeps_its_promises(&sink, async || sink.take().iter().map(wire::to_json).collect()).await;
}

#[tokio::test]
async fn events_as_json_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.jsonl");
    let sink = JsonLines::open(&path, wire::to_json).await.expect("a file");
    let read = async || {
        let text = tokio::fs::read_to_string(&path).await.expect("the file");
        text.lines().map(str::to_owned).collect()
    };
    event_sink_keeps_its_promises(&sink, read).await;
}
