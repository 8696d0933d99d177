//! Shared while the shared store answers, alone in memory while it does not: the service goes on without it.
//!
//! What this instance enters is always entered in memory too. So when the shared store goes away, nobody of this instance is missing and no
//! grace period is forgotten; and when it is back, [`renew`](SessionStore::renew) says that the lease was lost, which makes the core enter
//! everything there again.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chatwright_protocol::vocabulary::RoomId;

use super::{Due, Entered, Presence, RoomFull, SessionStore, memory::MemorySessions};
use crate::store::{Device, Entry, InstanceId, Lease, StoreError, StoreFuture};

/// A shared store with memory behind it.
pub struct Failover {
    shared: Arc<dyn SessionStore>,
    own: MemorySessions,
    /// Why it is alone, while it is.
    alone: Mutex<Option<String>>,
}

impl Failover {
    /// Shared over this store. Nothing is asked yet.
    #[must_use]
    pub fn new(shared: Arc<dyn SessionStore>) -> Self {
        Self { shared, own: MemorySessions::default(), alone: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, Option<String>> {
        self.alone.lock().expect("no code panics while it holds the state")
    }

    fn is_alone(&self) -> bool {
        self.state().is_some()
    }

    fn go_alone(&self, problem: &StoreError) {
        let mut alone = self.state();
        if alone.is_none() {
            tracing::warn!(%problem, "Redis is unavailable: falling back to in-memory storage, rooms are not shared with other instances");
            *alone = Some(problem.to_string());
        }
    }

    fn be_shared(&self) -> bool {
        let returned = self.state().take().is_some();
        if returned {
            tracing::info!("Redis is back: rooms are shared with the other instances again");
        }
        returned
    }

    /// The shared store's answer, or that of memory. What memory says has no version: it is never older or newer than what others say.
    async fn either<T>(
        &self,
        shared: impl Future<Output = Result<T, StoreError>>,
        own: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_alone() {
            return own;
        }
        match shared.await {
            Ok(answer) => Ok(answer),
            Err(problem) => {
                self.go_alone(&problem);
                own
            }
        }
    }
}

impl SessionStore for Failover {
    fn enter<'a>(
        &'a self,
        room: &'a RoomId,
        device: &'a Device,
        users_max: usize,
    ) -> StoreFuture<'a, Result<Entered, RoomFull>> {
        Box::pin(async move {
            let mut own = self.own.enter(room, device, users_max).await?;
            if let Ok(entered) = &mut own {
                entered.room.version = 0;
            }
            let answer = self.either(self.shared.enter(room, device, users_max), Ok(own)).await?;
            if answer.is_err() {
                self.own.leave(room, device, Duration::ZERO).await?;
            }
            Ok(answer)
        })
    }

    fn leave<'a>(&'a self, room: &'a RoomId, device: &'a Device, grace: Duration) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let own = self.own.leave(room, device, grace).await;
            self.either(self.shared.leave(room, device, grace), own).await
        })
    }

    fn present<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Presence> {
        Box::pin(async move {
            let own = self.own.present(room).await?;
            self.either(self.shared.present(room), Ok(Presence { version: 0, ..own })).await
        })
    }

    fn due(&self, grace: Option<Duration>) -> StoreFuture<'_, Due> {
        Box::pin(async move {
            let mut own = self.own.due(grace).await?;
            own.departures.iter_mut().for_each(|departure| departure.version = 0);
            self.either(self.shared.due(grace), Ok(own)).await
        })
    }

    fn renew<'a>(&'a self, instance: &'a InstanceId, lease: Duration) -> StoreFuture<'a, Lease> {
        Box::pin(async move {
            match self.shared.renew(instance, lease).await {
                Ok(lease) => Ok(if self.be_shared() { Lease::Lost } else { lease }),
                Err(problem) => {
                    self.go_alone(&problem);
                    Ok(Lease::Held)
                }
            }
        })
    }

    fn resign<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, ()> {
        self.shared.resign(instance)
    }

    fn entries<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, Vec<Entry>> {
        Box::pin(async move {
            let own = self.own.entries(instance).await;
            self.either(self.shared.entries(instance), own).await
        })
    }

    fn alone(&self) -> Option<String> {
        self.state().clone()
    }

    fn technology(&self) -> &'static str {
        self.shared.technology()
    }
}

impl std::fmt::Debug for Failover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failover").field("alone", &self.alone).finish_non_exhaustive()
    }
}
