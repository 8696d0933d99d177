//! `gateway`'s cache of histories on Redis: `chat:history:{roomId}` is the list as JSON text; the floor that keeps it from going backwards
//! and the era that it belongs to stand in keys of our own.

use std::time::Duration;

use chatwright_protocol::{
    dialects::gateway::wire::MessageJson,
    vocabulary::{Message, RoomId},
};
use redis::Script;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    redis_link::RedisLink,
    store::{
        StoreError, StoreFuture,
        gateway::{Era, HistoryCache, Looked, Page},
    },
};

/// A floor outlives its list by this factor: longer than any reader takes between the archive and the cache.
const FLOOR_TTL_FACTOR: u64 = 60;

/// KEYS: list, floor, era. ARGV: sequence, list, the two times to live in milliseconds, era.
const FILL: &str = "
if (redis.call('GET', KEYS[3]) or '') ~= ARGV[5] then return 0 end
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
    /// The era in which it was filled in; empty where none was ever begun.
    #[serde(default)]
    era: String,
    messages: Vec<MessageJson>,
}

impl RedisHistoryCache {
    /// A cache over this link whose lists live so long. The link is the cache's own: a failure that another user of it has seen would be
    /// hidden from this one.
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

    fn era_key(&self) -> String {
        self.link.key("chatwright:history-era", "", "")
    }
}

impl HistoryCache for RedisHistoryCache {
    fn read<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Looked> {
        Box::pin(async move {
            let mut both = redis::cmd("MGET");
            both.arg(self.list_key(room)).arg(self.era_key());
            let (list, era): (Option<String>, Option<String>) = self.link.run(&both).await?;
            let era = era.unwrap_or_default();
            let list = list.map(|text| read(&text)).transpose()?.filter(|list| list.era == era);
            Ok(Looked { page: list.map(Page::from), era: Era(era) })
        })
    }

    fn fill<'a>(&'a self, room: &'a RoomId, page: &'a Page, era: &'a Era) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let messages = page.messages.iter().map(MessageJson::from).collect();
            let list = ListJson { latest: page.latest, era: era.0.clone(), messages };
            let text = serde_json::to_string(&list).expect("strings and numbers always serialise");
            let mut script = self.fill.key(self.list_key(room));
            script.key(self.floor_key(room)).key(self.era_key()).arg(page.latest).arg(text);
            script.arg(self.ttl_ms).arg(self.ttl_ms.saturating_mul(FLOOR_TTL_FACTOR)).arg(&era.0);
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

    /// A name that nobody has used: a counter would begin again on a Redis that has lost its data.
    fn forget_all(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let mut set = redis::cmd("SET");
            set.arg(self.era_key()).arg(Uuid::new_v4().simple().to_string());
            self.link.run(&set).await
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let _: String = self.link.run(&redis::cmd("PING")).await?;
            Ok(())
        })
    }

    fn technology(&self) -> &'static str {
        "redis"
    }
}

fn read(text: &str) -> Result<ListJson, StoreError> {
    serde_json::from_str(text).map_err(|problem| StoreError::Corrupt(problem.to_string()))
}

impl From<ListJson> for Page {
    fn from(list: ListJson) -> Self {
        Self { messages: list.messages.into_iter().map(Message::from).collect(), latest: list.latest }
    }
}
