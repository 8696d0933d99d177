//! Messages on their way out: what is sent next, and what became of it.

use std::{
    collections::HashSet,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use chatwright_protocol::{
    dialects::Confirmation,
    vocabulary::{Audience, Command, Message, MessageKind, RoomId},
};

use super::Core;
use crate::bot::{
    asked::{Asked, Question, Stage},
    event::{AskError, BotEvent, Ticket},
};

/// Own messages remembered by their id: as many as a history holds at most.
const SENT_MAX: usize = 1000;

impl Core {
    /// Sends to whom [`Core::address`] named.
    pub(in crate::bot) fn post(&mut self, to: Audience, text: String, kind: MessageKind) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.push_back(Asked::new(Question::Post { ticket, to, text, kind }));
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
                Question::Enter(enter) => return Some((place, enter.command.clone())),
                Question::Post { to, text, kind, .. } => {
                    if let Audience::Room(room) = to {
                        let entered = self.rooms.get(room).is_none_or(|room| room.entered);
                        if !entered || held.contains(room) {
                            held.insert(room);
                            continue;
                        }
                    }
                    return Some((place, self.say(to, text, *kind)));
                }
            }
        }
        None
    }

    fn say(&self, to: &Audience, text: &str, kind: MessageKind) -> Command {
        let mut command = Command::send(self.on_the_wire(to), text);
        if let Command::Send { kind: said, claimed, sent_at_ms, .. } = &mut command {
            *said = kind;
            *claimed = Some(self.me.clone());
            *sent_at_ms = Some(unix_ms());
        }
        command
    }

    /// One's own message is stored: the oldest post of these words is confirmed.
    pub(super) fn hear_sent(&mut self, message: Message) {
        self.newest_ms = self.newest_ms.max(message.sent_at_ms);
        if !message.id.as_str().is_empty() {
            self.sent.push_back(message.id.clone());
            if self.sent.len() > SENT_MAX {
                self.sent.pop_front();
            }
        }
        let place = self.asked.iter().position(|asked| {
            asked.is_sent() && matches!(&asked.question, Question::Post { text, .. } if *text == message.text)
        });
        let Some(place) = place else { return };
        if let Question::Post { to: Audience::Users(users), .. } = &self.asked[place].question {
            for user in users.clone() {
                self.takes_part(&message.room, &user);
            }
        }
        self.confirm(place, Some(message));
    }

    /// The post that this message of one's own confirms: the first one of the same words that was sent.
    pub(super) fn post_of(&self, message: &Message) -> Option<usize> {
        self.asked.iter().position(|asked| {
            let eligible = match asked.stage {
                Stage::Queued => false,
                Stage::Sent { .. } => self.confirmation == Confirmation::Echo,
                Stage::Pending { .. } | Stage::Doubtful => true,
            };
            eligible
                && matches!(&asked.question, Question::Post { to, text, .. }
                    if *text == message.text && self.is_addressed(to, &message.room))
        })
    }

    /// The server has the message at this place, and will confirm it once it has stored it.
    pub(super) fn delay(&mut self, place: usize, now: Instant) {
        if let Some(asked) = self.asked.get_mut(place).filter(|asked| asked.question.as_enter().is_none()) {
            asked.stage = Stage::Pending { deadline: now + self.bounds.pending_timeout };
        }
    }

    pub(super) fn confirm(&mut self, place: usize, message: Option<Message>) {
        if !matches!(self.asked.get(place), Some(Asked { question: Question::Post { .. }, .. })) {
            return;
        }
        if let Some(Question::Post { ticket, .. }) = self.remove(place) {
            self.inbox.push_back(BotEvent::Confirmed { ticket, message });
        }
    }

    /// The history of a room is known: posts that it does not hold stay unknown.
    pub(super) fn doubt_resolved(&mut self, name: &RoomId) {
        while let Some(place) = self.post_at(name, Stage::Doubtful) {
            self.fail(place, AskError::Unknown);
        }
    }

    /// Nothing more is going to be known of what was sent before.
    pub(super) fn all_doubt_resolved(&mut self) {
        let doubtful = |asked: &Asked| asked.stage == Stage::Doubtful && asked.question.as_enter().is_none();
        while let Some(place) = self.asked.iter().position(doubtful) {
            self.fail(place, AskError::Unknown);
        }
    }

    pub(super) fn post_at(&self, name: &RoomId, stage: Stage) -> Option<usize> {
        self.asked.iter().position(|asked| {
            asked.stage == stage
                && matches!(&asked.question, Question::Post { to: Audience::Room(room), .. } if room == name)
        })
    }
}

/// Milliseconds since the Unix epoch, for dialects whose payloads carry the sender's clock.
pub(super) fn unix_ms() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "what the bot's payloads say about its own clock; nothing is decided by it"
    )]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
