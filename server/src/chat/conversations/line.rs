//! One conversation as this instance sees it: up to which message its participants here have been told. A state machine without IO.
//!
//! Messages come from three sides (own sends, the bus, the store) and in any order; they leave in the order of their sequences, each once.

use std::collections::BTreeMap;

use chatwright_protocol::{
    dialects::conversations,
    vocabulary::{Event, Message, UserId},
};

use crate::{chat::connection::Hearer, store::DeviceId, transport::Frame};

/// Messages that wait for a predecessor; beyond it the oldest are dropped and the store is read instead (it has them).
const WAITING_MAX: usize = 4096;

/// A stored message as the connections read it.
#[derive(Debug)]
pub(super) struct Told {
    /// Its place in the conversation.
    pub(super) sequence: u64,
    pub(super) frame: Frame,
}

impl Told {
    pub(super) fn of(message: Message) -> Option<Self> {
        let sequence = message.sequence;
        let frame = Frame::of(&conversations::DIALECT, &Event::Message(message))?;
        Some(Self { sequence, frame })
    }
}

/// A conversation's messages in order.
#[derive(Debug)]
pub(super) struct Line {
    participants: Vec<UserId>,
    /// Their connections here.
    hearers: Vec<Hearer>,
    told: u64,
    waiting: BTreeMap<u64, Frame>,
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

    /// Takes a message that the store confirmed; those whose turn it is go to `tell`, in order.
    pub(super) fn offer(&mut self, message: Told, mut tell: impl FnMut(&[Hearer], &Told)) -> Next {
        if self.waiting.is_empty() && message.sequence == self.told + 1 {
            self.told = message.sequence;
            tell(&self.hearers, &message);
            return Next::Settled;
        }
        if message.sequence > self.told {
            self.waiting.insert(message.sequence, message.frame);
            if self.waiting.len() > WAITING_MAX {
                self.waiting.pop_first();
            }
        }
        self.settle(tell)
    }

    /// Takes what the store has above [`told`](Self::told), oldest first: what is missing in between is gone for good.
    pub(super) fn heal(&mut self, messages: Vec<Told>, mut tell: impl FnMut(&[Hearer], &Told)) -> Next {
        for message in messages {
            if message.sequence > self.told {
                self.told = message.sequence;
                tell(&self.hearers, &message);
            }
        }
        self.settle(tell)
    }

    fn settle(&mut self, mut tell: impl FnMut(&[Hearer], &Told)) -> Next {
        while let Some(entry) = self.waiting.first_entry() {
            let sequence = *entry.key();
            if sequence > self.told + 1 {
                return Next::Gap;
            }
            let frame = entry.remove();
            if sequence > self.told {
                self.told = sequence;
                tell(&self.hearers, &Told { sequence, frame });
            }
        }
        Next::Settled
    }
}

#[cfg(test)]
mod tests {
    use chatwright_protocol::vocabulary::{Member, MessageId, MessageKind, RoomId};

    use super::*;

    fn message(sequence: u64) -> Told {
        let message = Message {
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
        };
        Told::of(message).expect("the dialect has words for a message")
    }

    /// What is told while `act` does something, and whether that leaves a gap.
    fn told(act: impl FnOnce(&mut dyn FnMut(&[Hearer], &Told)) -> Next) -> (Vec<u64>, Next) {
        let mut told = Vec::new();
        let next = act(&mut |_, message| told.push(message.sequence));
        (told, next)
    }

    #[test]
    fn messages_leave_in_order_and_once_however_they_come() {
        let mut line = Line::new(Vec::new(), 3);
        let mut offered = |sequence| told(|tell| line.offer(message(sequence), tell));
        assert_eq!(offered(2), (vec![], Next::Settled));
        assert_eq!(offered(6), (vec![], Next::Gap));
        assert_eq!(offered(4), (vec![4], Next::Gap));
        assert_eq!(offered(4), (vec![], Next::Gap));
        assert_eq!(offered(5), (vec![5, 6], Next::Settled));
        assert_eq!(offered(6), (vec![], Next::Settled));
    }

    #[test]
    fn what_the_store_has_closes_the_gap() {
        let mut line = Line::new(Vec::new(), 0);
        assert_eq!(told(|tell| line.offer(message(4), tell)), (vec![], Next::Gap));
        let missing = vec![message(1), message(2), message(3)];
        assert_eq!(told(|tell| line.heal(missing, tell)), (vec![1, 2, 3, 4], Next::Settled));
        assert_eq!(line.told(), 4);
    }
}
