//! `send_message`: stored first, then confirmed to its sender and told to its receiver in the order that the store gives.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Event, MessageKind, Refusal, UserId};

use super::{Confirmation, Connection, Hub, away, lane::Due};
use crate::{
    bus::direct::{DirectNotice, fresh_id},
    clock,
    store::{Attempt, direct::DirectDraft},
    transport::Frame,
};

/// Unicode scalar values of an attachment's address: longer than browsers take.
const ATTACHMENT_CHARACTERS_MAX: usize = 2048;

/// What is said.
pub(super) struct Words {
    pub(super) text: String,
    pub(super) kind: MessageKind,
    pub(super) attachment: Option<String>,
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
        let sequence = self.ports.store.append(&draft, Attempt::First).await.map_err(|problem| away(&problem))?;
        let message = draft.placed(sequence);
        if let Some(frame) = Frame::of(self.rules.dialect, &Event::Sent(message.clone())) {
            connection.tell(&frame);
        }
        self.publish(&DirectNotice::Message(message.clone()));
        self.offer(Due { message: message.clone(), except: Some(connection.id().clone()) });
        Ok(Confirmation::Sent(message))
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
