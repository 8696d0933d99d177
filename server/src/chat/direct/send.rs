//! `send_message`: stored first, then confirmed to its sender and told to its receiver in the order that the store gives.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{MessageKind, Refusal, RoomId, UserId};

use super::{Confirmation, Connection, Hub, away, lane::Due};
use crate::{
    bus::direct::{DirectNotice, fresh_id},
    chat::backlog::{self, Waits},
    clock,
    store::{Attempt, StoreError, direct::DirectDraft},
};

/// Unicode scalar values of an attachment's address: longer than browsers take.
const ATTACHMENT_CHARACTERS_MAX: usize = 2048;

/// What is said.
pub(super) struct Words {
    pub(super) text: String,
    pub(super) kind: MessageKind,
    pub(super) attachment: Option<String>,
}

impl Waits for DirectDraft {
    fn room(&self) -> &RoomId {
        &self.conversation
    }
}

/// Writes what waited for the store, as long as the server runs and something waits; its senders are told then.
pub(super) async fn write_backlog(hub: Arc<Hub>) {
    let store = async |draft: DirectDraft| {
        let sequence = hub.ports.store.append(&draft, Attempt::Again).await?;
        hub.spread(Due { message: draft.placed(sequence), except: None });
        Ok(())
    };
    backlog::write(&hub.backlog, hub.rules.clocks.backlog_retry, store).await;
}

impl Hub {
    pub(super) async fn send(
        &self,
        connection: &Arc<Connection>,
        user: UserId,
        peer: &UserId,
        words: Words,
    ) -> Result<Confirmation, Refusal> {
        let conversation = self.conversation(&user, peer)?;
        self.check_words(&words)?;
        if self.backlog.is_full() {
            return Err(Refusal::Unavailable);
        }
        let draft = DirectDraft {
            id: fresh_id(),
            conversation,
            sender: user,
            receiver: peer.clone(),
            text: words.text,
            kind: words.kind,
            attachment: words.attachment,
            sent_at_ms: clock::unix_ms(),
        };
        if self.backlog.holds(&draft.conversation) {
            return Ok(self.take_on(draft)); // it must not overtake what was said before
        }
        let sequence = match self.ports.store.append(&draft, Attempt::First).await {
            Ok(sequence) => sequence,
            Err(StoreError::Unavailable(problem)) => {
                tracing::warn!(problem, "a message waits for the store");
                return Ok(self.take_on(draft));
            }
            Err(problem @ StoreError::Corrupt(_)) => return Err(away(&problem)),
        };
        let message = draft.placed(sequence);
        self.publish(&DirectNotice::Message(message.clone()));
        let next = self.floor().confirm(&message, connection);
        self.follow_up(&message.room, next);
        Ok(Confirmation::Sent(message))
    }

    /// Tells a stored message to the other instances and to those here.
    fn spread(&self, due: Due) {
        self.publish(&DirectNotice::Message(due.message.clone()));
        self.offer(due);
    }

    /// The store is away: tells the message to its receiver, wherever he is, and remembers it. Its sender hears `message_sent` when it is stored.
    fn take_on(&self, draft: DirectDraft) -> Confirmation {
        self.backlog.push(draft.clone());
        let early = draft.placed(0);
        self.publish(&DirectNotice::Early(early.clone()));
        self.floor().tell_early(early);
        Confirmation::Pending
    }

    fn check_words(&self, words: &Words) -> Result<(), Refusal> {
        if words.text.chars().all(char::is_whitespace) {
            return Err(Refusal::Invalid { field: "message", problem: "must not be blank" });
        }
        if words.text.chars().nth(self.rules.limits.text_characters_max).is_some() {
            return Err(Refusal::Invalid { field: "message", problem: "is too long" });
        }
        let attachment = words.attachment.as_deref().unwrap_or("x");
        if attachment.trim().is_empty() || attachment.chars().nth(ATTACHMENT_CHARACTERS_MAX).is_some() {
            return Err(Refusal::Invalid { field: "attachmentUrl", problem: "must not be blank or too long" });
        }
        Ok(())
    }
}
