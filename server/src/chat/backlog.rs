//! Messages that wait for the store: bounded, written in order when it returns. For dialects whose messages are confirmed by their store.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use chatwright_protocol::vocabulary::RoomId;
use tokio::sync::Notify;

use crate::store::StoreError;

/// What can wait.
pub(super) trait Waits: Clone {
    /// Where it is said: within it nothing overtakes.
    fn room(&self) -> &RoomId;
}

/// The messages that wait, oldest first. Beyond its bound a send is refused before anything is done: that is the written policy. What was
/// under way to the store by then is still taken, one message of each connection at most: the store may have it.
#[derive(Debug)]
pub(super) struct Backlog<D> {
    drafts_max: usize,
    waiting: Mutex<Waiting<D>>,
    work: Notify,
}

#[derive(Debug)]
struct Waiting<D> {
    drafts: VecDeque<D>,
    per_room: HashMap<RoomId, usize>,
    closed: bool,
}

impl<D: Waits> Backlog<D> {
    pub(super) fn new(drafts_max: usize) -> Self {
        let waiting = Waiting { drafts: VecDeque::new(), per_room: HashMap::new(), closed: false };
        Self { drafts_max, waiting: Mutex::new(waiting), work: Notify::new() }
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
    pub(super) fn push(&self, draft: D) {
        let mut waiting = self.waiting();
        *waiting.per_room.entry(draft.room().clone()).or_default() += 1;
        waiting.drafts.push_back(draft);
        drop(waiting);
        self.work.notify_one();
    }

    /// No more will come: the writer ends when it has written what there is.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.work.notify_one();
    }

    fn first(&self) -> First<D> {
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
        if let Some(count) = waiting.per_room.get_mut(draft.room()) {
            *count -= 1;
            if *count == 0 {
                waiting.per_room.remove(draft.room());
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<D>> {
        self.waiting.lock().expect("no code panics while it holds the backlog")
    }
}

enum First<D> {
    Draft(D),
    Empty,
    Closed,
}

/// Writes the backlog until it is closed and empty. `store` stores one message and tells it; an attempt whose answer was lost may have taken
/// effect, so it must know a message that is there already.
pub(super) async fn write<D, F>(backlog: &Backlog<D>, retry: Duration, store: impl Fn(D) -> F)
where
    D: Waits,
    F: Future<Output = Result<(), StoreError>>,
{
    loop {
        match backlog.first() {
            First::Closed => return,
            First::Empty => backlog.work.notified().await,
            First::Draft(draft) => match store(draft.clone()).await {
                Ok(()) => backlog.written(),
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(retry).await,
                Err(problem @ StoreError::Corrupt(_)) => {
                    tracing::error!(%problem, room = %draft.room(), "a message cannot be stored and is given up; it was never confirmed");
                    backlog.written();
                }
            },
        }
    }
}
