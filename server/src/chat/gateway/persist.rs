//! The message service's worker: takes message by message from the queue and stores it; says so only when it is stored and when nobody
//! reads an older list from the cache any more.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    events::queue::{Pending, PersistFeed, Settled},
    store::{StoreError, gateway::Archive},
};

use super::newest::NewestMessages;

/// The pause after the first failure to store; doubled after each further one.
const RETRY_MIN: Duration = Duration::from_millis(50);

/// The longest pause: so long may the history lag behind a database that is back.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How often a message that the archive cannot make sense of is tried; then it is a dead letter. That the archive is away does not count.
const NONSENSE_MAX: u32 = 5;

/// Stores what the queue delivers.
pub struct Persister {
    /// Where messages come from.
    pub feed: Arc<dyn PersistFeed>,
    /// Where they go.
    pub archive: Arc<dyn Archive>,
    /// Who must forget older lists.
    pub cache: Arc<NewestMessages>,
}

impl Persister {
    /// Works until it is told to stop. A message in hand that is not stored by then is delivered again, to whoever comes next.
    pub async fn run(self, stopping: CancellationToken) {
        while let Some(pending) = stopping.run_until_cancelled(self.feed.next()).await {
            let Some(outcome) = stopping.run_until_cancelled(self.store(&pending)).await else { return };
            self.feed.settle(pending.tag, outcome).await;
        }
    }

    /// Retries with the message in hand: one that is put back would be overtaken by its sender's next one.
    async fn store(&self, pending: &Pending) -> Settled {
        let mut pause = RETRY_MIN;
        let mut nonsense = 0;
        loop {
            match self.archive.insert(&pending.message).await {
                Ok(sequence) => {
                    self.cache.raise(&pending.message.room, sequence).await;
                    return Settled::Stored;
                }
                Err(problem @ StoreError::Corrupt(_)) => {
                    nonsense += 1;
                    if nonsense >= NONSENSE_MAX {
                        tracing::error!(%problem, id = %pending.message.id, "a message goes to the dead letters");
                        return Settled::Dead(problem.to_string());
                    }
                }
                Err(problem @ StoreError::Unavailable(_)) => {
                    tracing::warn!(%problem, ?pause, "a message waits for the archive");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }
}
