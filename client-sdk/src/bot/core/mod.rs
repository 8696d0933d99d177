//! The bot's mind, without IO: what it asked for, where it is, what it saw. Inputs are packets and time; outputs are things to send
//! and events.

mod joining;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use chatwright_protocol::{
    dialects::{Confirmation, Dialect},
    vocabulary::{Audience, Command, Event, Message, MessageKind, RoomId, UserId},
};

use super::{
    asked::{Asked, Question, Stage},
    event::{AskError, BotEvent, Ticket},
    memory::RoomMemory,
};
use crate::{error::AckError, socket::AckId};

/// Messages that wait for the history of their room. When there are more, the bot goes on without that history.
const HELD_MAX: usize = 10_000;

/// A room that the bot belongs to.
#[derive(Debug, Default)]
struct Room {
    memory: RoomMemory,
    /// In it on this connection: what is sent to it is not refused.
    entered: bool,
}

/// A return after a lost connection, until all rooms are entered again.
#[derive(Debug, Default)]
struct Return {
    missed: usize,
    gaps: Vec<RoomId>,
}

/// A history to be read by HTTP, since the one of the join was too short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bot) struct DeepRead {
    pub(in crate::bot) room: RoomId,
}

#[derive(Debug)]
pub(in crate::bot) struct Core {
    dialect: &'static Dialect,
    user: UserId,
    answer_timeout: Duration,
    rooms: HashMap<RoomId, Room>,
    asked: VecDeque<Asked>,
    tickets: u64,
    returning: Option<Return>,
    /// The join whose history is being deepened; it blocks those behind it, so that rooms stay in order.
    deep_read: Option<DeepRead>,
    /// Whether the server acknowledges at all: if so, its `error` events say nothing that the acknowledgements do not.
    acknowledges: bool,
    forgotten: Vec<AckId>,
    pub(in crate::bot) online: bool,
    pub(in crate::bot) inbox: VecDeque<BotEvent>,
}

impl Core {
    pub(in crate::bot) fn new(dialect: &'static Dialect, user: UserId, answer_timeout: Duration) -> Self {
        Self {
            dialect,
            user,
            answer_timeout,
            rooms: HashMap::new(),
            asked: VecDeque::new(),
            tickets: 0,
            returning: None,
            deep_read: None,
            acknowledges: false,
            forgotten: Vec::new(),
            online: true,
            inbox: VecDeque::new(),
        }
    }

    pub(in crate::bot) fn user(&self) -> &UserId {
        &self.user
    }

    pub(in crate::bot) fn asked_count(&self) -> usize {
        self.asked.len()
    }

    pub(in crate::bot) fn rooms_count(&self) -> usize {
        self.rooms.len()
    }

    pub(in crate::bot) fn belongs_to(&self, room: &RoomId) -> bool {
        self.rooms.contains_key(room)
    }

    // What the owner asks for.

    pub(in crate::bot) fn join(&mut self, command: Command, room: RoomId) {
        self.asked.push_back(Asked::new(Question::join(room, command, false)));
    }

    pub(in crate::bot) fn leave(&mut self, room: &RoomId) {
        self.rooms.remove(room);
        while let Some(place) = self.post_at(room, Stage::Queued) {
            self.fail(place, AskError::NotEntered(room.clone()));
        }
        self.doubt_resolved(room);
    }

