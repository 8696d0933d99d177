//! Connections whose clients are away, kept in this process: for instances that share it, and the double in tests.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use chatwright_protocol::vocabulary::UserId;
use futures_util::future::ready;

use super::{
    StoreFuture,
    away::{Away, AwayStore, Trail},
};

/// Connections that are kept; one more is not. As many as one instance lets wait, several times over.
const AWAY_MAX: usize = 16 * 1024;

/// Beyond so many, those whose window is over are looked for.
const UNSEEN_MAX: usize = 64;

/// Who is away, in memory.
#[derive(Debug, Default)]
pub struct MemoryAway {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all: HashMap<String, Kept>,
    /// How many there were when those whose window was over were last taken out.
    living: usize,
}

#[derive(Debug)]
struct Kept {
    until: Instant,
    away: Away,
}

impl MemoryAway {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds those who are away")
    }
}

impl State {
    /// A place for one more, unless there are too many. Whose window is over goes when there are twice as many as at the last look, so that
    /// looking costs each of them the same.
    fn has_place(&mut self) -> bool {
        if self.all.len() >= (2 * self.living).clamp(UNSEEN_MAX, AWAY_MAX) {
            let now = Instant::now();
            self.all.retain(|_, kept| kept.until > now);
            self.living = self.all.len();
        }
        self.all.len() < AWAY_MAX
    }

    fn living(&mut self, private_id: &str) -> Option<&mut Away> {
        let now = Instant::now();
        self.all.get_mut(private_id).filter(|kept| kept.until > now).map(|kept| &mut kept.away)
    }
}

impl AwayStore for MemoryAway {
    fn keep<'a>(&'a self, private_id: &'a str, away: &'a Away, window: Duration) -> StoreFuture<'a, ()> {
        let mut state = self.state();
        if state.has_place() {
            let kept = Kept { until: Instant::now() + window, away: away.clone() };
            state.all.insert(private_id.to_owned(), kept);
        }
        Box::pin(ready(Ok(())))
    }

    fn add<'a>(&'a self, private_id: &'a str, more: &'a Trail, told_max: usize) -> StoreFuture<'a, bool> {
        let mut state = self.state();
        let kept = state.living(private_id);
        let is_kept = kept.is_some();
        if let Some(Away { trail, .. }) = kept {
            let Trail { standing, forgotten, told } = more.clone();
            (trail.standing, trail.forgotten) = (standing, forgotten);
            trail.told.extend(told);
            trail.told.drain(..trail.told.len().saturating_sub(told_max));
        }
        Box::pin(ready(Ok(is_kept)))
    }

    fn take<'a>(&'a self, private_id: &'a str, user: &'a UserId) -> StoreFuture<'a, Option<Away>> {
        let mut state = self.state();
        let is_his = state.living(private_id).is_some_and(|away| away.user == *user);
        let taken = if is_his { state.all.remove(private_id).map(|kept| kept.away) } else { None };
        Box::pin(ready(Ok(taken)))
    }

    fn forget<'a>(&'a self, private_id: &'a str) -> StoreFuture<'a, ()> {
        self.state().all.remove(private_id);
        Box::pin(ready(Ok(())))
    }
}
