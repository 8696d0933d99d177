//! The live messages of one conversation on this instance, put in the order of their sequences. A state machine without IO.
//!
//! Messages come from own sends, from the channel and from the store, in any order; each comes out once, in order.

use std::collections::BTreeMap;

use chatwright_protocol::vocabulary::Message;

use crate::store::DeviceId;

/// Messages that wait for a predecessor; beyond it the oldest are dropped, and the store is read instead (it has them).
const WAITING_MAX: usize = 4096;

/// A message on its way, and the connection that has been told already.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) message: Message,
    pub(super) except: Option<DeviceId>,
}

/// What is to be done after a message was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Next {
    /// Nothing.
    Settled,
    /// A message waits for one before it: if the channel does not bring it soon, read the store.
    Gap,
}

#[derive(Debug)]
pub(super) struct Lane {
    /// Up to which sequence everything is told.
    told: u64,
    waiting: BTreeMap<u64, Due>,
    /// Somebody reads the store for it now.
    pub(super) healing: bool,
}

impl Lane {
    pub(super) fn from(told: u64) -> Self {
        Self { told, waiting: BTreeMap::new(), healing: false }
    }

    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// Takes a message; gives all whose turn it is.
    pub(super) fn offer(&mut self, due: Due) -> (Vec<Due>, Next) {
        if due.message.sequence > self.told {
            self.waiting.entry(due.message.sequence).or_insert(due);
            if self.waiting.len() > WAITING_MAX {
                self.waiting.pop_first();
            }
        }
        self.settle()
    }

    /// Takes what the store has above [`told`](Self::told), up to `upto`: what is missing in it is deleted and no longer waited for.
    pub(super) fn heal(&mut self, messages: Vec<Message>, upto: u64) -> (Vec<Due>, Next) {
        let mut out = Vec::new();
        for message in messages {
            if message.sequence <= self.told {
                continue;
            }
            let except = self.waiting.remove(&message.sequence).and_then(|due| due.except);
            self.told = message.sequence;
            out.push(Due { message, except });
        }
        self.told = self.told.max(upto);
        let (more, next) = self.settle();
        out.extend(more);
        (out, next)
    }

    fn settle(&mut self) -> (Vec<Due>, Next) {
        let mut out = Vec::new();
        while let Some(entry) = self.waiting.first_entry() {
            let sequence = *entry.key();
            if sequence > self.told + 1 {
                return (out, Next::Gap);
            }
            let due = entry.remove();
            if sequence > self.told {
                self.told = sequence;
                out.push(due);
            }
        }
        (out, Next::Settled)
    }
}

#[cfg(test)]
mod tests {
    use chatwright_protocol::vocabulary::{MessageId, MessageKind, RoomId, UserId};

    use super::*;
    use crate::store::direct::DirectDraft;

    fn message(sequence: u64) -> Message {
        let draft = DirectDraft {
            id: MessageId::from(format!("{sequence:024x}")),
            conversation: RoomId::from("a_b"),
            sender: UserId::from("a"),
            receiver: UserId::from("b"),
            text: sequence.to_string(),
            kind: MessageKind::Text,
            attachment: None,
            sent_at_ms: 0,
        };
        draft.placed(sequence)
    }

    fn offer(lane: &mut Lane, sequence: u64) -> (Vec<u64>, Next) {
        let (out, next) = lane.offer(Due { message: message(sequence), except: None });
        (out.iter().map(|due| due.message.sequence).collect(), next)
    }

    #[test]
    fn messages_come_out_once_and_in_order_whatever_order_they_come_in() {
        let mut lane = Lane::from(3);
        assert_eq!(offer(&mut lane, 3), (vec![], Next::Settled));
        assert_eq!(offer(&mut lane, 5), (vec![], Next::Gap));
        assert_eq!(offer(&mut lane, 4), (vec![4, 5], Next::Settled));
        assert_eq!(offer(&mut lane, 5), (vec![], Next::Settled));
    }

    #[test]
    fn what_the_store_does_not_have_any_more_is_not_waited_for() {
        let mut lane = Lane::from(0);
        assert_eq!(offer(&mut lane, 4), (vec![], Next::Gap));
        let (out, next) = lane.heal(vec![message(1), message(3)], 3);
        assert_eq!(out.iter().map(|due| due.message.sequence).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!((lane.told(), next), (4, Next::Settled));
    }
}