    pub(in crate::bot) fn post(&mut self, room: RoomId, text: String, kind: MessageKind) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.push_back(Asked::new(Question::Post { ticket, room, text, kind }));
        ticket
    }

    /// The next command to send: questions in order, but a post only once its room is entered.
    pub(in crate::bot) fn next_to_send(&self) -> Option<(usize, Command)> {
        if !self.online {
            return None;
        }
        let mut held: HashSet<&RoomId> = HashSet::new();
        for (place, asked) in self.asked.iter().enumerate() {
            if asked.stage != Stage::Queued {
                continue;
            }
            match &asked.question {
                Question::Join { command, .. } => return Some((place, command.clone())),
                Question::Post { room, text, kind, .. } => {
                    let entered = self.rooms.get(room).is_none_or(|room| room.entered);
                    if entered && !held.contains(room) {
                        let to = Audience::Room(room.clone());
                        let (text, kind) = (text.clone(), *kind);
                        return Some((
                            place,
                            Command::Send { to, text, kind, attachment: None, claimed: None, sent_at_ms: None },
                        ));
                    }
                    held.insert(room);
                }
            }
        }
        None
    }

    /// The command at this place was emitted.
    pub(in crate::bot) fn sent(&mut self, place: usize, ack: AckId, now: Instant) {
        let Some(asked) = self.asked.get_mut(place) else { return };
        asked.stage = Stage::Sent { ack, deadline: now + self.answer_timeout };
        let unconfirmed = match self.dialect.capabilities.confirmation {
            Confirmation::None => true,
            Confirmation::Echo | Confirmation::Ack | Confirmation::Event => false,
        };
        if unconfirmed {
            self.confirm(place, None);
        }
    }

    /// Acknowledgements that nobody needs any more.
    pub(in crate::bot) fn take_forgotten(&mut self) -> Vec<AckId> {
        std::mem::take(&mut self.forgotten)
    }

    // What the server says.

    pub(in crate::bot) fn hear(&mut self, event: Event) {
        match event {
            Event::Message(message) => self.hear_message(message),
            Event::History { messages, .. } => self.hear_history(messages),
            Event::Members { users, .. } => self.hear_members(users.into_iter().map(|member| member.user).collect()),
            Event::Joined { room, member } => self.inbox.push_back(BotEvent::Joined { room, member }),
            Event::Left { room, member } => self.inbox.push_back(BotEvent::Left { room, member }),
            Event::Typing { room, member, active } => self.inbox.push_back(BotEvent::Typing { room, member, active }),
            Event::Refused(refusal) => self.hear_refusal(refusal.to_string()),
            // No dialect that the bot speaks has words for these yet.
            Event::Sent(_)
            | Event::Resumed
            | Event::Returned { .. }
            | Event::Read { .. }
            | Event::ChatOpened { .. }
            | Event::ChatClosed { .. }
            | Event::Presence { .. }
            | Event::Authenticated { .. }
            | Event::NotAuthenticated(_)
            | Event::Stopping => {}
        }
    }

    /// The answer to a command by acknowledgement.
    pub(in crate::bot) fn acknowledged(&mut self, ack: AckId, outcome: Result<Option<String>, AckError>) {
        let Some(place) = self.asked.iter().position(|asked| asked.ack() == Some(ack)) else { return };
        match outcome {
            Ok(None) => {
                self.acknowledges = true;
                match self.dialect.capabilities.confirmation {
                    Confirmation::Ack => self.confirm(place, None),
                    Confirmation::Echo | Confirmation::Event | Confirmation::None => {}
                }
            }
            Ok(Some(refusal)) => {
                self.acknowledges = true;
                self.fail(place, AskError::Refused(refusal));
            }
            Err(AckError::NotSent) => self.asked[place].stage = Stage::Queued,
            Err(AckError::Disconnected | AckError::Timeout(_) | AckError::Emit(_)) => {
                self.asked[place].stage = Stage::Doubtful;
            }
        }
    }

    fn hear_message(&mut self, message: Message) {
        let holder = self.asked.iter_mut().enumerate();
        let Some((place, held)) =
            holder.filter_map(|(place, asked)| Some((place, asked.held_for(&message.room)?))).next()
        else {
            self.tell_message(message, false);
            return;
        };
        held.push(message);
        if held.len() >= HELD_MAX {
            if self.deep_read.is_some() {
                self.deep_history(None);
            } else {
                self.fail(place, AskError::TooMany { what: "messages before the answer to a join", max: HELD_MAX });
            }
        }
    }

    fn tell_message(&mut self, message: Message, missed: bool) {
        if let Some(room) = self.rooms.get_mut(&message.room)
            && !missed
            && !room.memory.admit(&message)
        {
            return;
        }
        let echo = (message.sender.user == self.user).then(|| self.post_of(&message)).flatten();
        self.inbox.push_back(BotEvent::Message { message: message.clone(), missed });
        if let Some(place) = echo {
            self.confirm(place, Some(message));
        }
    }

    /// The post that this echo confirms: the first one of the same words that was sent.
    fn post_of(&self, message: &Message) -> Option<usize> {
        self.asked.iter().position(|asked| {
            asked.stage != Stage::Queued
                && matches!(&asked.question, Question::Post { room, text, .. } if *room == message.room && *text == message.text)
        })
    }

    fn confirm(&mut self, place: usize, message: Option<Message>) {
        if !matches!(self.asked.get(place), Some(Asked { question: Question::Post { .. }, .. })) {
            return;
        }
        if let Some(Question::Post { ticket, .. }) = self.remove(place) {
            self.inbox.push_back(BotEvent::Confirmed { ticket, message });
        }
    }

    fn hear_refusal(&mut self, reason: String) {
        let oldest = self.asked.iter().position(|asked| matches!(asked.stage, Stage::Sent { .. }));
        match oldest {
            Some(place) if !self.acknowledges => self.fail(place, AskError::Refused(reason)),
            Some(_) | None => self.inbox.push_back(BotEvent::Refused { reason }),
        }
    }

    pub(in crate::bot) fn deadline(&self) -> Option<Instant> {
        self.asked.iter().filter_map(Asked::deadline).min()
    }

    pub(in crate::bot) fn expire(&mut self, now: Instant) {
        while let Some(place) = self.asked.iter().position(|asked| asked.deadline().is_some_and(|due| due <= now)) {
            self.fail(place, AskError::Timeout(self.answer_timeout));
        }
    }

    fn fail(&mut self, place: usize, error: AskError) {
        match self.remove(place) {
            None => {}
            Some(Question::Post { ticket, .. }) => self.inbox.push_back(BotEvent::Failed { ticket, error }),
            Some(Question::Join { room, again, held, .. }) => {
                if self.deep_read.as_ref().is_some_and(|read| read.room == room) {
                    self.deep_read = None;
                }
                if again {
                    self.returning.get_or_insert_default().gaps.push(room.clone());
                    self.rooms.remove(&room);
                    self.doubt_resolved(&room);
                }
                self.inbox.push_back(BotEvent::NotEntered { room, error });
                for message in held {
                    self.tell_message(message, false);
                }
                self.finish_joins();
                self.check_returned();
            }
        }
    }

    fn remove(&mut self, place: usize) -> Option<Question> {
        let asked = self.asked.remove(place)?;
        self.forgotten.extend(asked.ack());
        Some(asked.question)
    }
}
