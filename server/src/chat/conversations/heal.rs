//! What comes from other instances, and how a conversation catches up when something did not come.

use std::sync::Arc;

use chatwright_protocol::vocabulary::RoomId;
use tokio::time::{Instant, MissedTickBehavior};

use super::{
    Hub,
    desk::Desk,
    line::{Next, Told},
};
use crate::{
    bus::{Deliveries, Delivery, Notice, NoticeBody},
    clock,
    store::conversations::{ConversationStore, Page},
};

/// Messages read from the store in one question.
const HEAL_MESSAGES_MAX: usize = 500;

/// Users asked for in one question of a sweep, and conversations that its answer may hold.
const SWEEP_USERS_MAX: usize = 256;
const SWEEP_HEADS_MAX: usize = 10_000;

/// How far a sweep looks back behind the last one: clocks of instances differ, and a slow transaction shows late.
const SWEEP_MARGIN_MS: u64 = 60_000;

/// Reads the bus until the server stops.
pub(super) async fn listen(hub: Arc<Hub>, mut deliveries: Deliveries) {
    let stopping = hub.registry.stopping().clone();
    while let Some(delivery) = stopping.run_until_cancelled(deliveries.recv()).await.flatten() {
        match delivery {
            Delivery::Notice(notice) if notice.origin == hub.instance => {}
            Delivery::Notice(notice) => hub.hear(notice),
            Delivery::Gap => {
                hub.metrics.bus_gap();
                tracing::info!("the bus may have lost something: all conversations are compared with the store");
                hub.compare(0).await;
            }
        }
    }
}

/// Compares the conversations with the store until the server stops.
pub(super) async fn sweep(hub: Arc<Hub>) {
    let period = hub.rules.clocks.sweep;
    let mut tick = tokio::time::interval_at(Instant::now() + period, period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut compared_at_ms = clock::unix_ms();
    while hub.registry.stopping().run_until_cancelled(tick.tick()).await.is_some() {
        let now = clock::unix_ms();
        if hub.compare(compared_at_ms.saturating_sub(SWEEP_MARGIN_MS)).await {
            compared_at_ms = now;
        }
    }
}

impl Hub {
    fn hear(&self, notice: Notice) {
        self.metrics.bus_received();
        let Notice { room, audience, body, .. } = notice;
        match body {
            NoticeBody::Message(stored) => {
                if let Some(message) = Told::of(stored.message) {
                    let next = self.desk.offer(&room, message, &audience);
                    self.follow_up(&room, next);
                }
            }
            NoticeBody::Typing { member, active } => self.hear_typing(&room, &audience, member, active),
            NoticeBody::Joined(_) | NoticeBody::Left(_) | NoticeBody::Said { .. } | NoticeBody::Moved { .. } => {
                tracing::debug!("no such notice in this dialect")
            }
        }
    }

    /// Looks for conversations of the users here that have more messages than were told, among those that were active since then; `true`
    /// if the store could be asked.
    async fn compare(&self, active_since_ms: u64) -> bool {
        // Who came while the store was away.
        for user in self.desk.unread(SWEEP_USERS_MAX) {
            if let Err(problem) = self.read_conversations(&user).await {
                tracing::warn!(%problem, "a user's conversations are still not known");
                return false;
            }
        }
        let users = self.desk.users();
        for users in users.chunks(SWEEP_USERS_MAX) {
            match self.ports.conversations.heads(users, active_since_ms, SWEEP_HEADS_MAX).await {
                Ok(heads) => {
                    for head in heads.iter().filter(|head| self.desk.lags_behind(head)) {
                        self.heal_soon(&head.conversation);
                    }
                }
                Err(problem) => {
                    tracing::warn!(%problem, "the conversations are compared with the store later");
                    return false;
                }
            }
        }
        true
    }

    /// Reads the store for a conversation after a moment of patience, unless somebody does so already.
    pub(super) fn heal_soon(&self, conversation: &RoomId) {
        if !self.desk.start_healing(conversation) {
            return;
        }
        let (conversation, patience) = (conversation.clone(), self.rules.clocks.gap_patience);
        let (desk, store) = (self.desk.clone(), Arc::clone(&self.ports.conversations));
        self.keep(async move {
            tokio::time::sleep(patience).await;
            heal(&desk, &*store, &conversation).await;
        });
    }
}

async fn heal(desk: &Desk, store: &dyn ConversationStore, conversation: &RoomId) {
    while let Some(told) = desk.told(conversation) {
        match store.messages(conversation, &Page::Above(told), HEAL_MESSAGES_MAX).await {
            Ok(messages) => {
                let is_last = messages.len() < HEAL_MESSAGES_MAX;
                // A message may still be missing that was stored after this reading; it comes by the bus or by the next sweep.
                let (Next::Settled | Next::Gap) = desk.heal(conversation, messages);
                if is_last {
                    return;
                }
            }
            Err(problem) => {
                tracing::warn!(%problem, "a conversation waits for the store; the next sweep tries again");
                return;
            }
        }
    }
}
