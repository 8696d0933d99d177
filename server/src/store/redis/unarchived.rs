//! What waits on Redis for the archive behind it: entered with the message itself, struck off when the archive has it.

use std::time::Duration;

use super::{RedisMessages, wire};
use crate::store::{InstanceId, StoreError, archive::Kept};

/// Messages that may wait: some 100 MB on Redis. Beyond it appends are refused, because what is confirmed must reach the archive.
pub(super) const UNARCHIVED_MAX: usize = 200_000;

/// The first letter of an entry says what follows.
const MESSAGE: char = 'm';
const ROOM: char = 'r';

/// An entry of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unarchived {
    /// As it stands there.
    entry: String,
    /// What it means; an error if nobody can read it.
    pub kept: Result<Kept, StoreError>,
}

impl RedisMessages {
    /// The oldest entries, for the one instance that writes them: `None` if that is another, whose lease lives.
    ///
    /// One at a time writes, so that other services learn of a room's messages in their order. An entry is struck off by
    /// [`archived`](Self::archived), so it is never lost, and may come twice.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn unarchived(
        &self,
        instance: &InstanceId,
        lease: Duration,
        entries_max: usize,
    ) -> Result<Option<Vec<Unarchived>>, StoreError> {
        let mut script = self.unarchived.key(self.link.key("chatwright:archivist", "", ""));
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        script.key(self.queue_key()).arg(instance.as_str()).arg(lease_ms).arg(entries_max);
        let entries: Option<Vec<String>> = self.link.run_script(&script).await?;
        Ok(entries.map(|entries| entries.into_iter().map(Unarchived::read).collect()))
    }

    /// Strikes entries off.
    ///
    /// # Errors
    /// Redis is away: they come again.
    pub async fn archived(&self, entries: &[Unarchived]) -> Result<(), StoreError> {
        let mut all = redis::pipe();
        for entry in entries {
            all.lrem(self.queue_key(), 1, &entry.entry).ignore();
        }
        self.link.run_all(&all).await
    }

    pub(super) fn queue_key(&self) -> String {
        self.link.key("chatwright:unarchived", "", "")
    }
}

impl Unarchived {
    fn read(entry: String) -> Self {
        let kept = match entry.chars().next() {
            Some(MESSAGE) => wire::stored(&entry[1..]).map(Kept::Message),
            Some(ROOM) => wire::record(&entry[1..]).map(Kept::Room),
            Some(_) | None => Err(StoreError::Corrupt("an entry of no known kind".to_owned())),
        };
        Self { entry, kept }
    }
}
