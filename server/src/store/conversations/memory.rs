//! Conversations kept in this process: the default, and the double in tests (instances may share one).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard},
};

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};
use futures_util::future::ready;

use super::{ConversationStore, Head, Letter, Page, WaitingEvent, event_of};
use crate::store::{Attempt, StoreError, StoreFuture};

/// Messages kept of a conversation, the newest: memory is no archive.
pub const MESSAGES_MAX: usize = 10_000;

/// Conversations kept; beyond it those that were quiet longest are forgotten, [`FORGOTTEN_AT_ONCE`] of them. It bounds what clients that make
/// up users can cost.
pub const CONVERSATIONS_MAX: usize = 100_000;

/// Conversations forgotten at once: to find them all are looked at, and to keep them sorted would cost each message more.
pub const FORGOTTEN_AT_ONCE: usize = CONVERSATIONS_MAX / 100;

/// Events kept for a reader; beyond it the oldest are dropped, since with nobody who reads they would only grow.
pub const EVENTS_MAX: usize = 10_000;

/// Conversations in memory.
#[derive(Debug, Default)]
pub struct MemoryConversations {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    conversations: HashMap<RoomId, Conversation>,
    /// By [`key_of`] them.
    by_participants: HashMap<Vec<u8>, RoomId>,
    by_user: HashMap<UserId, HashSet<RoomId>>,
    events: VecDeque<WaitingEvent>,
    events_ever: u64,
    /// Nobody will ask for events.
    is_silent: bool,
    /// Grows with each message: which conversation was quiet longest is decided by it.
    ticks: u64,
}

#[derive(Debug)]
struct Conversation {
    participants: Vec<UserId>,
    sequence: u64,
    messages: VecDeque<Kept>,
    last_message_at_ms: u64,
    /// When each of the participants has read it last, in their order.
    last_read_at_ms: Vec<u64>,
    tick: u64,
}

/// What is kept of a message: the rest is the same for all of a conversation, and there may be a great many.
#[derive(Debug)]
struct Kept {
    id: MessageId,
    sender: UserId,
    text: Box<str>,
    sent_at_ms: u64,
    sequence: u64,
}

impl Kept {
    fn message(&self, conversation: &RoomId) -> Message {
        Message {
            id: self.id.clone(),
            room: conversation.clone(),
            sender: Member::nameless(self.sender.clone()),
            text: str::to_owned(&self.text),
            kind: MessageKind::Text,
            sent_at_ms: self.sent_at_ms,
            sequence: self.sequence,
            receiver: None,
            attachment: None,
            read_at_ms: None,
        }
    }
}

impl MemoryConversations {
    /// When a participant last read a conversation, in milliseconds since the Unix epoch: what the column `lastReadAt` holds elsewhere.
    #[must_use]
    pub fn last_read_at_ms(&self, conversation: &RoomId, user: &UserId) -> Option<u64> {
        let state = self.state();
        let conversation = state.conversations.get(conversation)?;
        Some(conversation.last_read_at_ms[conversation.place_of(user)?])
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the conversations")
    }
}

impl State {
    fn send(&mut self, letter: &Letter, attempt: Attempt) -> Message {
        let id = self.conversation_of(letter);
        self.ticks += 1;
        let tick = self.ticks;
        let conversation = self.conversations.get_mut(&id).expect("found or made above");
        if attempt == Attempt::Again
            && let Some(there) = conversation.messages.iter().rev().find(|message| message.id == letter.id)
        {
            return there.message(&id);
        }
        conversation.sequence += 1;
        let kept = Kept {
            id: letter.id.clone(),
            sender: letter.sender.clone(),
            text: letter.text.as_str().into(),
            sent_at_ms: letter.sent_at_ms,
            sequence: conversation.sequence,
        };
        let message = kept.message(&id);
        conversation.messages.push_back(kept);
        if conversation.messages.len() > MESSAGES_MAX {
            conversation.messages.pop_front();
        }
        conversation.last_message_at_ms = conversation.last_message_at_ms.max(letter.sent_at_ms);
        conversation.read(&letter.sender, letter.sent_at_ms);
        conversation.tick = tick;
        if self.is_silent {
            return message;
        }
        self.events_ever += 1;
        let event = event_of(&message, &letter.participants, letter.dedupe_id);
        self.events.push_back(WaitingEvent { place: self.events_ever, event });
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
        message
    }

