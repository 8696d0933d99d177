//! The connections of one instance: counted against its limit, listed for whoever looks, ended together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    ConnectRefusal, Connection,
    expiries::{Expected, Expiries},
};
use crate::{metrics::Metrics, store::DeviceId, transport::EndReason};

/// How often a drain looks whether all connections have ended.
const ENDED_LOOK: Duration = Duration::from_millis(5);

/// Connections that are asked to end at once; a stop of fewer is over at once.
const BATCH: usize = 256;

/// The pause between two batches: ten thousand connections are asked within a second.
const BATCH_PAUSE_MAX: Duration = Duration::from_millis(25);

/// The connections that are in, and whether more are let in.
#[derive(Debug)]
pub struct Registry {
    connections_max: usize,
    connections: Mutex<HashMap<DeviceId, Arc<Connection>>>,
    stopping: CancellationToken,
    expiries: Arc<Expiries>,
}

impl Registry {
    /// An empty one for at most so many.
    #[must_use]
    pub fn new(connections_max: usize) -> Self {
        Self {
            connections_max,
            connections: Mutex::default(),
            stopping: CancellationToken::new(),
            expiries: Arc::default(),
        }
    }

    /// Lets a connection in.
    ///
    /// # Errors
    /// [`ConnectRefusal::InstanceFull`], [`ConnectRefusal::Stopping`].
    pub fn enter(&self, connection: &Arc<Connection>) -> Result<(), ConnectRefusal> {
        if self.stopping.is_cancelled() {
            return Err(ConnectRefusal::Stopping);
        }
        let mut connections = self.connections();
        if connections.len() >= self.connections_max {
            return Err(ConnectRefusal::InstanceFull);
        }
        connections.insert(connection.id().clone(), Arc::clone(connection));
        Ok(())
    }

    /// Forgets a connection; `true` if it was in.
    pub fn leave(&self, id: &DeviceId) -> bool {
        self.connections().remove(id).is_some()
    }

    /// Ends a connection that is in: forgotten, logged, counted. `false` the second time, when nothing is left to do.
    pub fn dismiss(&self, connection: &Connection, reason: EndReason, metrics: &Metrics) -> bool {
        if !self.leave(connection.id()) {
            return false;
        }
        connection.end(reason);
        tracing::info!("Client disconnected: {} Reason: {reason}", connection.id());
        metrics.session_closed();
        true
    }

    /// Ends the connection when its proof of identity ends, as long as what is returned lives; `None`: it has none that ends.
    pub(crate) fn expect_expiry(&self, connection: &Arc<Connection>) -> Option<Expected> {
        connection.proved_until().map(|until| self.expiries.expect(until, connection))
    }

    /// The connection of this id, if it is in.
    #[must_use]
    pub fn get(&self, id: &DeviceId) -> Option<Arc<Connection>> {
        self.connections().get(id).cloned()
    }

    /// All of them, in the order of their ids.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Connection>> {
        let mut connections: Vec<_> = self.connections().values().cloned().collect();
        connections.sort_by(|one, other| one.id().cmp(other.id()));
        connections
    }

    /// How many satisfy a condition.
    pub fn count(&self, condition: impl Fn(&Connection) -> bool) -> usize {
        self.connections().values().filter(|connection| condition(connection)).count()
    }

    /// Lets nobody in any more. Those who are in stay.
    pub fn stop_accepting(&self) {
        self.stopping.cancel();
    }

    /// Cancelled once nobody is let in any more.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Asks all connections to end and waits until they have. They are asked in batches, in an order that is random because ids are, over
    /// at most `spread`: who comes back elsewhere does not come together with everybody else.
    pub async fn end_all(&self, reason: EndReason, spread: Duration) {
        let all = self.all();
        let batches = u32::try_from(all.len().div_ceil(BATCH)).unwrap_or(u32::MAX).max(1);
        let pause = BATCH_PAUSE_MAX.min(spread / batches);
        for (index, batch) in all.chunks(BATCH).enumerate() {
            if index > 0 {
                tokio::time::sleep(pause).await;
            }
            batch.iter().for_each(|connection| connection.end(reason));
        }
        while !self.connections().is_empty() {
            tokio::time::sleep(ENDED_LOOK).await;
        }
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<Connection>>> {
        self.connections.lock().expect("no code panics while it holds the registry")
    }
}
