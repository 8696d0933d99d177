//! The messages of `direct` kept in this process: the default, and the double in tests (instances may share one).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard},
};

use chatwright_protocol::{
    dialects::direct::conversation::{peer_of, users_of},
    vocabulary::{Message, MessageId, RoomId, UserId},
};
use futures_util::future::ready;

use super::{
    Attempt, StoreError, StoreFuture,
    direct::{ConversationSummary, Deletion, DirectDraft, DirectPage, DirectStore, Partner, UserRecord},
};

/// Messages that fit. The document removes nothing, so what is full takes nothing more: a message that is not stored is not confirmed,
/// whereas one that is dropped later would have been.
const MESSAGES_MAX: usize = 1_000_000;

/// Users that are remembered; further ones go by their ids.
const USERS_MAX: usize = 100_000;

/// All messages, in memory.
#[derive(Debug, Default)]
pub struct MemoryDirect {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    conversations: HashMap<RoomId, Conversation>,
    /// Where each message stands.
    places: HashMap<MessageId, (RoomId, usize)>,
    /// The conversations of each user.
    of_user: HashMap<UserId, BTreeSet<RoomId>>,
    users: HashMap<UserId, UserRecord>,
    /// Counts appends, so that conversations can be put in the order of their newest message without a clock.
    appends: u64,
}

#[derive(Debug, Default)]
struct Conversation {
    /// Sequence n stands at n - 1.
    messages: Vec<Kept>,
    /// Up to which sequence a user has hidden it.
    hidden: BTreeMap<UserId, u64>,
    /// The number of its newest append.
    newest: u64,
}

#[derive(Debug)]
struct Kept {
    message: Message,
    deleted: bool,
    /// The number of its append.
    append: u64,
}

impl Conversation {
    fn visible<'a>(&'a self, viewer: &UserId) -> impl DoubleEndedIterator<Item = &'a Kept> + use<'a> {
        let hidden = self.hidden.get(viewer).copied().unwrap_or(0);
        self.messages.iter().filter(move |kept| !kept.deleted && kept.message.sequence > hidden)
    }

    fn latest(&self) -> u64 {
        self.messages.last().map_or(0, |kept| kept.message.sequence)
    }

    fn mark(&mut self, index: usize, reader: &UserId, read_at_ms: u64) -> Option<MessageId> {
        let hidden = self.hidden.get(reader).copied().unwrap_or(0);
        let kept = self.messages.get_mut(index)?;
        let message = &mut kept.message;
        let due = message.receiver.as_ref() == Some(reader)
            && message.read_at_ms.is_none()
            && !kept.deleted
            && message.sequence > hidden;
        due.then(|| {
            message.read_at_ms = Some(read_at_ms);
            message.id.clone()
        })
    }
}

fn is_unread_by(message: &Message, reader: &UserId) -> bool {
    message.receiver.as_ref() == Some(reader) && message.read_at_ms.is_none()
}

impl MemoryDirect {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the messages")
    }
}

impl State {
    fn append(&mut self, draft: &DirectDraft, attempt: Attempt) -> Result<u64, StoreError> {
        if attempt == Attempt::Again
            && let Some((_, index)) = self.places.get(&draft.id)
        {
            return Ok(sequence_at(*index));
        }
        if self.places.len() >= MESSAGES_MAX {
            return Err(StoreError::Unavailable("the memory for messages is full".to_owned()));
        }
        self.appends += 1;
        let conversation = self.conversations.entry(draft.conversation.clone()).or_default();
        let index = conversation.messages.len();
        let message = draft.clone().placed(sequence_at(index));
        conversation.messages.push(Kept { message, deleted: false, append: self.appends });
        conversation.newest = self.appends;
        self.places.insert(draft.id.clone(), (draft.conversation.clone(), index));
        for user in [&draft.sender, &draft.receiver] {
            self.of_user.entry(user.clone()).or_default().insert(draft.conversation.clone());
        }
        Ok(sequence_at(index))
    }

