//! Into rooms and back into them: the answers to joins, the histories that tell what was missed, the end of a return.

use std::time::Duration;

use chatwright_protocol::{
    dialects::{Addressing, Entry, HistorySource},
    vocabulary::{Audience, Command, Message, RoomId, UserId},
};

use super::{Core, DeepRead, Return};
use crate::bot::{
    asked::{Asked, Enter, Question, Stage, Why},
    event::{AskError, BotEvent, Entered},
    memory::{RoomMemory, chronological},
};

/// As much of a conversation as is asked for after an absence; servers give as much of it as they like.
pub(super) const RECALLED_MAX: usize = 1000;

impl Core {
    pub(in crate::bot) fn join(&mut self, mut command: Command, room: RoomId) {
        if let Command::Join { claimed, .. } = &mut command {
            *claimed = Some(self.me.clone());
        }
        self.asked.push_back(Asked::new(Question::Enter(Box::new(Enter::new(room, command, Why::Wanted)))));
    }

    pub(in crate::bot) fn leave(&mut self, room: &RoomId) {
        self.rooms.remove(room);
        while let Some(place) = self.post_at(room, Stage::Queued) {
            self.fail(place, AskError::NotEntered(room.clone()));
        }
        self.doubt_resolved(room);
    }

    /// How long the answer to this may take.
    pub(super) fn patience(&self, enter: &Enter) -> Duration {
        if self.may_be_silent(enter) || self.may_be_unknown(enter) {
            self.bounds.silence_timeout.min(self.bounds.answer_timeout)
        } else {
            self.bounds.answer_timeout
        }
    }

    /// Whether silence means that the bot has entered.
    pub(super) fn may_be_silent(&self, enter: &Enter) -> bool {
        !matches!(enter.why, Why::Recall | Why::Meet | Why::Resume)
            && match self.dialect.capabilities.entry {
                Entry::MembersIfAny | Entry::Nothing => true,
                Entry::HistoryAndMembers | Entry::NotNeeded => false,
            }
    }

    /// Whether silence means that the server does not know the question.
    fn may_be_unknown(&self, enter: &Enter) -> bool {
        matches!(enter.why, Why::Recall | Why::Resume) && self.dialect.capabilities.history == HistorySource::Extension
    }

    /// The bot has entered, and nothing more is said about it: an acknowledgement, or silence where that is enough.
    pub(super) fn enter_in_silence(&mut self, place: usize) {
        let silent = self.asked[place].question.as_enter().is_some_and(|enter| self.may_be_silent(enter));
        if let Some(enter) = self.asked[place].question.as_enter_mut().filter(|_| silent) {
            enter.members.get_or_insert_default();
            self.finish_joins();
        }
    }

    /// The bot hears of its own arrival: whether that answers its join.
    pub(super) fn entered_by_own_arrival(&mut self, room: &RoomId) -> bool {
        let place = self.asked.iter().position(|asked| asked.is_sent() && asked.enters(room));
        let Some(place) = place else { return false };
        let silent = self.asked[place].question.as_enter().is_some_and(|enter| self.may_be_silent(enter));
        if silent {
            self.enter_in_silence(place);
        }
        silent
    }

    pub(super) fn hear_history(&mut self, room: &RoomId, messages: Vec<Message>) {
        let Some(messages) = self.take_for_resume(messages) else { return };
        // The answer need not name its room; its messages do, if there are any.
        let named = Some(room).filter(|room| !room.as_str().is_empty());
        let about = named.or_else(|| messages.first().map(|message| &message.room)).cloned();
        if self.names_conversation(about.as_ref(), &messages) {
            return;
        }
        let answered = self.asked.iter_mut().filter(|asked| asked.stage != Stage::Queued).find_map(|asked| {
            let enter = asked.question.as_enter_mut()?;
            let fits = enter.history.is_none() && about.as_ref().is_none_or(|about| *about == enter.room);
            fits.then_some(enter)
        });
        if let Some(enter) = answered {
            enter.history = Some(chronological(messages));
            self.finish_joins();
        }
    }

