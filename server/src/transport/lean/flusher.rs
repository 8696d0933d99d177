//! Writes what was queued, a round at a time: whoever queues puts the session on a list once, and the writer lets the others of the round
//! queue too before it writes. So a burst costs each connection one system call, and a delivery no wake-up of its own.

use std::{
    future::poll_fn,
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use super::session::Session;
use crate::bell::Bell;

/// Writers side by side: more than cores gain nothing.
const WRITERS_MAX: usize = 8;

/// Threads that have queued something so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Which thread this is. What it queues in a round is written by one task, which it mostly runs itself, and next.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

/// The writers of one engine.
#[derive(Debug)]
pub(super) struct Flushers(Box<[Arc<Flusher>]>);

#[derive(Debug, Default)]
struct Flusher {
    dirty: Mutex<Vec<Arc<Session>>>,
    /// Rung when something came into an empty list.
    bell: Bell,
}

impl Flushers {
    pub(super) fn new() -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(WRITERS_MAX);
        Self((0..count).map(|_| Arc::default()).collect())
    }

    /// A session has something to write.
    pub(super) fn mark(&self, session: Arc<Session>) {
        let flusher = &self.0[THREAD.with(|thread| *thread) % self.0.len()];
        let is_first = {
            let mut dirty = flusher.dirty.lock().expect("no code panics while it holds the list");
            dirty.push(session);
            dirty.len() == 1
        };
        if is_first {
            flusher.bell.ring();
        }
    }

    /// One future per writer, to run as long as the engine lives.
    pub(super) fn writers(&self) -> impl Iterator<Item = impl Future<Output = ()> + Send + use<>> {
        self.0.iter().cloned().map(Flusher::write)
    }
}

impl Flusher {
    async fn write(self: Arc<Self>) {
        let mut round = Vec::new();
        loop {
            self.bell.rung().await;
            let_others_run().await; // whoever is ready now may queue as well
            mem::swap(&mut round, &mut *self.dirty.lock().expect("no code panics while it holds the list"));
            for session in round.drain(..) {
                session.flush();
            }
            if round.capacity() > ROUND_KEPT_MAX {
                round = Vec::new();
            }
        }
    }
}

/// Returns when all tasks have run that are ready now. The runtime's own way to yield asks the system for news first, which is a call.
async fn let_others_run() {
    let mut have_run = false;
    poll_fn(|context| {
        if mem::replace(&mut have_run, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A list that was longer gives its memory back.
const ROUND_KEPT_MAX: usize = 4096;