    /// A user's conversations, the one with the newest message first.
    fn of<'a>(&'a self, user: &UserId) -> Vec<(&'a RoomId, &'a Conversation)> {
        let ids = self.of_user.get(user).into_iter().flatten();
        let mut found: Vec<_> = ids.filter_map(|id| self.conversations.get_key_value(id)).collect();
        found.sort_by_key(|(_, conversation)| std::cmp::Reverse(conversation.newest));
        found
    }

    fn conversations(&self, user: &UserId, limit: usize) -> Vec<ConversationSummary> {
        let mut seen: Vec<(u64, ConversationSummary)> = Vec::new();
        for (id, conversation) in self.of(user) {
            let (Some(last), Some(peer)) = (conversation.visible(user).next_back(), peer_of(id, user)) else {
                continue;
            };
            let unread = conversation.visible(user).filter(|kept| is_unread_by(&kept.message, user)).count() as u64;
            let last_append = last.append;
            let last = last.message.clone();
            seen.push((last_append, ConversationSummary { conversation: id.clone(), peer, last, unread }));
        }
        seen.sort_by_key(|(append, _)| std::cmp::Reverse(*append));
        seen.into_iter().take(limit).map(|(_, summary)| summary).collect()
    }

    fn search(&self, viewer: &UserId, conversation: Option<&RoomId>, text: &str, limit: usize) -> Vec<Message> {
        let wanted = text.to_lowercase();
        let places = self.of(viewer);
        let places = places.iter().filter(|(id, _)| conversation.is_none_or(|only| only == *id));
        let mut found: Vec<&Kept> = places
            .flat_map(|(_, conversation)| conversation.visible(viewer))
            .filter(|kept| kept.message.text.to_lowercase().contains(&wanted))
            .collect();
        found.sort_by_key(|kept| std::cmp::Reverse(kept.append));
        found.into_iter().take(limit).map(|kept| kept.message.clone()).collect()
    }

    fn delete(&mut self, message: &MessageId, by: &UserId) -> Deletion {
        let Some((id, index)) = self.places.get(message) else { return Deletion::NoSuchMessage };
        let Some(conversation) = self.conversations.get_mut(id) else { return Deletion::NoSuchMessage };
        let hidden = conversation.hidden.get(by).copied().unwrap_or(0);
        let takes_part = users_of(id).is_some_and(|(one, other)| one == *by || other == *by);
        match conversation.messages.get_mut(*index) {
            Some(kept) if takes_part && !kept.deleted && kept.message.sequence > hidden => {
                if kept.message.sender.user != *by {
                    return Deletion::NotTheSender;
                }
                kept.deleted = true;
                Deletion::Done
            }
            Some(_) | None => Deletion::NoSuchMessage,
        }
    }

    fn hide(&mut self, conversation: &RoomId, from: &UserId) -> bool {
        let Some(conversation) = self.conversations.get_mut(conversation) else { return false };
        let saw_some = conversation.visible(from).next().is_some();
        let latest = conversation.latest();
        conversation.hidden.insert(from.clone(), latest);
        saw_some
    }
}

fn sequence_at(index: usize) -> u64 {
    index as u64 + 1
}

impl DirectStore for MemoryDirect {
    fn append<'a>(&'a self, draft: &'a DirectDraft, attempt: Attempt) -> StoreFuture<'a, u64> {
        Box::pin(ready(self.state().append(draft, attempt)))
    }

