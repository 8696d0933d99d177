//! One conversation as this instance sees it: up to which message its participants here have been told. A state machine without IO.
//!
//! Messages come from three sides (own sends, the bus, the store) and in any order; they leave in the order of their sequences, each once.

use std::collections::BTreeMap;

use chatwright_protocol::vocabulary::{Message, UserId};

use crate::{chat::connection::Hearer, store::DeviceId};

/// Messages that wait for a predecessor; beyond it the oldest are dropped and the store is read instead (it has them).
const WAITING_MAX: usize = 4096;

/// A conversation's messages in order.
#[derive(Debug)]
pub(super) struct Line {
    participants: Vec<UserId>,
    /// Their connections here.
    hearers: Vec<Hearer>,
    told: u64,
    waiting: BTreeMap<u64, Message>,
    /// Somebody reads the store for it now.
    pub(super) healing: bool,
    /// How many users had ever come when it was last looked who of its participants is here.
    pub(super) followed_at: u64,
}

/// What is to be done after a message was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub(super) enum Next {
    /// Nothing.
    Settled,
    /// A message waits for one before it: if the bus does not bring it soon, read the store.
    Gap,
}

impl Line {
    /// A conversation of which everything up to `told` is old.
    pub(super) fn new(participants: Vec<UserId>, told: u64) -> Self {
        Self { participants, hearers: Vec::new(), told, waiting: BTreeMap::new(), healing: false, followed_at: 0 }
    }

    pub(super) fn participants(&self) -> &[UserId] {
        &self.participants
    }

    pub(super) fn hearers(&self) -> &[Hearer] {
        &self.hearers
    }

    /// These read it as well from here on.
    pub(super) fn add(&mut self, hearers: impl IntoIterator<Item = Hearer>) {
        self.hearers.extend(hearers);
    }

    /// This one does not any more.
    pub(super) fn remove(&mut self, device: &DeviceId) {
        self.hearers.retain(|hearer| hearer.connection().id() != device);
    }

    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// Takes a message that the store confirmed; returns those whose turn it is, in order.
    pub(super) fn offer(&mut self, message: Message) -> (Vec<Message>, Next) {
        if self.waiting.is_empty() && message.sequence == self.told + 1 {
            self.told = message.sequence;
            return (vec![message], Next::Settled);
        }
        if message.sequence > self.told {
            self.waiting.insert(message.sequence, message);
            if self.waiting.len() > WAITING_MAX {
                self.waiting.pop_first();
            }
        }
        self.settle()
    }

    /// Takes what the store has above [`told`](Self::told), oldest first: what is missing in between is gone for good.
    pub(super) fn heal(&mut self, messages: Vec<Message>) -> (Vec<Message>, Next) {
        let mut due = Vec::new();
        for message in messages {
            if message.sequence > self.told {
                self.told = message.sequence;
                due.push(message);
            }
        }
        let (more, next) = self.settle();
        due.extend(more);
        (due, next)
    }

    fn settle(&mut self) -> (Vec<Message>, Next) {
        let mut due = Vec::new();
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.told + 1 {
                return (due, Next::Gap);
            }
            let message = entry.remove();
            if message.sequence > self.told {
                self.told = message.sequence;
                due.push(message);
            }
        }
        (due, Next::Settled)
    }
}

#[cfg(test)]
mod tests {
    use chatwright_protocol::vocabulary::{Member, MessageId, MessageKind, RoomId};

    use super::*;

    fn message(sequence: u64) -> Message {
        Message {
            id: MessageId::from(format!("m{sequence}")),
            room: RoomId::from("c"),
            sender: Member::nameless(UserId::from("alice")),
            text: sequence.to_string(),
            kind: MessageKind::Text,
            sent_at_ms: 0,
            sequence,
            receiver: None,
            read_at_ms: None,
            attachment: None,
        }
    }

    fn sequences(outcome: (Vec<Message>, Next)) -> (Vec<u64>, Next) {
        (outcome.0.iter().map(|message| message.sequence).collect(), outcome.1)
    }

    #[test]
    fn messages_leave_in_order_and_once_however_they_come() {
        let mut line = Line::new(Vec::new(), 3);
        assert_eq!(sequences(line.offer(message(2))), (vec![], Next::Settled));
        assert_eq!(sequences(line.offer(message(6))), (vec![], Next::Gap));
        assert_eq!(sequences(line.offer(message(4))), (vec![4], Next::Gap));
        assert_eq!(sequences(line.offer(message(4))), (vec![], Next::Gap));
        assert_eq!(sequences(line.offer(message(5))), (vec![5, 6], Next::Settled));
        assert_eq!(sequences(line.offer(message(6))), (vec![], Next::Settled));
    }

    #[test]
    fn what_the_store_has_closes_the_gap() {
        let mut line = Line::new(Vec::new(), 0);
        assert_eq!(sequences(line.offer(message(4))), (vec![], Next::Gap));
        assert_eq!(sequences(line.heal(vec![message(1), message(2), message(3)])), (vec![1, 2, 3, 4], Next::Settled));
        assert_eq!(line.told(), 4);
    }
}