    fn conversation_of(&mut self, letter: &Letter) -> RoomId {
        let key = key_of(&letter.participants);
        if let Some(id) = self.by_participants.get(&key) {
            return id.clone();
        }
        if self.conversations.len() >= CONVERSATIONS_MAX {
            self.forget_quietest(FORGOTTEN_AT_ONCE);
        }
        let id = letter.fresh_conversation.clone();
        let conversation = Conversation {
            participants: letter.participants.clone(),
            sequence: 0,
            messages: VecDeque::new(),
            last_message_at_ms: letter.sent_at_ms,
            last_read_at_ms: vec![letter.sent_at_ms; letter.participants.len()],
            tick: 0,
        };
        self.conversations.insert(id.clone(), conversation);
        self.by_participants.insert(key, id.clone());
        for user in &letter.participants {
            self.by_user.entry(user.clone()).or_default().insert(id.clone());
        }
        id
    }

    fn forget_quietest(&mut self, count: usize) {
        let mut ticks: Vec<u64> = self.conversations.values().map(|conversation| conversation.tick).collect();
        let Some(last) = count.min(ticks.len()).checked_sub(1) else { return };
        let (_, last, _) = ticks.select_nth_unstable(last);
        let quiet = self.conversations.iter().filter(|(_, conversation)| conversation.tick <= *last);
        let quiet: Vec<RoomId> = quiet.map(|(id, _)| id.clone()).collect();
        quiet.iter().for_each(|id| self.forget(id));
    }

    fn forget(&mut self, id: &RoomId) {
        let Some(conversation) = self.conversations.remove(id) else { return };
        self.by_participants.remove(&key_of(&conversation.participants));
        for user in &conversation.participants {
            if let Some(of_user) = self.by_user.get_mut(user) {
                of_user.remove(id);
                if of_user.is_empty() {
                    self.by_user.remove(user);
                }
            }
        }
    }

    fn heads(&self, users: &[UserId], active_since_ms: u64, limit: usize) -> Vec<Head> {
        let ids: HashSet<&RoomId> = users.iter().filter_map(|user| self.by_user.get(user)).flatten().collect();
        let mut found: Vec<(&RoomId, &Conversation)> =
            ids.into_iter().filter_map(|id| Some((id, self.conversations.get(id)?))).collect();
        found.retain(|(_, conversation)| conversation.last_message_at_ms >= active_since_ms);
        found.sort_by_key(|(_, conversation)| std::cmp::Reverse(conversation.tick));
        found.into_iter().take(limit).map(|(id, conversation)| conversation.head(id)).collect()
    }
}

/// The users in one run of bytes, which is looked up in one place of memory. Each behind its length, as ids may hold any characters.
fn key_of(participants: &[UserId]) -> Vec<u8> {
    let bytes = participants.iter().map(|user| size_of::<u32>() + user.as_str().len()).sum();
    let mut key = Vec::with_capacity(bytes);
    for user in participants {
        let length = u32::try_from(user.as_str().len()).expect("an id is bounded by the size of a frame");
        key.extend_from_slice(&length.to_ne_bytes());
        key.extend_from_slice(user.as_str().as_bytes());
    }
    key
}

impl Conversation {
    fn head(&self, id: &RoomId) -> Head {
        Head { conversation: id.clone(), participants: self.participants.clone(), sequence: self.sequence }
    }

    fn read(&mut self, user: &UserId, at_ms: u64) {
        if let Some(place) = self.place_of(user) {
            let last = &mut self.last_read_at_ms[place];
            *last = at_ms.max(*last);
        }
    }

    fn place_of(&self, user: &UserId) -> Option<usize> {
        self.participants.binary_search(user).ok()
    }

