//! `load_chat_history`, and `mark_as_read` with its REST twin: reading, and having read.

use std::sync::Arc;

use chatwright_protocol::{
    dialects::direct::conversation::peer_of,
    vocabulary::{Event, MessageId, Refusal, RoomId, UserId},
};

use super::{Confirmation, Connection, Hub, away};
use crate::{bus::direct::DirectNotice, clock, transport::Frame};

/// Ids that one `mark_as_read` may name; more than a page of history holds.
const IDS_MAX: usize = 1000;

/// Messages of a conversation that are marked in one question to the store, and told in one event.
const MARKED_MAX: usize = 500;

impl Hub {
    pub(super) async fn load_history(
        &self,
        connection: &Arc<Connection>,
        user: &UserId,
        peer: &UserId,
        limit: Option<usize>,
    ) -> Result<Confirmation, Refusal> {
        let conversation = self.conversation(user, peer)?;
        let limits = &self.rules.limits;
        let limit = limit.unwrap_or(limits.history_default).clamp(1, limits.history_max);
        let page = self.ports.store.page(&conversation, user, 1, limit).await.map_err(|problem| away(&problem))?;
        let history = Event::History { room: conversation, messages: page.messages };
        if let Some(frame) = Frame::of(self.rules.dialect, &history) {
            connection.tell(&frame);
        }
        Ok(Confirmation::History)
    }

    /// Only messages to the reader count; whatever else is named changes nothing.
    pub(super) async fn mark_as_read(
        &self,
        user: &UserId,
        conversation: &RoomId,
        messages: &[MessageId],
    ) -> Result<Confirmation, Refusal> {
        if messages.len() > IDS_MAX {
            return Err(Refusal::TooMany { what: "messageIds" });
        }
        let peer = peer_of(conversation, user).ok_or(Refusal::NotFound { what: "conversation" })?;
        let read_at_ms = clock::unix_ms();
        let marked = self.ports.store.mark_read(conversation, user, messages, read_at_ms).await;
        self.tell_read(conversation, user, &peer, marked.map_err(|problem| away(&problem))?, read_at_ms);
        Ok(Confirmation::Read)
    }

    /// Marks all that a user sees of a conversation as read; gives how many messages that were.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for an id beyond the limits, [`Refusal::Unavailable`] while the store is away.
    pub async fn mark_conversation_read(&self, user: &UserId, peer: &UserId) -> Result<usize, Refusal> {
        let conversation = self.conversation(user, peer)?;
        let read_at_ms = clock::unix_ms();
        let mut count = 0;
        loop {
            let marked = self.ports.store.mark_conversation_read(&conversation, user, MARKED_MAX, read_at_ms).await;
            let marked = marked.map_err(|problem| away(&problem))?;
            let is_last = marked.len() < MARKED_MAX;
            count += marked.len();
            self.tell_read(&conversation, user, peer, marked, read_at_ms);
            if is_last {
                return Ok(count);
            }
        }
    }

    fn tell_read(
        &self,
        conversation: &RoomId,
        reader: &UserId,
        peer: &UserId,
        messages: Vec<MessageId>,
        read_at_ms: u64,
    ) {
        if messages.is_empty() {
            return;
        }
        let event = Event::Read { room: conversation.clone(), messages: messages.clone(), read_at_ms };
        self.floor().tell(peer, &event);
        let (conversation, reader) = (conversation.clone(), reader.clone());
        self.publish(&DirectNotice::Read { conversation, reader, messages, read_at_ms });
    }
}
