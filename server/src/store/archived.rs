//! Messages that are confirmed by Redis and kept for good behind it: Redis first, the archive behind it.
//!
//! A message is confirmed when Redis has it, together with an entry in a queue on the same Redis. One instance at a time carries the queue's
//! entries into the archive, and tells other services what the archive says they have not learned. So an archive or a broker that is away
//! delays what it is for, and no message; and what waits survives the death of any instance.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chatwright_protocol::vocabulary::{MessageId, RoomId};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Attempt, Draft, History, InstanceId, MessageStore, Position, RoomRecord, StoreError, StoreFuture, Stored,
    archive::{Archive, Kept},
    redis::RedisMessages,
};
use crate::events::{EventSink, MessageSent};

/// For how long an instance may carry entries after it last asked; another goes on afterwards.
const LEASE: Duration = Duration::from_secs(5);

/// Entries carried at once: small enough to be written well within the lease.
const BATCH: usize = 64;

/// How long nobody looks after the queue when it was empty; an instance's own messages wake it.
const IDLE: Duration = Duration::from_millis(250);

/// How long an archive or a broker that is away is left alone.
const RETRY: Duration = Duration::from_millis(500);

/// Redis in front of an archive.
pub struct ArchivedMessages {
    shared: Arc<Shared>,
    _running: DropGuard,
}

struct Shared {
    front: RedisMessages,
    archive: Arc<dyn Archive>,
    events: Option<Arc<dyn EventSink>>,
    instance: InstanceId,
    entered: Notify,
    archived: Notify,
    /// Whether this instance is the one that carries.
    carries: AtomicBool,
}

impl ArchivedMessages {
    /// Starts carrying; dropping the store ends it. Events go to `events`, if other services want to know. Call it inside a tokio runtime.
    #[must_use]
    pub fn start(front: RedisMessages, archive: Arc<dyn Archive>, events: Option<Arc<dyn EventSink>>) -> Self {
        let shared = Arc::new(Shared {
            front: front.before_an_archive(),
            archive,
            events,
            instance: InstanceId::fresh(),
            entered: Notify::new(),
            archived: Notify::new(),
            carries: AtomicBool::new(false),
        });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(carry(Arc::clone(&shared))));
        if let Some(events) = shared.events.clone() {
            tokio::spawn(stop.clone().run_until_cancelled_owned(publish(Arc::clone(&shared), events)));
        }
        Self { shared, _running: stop.drop_guard() }
    }
}

impl fmt::Debug for ArchivedMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchivedMessages").field("front", &self.shared.front).finish_non_exhaustive()
    }
}

impl Shared {
    /// Puts older messages before those that the front still has.
    async fn fill(&self, room: &RoomId, mut history: History, after: Position, wanted: usize) -> History {
        let missing = wanted.saturating_sub(history.messages.len());
        if missing == 0 {
            return history;
        }
        let first = history.messages.first().map_or(Position { generation: u64::MAX, sequence: 0 }, Stored::position);
        match self.archive.before(room, first, missing).await {
            Ok(mut older) => {
                older.retain(|stored| stored.position() > after);
                older.append(&mut history.messages);
                history.messages = older;
            }
            Err(problem) => tracing::warn!(%problem, "a history is read without the archive"),
        }
        // Redis may have forgotten that the room was ever used.
        if let Some(last) = history.messages.last() {
            history.latest = history.latest.max(last.position());
        }
        history
    }
}

impl MessageStore for ArchivedMessages {
    fn append<'a>(&'a self, draft: &'a Draft, attempt: Attempt) -> StoreFuture<'a, Position> {
        Box::pin(async move {
            let position = self.shared.front.append(draft, attempt).await?;
            self.shared.entered.notify_one();
            Ok(position)
        })
    }

    fn history<'a>(&'a self, room: &'a RoomId, limit: usize) -> StoreFuture<'a, History> {
        Box::pin(async move {
            let limit = limit.min(self.shared.front.history_messages_max());
            let history = self.shared.front.history(room, limit).await?;
            Ok(self.shared.fill(room, history, Position::default(), limit).await)
        })
    }

    fn since<'a>(&'a self, room: &'a RoomId, after: Position) -> StoreFuture<'a, History> {
        Box::pin(async move {
            let history = self.shared.front.since(room, after).await?;
            let is_complete = history.messages.first().is_none_or(|first| first.position() == after.next());
            if is_complete && history.latest.generation == after.generation {
                return Ok(history);
            }
            let limit = self.shared.front.history_messages_max();
            Ok(self.shared.fill(room, history, after, limit).await)
        })
    }

    fn latest<'a>(&'a self, rooms: &'a [RoomId]) -> StoreFuture<'a, Vec<Position>> {
        self.shared.front.latest(rooms)
    }

