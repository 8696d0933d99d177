//! The bot's mind, without IO: what it asked for, where it is, what it saw. Inputs are packets and time; outputs are things to send
//! and events.

mod joining;
mod meeting;
mod places;
mod posting;
mod resuming;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use chatwright_protocol::{
    dialects::{Confirmation, Dialect, Entry},
    vocabulary::{Event, Member, Message, MessageId, RoomId, UserId},
};

use self::places::Room;
use super::{
    asked::{Asked, Enter, Question, Stage, Why},
    event::{AskError, BotEvent},
    line::Answer,
};
use crate::{error::AckError, socket::AckId};

/// Messages that wait for the history of their room. When there are more, the bot goes on without that history.
const HELD_MAX: usize = 10_000;

/// A return after a lost connection, until all rooms are entered again.
#[derive(Debug, Default)]
struct Return {
    missed: usize,
    gaps: Vec<RoomId>,
}

/// A history to be read by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bot) struct DeepRead {
    pub(in crate::bot) room: RoomId,
    /// It must hold everything that was sent while the bot was away.
    pub(in crate::bot) settled: bool,
}

/// The bounds that a bot's mind keeps.
#[derive(Debug, Clone, Copy)]
pub(in crate::bot) struct Bounds {
    pub(in crate::bot) answer_timeout: Duration,
    pub(in crate::bot) silence_timeout: Duration,
    pub(in crate::bot) pending_timeout: Duration,
    pub(in crate::bot) rooms_max: usize,
}

#[derive(Debug)]
pub(in crate::bot) struct Core {
    dialect: &'static Dialect,
    me: Member,
    bounds: Bounds,
    confirmation: Confirmation,
    rooms: HashMap<RoomId, Room>,
    /// Users that the bot met, where a dialect has conversations of two.
    met: BTreeSet<UserId>,
    asked: VecDeque<Asked>,
    tickets: u64,
    /// Own messages that the server confirmed with an event of its own, the newest: a history need not tell them again.
    sent: VecDeque<MessageId>,
    returning: Option<Return>,
    /// When the newest message that was seen was sent, and at first when the bot came: what is older is not missed.
    newest_ms: u64,
    /// What has come of the past of all conversations so far, in answer to one question.
    resumed: Vec<Message>,
    /// The join whose history is being read; it blocks those behind it, so that rooms stay in order.
    deep_read: Option<DeepRead>,
    /// Whether the server acknowledges at all: if so, its `error` events say nothing that the acknowledgements do not.
    acknowledges: bool,
    forgotten: Vec<AckId>,
    pub(in crate::bot) online: bool,
    pub(in crate::bot) inbox: VecDeque<BotEvent>,
}

impl Core {
    pub(in crate::bot) fn new(
        dialect: &'static Dialect,
        me: Member,
        confirmation: Option<Confirmation>,
        bounds: Bounds,
    ) -> Self {
        Self {
            dialect,
            me,
            bounds,
            confirmation: confirmation.unwrap_or(dialect.capabilities.confirmation),
            rooms: HashMap::new(),
            met: BTreeSet::new(),
            asked: VecDeque::new(),
            tickets: 0,
            sent: VecDeque::new(),
            returning: None,
            newest_ms: posting::unix_ms(),
            resumed: Vec::new(),
            deep_read: None,
            acknowledges: false,
            forgotten: Vec::new(),
            online: true,
            inbox: VecDeque::new(),
        }
    }

    pub(in crate::bot) fn user(&self) -> &UserId {
        &self.me.user
    }

    pub(in crate::bot) fn asked_count(&self) -> usize {
        self.asked.len()
    }

    /// The command at this place was emitted.
    pub(in crate::bot) fn sent(&mut self, place: usize, ack: Option<AckId>, now: Instant) {
        let Some(asked) = self.asked.get(place) else { return };
        let (timeout, post) = match &asked.question {
            Question::Post { .. } => (self.bounds.answer_timeout, true),
            Question::Enter(enter) => (self.patience(enter), false),
        };
        self.asked[place].stage = Stage::Sent { ack, deadline: now + timeout };
        if post && self.confirmation == Confirmation::None {
            self.confirm(place, None);
        }
    }

