//! Conversations of two that the bot began or expects: their names come with the first message, and that may be said while it is away.

use chatwright_protocol::{
    dialects::{Addressing, HistorySource},
    vocabulary::{Audience, Command, Message, RoomId, UserId},
};

use super::{Core, joining::RECALLED_MAX};
use crate::bot::asked::{Asked, Enter, Question, Stage, Why};

impl Core {
    /// The bot meets this user: what the two said before is read, so that it is not taken for missed after an absence.
    pub(in crate::bot) fn meet(&mut self, peer: &UserId) {
        let Some(command) = self.recollection(peer).filter(|_| self.met.len() < self.bounds.rooms_max) else { return };
        if self.met.insert(peer.clone()) {
            self.asked.push_back(Asked::new(Question::Enter(Box::new(Enter::with(peer.clone(), command, Why::Meet)))));
        }
    }

    /// How the past of the conversation with this user is asked for, where a dialect can ask so.
    fn recollection(&self, peer: &UserId) -> Option<Command> {
        let abilities = self.dialect.capabilities;
        if abilities.addressing != Addressing::OneUser || abilities.history != HistorySource::Request {
            return None;
        }
        let of = Audience::Users(vec![peer.clone()]);
        let claimed = Some(self.me.user.clone());
        let command = Command::LoadHistory { of, before: None, limit: Some(RECALLED_MAX), claimed };
        (self.dialect.client.encode)(&command).map(|_| command)
    }

    /// After an absence: who was met and had said nothing before may have begun.
    pub(super) fn recall_unnamed(&mut self) {
        for peer in self.met.iter().rev() {
            let is_known = self.conversation_with(&Audience::Users(vec![peer.clone()])).is_some();
            if let Some(command) = self.recollection(peer).filter(|_| !is_known) {
                let enter = Enter::with(peer.clone(), command, Why::Recall);
                self.asked.push_front(Asked::new(Question::Enter(Box::new(enter))));
            }
        }
    }

    /// The other one of the two in a conversation.
    pub(super) fn peer_of(&self, message: &Message) -> Option<UserId> {
        let sender = &message.sender.user;
        if *sender == self.me.user { message.receiver.clone() } else { Some(sender.clone()) }
    }

    /// Whether this history answers a question about a conversation whose name was not known; it is from now on, if anything was said.
    pub(super) fn names_conversation(&mut self, about: Option<&RoomId>, messages: &[Message]) -> bool {
        let peer = messages.iter().find_map(|message| self.peer_of(message));
        let is_named = |asked: &Asked| about.is_some_and(|about| asked.enters(about));
        if self.asked.iter().any(is_named) {
            return false;
        }
        let place = self.asked.iter().position(|asked| {
            let unanswered = asked.question.as_enter().filter(|enter| enter.history.is_none());
            let fits = |enter: &Enter| {
                let peer = peer.as_ref().or(enter.peer.as_ref());
                enter.is_unnamed_with(peer)
            };
            asked.stage != Stage::Queued && unanswered.is_some_and(fits)
        });
        let Some(enter) = place.and_then(|place| self.asked[place].question.as_enter_mut()) else { return false };
        enter.history = Some(crate::bot::memory::chronological(messages.to_vec()));
        if let (Some(name), Some(peer)) = (about, peer) {
            enter.room = name.clone();
            self.takes_part(name, &peer);
        }
        self.finish_joins();
        true
    }

    /// What was said before a meeting is known, or nothing was said to somebody who was met while the bot was away.
    pub(super) fn complete_meeting(&mut self, enter: Enter) {
        if let Some(room) = self.rooms.get_mut(&enter.room) {
            room.memory.begin_after(&enter.history.unwrap_or_default());
        }
        for message in enter.held {
            self.tell_message(message, false);
        }
        self.check_returned();
    }
}
