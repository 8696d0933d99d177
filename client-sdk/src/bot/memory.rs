//! What a bot remembers of a room, so that each message reaches it once: live, from a history, or both.
//!
//! A message is known by its id, else by its sequence, else by what it consists of. In the last case two equal messages of one sender in
//! one millisecond cannot be told apart; they are then counted by position: a history is laid over what was seen, where the longest
//! run agrees.

use std::{
    collections::{HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use chatwright_protocol::vocabulary::Message;

/// Messages remembered per room: as many as the deepest history holds, and as many again that came meanwhile.
const REMEMBERED_MAX: usize = 2000;

/// As many messages as a join brings: a shorter history that shares nothing with an empty memory is the whole history.
const PAGE: usize = 50;

/// What a message is known by: a 64-bit digest, since a bot remembers thousands of them and a load generator has thousands of bots.
/// Among as many as are remembered, two different ones share a digest once in some ten trillion runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    digest: u64,
    /// Made of an id or a sequence, which no other message of the room has.
    exact: bool,
}

impl Key {
    fn of(message: &Message) -> Self {
        // Not keyed at random: equal runs digest equally.
        let mut hasher = DefaultHasher::new();
        let exact = if !message.id.as_str().is_empty() {
            message.id.as_str().hash(&mut hasher);
            true
        } else if message.sequence > 0 {
            message.sequence.hash(&mut hasher);
            true
        } else {
            (message.sender.user.as_str(), message.sent_at_ms, &message.text).hash(&mut hasher);
            false
        };
        Self { digest: hasher.finish(), exact }
    }

    fn is_exact(&self) -> bool {
        self.exact
    }
}

/// The newest messages of one room, as far as this bot knows them.
#[derive(Debug, Default)]
pub(super) struct RoomMemory {
    order: VecDeque<Key>,
    known: HashSet<Key>,
    /// Of these, what stood in the history when the bot came and was told to nobody: it may still come live.
    untold: HashSet<Key>,
    /// The highest sequence seen; 0 if the server gives none.
    sequence: u64,
}

/// A history compared with what is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    /// What the bot has not seen, oldest first.
    pub(super) missed: Vec<Message>,
    /// Messages older than this history may be missing: a deeper one is needed.
    pub(super) gap: bool,
}

impl RoomMemory {
    /// The highest sequence seen; 0 if the server gives none.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// A message came live: whether it is new. Without ids and sequences each one is.
    pub(super) fn admit(&mut self, message: &Message) -> bool {
        let key = Key::of(message);
        if key.is_exact() && self.known.contains(&key) {
            return self.untold.remove(&key);
        }
        self.remember(key, message.sequence);
        true
    }

    /// Compares a history with what is known. Nothing is remembered yet: see [`RoomMemory::learn`].
    pub(super) fn compare(&self, history: &[Message]) -> Merged {
        let keys: Vec<Key> = history.iter().map(Key::of).collect();
        if keys.iter().all(Key::is_exact) {
            // What stands before all that is known was said before the bot came.
            let came = keys.iter().position(|key| self.known.contains(key)).unwrap_or(0);
            let missed: Vec<Message> = history
                .iter()
                .zip(&keys)
                .skip(came)
                .filter(|(_, key)| !self.known.contains(*key))
                .map(|(message, _)| message.clone())
                .collect();
            let overlaps = keys.iter().any(|key| self.known.contains(key));
            let gap = match missed.first().map(|message| message.sequence) {
                Some(first) if first > 0 => first > self.sequence + 1,
                Some(_) | None => self.may_hide(overlaps, history.len()),
            };
            return Merged { missed, gap };
        }
        let seen: Vec<Key> = self.order.iter().copied().collect();
        let covered = longest_overlap(&seen, &keys);
        Merged { missed: history[covered..].to_vec(), gap: self.may_hide(covered > 0, history.len()) }
    }

    /// Remembers these messages as seen, in this order.
    pub(super) fn learn(&mut self, messages: &[Message]) {
        for message in messages {
            self.remember(Key::of(message), message.sequence);
        }
    }

    /// The bot came after these messages were said: they are not missed, and told only if they come live.
    pub(super) fn begin_after(&mut self, history: &[Message]) {
        for message in history {
            let key = Key::of(message);
            if key.is_exact() && !self.known.contains(&key) {
                self.untold.insert(key);
                self.remember(key, message.sequence);
            }
        }
    }

    /// Of what came live while a history was under way, what that history does not hold.
    pub(super) fn after(history: &[Message], held: Vec<Message>) -> Vec<Message> {
        let keys: Vec<Key> = history.iter().map(Key::of).collect();
        let live: Vec<Key> = held.iter().map(Key::of).collect();
        if live.iter().all(Key::is_exact) {
            let keys: HashSet<&Key> = keys.iter().collect();
            return held
                .into_iter()
                .zip(&live)
                .filter(|(_, key)| !keys.contains(key))
                .map(|(message, _)| message)
                .collect();
        }
        let shared =
            (0..=keys.len().min(live.len())).rev().find(|length| keys[keys.len() - length..] == live[..*length]);
        held.into_iter().skip(shared.unwrap_or(0)).collect()
    }

    fn may_hide(&self, overlaps: bool, length: usize) -> bool {
        !overlaps && if self.order.is_empty() { length >= PAGE } else { length > 0 }
    }

