//! The contract of the cache in memory and on Redis.

use std::{sync::Arc, time::Duration};

use chatwright_server::{
    contract::history_cache_keeps_its_promises,
    redis_link::{RedisLink, RedisOptions},
    store::{memory_gateway::MemoryCache, redis::RedisHistoryCache},
};

use crate::support::redis::Redis;

const TTL: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_in_memory() {
    history_cache_keeps_its_promises(Arc::new(MemoryCache::new(TTL))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_on_redis() {
    let Some(redis) = Redis::start().await else { return };
    let options = RedisOptions { server: redis.config("prefix:"), timeout: Duration::from_secs(3) };
    let cache = RedisHistoryCache::new(RedisLink::new(&options).expect("a link"), TTL);
    history_cache_keeps_its_promises(Arc::new(cache)).await;
}
