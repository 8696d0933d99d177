//! The durable queue of `gateway` in this process: as durable as the process. The default, and the double in tests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use chatwright_protocol::vocabulary::Message;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::Notify;

use super::{
    NotTaken,
    queue::{Pending, PersistFeed, PersistQueue, Settled},
};

/// Messages that may wait; more are not taken. In memory the consumer is in the same process and always there.
pub const MESSAGES_WAITING_MAX: usize = 100_000;

/// Dead letters that are kept, the newest.
pub const DEAD_LETTERS_MAX: usize = 1000;

/// The queue. Cheap to clone: all clones are one queue.
#[derive(Debug, Clone, Default)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Message>,
    held: Option<Held>,
    dead: VecDeque<(Message, String)>,
    last_tag: u64,
    last_consumer: u64,
}

#[derive(Debug)]
struct Held {
    consumer: u64,
    pending: Pending,
}

impl MemoryQueue {
    /// One more consumer. What it holds when it is dropped is delivered again.
    #[must_use]
    pub fn feed(&self) -> MemoryFeed {
        let mut state = self.state();
        state.last_consumer += 1;
        MemoryFeed { id: state.last_consumer, queue: self.clone() }
    }

    /// The dead letters with their reasons, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<(Message, String)> {
        self.state().dead.iter().cloned().collect()
    }

    fn put(&self, message: &Message) -> Result<(), NotTaken> {
        let mut state = self.state();
        if state.waiting.len() >= MESSAGES_WAITING_MAX {
            return Err(NotTaken("the queue is full".to_owned()));
        }
        state.waiting.push_back(message.clone());
        drop(state);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no code panics while it holds the queue")
    }
}

impl State {
    fn deliver(&mut self, consumer: u64) -> Option<Pending> {
        if self.held.is_some() {
            return None;
        }
        let message = self.waiting.pop_front()?;
        self.last_tag += 1;
        let pending = Pending { tag: self.last_tag, message };
        self.held = Some(Held { consumer, pending: pending.clone() });
        Some(pending)
    }

    fn settle(&mut self, tag: u64, outcome: Settled) {
        let Some(held) = self.held.take_if(|held| held.pending.tag == tag) else { return };
        if let Settled::Dead(reason) = outcome {
            if self.dead.len() >= DEAD_LETTERS_MAX {
                self.dead.pop_front();
            }
            self.dead.push_back((held.pending.message, reason));
        }
    }
}

impl PersistQueue for MemoryQueue {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(ready(self.put(message)))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), NotTaken>> {
        Box::pin(ready(Ok(())))
    }

    fn technology(&self) -> &'static str {
        "memory"
    }
}

/// A consumer of a [`MemoryQueue`].
#[derive(Debug)]
pub struct MemoryFeed {
    id: u64,
    queue: MemoryQueue,
}

impl PersistFeed for MemoryFeed {
    fn next(&self) -> BoxFuture<'_, Pending> {
        Box::pin(async move {
            loop {
                let changed = self.queue.shared.changed.notified();
                let mut changed = std::pin::pin!(changed);
                changed.as_mut().enable(); // before the look, so that nothing slips between the two
                let pending = self.queue.state().deliver(self.id);
                if let Some(pending) = pending {
                    return pending;
                }
                changed.await;
            }
        })
    }

    fn settle(&self, tag: u64, outcome: Settled) -> BoxFuture<'_, ()> {
        self.queue.state().settle(tag, outcome);
        self.queue.shared.changed.notify_waiters();
        Box::pin(ready(()))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), NotTaken>> {
        Box::pin(ready(Ok(())))
    }

    fn technology(&self) -> &'static str {
        "memory"
    }
}

impl Drop for MemoryFeed {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Some(held) = state.held.take_if(|held| held.consumer == self.id) {
            state.waiting.push_front(held.pending.message);
        }
        drop(state);
        self.queue.shared.changed.notify_waiters();
    }
}