    fn remember(&mut self, key: Key, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
        self.known.insert(key);
        self.order.push_back(key);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.untold.remove(&oldest);
        }
    }
}

/// Oldest first, whatever the server's order is: the document says both.
pub(super) fn chronological(mut history: Vec<Message>) -> Vec<Message> {
    let descending = match (history.first(), history.last()) {
        (Some(first), Some(last)) if first.sequence > 0 && last.sequence > 0 => first.sequence > last.sequence,
        (Some(first), Some(last)) => first.sent_at_ms > last.sent_at_ms,
        (None, _) | (_, None) => false,
    };
    if descending {
        history.reverse();
    }
    history
}

/// How many messages of the history's beginning were seen: the end of the longest run that ends where `seen` ends; the earliest of equals.
fn longest_overlap(seen: &[Key], history: &[Key]) -> usize {
    let run = |end: usize| {
        history[..end].iter().rev().zip(seen.iter().rev()).take_while(|(left, right)| left == right).count()
    };
    let whole = |end: usize| run(end) == end.min(seen.len());
    let ends = (1..=history.len()).filter(|end| whole(*end));
    ends.fold((0, 0), |(best, length), end| if run(end) > length { (end, run(end)) } else { (best, length) }).0
}

#[cfg(test)]
mod tests {
    use chatwright_protocol::vocabulary::{Member, MessageId, MessageKind, RoomId, UserId};
    use proptest::prelude::*;

    use super::*;

    fn message(number: u64, exact: bool) -> Message {
        Message {
            id: MessageId::from(if exact { format!("id-{number}") } else { String::new() }),
            room: RoomId::from("r"),
            sender: Member { user: UserId::from("u"), name: "n".to_owned() },
            text: if exact { "same".to_owned() } else { format!("text {number}") },
            kind: MessageKind::Text,
            sent_at_ms: number,
            sequence: 0,
            receiver: None,
            attachment: None,
            read_at_ms: None,
        }
    }

    fn messages(range: std::ops::Range<u64>, exact: bool) -> Vec<Message> {
        range.map(|number| message(number, exact)).collect()
    }

    #[test]
    fn a_live_message_that_comes_again_is_known_by_its_id() {
        let mut memory = RoomMemory::default();
        assert!(memory.admit(&message(1, true)));
        assert!(!memory.admit(&message(1, true)));
        assert!(memory.admit(&message(2, true)));
    }

    #[test]
    fn a_history_that_shares_nothing_with_what_was_seen_has_a_gap_before_it() {
        let mut memory = RoomMemory::default();
        memory.learn(&messages(0..10, true));
        assert_eq!(memory.compare(&messages(8..12, true)), Merged { missed: messages(10..12, true), gap: false });
        assert_eq!(memory.compare(&messages(11..14, true)), Merged { missed: messages(11..14, true), gap: true });
    }

    #[test]
    fn sequences_show_a_gap_even_where_a_history_begins_in_the_right_place() {
        let numbered = |number| Message { sequence: number, ..message(number, true) };
        let mut memory = RoomMemory::default();
        memory.learn(&[numbered(1), numbered(2)]);
        assert!(!memory.compare(&[numbered(3), numbered(4)]).gap);
        assert!(memory.compare(&[numbered(4), numbered(5)]).gap);
    }

    #[test]
    fn an_empty_room_hides_something_only_behind_a_full_page() {
        let memory = RoomMemory::default();
        assert!(!memory.compare(&messages(0..49, true)).gap);
        assert!(memory.compare(&messages(0..50, true)).gap);
    }

    #[test]
    fn equal_messages_without_ids_are_told_apart_by_position() {
        let same = Message { text: "again".to_owned(), ..message(7, false) };
        let mut memory = RoomMemory::default();
        memory.learn(&[message(1, false), same.clone()]);
        let history = [message(1, false), same.clone(), same.clone()];
        assert_eq!(memory.compare(&history).missed, [same]);
    }

    #[test]
    fn a_newest_first_history_is_turned_round() {
        let mut history = messages(0..4, true);
        history.reverse();
        assert_eq!(chronological(history), messages(0..4, true));
    }

    proptest! {
        #[test]
        fn whatever_was_seen_live_a_history_brings_the_rest_once_and_in_order(
            exact: bool, sent in 0_u64..60, seen in 0_u64..60, page in 1_u64..60, held in 0_u64..10,
        ) {
            let seen = seen.min(sent);
            // Who has seen nothing takes a short page for the whole history.
            let page = if seen == 0 { page.max(PAGE as u64) } else { page };
            // What came live before the history is younger than the history's beginning.
            let (first, held) = (sent.saturating_sub(page), held.min(page).min(sent));
            let mut memory = RoomMemory::default();
            let mut delivered = messages(0..seen, exact);
            memory.learn(&delivered);
            let history = messages(first..sent, exact);
            let merged = memory.compare(&history);
            let live = messages(sent.saturating_sub(held)..sent + 3, exact);
            delivered.extend(merged.missed);
            delivered.extend(RoomMemory::after(&history, live));
            if merged.gap {
                prop_assert!(first >= seen, "a gap is claimed only where there may be one");
            } else {
                prop_assert_eq!(delivered, messages(0..sent + 3, exact));
            }
        }
    }
}
