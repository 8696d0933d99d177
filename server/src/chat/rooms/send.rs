//! `send_message`, and the same by REST: stored first, then told to everybody in the order that the store gives.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Event, Member, Message, MessageKind, Refusal, RoomId};

use super::{Confirmation, Connection, Hub, Post, away};
use crate::{
    auth::Identity,
    bus::NoticeBody,
    chat::backlog::{self, Waits},
    clock,
    store::{Attempt, Draft, StoreError, Stored},
    transport::Frame,
};

impl Waits for Draft {
    fn room(&self) -> &RoomId {
        &self.room
    }
}

/// Writes what waited for the store, as long as the server runs and something waits.
pub(super) async fn write_backlog(hub: Arc<Hub>) {
    let store = async |draft: Draft| {
        let position = hub.ports.messages.append(&draft, Attempt::Again).await?;
        hub.spread(draft.placed(position)).await;
        Ok(())
    };
    backlog::write(&hub.backlog, hub.rules.clocks.backlog_retry, store).await;
}

impl Hub {
    pub(super) async fn send(
        &self,
        connection: &Arc<Connection>,
        sender: Member,
        room: RoomId,
        text: String,
        kind: MessageKind,
    ) -> Result<Confirmation, Refusal> {
        self.check_message(&room, &text)?;
        self.check_member(connection, &room)?;
        if self.backlog.is_full() {
            return Err(Refusal::Unavailable); // before the store is asked: what it may have taken must not be refused any more
        }
        let draft = self.draft(room, sender, text, kind);
        if self.backlog.holds(&draft.room) {
            return Ok(self.take_on(connection, draft)); // it must not overtake what the same room sent before
        }
        match self.ports.messages.append(&draft, Attempt::First).await {
            Ok(position) => {
                let stored = draft.placed(position);
                self.spread(stored.clone()).await;
                Ok(Confirmation::Sent(stored.message))
            }
            Err(StoreError::Unavailable(problem)) => {
                tracing::warn!(problem, "a message waits for the store");
                Ok(self.take_on(connection, draft))
            }
            Err(problem @ StoreError::Corrupt(_)) => Err(away(&problem)),
        }
    }

    /// Sends in the name of a verified user who need not be a member. While the store is away this is refused: there is no echo that
    /// could confirm it later.
    ///
    /// # Errors
    /// A [`Refusal`]: bad input, or the store is away.
    pub async fn post(&self, identity: &Identity, post: Post) -> Result<Message, Refusal> {
        self.check_message(&post.room, &post.text)?;
        let draft = self.draft(post.room, identity.member(), post.text, post.kind);
        let position = self.ports.messages.append(&draft, Attempt::First).await.map_err(|problem| away(&problem))?;
        let stored = draft.placed(position);
        self.spread(stored.clone()).await;
        Ok(stored.message)
    }

    /// Tells a stored message to the other instances, to the listeners here, and to other services.
    pub(super) async fn spread(&self, stored: Stored) {
        if let Some(outbox) = &self.outbox {
            outbox.put(&stored.message);
        }
        let room = stored.message.room.clone();
        self.publish(&room, || NoticeBody::Message(stored.clone())).await;
        if let Some(cell) = self.roster.cell(&room) {
            let next = cell.state().offer(stored);
            self.follow_up(&cell, next);
        }
    }

    fn draft(&self, room: RoomId, sender: Member, text: String, kind: MessageKind) -> Draft {
        Draft { id: (self.rules.message_id)(), room, sender, text, kind, sent_at_ms: clock::unix_ms() }
    }

    /// The store is away: tells the message to those who are here and remembers it.
    fn take_on(&self, connection: &Connection, draft: Draft) -> Confirmation {
        self.backlog.push(draft.clone());
        if let Some(cell) = self.roster.cell(&draft.room) {
            let early = draft.clone().placed(crate::store::Position::default());
            if let Some(frame) = Frame::of(self.rules.dialect, &Event::Message(early.message)) {
                cell.state().tell_early(&draft.id, &frame, connection.id());
            }
        }
        Confirmation::Pending
    }

    fn check_message(&self, room: &RoomId, text: &str) -> Result<(), Refusal> {
        self.check_room(room)?;
        let field = self.rules.text_field;
        if text.chars().all(char::is_whitespace) {
            return Err(Refusal::Invalid { field, problem: "must not be blank" });
        }
        if text.chars().nth(self.rules.limits.text_characters_max).is_some() {
            return Err(Refusal::Invalid { field, problem: "is too long" });
        }
        Ok(())
    }
}
