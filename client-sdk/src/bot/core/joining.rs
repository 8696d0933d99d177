//! Into rooms and back into them: the answers to joins, the histories that tell what was missed, the end of a return.

use chatwright_protocol::vocabulary::{Command, Message, RoomId, UserId};

use super::{Core, DeepRead, Return};
use crate::bot::{
    asked::{Asked, Question, Stage},
    event::{AskError, BotEvent, Entered},
    memory::{RoomMemory, chronological},
};

impl Core {
    pub(super) fn hear_history(&mut self, messages: Vec<Message>) {
        // The answer does not name its room; its messages do, if there are any.
        let about = messages.first().map(|message| message.room.clone());
        let answered = self.asked.iter_mut().find_map(|asked| match &mut asked.question {
            Question::Join { room, history: history @ None, .. }
                if asked.stage != Stage::Queued && about.as_ref().is_none_or(|about| about == room) =>
            {
                Some(history)
            }
            Question::Join { .. } | Question::Post { .. } => None,
        });
        if let Some(history) = answered {
            *history = Some(chronological(messages));
            self.finish_joins();
        }
    }

    pub(super) fn hear_members(&mut self, users: Vec<UserId>) {
        let answered = self.asked.iter_mut().find_map(|asked| match &mut asked.question {
            Question::Join { members: members @ None, .. } if asked.stage != Stage::Queued => Some(members),
            Question::Join { .. } | Question::Post { .. } => None,
        });
        if let Some(members) = answered {
            *members = Some(users);
            self.finish_joins();
        }
    }

    /// Completes the joins that have all their answers, in the order asked.
    pub(super) fn finish_joins(&mut self) {
        while self.deep_read.is_none() {
            let first = self.asked.iter().position(|asked| matches!(asked.question, Question::Join { .. }));
            let Some(place) = first.filter(|place| self.asked[*place].is_answered_join()) else { return };
            if self.needs_deep_read(place) {
                return;
            }
            self.complete_join(place);
        }
    }

    /// Whether the join's history leaves a gap that an HTTP request could close; it is then asked for.
    fn needs_deep_read(&mut self, place: usize) -> bool {
        let Question::Join { room, history: Some(history), again: true, .. } = &self.asked[place].question else {
            return false;
        };
        let gap = self.rooms.get(room).is_some_and(|known| known.memory.compare(history).gap);
        if gap && self.dialect.client.history.is_some() {
            self.deep_read = Some(DeepRead { room: room.clone() });
        }
        self.deep_read.is_some()
    }

    /// The history to read now, if any.
    pub(in crate::bot) fn deep_read(&self) -> Option<&DeepRead> {
        self.deep_read.as_ref()
    }

    /// It was read; `None` if that failed: what the join brought is all there is.
    pub(in crate::bot) fn deep_history(&mut self, deep: Option<Vec<Message>>) {
        let Some(DeepRead { room }) = self.deep_read.take() else { return };
        let place = self.asked.iter().position(|asked| asked.is_join_of(&room) && asked.is_answered_join());
        let Some(place) = place else { return };
        if let (Some(deep), Question::Join { history, held, .. }) = (deep, &mut self.asked[place].question) {
            // What was sent between the join and this request stands in the deep history and was held: it is dropped there.
            let deep = chronological(deep);
            let shallow = history.replace(deep.clone()).unwrap_or_default();
            let live = RoomMemory::after(&shallow, std::mem::take(held));
            *held = RoomMemory::after(&deep, live);
        }
        self.complete_join(place);
        self.finish_joins();
    }

    fn complete_join(&mut self, place: usize) {
        let Some(Question::Join { room: name, history, members, held, again, .. }) = self.remove(place) else { return };
        let (history, members) = (history.unwrap_or_default(), members.unwrap_or_default());
        let room = self.rooms.entry(name.clone()).or_default();
        room.entered = true;
        let merged = room.memory.compare(&history);
        room.memory.learn(&merged.missed);
        let live = RoomMemory::after(&history, held);
        if again {
            let returning = self.returning.get_or_insert_default();
            returning.missed += merged.missed.len();
            if merged.gap {
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

    /// The history of a room is known: posts that it does not hold stay unknown.
    pub(super) fn doubt_resolved(&mut self, name: &RoomId) {
        while let Some(place) = self.post_at(name, Stage::Doubtful) {
            self.fail(place, AskError::Unknown);
        }
    }

    pub(super) fn post_at(&self, name: &RoomId, stage: Stage) -> Option<usize> {
        self.asked.iter().position(|asked| {
            asked.stage == stage && matches!(&asked.question, Question::Post { room, .. } if room == name)
        })
    }

    pub(in crate::bot) fn lost(&mut self) {
        self.online = false;
        self.acknowledges = false;
        self.deep_read = None;
        for room in self.rooms.values_mut() {
            room.entered = false;
        }
        // Joins of the lost connection are asked anew with the next one, posts whose fate is unknown wait for the history.
        self.asked.retain(|asked| !asked.question.is_return());
        for asked in &mut self.asked {
            asked.lost();
        }
    }

    /// There is a connection again: back to all rooms.
    pub(in crate::bot) fn back(&mut self) {
        self.online = true;
        self.returning.get_or_insert_default();
        let mut names: Vec<RoomId> = self.rooms.keys().cloned().collect();
        names.sort_unstable();
        for name in names.into_iter().rev() {
            let command = Command::join(name.clone());
            self.asked.push_front(Asked::new(Question::join(name, command, true)));
        }
        self.check_returned();
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
        let done = !self.asked.iter().any(|asked| asked.question.is_return());
        if done && let Some(Return { missed, gaps }) = self.returning.take() {
            self.inbox.push_back(BotEvent::Reconnected { missed, gaps });
        }
    }
}