    /// The dialect has no words for the command at this place.
    pub(in crate::bot) fn unspeakable(&mut self, place: usize) {
        self.fail(place, AskError::Unspeakable);
    }

    /// Acknowledgements that nobody needs any more.
    pub(in crate::bot) fn take_forgotten(&mut self) -> Vec<AckId> {
        std::mem::take(&mut self.forgotten)
    }

    // What the server says.

    pub(in crate::bot) fn hear(&mut self, event: Event) {
        match event {
            Event::Message(message) => self.hear_message(message),
            Event::Sent(message) => self.hear_sent(message),
            Event::History { room, messages } => self.hear_history(&room, messages),
            Event::Members { room, users } => {
                let room = self.placed(room);
                self.hear_members(room, users.into_iter().map(|member| member.user).collect());
            }
            Event::Joined { room, member } => {
                let room = self.placed(room);
                if member.user != self.me.user || !self.entered_by_own_arrival(&room) {
                    self.inbox.push_back(BotEvent::Joined { room, member });
                }
            }
            Event::Left { room, member } => {
                let room = self.placed(room);
                self.inbox.push_back(BotEvent::Left { room, member });
            }
            Event::Returned { room, member } => {
                let room = self.placed(room);
                if member.user != self.me.user || !self.entered_by_own_arrival(&room) {
                    self.inbox.push_back(BotEvent::Returned { room, member });
                }
            }
            Event::Typing { room, member, active } => {
                let room = self.placed(room);
                self.inbox.push_back(BotEvent::Typing { room, member, active });
            }
            Event::Read { room, messages, .. } => self.inbox.push_back(BotEvent::Read { room, messages }),
            Event::ChatOpened { room, by } => {
                self.takes_part(&room, &by);
                self.inbox.push_back(BotEvent::ChatOpened { room, by });
            }
            Event::ChatClosed { room, by } => self.inbox.push_back(BotEvent::ChatClosed { room, by }),
            Event::Presence { user, online, .. } => self.inbox.push_back(BotEvent::Presence { user, online }),
            Event::Refused(refusal) => self.hear_refusal(refusal.to_string()),
            Event::NotAuthenticated(reason) => self.inbox.push_back(BotEvent::Refused { reason }),
            Event::Stopping => self.inbox.push_back(BotEvent::Stopping),
            Event::Resumed => self.hear_resumed(),
            // Heard once by each connection, before anything else.
            Event::Authenticated { .. } => {}
        }
    }

    /// The answer to a command by acknowledgement.
    pub(in crate::bot) fn acknowledged(&mut self, ack: AckId, outcome: Result<Answer, AckError>, now: Instant) {
        let Some(place) = self.asked.iter().position(|asked| asked.ack() == Some(ack)) else { return };
        match outcome {
            Ok(Answer::Done) => {
                self.acknowledges = true;
                if self.asked[place].question.as_enter().is_some() {
                    self.enter_in_silence(place);
                } else if self.confirmation == Confirmation::Ack {
                    self.confirm(place, None);
                }
            }
            Ok(Answer::Pending) => {
                self.acknowledges = true;
                self.delay(place, now);
            }
            Ok(Answer::Refused(refusal)) => {
                self.acknowledges = true;
                self.fail(place, AskError::Refused(refusal));
            }
            Err(AckError::NotSent) => self.asked[place].stage = Stage::Queued,
            Err(AckError::Disconnected | AckError::Timeout(_) | AckError::Emit(_)) => {
                self.asked[place].stage = Stage::Doubtful;
            }
        }
    }