    pub(super) fn hear_members(&mut self, room: RoomId, users: Vec<UserId>) {
        let asked = self.asked.iter_mut().filter(|asked| asked.stage != Stage::Queued);
        let answered = asked.filter_map(|asked| asked.question.as_enter_mut()).find(|enter| enter.members.is_none());
        match answered {
            Some(enter) => {
                enter.members = Some(users);
                self.finish_joins();
            }
            None => self.inbox.push_back(BotEvent::Members { room, users }),
        }
    }

    /// Completes the joins that have all their answers, in the order asked.
    pub(super) fn finish_joins(&mut self) {
        while self.deep_read.is_none() {
            let first = self.asked.iter().position(|asked| asked.question.as_enter().is_some());
            let Some(place) = first else { return };
            self.needs_no_more(place);
            if self.needs_deep_read(place) {
                return;
            }
            if !self.asked[place].question.as_enter().is_some_and(Enter::is_answered) {
                return;
            }
            self.complete_join(place);
        }
    }

    /// Fills in what this dialect does not answer.
    fn needs_no_more(&mut self, place: usize) {
        let sent = self.asked[place].stage != Stage::Queued;
        let source = self.dialect.capabilities.history;
        let Some(enter) = self.asked[place].question.as_enter_mut().filter(|_| sent) else { return };
        match enter.why {
            Why::Recall | Why::Meet | Why::Resume => {
                enter.members.get_or_insert_default();
            }
            Why::Wanted | Why::Return => match source {
                HistorySource::Join | HistorySource::Rest => {}
                HistorySource::Request | HistorySource::Extension | HistorySource::None => {
                    enter.history.get_or_insert_default();
                    enter.unread = true;
                }
            },
        }
    }

    /// Whether an HTTP request is due: for the history, or for more of it than the join brought. It is then asked for.
    fn needs_deep_read(&mut self, place: usize) -> bool {
        let route = self.dialect.client.history.is_some();
        let source = self.dialect.capabilities.history;
        let rooms = &self.rooms;
        let Some(enter) = self.asked[place].question.as_enter_mut().filter(|enter| enter.members.is_some()) else {
            return false;
        };
        let needed = match (source, &enter.history) {
            (HistorySource::Rest, None) => true,
            (HistorySource::Join, Some(history)) => {
                enter.is_again() && rooms.get(&enter.room).is_some_and(|known| known.memory.compare(history).gap)
            }
            (HistorySource::Rest | HistorySource::Request | HistorySource::Extension | HistorySource::None, _)
            | (HistorySource::Join, None) => false,
        };
        if !needed || !route || enter.unread {
            return false;
        }
        enter.reading = true;
        self.deep_read = Some(DeepRead { room: enter.room.clone(), settled: enter.is_again() });
        true
    }

    /// The history to read now, if any.
    pub(in crate::bot) fn deep_read(&self) -> Option<&DeepRead> {
        self.deep_read.as_ref()
    }

    /// It was read; `None` if that failed: what the join brought is all there is.
    pub(in crate::bot) fn deep_history(&mut self, deep: Option<Vec<Message>>) {
        let Some(DeepRead { room, .. }) = self.deep_read.take() else { return };
        let place = self.asked.iter().position(|asked| asked.enters(&room));
        let Some(place) = place else { return };
        let Some(enter) = self.asked[place].question.as_enter_mut().filter(|enter| enter.reading) else { return };
        enter.reading = false;
        enter.unread = deep.is_none();
        if let Some(deep) = deep {
            // What was sent between the join and this request stands in the deep history and was held: it is dropped there.
            let deep = chronological(deep);
            let shallow = enter.history.replace(deep.clone()).unwrap_or_default();
            let live = RoomMemory::after(&shallow, std::mem::take(&mut enter.held));
            enter.held = RoomMemory::after(&deep, live);
        }
        enter.history.get_or_insert_default();
        self.complete_join(place);
        self.finish_joins();
    }

