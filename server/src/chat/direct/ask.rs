//! What REST asks: conversations, pages of history, counts, searches, deletions; and the names that go with ids.

use std::collections::{BTreeSet, HashMap};

use chatwright_protocol::vocabulary::{Message, MessageId, Refusal, RoomId, UserId};

use super::{Hub, away};
use crate::{
    auth::Identity,
    clock,
    store::direct::{ConversationSummary, Deletion, DirectPage, UserRecord},
};

/// Conversations in one list: those with the newest messages.
const CONVERSATIONS_MAX: usize = 1000;

/// Messages in one answer to a search: the newest.
const FOUND_MAX: usize = 100;

/// Users by id.
pub type Names = HashMap<UserId, UserRecord>;

/// Which page of a conversation's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOf {
    /// From 1, the newest.
    pub page: usize,
    /// Messages on a page.
    pub limit: usize,
}

impl Hub {
    /// Takes in who asks, so that others read his name.
    pub async fn introduce(&self, identity: &Identity) {
        self.remember(identity).await;
    }

    /// A user's conversations, the one with the newest message first.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] while the store is away; so for all below.
    pub async fn conversations(&self, user: &UserId) -> Result<(Vec<ConversationSummary>, Names), Refusal> {
        let found = self.ports.store.conversations(user, CONVERSATIONS_MAX).await.map_err(|problem| away(&problem))?;
        let names = self.names(found.iter().map(|summary| summary.peer.clone()).collect()).await?;
        Ok((found, names))
    }

    /// What is asked for, within the limits: page and limit are taken for the nearest that are allowed.
    #[must_use]
    pub fn page_of(&self, page: Option<usize>, limit: Option<usize>) -> PageOf {
        let limits = &self.rules.limits;
        let limit = limit.unwrap_or(limits.history_default).clamp(1, limits.history_max);
        PageOf { page: page.unwrap_or(1).max(1), limit }
    }

    /// A page of what a user sees of his conversation with another.
    ///
    /// # Errors
    /// Also [`Refusal::Invalid`] for an id beyond the limits; so for all below.
    pub async fn history(&self, user: &UserId, peer: &UserId, of: PageOf) -> Result<(DirectPage, Names), Refusal> {
        let conversation = self.conversation(user, peer)?;
        let page = self.ports.store.page(&conversation, user, of.page, of.limit).await;
        let page = page.map_err(|problem| away(&problem))?;
        Ok((page, self.names(vec![user.clone(), peer.clone()]).await?))
    }

    /// Messages to a user that he has not read.
    ///
    /// # Errors
    /// As above.
    pub async fn unread_count(&self, user: &UserId) -> Result<u64, Refusal> {
        self.ports.store.unread_count(user).await.map_err(|problem| away(&problem))
    }

    /// Deletes a message of the user's own.
    ///
    /// # Errors
    /// As above; [`Refusal::NotMember`] for the other user's, [`Refusal::NotFound`] for one that he does not see.
    pub async fn delete_message(&self, user: &UserId, message: &MessageId) -> Result<(), Refusal> {
        let deletion = self.ports.store.delete_message(message, user, clock::unix_ms()).await;
        match deletion.map_err(|problem| away(&problem))? {
            Deletion::Done => Ok(()),
            Deletion::NotTheSender => Err(Refusal::NotMember),
            Deletion::NoSuchMessage => Err(Refusal::NotFound { what: "message" }),
        }
    }

    /// Hides a conversation from the user, as it is now.
    ///
    /// # Errors
    /// As above; [`Refusal::NotFound`] if he sees nothing of it anyway.
    pub async fn delete_conversation(&self, user: &UserId, peer: &UserId) -> Result<(), Refusal> {
        let conversation = self.conversation(user, peer)?;
        let hidden = self.ports.store.hide_conversation(&conversation, user).await.map_err(|problem| away(&problem))?;
        if hidden { Ok(()) } else { Err(Refusal::NotFound { what: "conversation" }) }
    }

    /// Messages that the user sees and whose text contains the query, the newest first.
    ///
    /// # Errors
    /// As above.
    pub async fn search(
        &self,
        user: &UserId,
        peer: Option<&UserId>,
        query: &str,
    ) -> Result<(Vec<Message>, Names), Refusal> {
        if query.trim().is_empty() {
            return Err(Refusal::Invalid { field: "query", problem: "must not be blank" });
        }
        if query.chars().nth(self.rules.limits.text_characters_max).is_some() {
            return Err(Refusal::Invalid { field: "query", problem: "is too long" });
        }
        let conversation: Option<RoomId> = peer.map(|peer| self.conversation(user, peer)).transpose()?;
        let found = self.ports.store.search(user, conversation.as_ref(), query, FOUND_MAX).await;
        let found = found.map_err(|problem| away(&problem))?;
        let users: BTreeSet<UserId> = found
            .iter()
            .flat_map(|message| std::iter::once(message.sender.user.clone()).chain(message.receiver.clone()))
            .collect();
        let names = self.names(users.into_iter().collect()).await?;
        Ok((found, names))
    }

    async fn names(&self, users: Vec<UserId>) -> Result<Names, Refusal> {
        let records = self.ports.store.users(&users).await.map_err(|problem| away(&problem))?;
        Ok(records.into_iter().map(|record| (record.user.clone(), record)).collect())
    }
}
