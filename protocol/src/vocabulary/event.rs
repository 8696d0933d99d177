//! What a client is told.

use super::{MessageId, Refusal, RoomId, UserId};

/// One thing that a server tells a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message was sent to a room.
    Message(Message),
    /// One's own message is stored: the confirmation, in dialects that have an event for it.
    Sent(Message),
    /// The newest messages of a room, oldest first.
    History {
        /// Which room.
        room: RoomId,
        /// Oldest first.
        messages: Vec<Message>,
    },
    /// All that was missed has been told, as histories.
    Resumed,
    /// Who is in a room now, each user once.
    Members {
        /// Which room.
        room: RoomId,
        /// The users; their names are empty where the dialect has none here.
        users: Vec<Member>,
    },
    /// A user entered a room (the first of his connections did).
    Joined {
        /// Which room.
        room: RoomId,
        /// Who.
        member: Member,
    },
    /// A user left a room (the last of his connections did).
    Left {
        /// Which room.
        room: RoomId,
        /// Who.
        member: Member,
    },
    /// A user is back whose departure had been told.
    Returned {
        /// Which room.
        room: RoomId,
        /// Who.
        member: Member,
    },
    /// A user started or stopped typing.
    Typing {
        /// Which room.
        room: RoomId,
        /// Who.
        member: Member,
        /// Started (`true`) or stopped.
        active: bool,
    },
    /// Somebody has read messages.
    Read {
        /// Where they stand.
        room: RoomId,
        /// Which.
        messages: Vec<MessageId>,
        /// When, in milliseconds since the Unix epoch at the server.
        read_at_ms: u64,
    },
    /// Somebody opened a conversation with the one who reads this.
    ChatOpened {
        /// Which conversation.
        room: RoomId,
        /// Who.
        by: UserId,
    },
    /// Somebody ended a conversation.
    ChatClosed {
        /// Which conversation.
        room: RoomId,
        /// Who.
        by: UserId,
    },
    /// A user is connected now, or not any more.
    Presence {
        /// Who.
        user: UserId,
        /// Connected (`true`) or not.
        online: bool,
        /// Since when, in milliseconds since the Unix epoch at the server.
        at_ms: u64,
    },
    /// It is proved who the connection is.
    Authenticated {
        /// Who.
        member: Member,
    },
    /// It is not proved who the connection is, in words that may be shown; the connection ends.
    NotAuthenticated(String),
    /// The server stops; the connection ends.
    Stopping,
    /// A command was refused.
    Refused(Refusal),
}

/// A user with the name to show.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// Id.
    pub user: UserId,
    /// Display name.
    pub name: String,
}

impl Member {
    /// A user of whom no name is known here.
    #[must_use]
    pub fn nameless(user: UserId) -> Self {
        Self { user, name: String::new() }
    }
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Made by the server.
    pub id: MessageId,
    /// Where.
    pub room: RoomId,
    /// Who sent it, as verified.
    pub sender: Member,
    /// The text as sent.
    pub text: String,
    /// What kind of content the text is.
    pub kind: MessageKind,
    /// The address of what the text goes with, in dialects whose messages may have one.
    pub attachment: Option<String>,
    /// Milliseconds since the Unix epoch at the server; for people, never for order.
    pub sent_at_ms: u64,
    /// Position in the room, given by the store, from 1, without gaps; 0 where the store gives none.
    pub sequence: u64,
    /// Whom it is for, where the dialect's messages have exactly one receiver.
    pub receiver: Option<UserId>,
    /// When its receiver read it, in milliseconds since the Unix epoch; `None`: not yet, or nobody keeps it.
    pub read_at_ms: Option<u64>,
}

/// The content of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MessageKind {
    /// Plain text.
    #[default]
    Text,
    /// A reference to a picture.
    Image,
    /// A reference to a file.
    File,
    /// Said by the server itself; never accepted from a client.
    System,
}
