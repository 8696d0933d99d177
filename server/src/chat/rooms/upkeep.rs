//! What an instance does again and again: renews its lease, clears up after dead instances, compares its rooms with the store.

use std::{
    sync::{Arc, MutexGuard, atomic::Ordering},
    time::Duration,
};

use chatwright_protocol::vocabulary::RoomId;
use tokio::time::Instant;

use super::Hub;
use crate::{
    bus::NoticeBody,
    chat::upkeep::ticking,
    store::{Admission, Device, Lease, StoreError},
};

/// Renewals per lease: two may be lost before it runs out.
const RENEWALS_PER_LEASE: u32 = 3;

/// How often a connected user's presence is refreshed; it lives for an hour.
const PRESENCE_REFRESH: Duration = Duration::from_secs(60);

/// Rooms compared with the store in one question, so that a question stays small.
const SWEEP_ROOMS_MAX: usize = 256;

/// Renews the lease until the core has stopped: longer than connections are let in, because those who are told good-bye still count. A task
/// of its own: nothing that waits for a slow store may make the lease run out.
pub(super) async fn renew(hub: Arc<Hub>) {
    let mut renewal = ticking(hub.rules.clocks.lease / RENEWALS_PER_LEASE);
    while hub.stopped.run_until_cancelled(renewal.tick()).await.is_some() {
        hub.renew().await;
    }
}

/// Compares the rooms with the store until the server stops.
pub(super) async fn sweep(hub: Arc<Hub>) {
    let mut sweep = ticking(hub.rules.clocks.sweep);
    while hub.registry.stopping().run_until_cancelled(sweep.tick()).await.is_some() {
        hub.sweep().await;
    }
}

/// Refreshes the presence of the connected users until the server stops.
pub(super) async fn refresh(hub: Arc<Hub>) {
    let mut refresh = ticking(PRESENCE_REFRESH);
    while hub.registry.stopping().run_until_cancelled(refresh.tick()).await.is_some() {
        hub.refresh_presence().await;
    }
}

impl Hub {
    /// Renews the lease, puts the cluster's roster right if it differs, and clears up after dead instances.
    pub(crate) async fn renew(&self) {
        let lease = match self.ports.roster.renew(&self.instance, self.rules.clocks.lease).await {
            Ok(lease) => lease,
            Err(problem) => {
                self.roster_may_differ(&problem);
                *self.renewing_since() = None;
                return;
            }
        };
        let differs = self.roster_differs.swap(false, Ordering::Relaxed) || lease == Lease::Lost;
        if differs && let Err(problem) = self.reconcile().await {
            self.roster_may_differ(&problem);
        }
        let since = *self.renewing_since().get_or_insert_with(Instant::now);
        if since.elapsed() >= self.rules.clocks.lease {
            self.clear_up().await;
        }
    }

    /// Tells of the users who are gone with dead instances. Only who could renew for a whole lease may judge others by theirs: when a store
    /// returns that was away for longer than a lease, all leases have run out and nobody has died.
    async fn clear_up(&self) {
        match self.ports.roster.reap().await {
            Ok(departures) => {
                for departure in departures {
                    tracing::info!(room = %departure.room, user = %departure.member.user, "a user is gone with a dead instance");
                    self.tell_or_publish(&departure.room, NoticeBody::Left(departure.member)).await;
                }
            }
            Err(problem) => self.roster_may_differ(&problem),
        }
    }

    fn renewing_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.renewing_since.lock().expect("no code panics while it holds the time")
    }

    /// Makes the cluster's roster say of this instance what is true here.
    async fn reconcile(&self) -> Result<(), StoreError> {
        let stale = self.ports.roster.entries(&self.instance).await?;
        for entry in stale {
            let there = self.registry.get(&entry.device.id);
            let is_true = there.is_some_and(|connection| {
                connection.member().as_ref() == Some(&entry.device.member)
                    && entry.room.as_ref().is_none_or(|room| connection.is_in(room))
            });
            match (is_true, entry.room) {
                (true, _) => {}
                (false, None) => self.ports.roster.disconnect(&entry.device).await?,
                (false, Some(room)) => {
                    if self.ports.roster.leave(&room, &entry.device).await? {
                        self.tell_or_publish(&room, NoticeBody::Left(entry.device.member)).await;
                    }
                }
            }
        }
        for connection in self.registry.all() {
            let Some(member) = connection.member() else { continue };
            let device = connection.device(member.clone());
            // Who is in stays in, whatever the count: the limit is for those who come.
            let admission = self.ports.roster.connect(&device, usize::MAX).await?;
            debug_assert_eq!(admission, Admission::Admitted);
            for room in connection.rooms() {
                if self.ports.roster.enter(&room, &device).await? {
                    self.publish(&room, || NoticeBody::Joined(member.clone())).await;
                }
            }
        }
        Ok(())
    }

    async fn tell_or_publish(&self, room: &RoomId, body: NoticeBody) {
        match self.roster.cell(room) {
            Some(cell) => self.tell_room(&cell, body).await,
            None => self.publish(room, || body).await,
        }
    }

    async fn sweep(&self) {
        let cells = self.roster.all();
        for batch in cells.chunks(SWEEP_ROOMS_MAX) {
            let rooms: Vec<RoomId> = batch.iter().map(|cell| cell.room.clone()).collect();
            let Ok(latest) = self.ports.messages.latest(&rooms).await else { return };
            for (cell, latest) in batch.iter().zip(latest) {
                if cell.state().told().is_some_and(|told| latest > told) {
                    self.heal_soon(cell);
                }
            }
        }
    }

    async fn refresh_presence(&self) {
        let devices: Vec<Device> = self
            .registry
            .all()
            .iter()
            .filter_map(|connection| connection.member().map(|member| connection.device(member)))
            .collect();
        if let Err(problem) = self.ports.roster.refresh(&devices).await {
            tracing::debug!(%problem, "presence is refreshed later");
        }
    }
}
