//! Back to all conversations with one question, in dialects that have it: what was missed in those that are known, and in those that began
//! meanwhile.

use std::collections::BTreeMap;

use chatwright_protocol::vocabulary::{Command, Message, RoomId};

use super::Core;
use crate::bot::{
    asked::{Asked, Enter, Question, Stage, Why},
    event::AskError,
    memory::{RoomMemory, chronological},
};

impl Core {
    /// The question, where the dialect has words for it.
    pub(super) fn resume_command(&self) -> Option<Command> {
        let mut seen: Vec<_> = self.rooms.iter().map(|(name, room)| (name.clone(), room.memory.sequence())).collect();
        seen.sort_unstable();
        let command = Command::Resume { seen };
        (self.dialect.client.encode)(&command).map(|_| command)
    }

    pub(super) fn ask_to_resume(&mut self, command: Command) {
        self.resumed.clear();
        let everywhere = Enter::new(RoomId::from(""), command, Why::Resume);
        self.asked.push_front(Asked::new(Question::Enter(Box::new(everywhere))));
    }

    /// Keeps what a history tells if it answers that question; else gives it back.
    pub(super) fn take_for_resume(&mut self, messages: Vec<Message>) -> Option<Vec<Message>> {
        let answer_timeout = self.bounds.answer_timeout;
        let asked = self.asked.iter_mut().find(|asked| asked.is_sent() && is_resume(asked));
        let Some(asked) = asked else { return Some(messages) };
        if self.resumed.is_empty()
            && let Stage::Sent { deadline, .. } = &mut asked.stage
        {
            // It knows the question, and may have much to tell.
            *deadline += answer_timeout;
        }
        self.resumed.extend(messages);
        None
    }

    /// All is told.
    pub(super) fn hear_resumed(&mut self) {
        let asked = self.asked.iter_mut().find(|asked| asked.is_sent() && is_resume(asked));
        if let Some(enter) = asked.and_then(|asked| asked.question.as_enter_mut()) {
            enter.history = Some(std::mem::take(&mut self.resumed));
            self.finish_joins();
        }
    }

    pub(super) fn complete_resume(&mut self, enter: Enter) {
        let live = self.tell_missed(enter.history.unwrap_or_default(), enter.held);
        for message in live {
            self.tell_message(message, false);
        }
        self.check_returned();
    }

    /// The server did not tell all of it: it is asked for the rest, if it told anything; else nobody knows what was missed.
    pub(super) fn not_resumed(&mut self, enter: Enter, error: &AskError) {
        let told = std::mem::take(&mut self.resumed);
        let goes_on = !told.is_empty() && matches!(error, AskError::Refused(_));
        let live = self.tell_missed(told, enter.held);
        if goes_on && let Some(command) = self.resume_command() {
            self.ask_to_resume(command);
            // They are newer than what is still missing.
            if let Some(next) = self.asked.front_mut().and_then(|asked| asked.question.as_enter_mut()) {
                next.held = live;
            }
            return;
        }
        let mut names: Vec<RoomId> = self.rooms.keys().cloned().collect();
        names.sort_unstable();
        self.returning.get_or_insert_default().gaps.extend(names);
        for message in live {
            self.tell_message(message, false);
        }
        self.finish_joins();
        self.check_returned();
    }

    /// Tells what these histories hold that was missed; returns what came live and is not among it.
    fn tell_missed(&mut self, history: Vec<Message>, mut live: Vec<Message>) -> Vec<Message> {
        let newest_ms = self.newest_ms;
        let mut by_room: BTreeMap<RoomId, Vec<Message>> = BTreeMap::new();
        for message in history {
            by_room.entry(message.room.clone()).or_default().push(message);
        }
        for (name, messages) in by_room {
            let messages = chronological(messages);
            live = RoomMemory::after(&messages, live);
            let is_known = self.rooms.contains_key(&name);
            for message in &messages {
                self.takes_part(&name, &message.sender.user);
            }
            let (mut missed, mut gap) = (messages, false);
            if let Some(room) = self.rooms.get_mut(&name) {
                let merged = room.memory.compare(&missed);
                room.memory.learn(&merged.missed);
                (missed, gap) = (merged.missed, merged.gap && is_known);
            }
            if !is_known {
                // A conversation that nothing was heard of: what is in it from before the bot came is no news. What was said in the
                // very millisecond may be: nothing that was missed is kept from the owner.
                missed.retain(|message| message.sent_at_ms >= newest_ms);
            }
            missed.retain(|message| !self.sent.contains(&message.id));
            let returning = self.returning.get_or_insert_default();
            returning.missed += missed.len();
            returning.gaps.extend(gap.then(|| name.clone()));
            for message in missed {
                self.tell_message(message, true);
            }
            self.doubt_resolved(&name);
        }
        for room in self.rooms.values_mut() {
            room.entered = true;
        }
        live
    }
}

fn is_resume(asked: &Asked) -> bool {
    asked.question.as_enter().is_some_and(|enter| enter.why == Why::Resume)
}
