//! What a bot has asked for and what came of it so far.

use std::time::Instant;

use chatwright_protocol::vocabulary::{Command, Message, MessageKind, RoomId, UserId};

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
        ack: AckId,
        /// When nobody waits any longer.
        deadline: Instant,
    },
    /// Sent on a connection that was lost: only a history can tell.
    Doubtful,
}

#[derive(Debug)]
pub(super) enum Question {
    Join {
        room: RoomId,
        command: Command,
        /// A return after a lost connection.
        again: bool,
        history: Option<Vec<Message>>,
        members: Option<Vec<UserId>>,
        /// What came live before the history; bounded by the time that an answer may take.
        held: Vec<Message>,
    },
    Post {
        ticket: Ticket,
        room: RoomId,
        text: String,
        kind: MessageKind,
    },
}

impl Question {
    pub(super) fn join(room: RoomId, command: Command, again: bool) -> Self {
        Self::Join { room, command, again, history: None, members: None, held: Vec::new() }
    }

    pub(super) fn is_return(&self) -> bool {
        match self {
            Self::Join { again, .. } => *again,
            Self::Post { .. } => false,
        }
    }
}

impl Asked {
    pub(super) fn new(question: Question) -> Self {
        Self { question, stage: Stage::Queued }
    }

    pub(super) fn ack(&self) -> Option<AckId> {
        match self.stage {
            Stage::Sent { ack, .. } => Some(ack),
            Stage::Queued | Stage::Doubtful => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Sent { deadline, .. } => Some(deadline),
            Stage::Queued | Stage::Doubtful => None,
        }
    }

    pub(super) fn is_join_of(&self, name: &RoomId) -> bool {
        matches!(&self.question, Question::Join { room, .. } if room == name)
    }

    pub(super) fn is_answered_join(&self) -> bool {
        matches!(&self.question, Question::Join { history: Some(_), members: Some(_), .. })
    }

    /// Where a live message of this room waits while the room's history is under way.
    pub(super) fn held_for(&mut self, name: &RoomId) -> Option<&mut Vec<Message>> {
        match &mut self.question {
            Question::Join { room, held, .. } if room == name && self.stage != Stage::Queued => Some(held),
            Question::Join { .. } | Question::Post { .. } => None,
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        match &mut self.question {
            Question::Join { history, members, held, .. } => {
                self.stage = Stage::Queued;
                *history = None;
                *members = None;
                held.clear();
            }
            Question::Post { .. } if self.stage != Stage::Queued => self.stage = Stage::Doubtful,
            Question::Post { .. } => {}
        }
    }
}
