//! What a client asks for.

use super::{Member, MessageId, MessageKind, RoomId, UserId};

/// One request of one connection, as any dialect may phrase it.
///
/// `claimed` is whom the payload names as its speaker, in dialects whose payloads do: it never counts against a verified identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Says who the connection is (only obeyed where identity is open).
    Authenticate {
        /// Claimed id.
        user: UserId,
        /// Claimed display name; empty where the dialect has none.
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
        /// Who enters, as the payload says.
        claimed: Option<Member>,
    },
    /// Leaves a room.
    Leave {
        /// Which.
        room: RoomId,
    },
    /// Leaves everything; the connection ends.
    Quit,
    /// Sends a message.
    Send {
        /// To whom.
        to: Audience,
        /// Text as typed; checked against the limits by the core.
        text: String,
        /// What kind of content the text is.
        kind: MessageKind,
        /// The address of what the text goes with.
        attachment: Option<String>,
        /// Who speaks, as the payload says.
        claimed: Option<Member>,
        /// Milliseconds since the Unix epoch, as the payload says.
        sent_at_ms: Option<u64>,
    },
    /// Tells the others that the user started or stopped typing.
    Typing {
        /// Whom.
        to: Audience,
        /// Started (`true`) or stopped.
        active: bool,
        /// Who types, as the payload says.
        claimed: Option<UserId>,
    },
    /// Reads messages of the past.
    LoadHistory {
        /// Whose.
        of: Audience,
        /// Only what came before this message.
        before: Option<MessageId>,
        /// The newest so many; the core's default if nothing is said.
        limit: Option<usize>,
        /// Who reads, as the payload says.
        claimed: Option<UserId>,
    },
    /// Reads what was missed in all of one's rooms since one was last here.
    Resume {
        /// Up to which sequence one has seen each room; a room that is not named was never seen.
        seen: Vec<(RoomId, u64)>,
    },
    /// Says that messages were read.
    MarkRead {
        /// Where they stand.
        room: RoomId,
        /// Which.
        messages: Vec<MessageId>,
    },
    /// Opens a conversation with another user.
    OpenChat {
        /// With whom.
        peer: UserId,
        /// Who opens it, as the payload says.
        claimed: Option<UserId>,
    },
    /// Ends a conversation with another user.
    CloseChat {
        /// With whom.
        peer: UserId,
        /// Who ends it, as the payload says.
        claimed: Option<UserId>,
    },
}

impl Command {
    /// A text to whom it concerns, in the connection's own name.
    #[must_use]
    pub fn send(to: Audience, text: impl Into<String>) -> Self {
        Self::Send { to, text: text.into(), kind: MessageKind::Text, attachment: None, claimed: None, sent_at_ms: None }
    }

    /// Enters a room, saying nothing about it.
    #[must_use]
    pub fn join(room: RoomId) -> Self {
        Self::Join { room, kind: None, participants: Vec::new(), claimed: None }
    }

    /// Started or stopped typing, in the connection's own name.
    #[must_use]
    pub fn typing(to: Audience, active: bool) -> Self {
        Self::Typing { to, active, claimed: None }
    }
}

/// Whom something is for, as the sender names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Whoever is in this room, or takes part in this conversation.
    Room(RoomId),
    /// Exactly these users and the sender, in whatever order they are named.
    Users(Vec<UserId>),
    /// The one room that the connection is in.
    Here,
}

/// What a room is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoomKind {
    /// Exactly two people.
    Direct,
    /// Any number of people.
    Group,
}
