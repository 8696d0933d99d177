//! What a client asks for.

use super::{MessageKind, RoomId, UserId};

/// One request of one connection, as any dialect may phrase it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Says who the connection is (only obeyed where identity is open).
    Authenticate {
        /// Claimed id.
        user: UserId,
        /// Claimed display name.
        name: String,
    },
    /// Enters a room.
    Join {
        /// Which.
        room: RoomId,
        /// What the room is, if the first joiner says so.
        kind: Option<RoomKind>,
        /// Who belongs to it, if the first joiner says so.
        participants: Vec<UserId>,
    },
    /// Leaves a room.
    Leave {
        /// Which.
        room: RoomId,
    },
    /// Sends a message to a room.
    Send {
        /// Where.
        room: RoomId,
        /// Text as typed; checked against the limits by the core.
        text: String,
        /// What kind of content the text is.
        kind: MessageKind,
    },
    /// Tells the others that the user started or stopped typing.
    Typing {
        /// Where.
        room: RoomId,
        /// Started (`true`) or stopped.
        active: bool,
    },
}

/// What a room is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoomKind {
    /// Exactly two people.
    Direct,
    /// Any number of people.
    Group,
}
