//! What a client is told.

use super::{MessageId, Refusal, RoomId, UserId};

/// One thing that a server tells a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message was sent to a room.
    Message(Message),
    /// The newest messages of a room, oldest first.
    History {
        /// Which room.
        room: RoomId,
        /// Oldest first.
        messages: Vec<Message>,
    },
    /// Who is in a room now, each user once.
    Members {
        /// Which room.
        room: RoomId,
        /// The users.
        users: Vec<UserId>,
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
    /// A user started or stopped typing.
    Typing {
        /// Which room.
        room: RoomId,
        /// Who.
        member: Member,
        /// Started (`true`) or stopped.
        active: bool,
    },
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
    /// Milliseconds since the Unix epoch at the server; for people, never for order.
    pub sent_at_ms: u64,
    /// Position in the room, given by the store, from 1, without gaps.
    pub sequence: u64,
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
