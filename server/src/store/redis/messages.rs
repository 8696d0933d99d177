//! Messages and rooms on Redis: `chat:history:{roomId}` is the documented list, newest first; the positions stand in a key of our own.

use chatwright_protocol::vocabulary::RoomId;
use redis::{Script, pipe};

use super::wire;
use crate::{
    redis_link::RedisLink,
    store::{Attempt, Draft, History, MessageStore, Position, RoomRecord, StoreError, StoreFuture, memory::Retention},
};

/// A position outlives its history by this factor, so that a room which falls asleep for a while does not count from 1 again.
const POSITION_TTL_FACTOR: u64 = 4;

/// Messages on Redis.
#[derive(Debug)]
pub struct RedisMessages {
    link: RedisLink,
    retention: Retention,
    append: Script,
    since: Script,
}

impl RedisMessages {
    /// A store over this link.
    #[must_use]
    pub fn new(link: RedisLink, retention: Retention) -> Self {
        let append = Script::new(include_str!("append.lua"));
        let since = Script::new(include_str!("since.lua"));
        Self { link, retention, append, since }
    }

    fn history_key(&self, room: &RoomId) -> String {
        self.link.key("chat:history:", room.as_str(), "")
    }

    fn position_key(&self, room: &RoomId) -> String {
        self.link.key("chatwright:position:", room.as_str(), "")
    }

    fn record_key(&self, room: &RoomId) -> String {
        self.link.key("chatwright:room:", room.as_str(), "")
    }

    fn history_ttl_s(&self) -> u64 {
        self.retention.history_ttl.as_secs().max(1)
    }

    fn position_ttl_s(&self) -> u64 {
        self.history_ttl_s() * POSITION_TTL_FACTOR
    }
}

/// The newest first, as the list holds them, to the oldest first, as everybody wants them.
fn history(texts: &[String], latest: Position) -> Result<History, StoreError> {
    let messages = texts.iter().rev().map(|text| wire::stored(text)).collect::<Result<_, _>>()?;
    Ok(History { messages, latest })
}

impl MessageStore for RedisMessages {
    fn append<'a>(&'a self, draft: &'a Draft, attempt: Attempt) -> StoreFuture<'a, Position> {
        Box::pin(async move {
            let mut script = self.append.key(self.position_key(&draft.room));
            script
                .key(self.history_key(&draft.room))
                .arg(wire::draft_json(draft))
                .arg(draft.id.as_str())
                .arg(if attempt == Attempt::Again { "1" } else { "0" })
                .arg(self.retention.history_messages_max)
                .arg(self.history_ttl_s())
                .arg(self.position_ttl_s());
            let (generation, sequence) = self.link.run_script(&script).await?;
            Ok(Position { generation, sequence })
        })
    }

    fn history<'a>(&'a self, room: &'a RoomId, limit: usize) -> StoreFuture<'a, History> {
        Box::pin(async move {
            let last = isize::try_from(limit).unwrap_or(isize::MAX) - 1;
            let mut both = pipe();
            both.atomic().cmd("HMGET").arg(self.position_key(room)).arg("generation").arg("sequence").lrange(
                self.history_key(room),
                0,
                last,
            );
            let ((generation, sequence), texts): ((Option<u64>, Option<u64>), Vec<String>) =
                self.link.read_all(&both).await?;
            let latest = Position { generation: generation.unwrap_or(0), sequence: sequence.unwrap_or(0) };
            history(&texts, latest)
        })
    }

    fn since<'a>(&'a self, room: &'a RoomId, after: Position) -> StoreFuture<'a, History> {
        Box::pin(async move {
            let mut script = self.since.key(self.position_key(room));
            script.key(self.history_key(room)).arg(after.generation).arg(after.sequence);
            let (generation, sequence, texts): (u64, u64, Vec<String>) = self.link.read_script(&script).await?;
            let mut history = history(&texts, Position { generation, sequence })?;
            history.messages.retain(|stored| stored.position() > after);
            Ok(history)
        })
    }

    fn latest<'a>(&'a self, rooms: &'a [RoomId]) -> StoreFuture<'a, Vec<Position>> {
        Box::pin(async move {
            if rooms.is_empty() {
                return Ok(Vec::new());
            }
            let mut all = pipe();
            for room in rooms {
                let key = self.position_key(room);
                let ttl = i64::try_from(self.position_ttl_s()).unwrap_or(i64::MAX);
                all.cmd("HMGET").arg(&key).arg("generation").arg("sequence").expire(&key, ttl).ignore();
            }
            let positions: Vec<(Option<u64>, Option<u64>)> = self.link.read_all(&all).await?;
            let position = |(generation, sequence): (Option<u64>, Option<u64>)| Position {
                generation: generation.unwrap_or(0),
                sequence: sequence.unwrap_or(0),
            };
            Ok(positions.into_iter().map(position).collect())
        })
    }

    fn open_room<'a>(&'a self, record: &'a RoomRecord) -> StoreFuture<'a, RoomRecord> {
        Box::pin(async move {
            let key = self.record_key(&record.room);
            let ttl = i64::try_from(self.position_ttl_s()).unwrap_or(i64::MAX);
            let mut all = pipe();
            all.atomic().set_nx(&key, wire::record_json(record)).ignore().expire(&key, ttl).ignore().get(&key);
            let (text,): (String,) = self.link.read_all(&all).await?;
            wire::record(&text)
        })
    }

    fn room<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Option<RoomRecord>> {
        Box::pin(async move {
            let text: Option<String> = self.link.read(&redis::Cmd::get(self.record_key(room))).await?;
            text.as_deref().map(wire::record).transpose()
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
