//! Conversations kept in this process: the default, and the double in tests (instances may share one).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
};

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};
use futures_util::future::ready;

use super::{ConversationStore, Head, Letter, Page, WaitingEvent, event_of};
use crate::{
    chance, cuid,
    store::{Attempt, StoreError, StoreFuture},
};

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
    /// By [`key_of`] their participants: so a message finds its conversation at one look.
    conversations: HashMap<Arc<[u8]>, Conversation>,
    /// Where they are.
    keys: HashMap<RoomId, Arc<[u8]>>,
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
    id: RoomId,
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
    /// Who sent it: a place among the participants.
    sender: u32,
    text: Box<str>,
    sent_at_ms: u64,
    sequence: u64,
}

impl Kept {
    fn message(&self, conversation: &RoomId, participants: &[UserId]) -> Message {
        Message {
            id: self.id.clone(),
            room: conversation.clone(),
            sender: Member::nameless(participants[self.sender as usize].clone()),
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
        let conversation = state.conversation(conversation)?;
        Some(conversation.last_read_at_ms[conversation.place_of(user)?])
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the conversations")
    }
}

impl State {
    fn send(&mut self, letter: &Letter, attempt: Attempt) -> Message {
        let key = key_of(&letter.participants);
        self.ticks += 1;
        let tick = self.ticks;
        let taken = match self.conversations.get_mut(&key[..]) {
            Some(conversation) => conversation.take(letter, attempt, tick),
            None => self.begin(&key, letter).take(letter, attempt, tick),
        };
        let message = match taken {
            Taken::New(message) => message,
            Taken::Before(message) => return message,
        };
        if self.is_silent {
            return message;
        }
        self.events_ever += 1;
        let event = event_of(&message, &letter.participants, chance::uuid());
        self.events.push_back(WaitingEvent { place: self.events_ever, event });
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
        message
    }

    /// A conversation for the first message of these participants.
    fn begin(&mut self, key: &[u8], letter: &Letter) -> &mut Conversation {
        if self.conversations.len() >= CONVERSATIONS_MAX {
            self.forget_quietest(FORGOTTEN_AT_ONCE);
        }
        let (id, key): (RoomId, Arc<[u8]>) = (cuid::fresh(), Arc::from(key));
        self.keys.insert(id.clone(), Arc::clone(&key));
        for user in &letter.participants {
            self.by_user.entry(user.clone()).or_default().insert(id.clone());
        }
        self.conversations.entry(key).or_insert_with(|| Conversation {
            id,
            participants: letter.participants.clone(),
            sequence: 0,
            messages: VecDeque::new(),
            last_message_at_ms: letter.sent_at_ms,
            last_read_at_ms: vec![letter.sent_at_ms; letter.participants.len()],
            tick: 0,
        })
    }

    fn conversation(&self, id: &RoomId) -> Option<&Conversation> {
        self.conversations.get(self.keys.get(id)?)
    }

    fn forget_quietest(&mut self, count: usize) {
        let mut ticks: Vec<u64> = self.conversations.values().map(|conversation| conversation.tick).collect();
        let Some(last) = count.min(ticks.len()).checked_sub(1) else { return };
        let (_, last, _) = ticks.select_nth_unstable(last);
        for (_, gone) in self.conversations.extract_if(|_, conversation| conversation.tick <= *last) {
            self.keys.remove(&gone.id);
            for user in &gone.participants {
                if let Some(of_user) = self.by_user.get_mut(user) {
                    of_user.remove(&gone.id);
                    if of_user.is_empty() {
                        self.by_user.remove(user);
                    }
                }
            }
        }
    }

