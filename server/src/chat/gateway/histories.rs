//! The message service's reading side: a room's newest messages, from the cache if it has them, else from the archive.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Message, MessageId, Refusal, RoomId};

use crate::{
    chat::Limits,
    metrics::Metrics,
    store::{
        StoreError,
        gateway::{Archive, Page},
    },
};

use super::newest::NewestMessages;

/// Reads histories.
pub struct Histories {
    /// All messages.
    pub archive: Arc<dyn Archive>,
    /// The newest ones of some rooms.
    pub cache: Arc<NewestMessages>,
    /// How many messages may be asked for, and how long an id may be.
    pub limits: Limits,
    /// Where hits and misses are counted.
    pub metrics: Metrics,
}

/// Which messages somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Of which room.
    pub room: RoomId,
    /// The newest so many; taken for the nearest number that is allowed.
    pub limit: Option<usize>,
    /// Only what stands before this message.
    pub before: Option<MessageId>,
}

impl Histories {
    /// The newest messages of a room, oldest first. Of two readings one after the other the second is never the older one.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] while the archive is away, [`Refusal::Invalid`] for an id beyond the limits.
    pub async fn read(&self, question: &Question) -> Result<Vec<Message>, Refusal> {
        let Question { room, limit, before } = question;
        check(room.as_str(), "roomId", self.limits.id_characters_max)?;
        let limit = limit.unwrap_or(self.limits.history_default).clamp(1, self.limits.history_max);
        let read = if before.is_none() && limit <= self.limits.history_default {
            self.newest(room).await
        } else {
            self.beside_the_cache(room, limit, before.as_ref()).await
        };
        let mut messages = read.map_err(|problem| {
            tracing::warn!(%problem, "a history was refused for want of the archive");
            Refusal::Unavailable
        })?;
        Ok(messages.split_off(messages.len().saturating_sub(limit)))
    }

    /// Cache-aside. What is read from the archive is offered to the cache before anybody sees it: from then on the cache is not older.
    async fn newest(&self, room: &RoomId) -> Result<Vec<Message>, StoreError> {
        let looked = self.cache.read(room).await;
        self.note(looked.as_ref().map_or("error", |it| if it.page.is_some() { "hit" } else { "miss" }), room);
        let era = match looked.map(|looked| (looked.page, looked.era)) {
            Some((Some(page), _)) => return Ok(page.messages),
            Some((None, era)) => Some(era),
            None => None,
        };
        let page = self.archive.newest(room, self.limits.history_default, None).await?;
        match era {
            Some(era) if page.latest > 0 => self.cache.fill(room, &page, &era).await,
            Some(_) | None => (),
        }
        Ok(page.messages)
    }

    /// Questions that the cached list cannot answer. Their answer may hold what the cached list does not have yet: then it is forgotten.
    async fn beside_the_cache(
        &self,
        room: &RoomId,
        limit: usize,
        before: Option<&MessageId>,
    ) -> Result<Vec<Message>, StoreError> {
        let Page { messages, latest } = self.archive.newest(room, limit, before).await?;
        if latest > 0 {
            self.cache.raise(room, latest).await;
        }
        Ok(messages)
    }

    fn note(&self, outcome: &'static str, room: &RoomId) {
        tracing::info!(%room, "cache {outcome}");
        self.metrics.cache_read(outcome);
    }
}

fn check(id: &str, field: &'static str, characters_max: usize) -> Result<(), Refusal> {
    if id.is_empty() {
        return Err(Refusal::Invalid { field, problem: "must not be empty" });
    }
    if id.chars().nth(characters_max).is_some() {
        return Err(Refusal::Invalid { field, problem: "is too long" });
    }
    Ok(())
}
