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

/// Who is away, in memory.
#[derive(Debug, Default)]
pub struct MemoryAway {
    all: Mutex<HashMap<String, (Instant, Away)>>,
}

impl MemoryAway {
    /// Those whose window is not over.
    fn all(&self) -> MutexGuard<'_, HashMap<String, (Instant, Away)>> {
        let now = Instant::now();
        let mut all = self.all.lock().expect("no code panics while it holds those who are away");
        all.retain(|_, (until, _)| *until > now);
        all
    }
}

impl AwayStore for MemoryAway {
    fn keep<'a>(&'a self, private_id: &'a str, away: &'a Away, window: Duration) -> StoreFuture<'a, ()> {
        let mut all = self.all();
        if all.len() < AWAY_MAX {
            all.insert(private_id.to_owned(), (Instant::now() + window, away.clone()));
        }
        Box::pin(ready(Ok(())))
    }

    fn add<'a>(&'a self, private_id: &'a str, more: &'a Trail, told_max: usize) -> StoreFuture<'a, bool> {
        let mut all = self.all();
        let kept = all.get_mut(private_id).map(|(_, away)| &mut away.trail);
        let is_kept = kept.is_some();
        if let Some(trail) = kept {
            let Trail { standing, forgotten, told } = more.clone();
            (trail.standing, trail.forgotten) = (standing, forgotten);
            trail.told.extend(told);
            trail.told.drain(..trail.told.len().saturating_sub(told_max));
        }
        Box::pin(ready(Ok(is_kept)))
    }

    fn take<'a>(&'a self, private_id: &'a str, user: &'a UserId) -> StoreFuture<'a, Option<Away>> {
        let mut all = self.all();
        let is_his = all.get(private_id).is_some_and(|(_, away)| away.user == *user);
        let taken = if is_his { all.remove(private_id).map(|(_, away)| away) } else { None };
        Box::pin(ready(Ok(taken)))
    }

    fn forget<'a>(&'a self, private_id: &'a str) -> StoreFuture<'a, ()> {
        self.all().remove(private_id);
        Box::pin(ready(Ok(())))
    }
}
