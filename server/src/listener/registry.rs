//! Which connections a listener has now: counted against its limit, looked at by the watcher, cut at the end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;

use super::{
    ConnectionHandle, ConnectionId, CutReason,
    stall::{Judge, StallRules},
};
use crate::metrics::Metrics;

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct Registry {
    listener: &'static str,
    metrics: Metrics,
    connections_max: usize,
    members: Mutex<HashMap<ConnectionId, (ConnectionHandle, Judge)>>,
    /// Told whenever a connection is over.
    left: Notify,
}

impl Registry {
    pub(super) fn new(listener: &'static str, connections_max: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { listener, metrics, connections_max, members: Mutex::default(), left: Notify::new() })
    }

    pub(super) fn is_full(&self) -> bool {
        self.members().len() >= self.connections_max
    }

    pub(super) fn len(&self) -> usize {
        self.members().len()
    }

    /// Adds a connection, for as long as the membership lives.
    pub(super) fn enrol(self: &Arc<Self>, handle: ConnectionHandle) -> Membership {
        self.metrics.connection_opened(self.listener);
        let id = handle.id();
        self.members().insert(id, (handle, Judge::default()));
        Membership { registry: Arc::clone(self), id }
    }

    /// Looks at each connection once and cuts those that read too slowly.
    pub(super) fn look(&self, rules: &StallRules, now: Instant) {
        let (mut seen, mut doomed) = (Vec::new(), Vec::new());
        for (handle, judge) in self.members().values_mut() {
            let Some(stream) = handle.stream() else { continue };
            if let Some(reason) = judge.look(rules, stream.meter().writing(), now) {
                doomed.push((handle.clone(), reason));
            }
            seen.push(stream); // dropped behind the lock: it may be the last one, whose end asks for the lock
        }
        drop(seen);
        for (handle, reason) in doomed {
            tracing::info!(listener = self.listener, connection = %handle.id(), reason = reason.as_str(), "cut");
            handle.cut(reason);
        }
    }

    /// Cuts everybody.
    pub(super) fn cut_all(&self, reason: CutReason) {
        let everybody: Vec<_> = self.members().values().map(|(handle, _)| handle.clone()).collect();
        for handle in everybody {
            handle.cut(reason);
        }
    }

    /// Returns when no connection is left.
    pub(super) async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.len() == 0 {
                return;
            }
            left.await;
        }
    }

    fn leave(&self, id: ConnectionId) {
        let member = self.members().remove(&id);
        if let Some((handle, _)) = member {
            self.metrics.connection_closed(self.listener, handle.bytes_in(), handle.bytes_out());
            if let Some(reason) = handle.cut_reason() {
                self.metrics.connection_cut(self.listener, reason.as_str());
            }
        }
        self.left.notify_waiters();
    }

    fn members(&self) -> MutexGuard<'_, HashMap<ConnectionId, (ConnectionHandle, Judge)>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner) // a map is whole whatever happened
    }
}

/// The place of one connection in its listener's count; dropped with the stream.
#[derive(Debug)]
pub(super) struct Membership {
    registry: Arc<Registry>,
    id: ConnectionId,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.registry.leave(self.id);
    }
}
