//! The heartbeat of Engine.IO as it passes by: how long after the last pong, or the beginning, each ping came.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Of one case, so many are remembered.
const BEATS_MAX: usize = 200;

/// What the connections of one case have seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beats(Arc<Mutex<Vec<Duration>>>);

impl Beats {
    /// What was seen.
    pub(crate) fn taken(&self) -> Vec<Duration> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// One connection's.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    beats: Beats,
    since: Arc<Mutex<Instant>>,
}

impl Pulse {
    pub(super) fn new(beats: Beats) -> Self {
        Self { beats, since: Arc::new(Mutex::new(Instant::now())) }
    }

    /// A ping came.
    pub(super) fn pinged(&self) {
        let gap = lock(&self.since).elapsed();
        let mut beats = lock(&self.beats.0);
        if beats.len() < BEATS_MAX {
            beats.push(gap);
        }
    }

    /// It is being answered.
    pub(super) fn ponged(&self) {
        *lock(&self.since) = Instant::now();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // a list is whole whatever happened
}
