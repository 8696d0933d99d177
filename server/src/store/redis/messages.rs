//! Messages and rooms on Redis: `chat:history:{roomId}` is the documented list, newest first; the positions stand in a key of our own.

use chatwright_protocol::vocabulary::RoomId;
use redis::{Script, pipe};

use super::{unarchived::UNARCHIVED_MAX, wire};
use crate::{
    redis_link::RedisLink,
    store::{Attempt, Draft, History, MessageStore, Position, RoomRecord, StoreError, StoreFuture, memory::Retention},
};

/// A position outlives its history by this factor, so that a room which falls asleep for a while does not count from 1 again.
const POSITION_TTL_FACTOR: u64 = 4;

/// Messages on Redis.
#[derive(Debug)]
pub struct RedisMessages {
    pub(super) link: RedisLink,
    retention: Retention,
    /// Whether an archive behind it is to be told.
    archived: bool,
    append: Script,
    since: Script,
    open_room: Script,
    pub(super) unarchived: Script,
}

impl RedisMessages {
    /// A store over this link.
    #[must_use]
    pub fn new(link: RedisLink, retention: Retention) -> Self {
        Self {
            link,
            retention,
            archived: false,
            append: Script::new(include_str!("append.lua")),
            since: Script::new(include_str!("since.lua")),
            open_room: Script::new(include_str!("open_room.lua")),
            unarchived: Script::new(include_str!("unarchived.lua")),
        }
    }

    /// The same with an archive behind it: whatever is stored from here on waits to be written there.
    #[must_use]
    pub fn before_an_archive(self) -> Self {
        Self { archived: true, ..self }
    }

    /// How many messages it keeps of a room.
    #[must_use]
    pub fn history_messages_max(&self) -> usize {
        self.retention.history_messages_max
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
            script.key(self.history_key(&draft.room));
            if self.archived {
                script.key(self.queue_key());
            }
            script
                .arg(wire::draft_json(draft))
                .arg(draft.id.as_str())
                .arg(if attempt == Attempt::Again { "1" } else { "0" })
                .arg(self.retention.history_messages_max)
                .arg(self.history_ttl_s())
                .arg(self.position_ttl_s())
                .arg(UNARCHIVED_MAX);
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
            let mut script = self.open_room.key(self.record_key(&record.room));
            if self.archived {
                script.key(self.queue_key());
            }
            script.arg(wire::record_json(record)).arg(self.position_ttl_s());
            let text: String = self.link.read_script(&script).await?;
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