    fn hear_message(&mut self, mut message: Message) {
        message.room = self.placed(message.room);
        if message.sender.user != self.me.user {
            let sender = message.sender.user.clone();
            self.takes_part(&message.room, &sender);
        } else if let Some(receiver) = message.receiver.clone() {
            self.takes_part(&message.room, &receiver);
        }
        let peer = self.peer_of(&message);
        let holder = self.asked.iter_mut().enumerate();
        let Some((place, held)) =
            holder.filter_map(|(place, asked)| Some((place, asked.held_for(&message.room, peer.as_ref())?))).next()
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
        self.newest_ms = self.newest_ms.max(message.sent_at_ms);
        if let Some(room) = self.rooms.get_mut(&message.room)
            && !missed
            && !room.memory.admit(&message)
        {
            return;
        }
        let echo = (message.sender.user == self.me.user).then(|| self.post_of(&message)).flatten();
        self.inbox.push_back(BotEvent::Message { message: message.clone(), missed });
        if let Some(place) = echo {
            self.confirm(place, Some(message));
        }
    }

    fn hear_refusal(&mut self, reason: String) {
        let oldest = self.asked.iter().position(Asked::is_sent);
        match oldest {
            Some(place) if !self.acknowledges => self.fail(place, AskError::Refused(reason)),
            Some(_) | None => self.inbox.push_back(BotEvent::Refused { reason }),
        }
    }

    pub(in crate::bot) fn deadline(&self) -> Option<Instant> {
        self.asked.iter().filter_map(|asked| self.deadline_of(asked)).min()
    }

    /// Nothing more is expected of the server where silence is enough and the members are known: the history is read in its turn, with a
    /// time limit of its own.
    fn deadline_of(&self, asked: &Asked) -> Option<Instant> {
        let entered = |enter: &Enter| self.may_be_silent(enter) && enter.members.is_some();
        asked.deadline().filter(|_| !asked.question.as_enter().is_some_and(entered))
    }

    pub(in crate::bot) fn expire(&mut self, now: Instant) {
        while let Some(place) =
            self.asked.iter().position(|asked| self.deadline_of(asked).is_some_and(|due| due <= now))
        {
            let silent = self.asked[place].question.as_enter().is_some_and(|enter| self.may_be_silent(enter));
            if silent {
                self.enter_in_silence(place);
            } else {
                self.fail(place, AskError::Timeout(self.time_given(place)));
            }
        }
    }

    /// How long this was waited for, once its deadline is over.
    fn time_given(&self, place: usize) -> Duration {
        match self.asked[place].stage {
            Stage::Pending { .. } => self.bounds.pending_timeout,
            Stage::Queued | Stage::Sent { .. } | Stage::Doubtful => self.bounds.answer_timeout,
        }
    }

    fn fail(&mut self, place: usize, error: AskError) {
        match self.remove(place) {
            None => {}
            Some(Question::Post { ticket, .. }) => self.inbox.push_back(BotEvent::Failed { ticket, error }),
            Some(Question::Enter(enter)) => self.not_entered(*enter, error),
        }
    }

    fn not_entered(&mut self, enter: Enter, error: AskError) {
        if enter.why == Why::Resume {
            self.not_resumed(enter, &error);
            return;
        }
        let room = enter.room.clone();
        if self.deep_read.as_ref().is_some_and(|read| read.room == room) {
            self.deep_read = None;
        }
        if enter.is_again() {
            self.returning.get_or_insert_default().gaps.push(room.clone());
            if self.dialect.capabilities.entry != Entry::NotNeeded {
                self.rooms.remove(&room);
            }
            self.doubt_resolved(&room);
        }
        if self.dialect.capabilities.entry != Entry::NotNeeded {
            self.inbox.push_back(BotEvent::NotEntered { room, error });
        }
        for message in enter.held {
            self.tell_message(message, false);
        }
        self.finish_joins();
        self.check_returned();
    }

    fn remove(&mut self, place: usize) -> Option<Question> {
        let asked = self.asked.remove(place)?;
        self.forgotten.extend(asked.ack());
        Some(asked.question)
    }
}
