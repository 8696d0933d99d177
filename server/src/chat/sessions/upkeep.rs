//! What an instance does again and again: renews its lease, confirms departures, and compares what was told with what is so.

use std::{
    sync::{Arc, MutexGuard, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{Hub, cell::Absence};
use crate::{
    bus::Movement,
    chat::upkeep::ticking,
    store::{Lease, StoreError, sessions::Arrival},
};

/// Renewals per lease: two may be lost before it runs out.
const RENEWALS_PER_LEASE: u32 = 3;

/// A departure is asked for this much after its grace period ends by our clock, so that it has ended by the store's as well.
const DUE_SLACK: Duration = Duration::from_millis(2);

/// Renews the lease until the core has stopped, in a task of its own: nothing that waits for a slow store may make it run out.
pub(super) async fn renew(hub: Arc<Hub>) {
    let mut renewal = ticking(hub.rules.clocks.lease / RENEWALS_PER_LEASE);
    while hub.stopped.run_until_cancelled(renewal.tick()).await.is_some() {
        hub.renew().await;
    }
}

/// Confirms departures, those of other instances' users too: whoever asks first confirms.
pub(super) async fn confirm(hub: Arc<Hub>) {
    loop {
        let pause = hub.confirm().await;
        let woken = async {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = hub.leaving.notified() => {}
            }
        };
        if hub.stopped.run_until_cancelled(woken).await.is_none() {
            return;
        }
    }
}

/// Compares the rooms with the store where that is wanted.
pub(super) async fn compare(hub: Arc<Hub>) {
    let mut sweep = ticking(hub.rules.clocks.sweep);
    while hub.stopped.run_until_cancelled(sweep.tick()).await.is_some() {
        hub.compare().await;
    }
}

impl Hub {
    /// Renews the lease. If it had run out, or the store has lost what it knew of this instance, everything is entered again.
    pub(super) async fn renew(&self) {
        match self.ports.sessions.renew(&self.instance, self.rules.clocks.lease).await {
            Ok(Lease::Held) => {
                self.holding_since().get_or_insert_with(Instant::now);
            }
            Ok(Lease::Lost) => {
                *self.holding_since() = Some(Instant::now());
                self.differs.store(true, Ordering::Relaxed);
                if let Err(problem) = self.enter_again().await {
                    self.may_differ(&problem);
                }
            }
            Err(problem) => self.may_differ(&problem),
        }
    }

    /// Makes the store say of this instance what is true here.
    async fn enter_again(&self) -> Result<(), StoreError> {
        for entry in self.ports.sessions.entries(&self.instance).await? {
            let Some(room) = entry.room else { continue };
            let there = self.registry.get(&entry.device.id);
            let is_true = there.is_some_and(|connection| {
                connection.is_in(&room)
                    && connection.member().is_some_and(|member| member.user == entry.device.member.user)
            });
            if !is_true {
                self.ports.sessions.leave(&room, &entry.device, self.rules.grace).await?;
                self.leaving.notify_one();
            }
        }
        for connection in self.registry.all() {
            let Some(member) = connection.member() else { continue };
            for room in connection.rooms() {
                let device = connection.device(member.clone());
                let entered = self.ports.sessions.enter(&room, &device, usize::MAX).await?;
                let Ok(entered) = entered else { continue };
                let movement = match entered.arrival {
                    // That he came may have been said while nobody could hear it.
                    Arrival::New | Arrival::Present => Movement::Came,
                    Arrival::Back => Movement::CameBack,
                };
                // Those here know him; those elsewhere are told, and know whether it is news.
                self.publish_movement(&room, &member, movement, entered.room.version).await;
            }
        }
        Ok(())
    }

    /// Confirms the departures that are due; returns how long to wait for the next ones.
    async fn confirm(&self) -> Duration {
        // Only who could renew for a whole lease may take others for dead by theirs: when a store returns that was away for longer than a
        // lease, all leases have run out and nobody has died.
        let lease = self.rules.clocks.lease;
        let may_judge = self.holding_since().is_some_and(|since| since.elapsed() >= lease);
        match self.ports.sessions.due(may_judge.then_some(self.rules.grace)).await {
            Ok(due) => {
                for departure in due.departures {
                    self.tell_movement(&departure.room, &departure.member, Movement::Went, departure.version).await;
                }
                let pause = self.rules.clocks.sweep;
                due.next.map_or(pause, |next| pause.min(next + DUE_SLACK))
            }
            Err(problem) => {
                self.may_differ(&problem);
                self.rules.clocks.sweep
            }
        }
    }

    /// Compares what the listeners were told with what is so, if they may differ. That somebody is missing says nothing until all
    /// instances have had time to enter their users again.
    async fn compare(&self) {
        if !self.differs.load(Ordering::Relaxed) || self.alone().is_some() {
            return;
        }
        let patience = self.rules.clocks.lease + self.rules.grace;
        let absence = match *self.holding_since() {
            Some(since) if since.elapsed() >= patience => Absence::IsDeparture,
            Some(_) | None => Absence::ProvesNothing,
        };
        if absence == Absence::IsDeparture {
            self.differs.store(false, Ordering::Relaxed); // what goes wrong from here on says so again
        }
        for cell in self.rooms.all() {
            match self.ports.sessions.present(&cell.room).await {
                Ok(presence) => cell.standing().compare(&presence, absence),
                Err(problem) => return self.may_differ(&problem),
            }
        }
    }

    pub(super) fn may_differ(&self, problem: &StoreError) {
        *self.holding_since() = None;
        if !self.differs.swap(true, Ordering::Relaxed) {
            tracing::warn!(%problem, "what was told may differ from what is so; it is put right when the store answers");
        }
    }

    fn holding_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.holding_since.lock().expect("no code panics while it holds the time")
    }
}
