//! What a bot is told, and why something that it asked for did not happen.

use std::time::Duration;

use chatwright_protocol::{
    dialects::Unreadable,
    vocabulary::{Member, Message, MessageId, RoomId, UserId},
};

use crate::error::{DisconnectReason, EmitError};

/// Names a message that the bot sent, until it is known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// A room as it was when the bot entered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// Which.
    pub room: RoomId,
    /// What was said before, oldest first. These messages do not come again as events.
    pub history: Vec<Message>,
    /// Who is there.
    pub members: Vec<UserId>,
}

/// One thing that a bot is told.
#[derive(Debug, Clone, PartialEq)]
pub enum BotEvent {
    /// A message of a room that the bot has joined, its own included where the dialect echoes: each once, in order.
    Message {
        /// The message.
        message: Message,
        /// It was sent while the bot was away, and came from the history.
        missed: bool,
    },
    /// A message that the bot sent is confirmed.
    Confirmed {
        /// What [`Bot::post`](super::Bot::post) returned.
        ticket: Ticket,
        /// As the server tells it; `None` where the dialect confirms without it.
        message: Option<Message>,
    },
    /// A message that the bot sent was refused, or nobody knows what became of it.
    Failed {
        /// What [`Bot::post`](super::Bot::post) returned.
        ticket: Ticket,
        /// Why.
        error: AskError,
    },
    /// The bot has entered a room.
    Entered(Entered),
    /// The bot could not enter a room.
    NotEntered {
        /// Which.
        room: RoomId,
        /// Why.
        error: AskError,
    },
    /// Somebody entered a room.
    Joined {
        /// Which.
        room: RoomId,
        /// Who.
        member: Member,
    },
    /// Somebody left a room.
    Left {
        /// Which.
        room: RoomId,
        /// Who.
        member: Member,
    },
    /// Somebody is back in a room whose departure had been told.
    Returned {
        /// Which.
        room: RoomId,
        /// Who.
        member: Member,
    },
    /// The server told who is in a room, without being asked.
    Members {
        /// Which.
        room: RoomId,
        /// Each user once.
        users: Vec<UserId>,
    },
    /// Somebody has read messages.
    Read {
        /// Where they stand; an empty id where the server does not say it.
        room: RoomId,
        /// Which.
        messages: Vec<MessageId>,
    },
    /// Somebody opened a conversation with the bot.
    ChatOpened {
        /// Which.
        room: RoomId,
        /// Who.
        by: UserId,
    },
    /// Somebody ended a conversation.
    ChatClosed {
        /// Which.
        room: RoomId,
        /// Who.
        by: UserId,
    },
    /// A user is connected now, or not any more.
    Presence {
        /// Who.
        user: UserId,
        /// Connected or not.
        online: bool,
    },
    /// The server says that it stops; the connection is about to end.
    Stopping,
    /// Somebody started or stopped typing.
    Typing {
        /// Which room; an empty id where the server does not say it.
        room: RoomId,
        /// Who.
        member: Member,
        /// Started or stopped.
        active: bool,
    },
    /// The server complained.
    Refused {
        /// Its words.
        reason: String,
    },
    /// The connection is gone.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
        /// Whether the bot tries to return by itself.
        reconnecting: bool,
    },
    /// The bot is back in all its rooms, and what it missed was told before this.
    Reconnected {
        /// How many messages it missed and got from histories.
        missed: usize,
        /// Rooms in which more may be missing than the server's history could tell.
        gaps: Vec<RoomId>,
    },
    /// The bot is out and does not try any more, until [`Bot::reconnect`](super::Bot::reconnect).
    Stranded {
        /// Why.
        reason: String,
    },
    /// The server said something that its dialect does not allow.
    Unreadable(Unreadable),
}

impl BotEvent {
    /// The message that it tells the fate of.
    #[must_use]
    pub fn ticket(&self) -> Option<Ticket> {
        if let Self::Confirmed { ticket, .. } | Self::Failed { ticket, .. } = self { Some(*ticket) } else { None }
    }

    /// Whether it answers a join of this room.
    pub(super) fn enters_or_not(&self, name: &RoomId) -> bool {
        matches!(self, Self::Entered(Entered { room, .. }) | Self::NotEntered { room, .. } if room == name)
    }

    /// The error in it.
    pub(super) fn into_error(self) -> AskError {
        if let Self::Failed { error, .. } | Self::NotEntered { error, .. } = self { error } else { AskError::Stranded }
    }
}

/// Why something that a bot asked for did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The server refused it: it did not happen.
    #[error("refused: {0}")]
    Refused(String),
    /// The connection was lost before the answer, and the history does not hold it: it may have happened.
    #[error("connection lost before the confirmation")]
    Unknown,
    /// No answer in time: it may have happened.
    #[error("no confirmation after {0:?}")]
    Timeout(Duration),
    /// The bot is not in that room: join it first.
    #[error("not in room {0}")]
    NotEntered(RoomId),
    /// Too much is under way already: read the events, or wait for confirmations.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The dialect has no words for it.
    #[error("the dialect cannot say that")]
    Unspeakable,
    /// The bot is out: see [`BotEvent::Stranded`].
    #[error("bot is stranded")]
    Stranded,
    /// The packet could not be emitted.
    #[error(transparent)]
    Emit(#[from] EmitError),
}
