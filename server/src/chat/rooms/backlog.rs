//! Messages that wait for the store: bounded, written in order when it returns.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use chatwright_protocol::vocabulary::RoomId;
use tokio::sync::Notify;

use super::Hub;
use crate::store::{Attempt, Draft, StoreError};

/// The messages that wait, oldest first. Beyond its bound a send is refused before anything is done: that is the written policy. What was
/// under way to the store by then is still taken, one message of each connection at most: the store may have it.
#[derive(Debug)]
pub(super) struct Backlog {
    drafts_max: usize,
    waiting: Mutex<Waiting>,
    work: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    drafts: VecDeque<Draft>,
    per_room: HashMap<RoomId, usize>,
    closed: bool,
}

impl Backlog {
    pub(super) fn new(drafts_max: usize) -> Self {
        Self { drafts_max, waiting: Mutex::default(), work: Notify::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting().drafts.len()
    }

    /// Whether a message of this room waits: later ones must wait behind it.
    pub(super) fn holds(&self, room: &RoomId) -> bool {
        self.waiting().per_room.contains_key(room)
    }

    /// Whether no further message may begin.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.drafts_max
    }

    /// Remembers a message.
    pub(super) fn push(&self, draft: Draft) {
        let mut waiting = self.waiting();
        *waiting.per_room.entry(draft.room.clone()).or_default() += 1;
        waiting.drafts.push_back(draft);
        drop(waiting);
        self.work.notify_one();
    }

    /// No more will come: the writer ends when it has written what there is.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.work.notify_one();
    }

    fn first(&self) -> First {
        let waiting = self.waiting();
        match waiting.drafts.front() {
            Some(draft) => First::Draft(draft.clone()),
            None if waiting.closed => First::Closed,
            None => First::Empty,
        }
    }

    fn written(&self) {
        let mut waiting = self.waiting();
        let Some(draft) = waiting.drafts.pop_front() else { return };
        if let Some(count) = waiting.per_room.get_mut(&draft.room) {
            *count -= 1;
            if *count == 0 {
                waiting.per_room.remove(&draft.room);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no code panics while it holds the backlog")
    }
}

enum First {
    Draft(Draft),
    Empty,
    Closed,
}

/// Writes the backlog until it is closed and empty. An attempt whose answer was lost may have taken effect, hence [`Attempt::Again`].
pub(super) async fn write(hub: Arc<Hub>) {
    loop {
        match hub.backlog.first() {
            First::Closed => return,
            First::Empty => hub.backlog.work.notified().await,
            First::Draft(draft) => match hub.ports.messages.append(&draft, Attempt::Again).await {
                Ok(position) => {
                    hub.backlog.written();
                    hub.spread(draft.placed(position)).await;
                }
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(hub.rules.clocks.backlog_retry).await,
                Err(problem @ StoreError::Corrupt(_)) => {
                    tracing::error!(%problem, room = %draft.room, "a message cannot be stored and is given up; it was never confirmed");
                    hub.backlog.written();
                }
            },
        }
    }
}