    fn open_room<'a>(&'a self, record: &'a RoomRecord) -> StoreFuture<'a, RoomRecord> {
        Box::pin(async move {
            let known = self.room(&record.room).await?;
            let record = known.as_ref().unwrap_or(record);
            let counts = self.shared.front.open_room(record).await?;
            self.shared.entered.notify_one();
            Ok(counts)
        })
    }

    fn room<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Option<RoomRecord>> {
        Box::pin(async move {
            if let Some(record) = self.shared.front.room(room).await? {
                return Ok(Some(record));
            }
            Ok(self.shared.archive.room(room).await.unwrap_or_else(|problem| {
                tracing::warn!(%problem, "a room's record is looked for without the archive");
                None
            }))
        })
    }

    /// Of the front: without the archive messages are confirmed all the same.
    fn ping(&self) -> StoreFuture<'_, ()> {
        self.shared.front.ping()
    }

    fn technology(&self) -> &'static str {
        self.shared.front.technology()
    }
}

/// Carries entries from the queue into the archive, while this instance is the one to do so.
async fn carry(shared: Arc<Shared>) {
    loop {
        let entries = shared.front.unarchived(&shared.instance, LEASE, BATCH).await;
        shared.carries.store(matches!(entries, Ok(Some(_))), Ordering::Relaxed);
        let pause = match entries {
            Ok(Some(entries)) if !entries.is_empty() => match carry_all(&shared, &entries).await {
                Ok(()) => continue,
                Err(problem) => {
                    tracing::warn!(%problem, "what is to be kept for good waits");
                    RETRY
                }
            },
            Ok(Some(_)) => {
                let _ = tokio::time::timeout(IDLE, shared.entered.notified()).await;
                continue;
            }
            Ok(None) => IDLE,
            Err(_) => RETRY, // the front says so itself, to whoever asks it
        };
        tokio::time::sleep(pause).await;
    }
}

async fn carry_all(shared: &Shared, entries: &[super::redis::Unarchived]) -> Result<(), StoreError> {
    let mut readable = Vec::with_capacity(entries.len());
    for entry in entries {
        match &entry.kept {
            Ok(kept) => readable.push(kept.clone()),
            Err(problem) => give_up(problem),
        }
    }
    match shared.archive.keep(&readable).await {
        Err(StoreError::Corrupt(_)) => keep_each(&*shared.archive, &readable).await?,
        kept => kept?,
    }
    shared.front.archived(entries).await?;
    shared.archived.notify_one();
    Ok(())
}

/// Keeps one by one what cannot be kept together, so that only the entry that is at fault is given up.
async fn keep_each(archive: &dyn Archive, entries: &[Kept]) -> Result<(), StoreError> {
    for entry in entries {
        match archive.keep(std::slice::from_ref(entry)).await {
            Err(problem @ StoreError::Corrupt(_)) => give_up(&problem),
            kept => kept?,
        }
    }
    Ok(())
}

fn give_up(problem: &StoreError) {
    tracing::error!(%problem, "an entry cannot be kept for good and is given up; its room still has it");
}

/// Tells other services of the messages that the archive says they have not learned of.
async fn publish(shared: Arc<Shared>, events: Arc<dyn EventSink>) {
    loop {
        let told = if shared.carries.load(Ordering::Relaxed) { publish_some(&shared, &*events).await } else { Ok(0) };
        match told {
            Ok(0) => {
                let _ = tokio::time::timeout(IDLE, shared.archived.notified()).await;
            }
            Ok(_) => {}
            Err(problem) => {
                tracing::warn!(problem, "an event waits");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn publish_some(shared: &Shared, events: &dyn EventSink) -> Result<usize, String> {
    let words = |problem: StoreError| problem.to_string();
    let messages = shared.archive.unpublished(BATCH).await.map_err(words)?;
    let mut told = Vec::with_capacity(messages.len());
    let outcome = offer_all(shared, events, &messages, &mut told).await;
    if !told.is_empty() {
        shared.archive.published(&told).await.map_err(words)?;
    }
    outcome.map(|()| messages.len())
}

/// Offers the events of these messages, in order, up to the first that is not taken; `told`: whose were.
async fn offer_all(
    shared: &Shared,
    events: &dyn EventSink,
    messages: &[Stored],
    told: &mut Vec<MessageId>,
) -> Result<(), String> {
    let words = |problem: StoreError| problem.to_string();
    for Stored { message, .. } in messages {
        let record = match shared.front.room(&message.room).await {
            Ok(Some(record)) => Some(record),
            Ok(None) | Err(_) => shared.archive.room(&message.room).await.map_err(words)?,
        };
        let event = MessageSent::of(message, record.as_ref());
        events.offer(&event).await.map_err(|problem| problem.to_string())?;
        told.push(message.id.clone());
    }
    Ok(())
}
