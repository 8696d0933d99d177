//! How many connections each user has in the whole cluster, kept in the roster store; an instance's share expires with its lease.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chatwright_protocol::vocabulary::Member;
use tokio::time::{Instant, MissedTickBehavior};

use super::Hub;
use crate::{
    chat::{Connection, Registry},
    store::{Admission, InstanceId, Lease, RosterStore, StoreError},
};

/// Renewals per lease: two may be lost before it runs out.
const RENEWALS_PER_LEASE: u32 = 3;

/// One instance's share in the count.
pub(super) struct Census {
    roster: Arc<dyn RosterStore>,
    instance: InstanceId,
    lease: Duration,
    /// The cluster's count may differ from what is true here: an answer was lost, or it was away.
    differs: AtomicBool,
    /// Since when every renewal of the lease has succeeded.
    renewing_since: Mutex<Option<Instant>>,
}

/// Renews the lease until the core has stopped.
pub(super) async fn renew(hub: Arc<Hub>) {
    let period = (hub.rules.clocks.lease / RENEWALS_PER_LEASE).max(Duration::from_millis(1));
    let mut renewal = tokio::time::interval_at(Instant::now() + period, period);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while hub.stopped.run_until_cancelled(renewal.tick()).await.is_some() {
        hub.census.renew(&hub.registry).await;
    }
}

impl Census {
    pub(super) fn new(roster: Arc<dyn RosterStore>, instance: InstanceId, lease: Duration) -> Self {
        Self { roster, instance, lease, differs: AtomicBool::new(false), renewing_since: Mutex::default() }
    }

    /// Counts a connection. While the cluster's count is away, only the connections of this instance are counted.
    pub(super) async fn admit(
        &self,
        registry: &Registry,
        connection: &Connection,
        member: &Member,
        max: usize,
    ) -> Admission {
        match self.roster.connect(&connection.device(member.clone()), max).await {
            Ok(admission) => admission,
            Err(problem) => {
                self.may_differ(&problem);
                let same_user = |other: &Connection| other.member().is_some_and(|other| other.user == member.user);
                if registry.count(same_user) > max { Admission::Full } else { Admission::Admitted }
            }
        }
    }

    /// Uncounts a connection.
    pub(super) async fn dismiss(&self, connection: &Connection, member: Member) {
        if let Err(problem) = self.roster.disconnect(&connection.device(member)).await {
            self.may_differ(&problem);
        }
    }

    /// Renews the lease, puts the count right if it differs, and clears up after dead instances: but only who could renew for a whole lease
    /// may judge others by theirs. When a store returns that was away for longer, all leases have run out and nobody has died.
    pub(super) async fn renew(&self, registry: &Registry) {
        let lease = match self.roster.renew(&self.instance, self.lease).await {
            Ok(lease) => lease,
            Err(problem) => {
                self.may_differ(&problem);
                *self.renewing_since() = None;
                return;
            }
        };
        let differs = self.differs.swap(false, Ordering::Relaxed) || lease == Lease::Lost;
        if differs && let Err(problem) = self.reconcile(registry).await {
            self.may_differ(&problem);
        }
        let since = *self.renewing_since().get_or_insert_with(Instant::now);
        if since.elapsed() >= self.lease
            && let Err(problem) = self.roster.reap().await
        {
            self.may_differ(&problem);
        }
    }

    /// Gives the lease back.
    pub(super) async fn resign(&self) {
        if let Err(problem) = self.roster.resign(&self.instance).await {
            tracing::warn!(%problem, "the lease was not given back: it runs out by itself");
        }
    }

    async fn reconcile(&self, registry: &Registry) -> Result<(), StoreError> {
        for entry in self.roster.entries(&self.instance).await? {
            if registry.get(&entry.device.id).is_none() {
                self.roster.disconnect(&entry.device).await?;
            }
        }
        for connection in registry.all() {
            let Some(member) = connection.member() else { continue };
            // Who is in stays in, whatever the count: the limit is for those who come.
            let _ = self.roster.connect(&connection.device(member), usize::MAX).await?;
        }
        Ok(())
    }

    fn may_differ(&self, problem: &StoreError) {
        tracing::warn!(%problem, "the cluster's count of connections may differ until it is back");
        self.differs.store(true, Ordering::Relaxed);
    }

    fn renewing_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.renewing_since.lock().expect("no code panics while it holds the time")
    }
}
