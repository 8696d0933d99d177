//! The port `store` of `direct`: messages between two users with their read state, what each user sees of them, and who the users are.
//!
//! A message belongs to one conversation, whose id follows from its two users. It is never removed: deleting marks it (`deletedAt`), and
//! deleting a conversation hides what stands in it now from the one who deletes it.

use chatwright_protocol::vocabulary::{Message, MessageId, MessageKind, RoomId, UserId};

use super::{Attempt, StoreFuture};

/// A message that has no position yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectDraft {
    /// Made by the server, 24 hex digits; the key of idempotency.
    pub id: MessageId,
    /// The conversation of its two users.
    pub conversation: RoomId,
    /// Who sent it.
    pub sender: UserId,
    /// Whom it is for.
    pub receiver: UserId,
    /// The text as sent.
    pub text: String,
    /// What kind of content the text is.
    pub kind: MessageKind,
    /// The address of what the text goes with.
    pub attachment: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub sent_at_ms: u64,
}

impl DirectDraft {
    /// The message once it stands at `sequence`: unread, its sender without a name.
    #[must_use]
    pub fn placed(self, sequence: u64) -> Message {
        Message {
            id: self.id,
            room: self.conversation,
            sender: chatwright_protocol::vocabulary::Member::nameless(self.sender),
            text: self.text,
            kind: self.kind,
            attachment: self.attachment,
            sent_at_ms: self.sent_at_ms,
            sequence,
            receiver: Some(self.receiver),
            read_at_ms: None,
        }
    }
}

/// One page of what a user sees of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirectPage {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// All that he sees of the conversation, on all pages.
    pub total: u64,
}

/// A conversation as one of its users sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationSummary {
    /// Which.
    pub conversation: RoomId,
    /// The other user.
    pub peer: UserId,
    /// The newest message that he sees.
    pub last: Message,
    /// Messages to him that he has not read.
    pub unread: u64,
}

/// A conversation in which a user has ever taken part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Which conversation.
    pub conversation: RoomId,
    /// The other user.
    pub peer: UserId,
    /// The sequence of its newest message, deleted or not.
    pub latest: u64,
}

/// What became of a request to delete a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It is deleted now.
    Done,
    /// It is the other user's: only its sender may.
    NotTheSender,
    /// The user sees no such message.
    NoSuchMessage,
}

/// What is known of a user, from the claims of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Id.
    pub user: UserId,
    /// The name to show.
    pub name: String,
    /// The e-mail address; empty where no token ever stated one.
    pub email: String,
}

/// Messages between two users, and the users.
///
/// *Visible* to a user is a message of a conversation of his that is not deleted and that he has not hidden with its conversation. Every
/// reading below gives visible messages only, except where it says otherwise.
///
/// Promises of every adapter:
/// - *Order*: [`append`](Self::append) gives sequences from 1, without gaps within a conversation, each once, in the order in which appends
///   take effect; a reader that sees sequence n sees all before it. Without this an instance could not tell a lost bus message from none.
/// - *Atomicity*: an append is there with its sequence or not at all; a message is marked as read once, by one caller, so that its sender
///   hears of it once.
/// - *Idempotency*: with [`Attempt::Again`] a draft whose id is there already is not written twice; its first sequence is returned.
/// - *Confirmation*: `Ok` means that it survives the death of any server instance.
/// - *Expiry*: nothing expires (the document keeps what is deleted, marked).
/// - *Time*: each call answers within a bounded time.
pub trait DirectStore: Send + Sync {
    /// Stores a message as unread and gives it its sequence.
    fn append<'a>(&'a self, draft: &'a DirectDraft, attempt: Attempt) -> StoreFuture<'a, u64>;

    /// A page of what `viewer` sees of a conversation. Page 1 holds the newest `limit` messages; each page is oldest first.
    fn page<'a>(
        &'a self,
        conversation: &'a RoomId,
        viewer: &'a UserId,
        page: usize,
        limit: usize,
    ) -> StoreFuture<'a, DirectPage>;

    /// The messages above a sequence, oldest first, at most `limit`, *deleted ones left out*: what live delivery has missed.
    fn since<'a>(&'a self, conversation: &'a RoomId, after: u64, limit: usize) -> StoreFuture<'a, Vec<Message>>;

    /// The sequence of the newest message of each of these conversations, deleted or not, in the order asked; 0 where there is none.
    fn latest<'a>(&'a self, conversations: &'a [RoomId]) -> StoreFuture<'a, Vec<u64>>;

    /// The conversations in which a user has ever taken part, those with the newest message first, at most `limit`.
    fn partners<'a>(&'a self, user: &'a UserId, limit: usize) -> StoreFuture<'a, Vec<Partner>>;

    /// What a user sees of his conversations: those in which he sees any message, the one with the newest first, at most `limit`.
    fn conversations<'a>(&'a self, user: &'a UserId, limit: usize) -> StoreFuture<'a, Vec<ConversationSummary>>;

    /// Visible messages to a user that he has not read, in all his conversations.
    fn unread_count<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, u64>;

    /// Marks those of these messages as read that stand in the conversation, are for `reader`, visible, and unread; returns them in the
    /// order asked.
    fn mark_read<'a>(
        &'a self,
        conversation: &'a RoomId,
        reader: &'a UserId,
        messages: &'a [MessageId],
        read_at_ms: u64,
    ) -> StoreFuture<'a, Vec<MessageId>>;

    /// The same for all messages of a conversation, returned oldest first. At most `limit` at a time, the oldest unread first: a caller
    /// asks again until fewer come.
    fn mark_conversation_read<'a>(
        &'a self,
        conversation: &'a RoomId,
        reader: &'a UserId,
        limit: usize,
        read_at_ms: u64,
    ) -> StoreFuture<'a, Vec<MessageId>>;

    /// Deletes a message for both of its users, if `by` sent it.
    fn delete_message<'a>(
        &'a self,
        message: &'a MessageId,
        by: &'a UserId,
        deleted_at_ms: u64,
    ) -> StoreFuture<'a, Deletion>;

    /// Hides all messages that now stand in a conversation from one of its users; `false` if he saw none of them anyway. Later messages he
    /// sees again.
    fn hide_conversation<'a>(&'a self, conversation: &'a RoomId, from: &'a UserId) -> StoreFuture<'a, bool>;

    /// Visible messages of a user whose text contains `text`: literally, without regard to case; in one conversation or in all of his. The
    /// newest first, at most `limit`.
    fn search<'a>(
        &'a self,
        viewer: &'a UserId,
        conversation: Option<&'a RoomId>,
        text: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Message>>;

    /// Remembers who a user is; the newest record counts.
    fn save_user<'a>(&'a self, user: &'a UserRecord) -> StoreFuture<'a, ()>;

    /// The records of those of these users of whom there is one, in no particular order.
    fn users<'a>(&'a self, users: &'a [UserId]) -> StoreFuture<'a, Vec<UserRecord>>;

    /// Whether the store answers now.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// The name of the technology, for `/health` and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}