    fn heads(&self, users: &[UserId], active_since_ms: u64, limit: usize) -> Vec<Head> {
        let ids: HashSet<&RoomId> = users.iter().filter_map(|user| self.by_user.get(user)).flatten().collect();
        let mut found: Vec<&Conversation> = ids.into_iter().filter_map(|id| self.conversation(id)).collect();
        found.retain(|conversation| conversation.last_message_at_ms >= active_since_ms);
        found.sort_by_key(|conversation| std::cmp::Reverse(conversation.tick));
        found.into_iter().take(limit).map(Conversation::head).collect()
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

/// What became of a letter.
enum Taken {
    New(Message),
    /// It was stored before.
    Before(Message),
}

impl Conversation {
    fn take(&mut self, letter: &Letter, attempt: Attempt, tick: u64) -> Taken {
        self.tick = tick;
        if attempt == Attempt::Again
            && let Some(there) = self.messages.iter().rev().find(|message| message.id == letter.id)
        {
            return Taken::Before(there.message(&self.id, &self.participants));
        }
        // The letter's own list is asked, which is the same: it has just been used, and that of the conversation lies far away.
        let sender = letter.participants.binary_search(&letter.sender).expect("who sends it takes part");
        self.sequence += 1;
        let kept = Kept {
            id: letter.id.clone(),
            sender: u32::try_from(sender).expect("participants are bounded by the size of a frame"),
            text: letter.text.as_str().into(),
            sent_at_ms: letter.sent_at_ms,
            sequence: self.sequence,
        };
        let message = kept.message(&self.id, &letter.participants);
        self.messages.push_back(kept);
        if self.messages.len() > MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.last_message_at_ms = self.last_message_at_ms.max(letter.sent_at_ms);
        self.read(sender, letter.sent_at_ms);
        Taken::New(message)
    }

    fn head(&self) -> Head {
        Head { conversation: self.id.clone(), participants: self.participants.clone(), sequence: self.sequence }
    }

    fn read(&mut self, place: usize, at_ms: u64) {
        let last = &mut self.last_read_at_ms[place];
        *last = at_ms.max(*last);
    }

    fn place_of(&self, user: &UserId) -> Option<usize> {
        self.participants.binary_search(user).ok()
    }

    fn page(&self, page: &Page, limit: usize) -> Vec<Message> {
        let (from, to) = match page {
            Page::Newest => (0, self.messages.len()),
            Page::Before(message) => (0, self.index_of(message).unwrap_or(0)),
            Page::Above(sequence) => {
                let from = self.messages.partition_point(|message| message.sequence <= *sequence);
                return self.told(from..self.messages.len().min(from.saturating_add(limit)));
            }
        };
        self.told(to.saturating_sub(limit).max(from)..to)
    }

    fn told(&self, places: Range<usize>) -> Vec<Message> {
        self.messages.range(places).map(|kept| kept.message(&self.id, &self.participants)).collect()
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
        let head = self.state().conversation(conversation).map(Conversation::head);
        Box::pin(ready(Ok(head)))
    }

    fn messages<'a>(&'a self, conversation: &'a RoomId, page: &'a Page, limit: usize) -> StoreFuture<'a, Vec<Message>> {
        let messages = self.state().conversation(conversation).map(|found| found.page(page, limit));
        Box::pin(ready(Ok(messages.unwrap_or_default())))
    }

    fn heads<'a>(&'a self, users: &'a [UserId], active_since_ms: u64, limit: usize) -> StoreFuture<'a, Vec<Head>> {
        Box::pin(ready(Ok(self.state().heads(users, active_since_ms, limit))))
    }

    fn mark_read<'a>(&'a self, conversation: &'a RoomId, user: &'a UserId, at_ms: u64) -> StoreFuture<'a, ()> {
        let mut guard = self.state();
        let state = &mut *guard;
        let conversation = state.keys.get(conversation).and_then(|key| state.conversations.get_mut(key));
        if let Some(conversation) = conversation
            && let Some(place) = conversation.place_of(user)
        {
            conversation.read(place, at_ms);
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
    use super::*;

    fn letter(sender: &str, number: u64) -> Letter {
        Letter {
            id: MessageId::from(format!("m{number}")),
            sender: UserId::from(sender),
            participants: vec![UserId::from(sender), UserId::from("zoe")],
            text: "hi".to_owned(),
            sent_at_ms: number,
        }
    }

    #[test]
    fn those_that_were_quiet_longest_are_forgotten_with_all_that_leads_to_them() {
        let mut state = State::default();
        let mut rooms = Vec::new();
        for (number, sender) in (1..).zip(["alice", "bob", "carol", "alice"]) {
            rooms.push(state.send(&letter(sender, number), Attempt::First).room);
        }
        state.forget_quietest(2); // bob's and carol's: alice has spoken since
        assert_eq!(state.keys.keys().collect::<Vec<_>>(), [&rooms[0]]);
        assert_eq!((state.conversations.len(), state.by_user.len()), (1, 2));
        assert_eq!(state.send(&letter("bob", 9), Attempt::First).sequence, 1);
        state.forget_quietest(10);
        assert!(state.conversations.is_empty() && state.keys.is_empty() && state.by_user.is_empty());
    }
}
