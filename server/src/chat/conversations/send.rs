//! `send_message`: stored first, confirmed to its sender, then told to every connection of every participant in the order of the store.

use std::sync::Arc;

use chatwright_protocol::{
    dialects::conversations::server::encode_message,
    vocabulary::{Message, Refusal, RoomId, UserId},
};

use super::{
    Hub, away, check_id,
    line::{Next, Told},
};
use crate::{
    bus::NoticeBody,
    chat::{Confirmation, Connection},
    clock, cuid,
    store::{Attempt, StoreError, Stored, conversations::Letter},
    transport::Frame,
};

impl Hub {
    pub(super) async fn send(
        &self,
        connection: &Arc<Connection>,
        user: UserId,
        recipients: Vec<UserId>,
        text: String,
    ) -> Result<Confirmation, Refusal> {
        let participants = self.participants(&user, recipients)?;
        self.check_text(&text)?;
        self.metrics.message_received();
        let letter = Letter { id: cuid::fresh(), sender: user, participants, text, sent_at_ms: clock::unix_ms() };
        let message = self.store(&letter).await.map_err(|problem| away(&problem))?;
        if self.ports.events.is_some() {
            self.posted.notify_one();
        }
        let (sent, told) = encode_message(&message);
        connection.tell(&Frame::from(sent));
        let told = Told { sequence: message.sequence, frame: Frame::from(told) };
        let next = self.desk.offer(&message.room, told, &letter.participants);
        self.follow_up(&message.room, next);
        let notice = || NoticeBody::Message(Stored { generation: 0, message: message.clone() });
        self.publish(&message.room, &letter.participants, notice).await;
        Ok(Confirmation::Sent(message))
    }

    /// Stores a letter; asks once more where the answer was lost, since the first attempt may have taken effect.
    async fn store(&self, letter: &Letter) -> Result<Message, StoreError> {
        match self.ports.conversations.send(letter, Attempt::First).await {
            Err(StoreError::Unavailable(problem)) => {
                tracing::debug!(problem, "a message is offered to the store again");
            }
            answer @ (Ok(_) | Err(StoreError::Corrupt(_))) => return answer,
        }
        self.ports.conversations.send(letter, Attempt::Again).await
    }

    /// Sender and recipients, sorted, each once.
    fn participants(&self, sender: &UserId, recipients: Vec<UserId>) -> Result<Vec<UserId>, Refusal> {
        let invalid = |problem| Refusal::Invalid { field: "recipientIds", problem };
        if recipients.is_empty() {
            return Err(invalid("must not be empty"));
        }
        if recipients.len() > self.rules.limits.participants_max {
            return Err(invalid("are too many"));
        }
        for recipient in &recipients {
            check_id(recipient.as_str(), "recipientIds", self.rules.limits.id_characters_max)?;
        }
        let mut participants = recipients;
        if !participants.is_sorted_by(|one, next| one < next) {
            participants.sort_unstable();
            participants.dedup();
        }
        if let Err(place) = participants.binary_search(sender) {
            participants.insert(place, sender.clone());
        }
        if participants.len() < 2 {
            return Err(invalid("must name somebody else"));
        }
        Ok(participants)
    }

    fn check_text(&self, text: &str) -> Result<(), Refusal> {
        let invalid = |problem| Refusal::Invalid { field: "content", problem };
        if text.chars().all(char::is_whitespace) {
            return Err(invalid("must not be blank"));
        }
        let max = self.rules.limits.text_characters_max;
        if text.len() > max && text.chars().nth(max).is_some() {
            return Err(invalid("is too long")); // nothing has more characters than bytes
        }
        Ok(())
    }

    /// Does what a conversation asks for after a message was offered.
    pub(super) fn follow_up(&self, conversation: &RoomId, next: Next) {
        match next {
            Next::Settled => {}
            Next::Gap => self.heal_soon(conversation),
        }
    }
}
