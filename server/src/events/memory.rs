//! Events kept in memory, the newest only: for tests, and for a server whose events nobody collects.

use std::{collections::VecDeque, sync::Mutex};

use futures_util::future::{BoxFuture, ready};

use super::{EventSink, MessageSent, NotTaken};

/// A bounded queue of events; the oldest is dropped when it is full, since nobody may ever read it.
#[derive(Debug)]
pub struct MemoryEvents {
    events_max: usize,
    queue: Mutex<VecDeque<MessageSent>>,
}

impl MemoryEvents {
    /// Keeps the newest `events_max` events.
    #[must_use]
    pub fn new(events_max: usize) -> Self {
        Self { events_max, queue: Mutex::new(VecDeque::new()) }
    }

    /// Takes what is there, oldest first.
    pub fn take(&self) -> Vec<MessageSent> {
        self.queue.lock().expect("no code panics while it holds the queue").drain(..).collect()
    }
}

impl EventSink for MemoryEvents {
    fn offer<'a>(&'a self, event: &'a MessageSent) -> BoxFuture<'a, Result<(), NotTaken>> {
        let mut queue = self.queue.lock().expect("no code panics while it holds the queue");
        if queue.len() == self.events_max {
            queue.pop_front();
        }
        queue.push_back(event.clone());
        Box::pin(ready(Ok(())))
    }

    fn technology(&self) -> &'static str {
        "memory"
    }
}
