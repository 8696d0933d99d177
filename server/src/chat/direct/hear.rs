//! What comes from other instances and from the main server, and how a conversation catches up when something did not come.

use std::sync::Arc;

use chatwright_protocol::{
    dialects::direct::conversation::peer_of,
    vocabulary::{Event, Message, RoomId},
};

use super::{
    Hub,
    lane::{Due, Next},
};
use crate::{
    bus::{
        channels::{Heard, Hearing},
        direct::{DirectNotice, understood},
    },
    clock,
};

/// Messages read at once for a conversation that missed some; the rest is read in the next round.
const HEAL_MAX: usize = 500;

/// Listens until the server stops.
pub(super) async fn listen(hub: Arc<Hub>, mut hearing: Hearing) {
    while let Some(heard) = hub.stopped.run_until_cancelled(hearing.recv()).await.flatten() {
        match heard {
            Heard::Text { channel, text } => match understood(&channel, &text, clock::unix_ms()) {
                Ok((_, Some(origin))) if origin == hub.instance => {}
                Ok((notice, _)) => hub.hear(notice),
                Err(problem) => tracing::warn!(channel, problem, "somebody publishes what is not understood"),
            },
            Heard::Gap => {
                hub.metrics.bus_gap();
                tracing::info!("something may have been missed: all conversations are compared with the store");
                let followed = hub.floor().followed();
                followed.iter().for_each(|(conversation, _)| hub.heal_soon(conversation));
            }
        }
    }
}

impl Hub {
    fn hear(self: &Arc<Self>, notice: DirectNotice) {
        match notice {
            DirectNotice::Message(message) if message.sequence == 0 => self.deliver_as_it_is(message),
            DirectNotice::Early(message) => self.floor().tell_early(message),
            DirectNotice::Incoming(message) => self.deliver_as_it_is(message),
            DirectNotice::Message(message) => self.offer(Due { message, except: None }),
            DirectNotice::Read { conversation, reader, messages, read_at_ms } => {
                if let Some(peer) = peer_of(&conversation, &reader) {
                    self.floor().tell(&peer, &Event::Read { room: conversation, messages, read_at_ms });
                }
            }
            DirectNotice::Signal { conversation, by, signal } => {
                if let Some(peer) = peer_of(&conversation, &by) {
                    self.tell_signal(&conversation, &by, &peer, signal);
                }
            }
            DirectNotice::Status { user, online, at_ms } => {
                self.floor().tell_watchers(&user, &Event::Presence { user: user.clone(), online, at_ms });
            }
        }
    }

    /// A message of another service: it has no position here, so it is told when it comes.
    fn deliver_as_it_is(&self, message: Message) {
        if let Some(receiver) = peer_of(&message.room, &message.sender.user) {
            self.floor().tell(&receiver, &Event::Message(message));
        }
    }

    /// Takes a message that the store confirmed.
    pub(super) fn offer(&self, due: Due) {
        let conversation = due.message.room.clone();
        let next = self.floor().offer(due);
        self.follow_up(&conversation, next);
    }

    /// Sees to what is missing, if anything is.
    pub(super) fn follow_up(&self, conversation: &RoomId, next: Next) {
        if next == Next::Gap {
            self.heal_soon(conversation);
        }
    }

    /// Reads the store for a conversation after a moment of patience, unless somebody does so already.
    pub(super) fn heal_soon(&self, conversation: &RoomId) {
        if self.floor().healing(conversation, true) {
            return;
        }
        let Some(hub) = self.me.upgrade() else { return };
        let conversation = conversation.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(hub.rules.clocks.gap_patience).await;
            hub.floor().healing(&conversation, false); // what is offered from here on may ask again
            if hub.heal(&conversation).await == Next::Gap {
                tracing::debug!("a message is still missing; it comes by its channel or with the next sweep");
            }
        });
    }

    async fn heal(&self, conversation: &RoomId) -> Next {
        loop {
            let Some(told) = self.floor().told(conversation) else { return Next::Settled };
            let only = std::slice::from_ref(conversation);
            let answers = async {
                let latest = self.ports.store.latest(only).await?.first().copied().unwrap_or(0);
                Ok::<_, crate::store::StoreError>((latest, self.ports.store.since(conversation, told, HEAL_MAX).await?))
            };
            let (latest, messages) = match answers.await {
                Ok(answers) => answers,
                Err(problem) => {
                    tracing::warn!(%problem, "a conversation waits for the store; the next sweep tries again");
                    return Next::Settled;
                }
            };
            let more = messages.len() >= HEAL_MAX;
            let upto = if more { messages.last().map_or(latest, |last| last.sequence) } else { latest };
            let next = self.floor().heal(conversation, messages, upto);
            if !more {
                return next;
            }
        }
    }
}