    fn page(&self, id: &RoomId, page: &Page, limit: usize) -> Vec<Message> {
        let (from, to) = match page {
            Page::Newest => (0, self.messages.len()),
            Page::Before(message) => (0, self.index_of(message).unwrap_or(0)),
            Page::Above(sequence) => {
                let from = self.messages.partition_point(|message| message.sequence <= *sequence);
                return self.messages.iter().skip(from).take(limit).map(|kept| kept.message(id)).collect();
            }
        };
        let from = to.saturating_sub(limit).max(from);
        self.messages.range(from..to).map(|kept| kept.message(id)).collect()
    }

    fn index_of(&self, id: &MessageId) -> Option<usize> {
        self.messages.iter().position(|message| message.id == *id)
    }
}

impl ConversationStore for MemoryConversations {
    fn send<'a>(&'a self, letter: &'a Letter, attempt: Attempt) -> StoreFuture<'a, Message> {
        Box::pin(ready(Ok(self.state().send(letter, attempt))))
    }

    fn conversation<'a>(&'a self, conversation: &'a RoomId) -> StoreFuture<'a, Option<Head>> {
        let head = self.state().conversations.get(conversation).map(|found| found.head(conversation));
        Box::pin(ready(Ok(head)))
    }

    fn messages<'a>(&'a self, conversation: &'a RoomId, page: &'a Page, limit: usize) -> StoreFuture<'a, Vec<Message>> {
        let messages = self.state().conversations.get(conversation).map(|found| found.page(conversation, page, limit));
        Box::pin(ready(Ok(messages.unwrap_or_default())))
    }

    fn heads<'a>(&'a self, users: &'a [UserId], active_since_ms: u64, limit: usize) -> StoreFuture<'a, Vec<Head>> {
        Box::pin(ready(Ok(self.state().heads(users, active_since_ms, limit))))
    }

    fn mark_read<'a>(&'a self, conversation: &'a RoomId, user: &'a UserId, at_ms: u64) -> StoreFuture<'a, ()> {
        if let Some(conversation) = self.state().conversations.get_mut(conversation) {
            conversation.read(user, at_ms);
        }
        Box::pin(ready(Ok(())))
    }

    fn waiting_events(&self, limit: usize) -> StoreFuture<'_, Vec<WaitingEvent>> {
        Box::pin(ready(Ok(self.state().events.iter().take(limit).cloned().collect())))
    }

    fn expect_no_reader(&self) {
        self.state().is_silent = true;
    }

    fn events_told<'a>(&'a self, places: &'a [u64]) -> StoreFuture<'a, ()> {
        let told: HashSet<u64> = places.iter().copied().collect();
        self.state().events.retain(|waiting| !told.contains(&waiting.place));
        Box::pin(ready(Ok(())))
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(ready(Ok::<(), StoreError>(())))
    }

    fn technology(&self) -> &'static str {
        "memory"
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn letter(sender: &str, number: u64) -> Letter {
        Letter {
            id: MessageId::from(format!("m{number}")),
            sender: UserId::from(sender),
            participants: vec![UserId::from(sender), UserId::from("zoe")],
            text: "hi".to_owned(),
            sent_at_ms: number,
            dedupe_id: Uuid::nil(),
            fresh_conversation: RoomId::from(format!("c{number}")),
        }
    }

    #[test]
    fn those_that_were_quiet_longest_are_forgotten_with_all_that_leads_to_them() {
        let mut state = State::default();
        for (number, sender) in (1..).zip(["alice", "bob", "carol", "alice"]) {
            let _ = state.send(&letter(sender, number), Attempt::First);
        }
        state.forget_quietest(2); // bob's and carol's: alice has spoken since
        assert_eq!(state.conversations.keys().map(RoomId::as_str).collect::<Vec<_>>(), ["c1"]);
        assert_eq!((state.by_participants.len(), state.by_user.len()), (1, 2));
        assert_eq!(state.send(&letter("bob", 9), Attempt::First).sequence, 1);
        state.forget_quietest(10);
        assert!(state.conversations.is_empty() && state.by_participants.is_empty() && state.by_user.is_empty());
    }
}