    fn complete_join(&mut self, place: usize) {
        let Some(Question::Enter(enter)) = self.remove(place) else { return };
        let enter = *enter;
        if enter.why == Why::Resume {
            return self.complete_resume(enter);
        }
        if enter.why == Why::Meet || enter.room.as_str().is_empty() {
            return self.complete_meeting(enter);
        }
        let again = enter.is_again();
        let (history, members) = (enter.history.unwrap_or_default(), enter.members.unwrap_or_default());
        let name = enter.room;
        let room = self.rooms.entry(name.clone()).or_default();
        room.entered = true;
        let mut merged = room.memory.compare(&history);
        room.memory.learn(&merged.missed);
        let live = RoomMemory::after(&history, enter.held);
        if again {
            let sent = &self.sent;
            merged.missed.retain(|message| !sent.contains(&message.id));
            let returning = self.returning.get_or_insert_default();
            returning.missed += merged.missed.len();
            if merged.gap || enter.unread {
                returning.gaps.push(name.clone());
            }
            for message in merged.missed {
                self.tell_message(message, true);
            }
            self.doubt_resolved(&name);
        } else {
            self.inbox.push_back(BotEvent::Entered(Entered { room: name, history, members }));
        }
        for message in live {
            self.tell_message(message, false);
        }
        self.check_returned();
    }

    pub(in crate::bot) fn lost(&mut self) {
        self.online = false;
        self.acknowledges = false;
        self.deep_read = None;
        for room in self.rooms.values_mut() {
            room.entered = false;
        }
        // Joins of the lost connection are asked anew with the next one, posts whose fate is unknown wait for the history.
        self.asked.retain(|asked| asked.question.as_enter().is_none_or(|enter| enter.why == Why::Wanted));
        for asked in &mut self.asked {
            asked.lost();
        }
    }

    /// There is a connection again: back to all rooms, and asking what was said in all conversations.
    pub(in crate::bot) fn back(&mut self) {
        self.online = true;
        self.returning.get_or_insert_default();
        if let Some(command) = self.resume_command() {
            self.ask_to_resume(command);
            return;
        }
        let mut names: Vec<RoomId> = self.rooms.keys().cloned().collect();
        names.sort_unstable();
        for name in names.into_iter().rev() {
            match self.return_to(&name) {
                Some((command, why)) => {
                    self.asked.push_front(Asked::new(Question::Enter(Box::new(Enter::new(name, command, why)))));
                }
                None => {
                    self.returning.get_or_insert_default().gaps.push(name);
                }
            }
        }
        self.recall_unnamed();
        self.check_returned();
    }

    /// What has to be asked to be back; `None`: nothing can be.
    fn return_to(&self, name: &RoomId) -> Option<(Command, Why)> {
        if !self.addresses_users() {
            let mut command = Command::join(name.clone());
            if let Command::Join { claimed, .. } = &mut command {
                *claimed = Some(self.me.clone());
            }
            return Some((command, Why::Return));
        }
        match self.dialect.capabilities.history {
            HistorySource::Request | HistorySource::Extension => {}
            HistorySource::Join | HistorySource::Rest | HistorySource::None => return None,
        }
        let of = match self.dialect.capabilities.addressing {
            Addressing::OneUser => Audience::Users(self.rooms.get(name)?.others.iter().cloned().collect()),
            Addressing::Users | Addressing::Rooms | Addressing::OneRoom => Audience::Room(name.clone()),
        };
        let claimed = Some(self.me.user.clone());
        let command = Command::LoadHistory { of, before: None, limit: Some(RECALLED_MAX), claimed };
        (self.dialect.client.encode)(&command)?;
        Some((command, Why::Recall))
    }

    /// Nobody returns: what was asked for is not going to be answered.
    pub(in crate::bot) fn strand(&mut self, reason: String) {
        self.lost();
        while !self.asked.is_empty() {
            self.fail(0, AskError::Stranded);
        }
        self.inbox.push_back(BotEvent::Stranded { reason });
    }

    pub(super) fn check_returned(&mut self) {
        let done =
            self.online && !self.asked.iter().any(|asked| asked.question.as_enter().is_some_and(Enter::is_again));
        if done && let Some(Return { missed, gaps }) = self.returning.take() {
            self.all_doubt_resolved();
            self.inbox.push_back(BotEvent::Reconnected { missed, gaps });
        }
    }
}
