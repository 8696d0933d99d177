//! What an instance does again and again: renews its lease, clears up after dead instances, compares its conversations with the store.

use std::sync::{Arc, atomic::Ordering};

use chatwright_protocol::vocabulary::{Member, RoomId, UserId};

use super::{Hub, join::place_of};
use crate::{chat::upkeep::ticking, store::Lease};

/// Renewals per lease: two may be lost before it runs out.
const RENEWALS_PER_LEASE: u32 = 3;

/// Conversations compared with the store in one question, so that a question stays small.
const SWEEP_MAX: usize = 256;

/// Renews the lease until the core has stopped: those who are told good-bye still count.
pub(super) async fn renew(hub: Arc<Hub>) {
    let mut renewal = ticking(hub.rules.clocks.lease / RENEWALS_PER_LEASE);
    while hub.stopped.run_until_cancelled(renewal.tick()).await.is_some() {
        hub.renew().await;
    }
}

/// Compares the conversations with the store until the server stops.
pub(super) async fn sweep(hub: Arc<Hub>) {
    let mut sweep = ticking(hub.rules.clocks.sweep);
    while hub.registry.stopping().run_until_cancelled(sweep.tick()).await.is_some() {
        hub.sweep().await;
    }
}

impl Hub {
    /// Renews the lease, enters again what the roster may have lost, and tells of users who are gone with a dead instance.
    pub(crate) async fn renew(&self) {
        let lease = match self.ports.roster.renew(&self.instance, self.rules.clocks.lease).await {
            Ok(lease) => lease,
            Err(problem) => return self.roster_may_differ(&problem),
        };
        if self.roster_differs.swap(false, Ordering::Relaxed) || lease == Lease::Lost {
            self.enter_again().await;
        }
        match self.ports.roster.reap().await {
            Ok(departures) => {
                // Rooms of other dialects' users are somebody else's: here a user's room is named like him.
                let gone = departures.into_iter().filter(|gone| gone.room.as_str() == gone.member.user.as_str());
                gone.for_each(|gone| self.tell_status(&gone.member.user, false));
            }
            Err(problem) => tracing::warn!(%problem, "dead instances are cleared up after later"),
        }
    }

    /// The roster holds exactly the connections that are here, whatever it missed.
    async fn enter_again(&self) {
        let entries = match self.ports.roster.entries(&self.instance).await {
            Ok(entries) => entries,
            Err(problem) => return self.roster_may_differ(&problem),
        };
        for entry in entries {
            if self.registry.get(&entry.device.id).is_none()
                && let Some(room) = entry.room
                && let Ok(true) = self.ports.roster.leave(&room, &entry.device).await
            {
                self.tell_status(&entry.device.member.user, false);
            }
        }
        for connection in self.registry.all() {
            let Some(member) = connection.member() else { continue };
            let device = connection.device(Member::nameless(member.user.clone()));
            if let Err(problem) = self.ports.roster.enter(&place_of(&member.user), &device).await {
                return self.roster_may_differ(&problem);
            }
        }
    }

    async fn sweep(&self) {
        let strangers = self.floor().strangers();
        for user in &strangers {
            if self.acquaint(user).await.is_none() {
                return;
            }
        }
        let followed = self.floor().followed();
        for batch in followed.chunks(SWEEP_MAX) {
            let conversations: Vec<RoomId> = batch.iter().map(|(conversation, _)| conversation.clone()).collect();
            let Ok(latest) = self.ports.store.latest(&conversations).await else { return };
            for ((conversation, told), latest) in batch.iter().zip(latest) {
                if latest > *told {
                    self.heal_soon(conversation);
                }
            }
        }
    }

    /// Whether a user is on-line anywhere; unknown counts as no.
    pub(super) async fn is_online(&self, user: &UserId) -> bool {
        self.ports.roster.members(&place_of(user)).await.is_ok_and(|there| !there.is_empty())
    }
}
