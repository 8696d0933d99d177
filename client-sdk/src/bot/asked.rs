//! What a bot has asked for and what came of it so far.

use std::time::Instant;

use chatwright_protocol::vocabulary::{Audience, Command, Message, MessageKind, RoomId, UserId};

use super::event::Ticket;
use crate::socket::AckId;

/// One question, from the moment it is asked until it is answered.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) stage: Stage,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not sent on any connection.
    Queued,
    /// Sent on this connection.
    Sent {
        /// The acknowledgement that may come.
        ack: Option<AckId>,
        /// When nobody waits any longer.
        deadline: Instant,
    },
    /// Sent on this connection, and taken by a server that has not stored it yet.
    Pending {
        /// When nobody waits any longer.
        deadline: Instant,
    },
    /// Sent on a connection that was lost: only a history can tell.
    Doubtful,
}

#[derive(Debug)]
pub(super) enum Question {
    /// Into a room, or for what was said in a conversation.
    Enter(Box<Enter>),
    Post {
        ticket: Ticket,
        /// As the dialect names it: a room, or the other users in order.
        to: Audience,
        text: String,
        kind: MessageKind,
    },
}

#[derive(Debug)]
pub(super) struct Enter {
    /// Empty for a conversation whose name the server has not told yet: then `peer` is who it is with.
    pub(super) room: RoomId,
    pub(super) peer: Option<UserId>,
    pub(super) command: Command,
    pub(super) why: Why,
    pub(super) history: Option<Vec<Message>>,
    pub(super) members: Option<Vec<UserId>>,
    /// What came live before the history; bounded.
    pub(super) held: Vec<Message>,
    /// The history is being read over HTTP, which has a time limit of its own.
    pub(super) reading: bool,
    /// The history could not be read, or there is none.
    pub(super) unread: bool,
}

/// Why a bot enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its owner wants it.
    Wanted,
    /// It belongs to the room and was away.
    Return,
    /// It takes part in the conversation and was away: nothing is entered, the past is asked for.
    Recall,
    /// It meets somebody: what the two said before is asked for, so that a return does not take it for missed.
    Meet,
    /// The same for all its conversations at once, in dialects that have one question for that; it names no room.
    Resume,
}

impl Enter {
    pub(super) fn new(room: RoomId, command: Command, why: Why) -> Self {
        let (peer, history, members, held) = (None, None, None, Vec::new());
        Self { room, peer, command, why, history, members, held, reading: false, unread: false }
    }

    /// About the conversation with this user, whatever its name is.
    pub(super) fn with(peer: UserId, command: Command, why: Why) -> Self {
        Self { peer: Some(peer), ..Self::new(RoomId::from(""), command, why) }
    }

    /// Whether it is about the conversation with this user, whose name is still to be told.
    pub(super) fn is_unnamed_with(&self, peer: Option<&UserId>) -> bool {
        self.room.as_str().is_empty() && self.peer.is_some() && self.peer.as_ref() == peer
    }

    pub(super) fn is_answered(&self) -> bool {
        self.history.is_some() && self.members.is_some()
    }

    pub(super) fn is_again(&self) -> bool {
        match self.why {
            Why::Wanted | Why::Meet => false,
            Why::Return | Why::Recall | Why::Resume => true,
        }
    }
}

impl Question {
    pub(super) fn as_enter(&self) -> Option<&Enter> {
        match self {
            Self::Enter(enter) => Some(enter),
            Self::Post { .. } => None,
        }
    }

    pub(super) fn as_enter_mut(&mut self) -> Option<&mut Enter> {
        match self {
            Self::Enter(enter) => Some(enter),
            Self::Post { .. } => None,
        }
    }
}

impl Asked {
    pub(super) fn new(question: Question) -> Self {
        Self { question, stage: Stage::Queued }
    }

    pub(super) fn is_sent(&self) -> bool {
        matches!(self.stage, Stage::Sent { .. } | Stage::Pending { .. })
    }

    pub(super) fn ack(&self) -> Option<AckId> {
        match self.stage {
            Stage::Sent { ack, .. } => ack,
            Stage::Queued | Stage::Pending { .. } | Stage::Doubtful => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Sent { deadline, .. } if !self.question.as_enter().is_some_and(|enter| enter.reading) => {
                Some(deadline)
            }
            Stage::Pending { deadline } => Some(deadline),
            Stage::Sent { .. } | Stage::Queued | Stage::Doubtful => None,
        }
    }

    pub(super) fn enters(&self, name: &RoomId) -> bool {
        self.question.as_enter().is_some_and(|enter| enter.room == *name)
    }

    /// Where a live message of this room waits while the room's history is under way, or that of all.
    pub(super) fn held_for(&mut self, name: &RoomId, peer: Option<&UserId>) -> Option<&mut Vec<Message>> {
        let under_way = self.stage != Stage::Queued;
        let enter = self.question.as_enter_mut().filter(|enter| under_way && enter.why != Why::Meet)?;
        let is_meant = enter.room == *name || enter.why == Why::Resume || enter.is_unnamed_with(peer);
        is_meant.then_some(&mut enter.held)
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        match &mut self.question {
            Question::Enter(enter) => {
                self.stage = Stage::Queued;
                **enter = Enter {
                    peer: enter.peer.clone(),
                    ..Enter::new(enter.room.clone(), enter.command.clone(), enter.why)
                };
            }
            Question::Post { .. } if self.stage != Stage::Queued => self.stage = Stage::Doubtful,
            Question::Post { .. } => {}
        }
    }
}
