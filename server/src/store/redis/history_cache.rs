//! `gateway`'s cache of histories on Redis: `chat:history:{roomId}` is the list as JSON text; the floor that keeps it from going backwards
//! stands in a key of our own.

use std::time::Duration;

use chatwright_protocol::{
    dialects::gateway::wire::MessageJson,
    vocabulary::{Message, RoomId},
};
use redis::Script;
use serde::{Deserialize, Serialize};

use crate::{
    redis_link::RedisLink,
    store::{
        StoreError, StoreFuture,
        gateway::{HistoryCache, Page},
    },
};

/// A floor outlives its list by this factor: longer than any reader takes between the archive and the cache.
const FLOOR_TTL_FACTOR: u64 = 60;

/// KEYS: list, floor. ARGV: sequence, list, the two times to live in milliseconds.
const FILL: &str = "
local floor = tonumber(redis.call('GET', KEYS[2]) or '0')
if tonumber(ARGV[1]) < floor then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";

/// KEYS: list, floor. ARGV: sequence, the floor's time to live in milliseconds.
const RAISE: &str = "
local floor = tonumber(redis.call('GET', KEYS[2]) or '0')
if tonumber(ARGV[1]) <= floor then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[1])
return 1";

/// The cache on Redis.
#[derive(Debug)]
pub struct RedisHistoryCache {
    link: RedisLink,
    ttl_ms: u64,
    fill: Script,
    raise: Script,
}

#[derive(Serialize, Deserialize)]
struct ListJson {
    latest: u64,
    messages: Vec<MessageJson>,
}

impl RedisHistoryCache {
    /// A cache over this link whose lists live so long.
    #[must_use]
    pub fn new(link: RedisLink, ttl: Duration) -> Self {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX / FLOOR_TTL_FACTOR).max(1);
        Self { link, ttl_ms, fill: Script::new(FILL), raise: Script::new(RAISE) }
    }

    fn list_key(&self, room: &RoomId) -> String {
        self.link.key("chat:history:", room.as_str(), "")
    }

    fn floor_key(&self, room: &RoomId) -> String {
        self.link.key("chatwright:history-floor:", room.as_str(), "")
    }
}

impl HistoryCache for RedisHistoryCache {
    fn read<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Option<Page>> {
        Box::pin(async move {
            let mut get = redis::cmd("GET");
            let text: Option<String> = self.link.read(get.arg(self.list_key(room))).await?;
            text.map(|text| page(&text)).transpose()
        })
    }

    fn fill<'a>(&'a self, room: &'a RoomId, page: &'a Page) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let list =
                ListJson { latest: page.latest, messages: page.messages.iter().map(MessageJson::from).collect() };
            let text = serde_json::to_string(&list).expect("strings and numbers always serialise");
            let mut script = self.fill.key(self.list_key(room));
            script.key(self.floor_key(room)).arg(page.latest).arg(text);
            script.arg(self.ttl_ms).arg(self.ttl_ms.saturating_mul(FLOOR_TTL_FACTOR));
            self.link.run_script(&script).await
        })
    }

    fn raise<'a>(&'a self, room: &'a RoomId, sequence: u64) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut script = self.raise.key(self.list_key(room));
            script.key(self.floor_key(room)).arg(sequence).arg(self.ttl_ms.saturating_mul(FLOOR_TTL_FACTOR));
            self.link.run_script(&script).await
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let _: String = self.link.read(&redis::cmd("PING")).await?;
            Ok(())
        })
    }

    fn technology(&self) -> &'static str {
        "redis"
    }
}

fn page(text: &str) -> Result<Page, StoreError> {
    let list: ListJson = serde_json::from_str(text).map_err(|problem| StoreError::Corrupt(problem.to_string()))?;
    Ok(Page { messages: list.messages.into_iter().map(Message::from).collect(), latest: list.latest })
}
