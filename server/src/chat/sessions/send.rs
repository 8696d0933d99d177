//! `send_message`: everybody else in the room hears it now; nobody keeps it.

use std::sync::{Arc, atomic::Ordering};

use chatwright_protocol::vocabulary::{Event, Message, MessageId, MessageKind, Refusal};

use super::{Confirmation, Connection, DIALECT, Hub};
use crate::{bus::NoticeBody, transport::Frame};

impl Hub {
    /// The speaker is who joined, whatever the payload says; the time is the speaker's.
    pub(super) async fn send(
        &self,
        connection: &Arc<Connection>,
        text: String,
        sent_at_ms: u64,
    ) -> Result<Confirmation, Refusal> {
        let (Some(sender), Some(room)) = (connection.member(), connection.rooms().into_iter().next()) else {
            return Err(Refusal::NotMember);
        };
        self.check_text(&text)?;
        let message = Message {
            id: MessageId::from(""),
            room: room.clone(),
            sender,
            text,
            kind: MessageKind::Text,
            sent_at_ms,
            sequence: 0,
            receiver: None,
            read_at_ms: None,
            attachment: None,
        };
        if let Some(cell) = self.rooms.cell(&room)
            && let Some(frame) = Frame::of(&DIALECT, &Event::Message(message.clone()))
        {
            cell.standing().tell_except(&frame, Some(connection.id()));
        }
        let number = self.said.fetch_add(1, Ordering::Relaxed);
        self.publish(&room, NoticeBody::Said { message: message.clone(), number }).await;
        Ok(Confirmation::Sent(message))
    }

    fn check_text(&self, text: &str) -> Result<(), Refusal> {
        let wrong = |problem| Err(Refusal::Invalid { field: "content", problem });
        if text.chars().all(char::is_whitespace) {
            return wrong("must not be blank");
        }
        if text.chars().nth(self.rules.limits.text_characters_max).is_some() {
            return wrong("is too long");
        }
        Ok(())
    }
}