    fn page<'a>(
        &'a self,
        conversation: &'a RoomId,
        viewer: &'a UserId,
        page: usize,
        limit: usize,
    ) -> StoreFuture<'a, DirectPage> {
        let state = self.state();
        let found = state.conversations.get(conversation).map_or_else(DirectPage::default, |conversation| {
            let newer = page.saturating_sub(1).saturating_mul(limit);
            let mut messages: Vec<Message> =
                conversation.visible(viewer).rev().skip(newer).take(limit).map(|kept| kept.message.clone()).collect();
            messages.reverse();
            DirectPage { messages, total: conversation.visible(viewer).count() as u64 }
        });
        Box::pin(ready(Ok(found)))
    }

    fn since<'a>(&'a self, conversation: &'a RoomId, after: u64, limit: usize) -> StoreFuture<'a, Vec<Message>> {
        let state = self.state();
        let kept = state.conversations.get(conversation).into_iter().flat_map(|conversation| &conversation.messages);
        let newer = kept.filter(|kept| !kept.deleted && kept.message.sequence > after);
        Box::pin(ready(Ok(newer.take(limit).map(|kept| kept.message.clone()).collect())))
    }

    fn latest<'a>(&'a self, conversations: &'a [RoomId]) -> StoreFuture<'a, Vec<u64>> {
        let state = self.state();
        let latest = conversations.iter().map(|id| state.conversations.get(id).map_or(0, Conversation::latest));
        Box::pin(ready(Ok(latest.collect())))
    }

    fn partners<'a>(&'a self, user: &'a UserId, limit: usize) -> StoreFuture<'a, Vec<Partner>> {
        let state = self.state();
        let partners = state.of(user).into_iter().filter_map(|(id, conversation)| {
            let peer = peer_of(id, user)?;
            Some(Partner { conversation: id.clone(), peer, latest: conversation.latest() })
        });
        Box::pin(ready(Ok(partners.take(limit).collect())))
    }

    fn conversations<'a>(&'a self, user: &'a UserId, limit: usize) -> StoreFuture<'a, Vec<ConversationSummary>> {
        Box::pin(ready(Ok(self.state().conversations(user, limit))))
    }

    fn unread_count<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, u64> {
        let state = self.state();
        let places = state.of(user);
        let visible = places.iter().flat_map(|(_, conversation)| conversation.visible(user));
        let unread = visible.filter(|kept| is_unread_by(&kept.message, user)).count();
        Box::pin(ready(Ok(unread as u64)))
    }

    fn mark_read<'a>(
        &'a self,
        conversation: &'a RoomId,
        reader: &'a UserId,
        messages: &'a [MessageId],
        read_at_ms: u64,
    ) -> StoreFuture<'a, Vec<MessageId>> {
        let mut state = self.state();
        let mut marked = Vec::new();
        for id in messages {
            let Some((place, index)) = state.places.get(id).filter(|(place, _)| place == conversation).cloned() else {
                continue;
            };
            let conversation = state.conversations.get_mut(&place);
            marked.extend(conversation.and_then(|conversation| conversation.mark(index, reader, read_at_ms)));
        }
        Box::pin(ready(Ok(marked)))
    }

    fn mark_conversation_read<'a>(
        &'a self,
        conversation: &'a RoomId,
        reader: &'a UserId,
        limit: usize,
        read_at_ms: u64,
    ) -> StoreFuture<'a, Vec<MessageId>> {
        let mut state = self.state();
        let marked = state.conversations.get_mut(conversation).map_or_else(Vec::new, |conversation| {
            let all = 0..conversation.messages.len();
            all.filter_map(|index| conversation.mark(index, reader, read_at_ms)).take(limit).collect()
        });
        Box::pin(ready(Ok(marked)))
    }

    fn delete_message<'a>(&'a self, message: &'a MessageId, by: &'a UserId, _: u64) -> StoreFuture<'a, Deletion> {
        Box::pin(ready(Ok(self.state().delete(message, by))))
    }

    fn hide_conversation<'a>(&'a self, conversation: &'a RoomId, from: &'a UserId) -> StoreFuture<'a, bool> {
        Box::pin(ready(Ok(self.state().hide(conversation, from))))
    }

    fn search<'a>(
        &'a self,
        viewer: &'a UserId,
        conversation: Option<&'a RoomId>,
        text: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Message>> {
        Box::pin(ready(Ok(self.state().search(viewer, conversation, text, limit))))
    }

    fn save_user<'a>(&'a self, user: &'a UserRecord) -> StoreFuture<'a, ()> {
        let mut state = self.state();
        if state.users.len() < USERS_MAX || state.users.contains_key(&user.user) {
            state.users.insert(user.user.clone(), user.clone());
        }
        Box::pin(ready(Ok(())))
    }

    fn users<'a>(&'a self, users: &'a [UserId]) -> StoreFuture<'a, Vec<UserRecord>> {
        let state = self.state();
        Box::pin(ready(Ok(users.iter().filter_map(|user| state.users.get(user).cloned()).collect())))
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn technology(&self) -> &'static str {
        "memory"
    }
}
