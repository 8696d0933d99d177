//! The contract of the sessions' store over each adapter that runs without containers.

mod support;

use std::{sync::Arc, time::Duration};

use chatwright_server::{
    contract::session_store_keeps_its_promises,
    redis_link::{RedisLink, RedisOptions},
    store::sessions::{failover::Failover, memory::MemorySessions, redis::RedisSessions},
};
use support::redis::Redis;

fn on(redis: &Redis) -> RedisSessions {
    let options = RedisOptions { server: redis.config("prefix:"), timeout: Duration::from_secs(3) };
    RedisSessions::new(RedisLink::new(&options).expect("a link"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    session_store_keeps_its_promises(&MemorySessions::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis() {
    let Some(redis) = Redis::start().await else { return };
    session_store_keeps_its_promises(&on(&redis)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_with_memory_behind_it() {
    let Some(redis) = Redis::start().await else { return };
    session_store_keeps_its_promises(&Failover::new(Arc::new(on(&redis)))).await;
}
