//! What other services shall learn, from the store's outbox to them: at least once, in the order of each conversation.

use std::{sync::Arc, time::Duration};

use super::Hub;
use crate::{events::NotTaken, store::conversations::WaitingEvent};

/// Events handed over in one go.
const BATCH_MAX: usize = 100;

/// How often the outbox is looked into when nobody here puts anything in: another instance may have died with something left.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the sink or the store is left alone after a failure.
const RETRY: Duration = Duration::from_millis(500);

/// Empties the outbox until the core has stopped, and then as far as sink and store take it.
pub(super) async fn empty(hub: Arc<Hub>) {
    loop {
        match hub.hand_over().await {
            Handed::All => {}
            Handed::Nothing if hub.stopped.is_cancelled() => return,
            Handed::Nothing => {
                hub.look_at_the_sink().await;
                let posted = tokio::time::timeout(LOOK_EVERY, hub.posted.notified());
                let _ = hub.stopped.run_until_cancelled(posted).await;
            }
            Handed::Failed if hub.stopped.is_cancelled() => return,
            Handed::Failed => {
                let _ = hub.stopped.run_until_cancelled(tokio::time::sleep(RETRY)).await;
            }
        }
    }
}

enum Handed {
    /// What was read is handed over; there may be more.
    All,
    /// Nothing waits.
    Nothing,
    /// The sink or the store did not take it.
    Failed,
}

impl Hub {
    async fn hand_over(&self) -> Handed {
        let waiting = match self.ports.conversations.waiting_events(BATCH_MAX).await {
            Ok(waiting) if waiting.is_empty() => return Handed::Nothing,
            Ok(waiting) => waiting,
            Err(problem) => {
                tracing::warn!(%problem, "the outbox cannot be read");
                return Handed::Failed;
            }
        };
        let told = self.offer_events(&waiting).await;
        if let Err(problem) = self.ports.conversations.events_told(&told).await {
            tracing::warn!(%problem, "events will be told again");
            return Handed::Failed;
        }
        if told.len() == waiting.len() { Handed::All } else { Handed::Failed }
    }

    /// Asks the sink for a sign of life while there is nothing for it.
    async fn look_at_the_sink(&self) {
        if let Some(sink) = &self.ports.events {
            let answer = sink.ping().await;
            self.judge_the_sink(&answer);
        }
    }

    /// Keeps for `/health` how the sink is, and logs when that changes.
    fn judge_the_sink(&self, answer: &Result<(), NotTaken>) {
        let problem = answer.as_ref().err().map(ToString::to_string);
        let mut known = self.problem_of_events.lock().expect("no code panics while it holds the words");
        match (&*known, &problem) {
            (None, Some(problem)) => tracing::warn!(problem, "events wait"),
            (Some(_), None) => tracing::info!("events are taken again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *known = problem;
    }

    /// The places of the events that the sink took; the others are offered again, in the same order.
    async fn offer_events(&self, waiting: &[WaitingEvent]) -> Vec<u64> {
        let Some(sink) = &self.ports.events else { return waiting.iter().map(|waiting| waiting.place).collect() };
        let events: Vec<_> = waiting.iter().map(|waiting| &waiting.event).collect();
        let offered = sink.offer_all(&events).await;
        let refused = offered.iter().find_map(|taken| taken.as_ref().err());
        self.judge_the_sink(&refused.map_or(Ok(()), |problem| Err(problem.clone())));
        let taken = waiting.iter().zip(&offered).filter(|(_, taken)| taken.is_ok());
        taken.inspect(|_| self.metrics.event_published()).map(|(waiting, _)| waiting.place).collect()
    }
}
