//! What comes from other instances, and how a room catches up when something did not come.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Hub,
    room::Next,
    roster::{Cell, hear},
};
use crate::bus::{Deliveries, Delivery, Notice, NoticeBody};

/// Reads the bus until the server stops.
pub(super) async fn listen(hub: Arc<Hub>, mut deliveries: Deliveries) {
    let stopping = hub.registry.stopping().clone();
    while let Some(delivery) = stopping.run_until_cancelled(deliveries.recv()).await.flatten() {
        match delivery {
            Delivery::Notice(notice) if notice.origin == hub.instance => {}
            Delivery::Notice(notice) => hub.hear_notice(notice),
            Delivery::Gap => {
                hub.metrics.bus_gap();
                tracing::info!("the bus may have lost something: all rooms are compared with the store");
                hub.roster.all().iter().for_each(|cell| hub.heal_soon(cell));
            }
        }
    }
}

impl Hub {
    fn hear_notice(self: &Arc<Self>, notice: Notice) {
        let Some(cell) = self.roster.cell(&notice.room) else { return };
        match notice.body {
            NoticeBody::Message(stored) => {
                let next = cell.state().offer(stored);
                self.follow_up(&cell, next);
            }
            body @ (NoticeBody::Joined(_)
            | NoticeBody::Left(_)
            | NoticeBody::Typing { .. }
            | NoticeBody::Said { .. }
            | NoticeBody::Moved { .. }) => hear(&cell, &body),
        }
    }

    /// Does what a room asks for after messages were offered to it.
    pub(super) fn follow_up(&self, cell: &Arc<Cell>, next: Next) {
        match next {
            Next::Settled => {}
            Next::Gap => self.heal_soon(cell),
        }
    }

    /// Reads the store for a room after a moment of patience, unless somebody does so already.
    pub(super) fn heal_soon(&self, cell: &Arc<Cell>) {
        if cell.healing.swap(true, Ordering::AcqRel) {
            return;
        }
        let cell = Arc::clone(cell);
        let messages = Arc::clone(&self.ports.messages);
        let patience = self.rules.clocks.gap_patience;
        self.keep(async move {
            tokio::time::sleep(patience).await;
            cell.healing.store(false, Ordering::Release); // what is offered from here on may ask again
            let Some(told) = cell.state().told() else { return };
            match messages.since(&cell.room, told).await {
                Ok(history) => {
                    // A message may still be missing that was stored after this reading; it comes by the bus or by the next sweep.
                    let _ = cell.state().heal(history);
                }
                Err(problem) => tracing::warn!(%problem, "a room waits for the store; the next sweep tries again"),
            }
        });
    }
}
