//! Where a bot is and with whom: rooms that it entered, conversations that it takes part in, and how the dialect names them.

use std::collections::BTreeSet;

use chatwright_protocol::{
    dialects::{Addressing, Entry},
    vocabulary::{Audience, RoomId, UserId},
};

use super::Core;
use crate::bot::{event::AskError, memory::RoomMemory};

/// A room that the bot belongs to, or a conversation that it takes part in.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) memory: RoomMemory,
    /// In it on this connection: what is sent to it is not refused.
    pub(super) entered: bool,
    /// The others, as far as they are known, where the dialect addresses users.
    pub(super) others: BTreeSet<UserId>,
}

impl Core {
    /// How many rooms the bot may belong to.
    pub(in crate::bot) fn rooms_max(&self) -> usize {
        match self.dialect.capabilities.addressing {
            Addressing::OneRoom => 1,
            Addressing::Rooms | Addressing::OneUser | Addressing::Users => self.bounds.rooms_max,
        }
    }

    /// Whether the bot belongs to as many rooms as it may, this one not among them.
    pub(in crate::bot) fn is_full_for(&self, room: &RoomId) -> bool {
        !self.rooms.contains_key(room) && self.rooms.len() >= self.rooms_max()
    }

    pub(in crate::bot) fn belongs_to(&self, room: &RoomId) -> bool {
        self.rooms.contains_key(room)
    }

    /// Whether the dialect names users, so that nothing is entered.
    pub(in crate::bot) fn addresses_users(&self) -> bool {
        self.dialect.capabilities.entry == Entry::NotNeeded
    }

    /// The conversation with exactly these users, if it is known.
    pub(in crate::bot) fn conversation_with(&self, to: &Audience) -> Option<RoomId> {
        let Audience::Users(_) = to else { return None };
        let mut known = self.rooms.keys().filter(|room| self.is_addressed(to, room));
        known.next().cloned()
    }

    /// How the dialect names whom the owner means: a room that the bot is in, or the other users.
    pub(in crate::bot) fn address(&self, to: &Audience) -> Result<Audience, AskError> {
        let wanted = match (self.dialect.capabilities.addressing, to) {
            (Addressing::Rooms | Addressing::OneRoom, Audience::Room(room)) => {
                return if self.belongs_to(room) { Ok(to.clone()) } else { Err(AskError::NotEntered(room.clone())) };
            }
            (Addressing::OneRoom, Audience::Here) => {
                let here = self.rooms.keys().next().ok_or_else(|| AskError::NotEntered(RoomId::from("")))?;
                return Ok(Audience::Room(here.clone()));
            }
            (Addressing::OneUser | Addressing::Users, Audience::Room(room)) => {
                let known = self.rooms.get(room).ok_or_else(|| AskError::NotEntered(room.clone()))?;
                known.others.clone()
            }
            (Addressing::OneUser | Addressing::Users, Audience::Users(users)) => {
                users.iter().filter(|user| **user != self.me.user).cloned().collect()
            }
            (Addressing::Rooms, Audience::Users(_) | Audience::Here)
            | (Addressing::OneRoom, Audience::Users(_))
            | (Addressing::OneUser | Addressing::Users, Audience::Here) => return Err(AskError::Unspeakable),
        };
        let one = self.dialect.capabilities.addressing == Addressing::OneUser;
        if wanted.is_empty() || one && wanted.len() > 1 {
            return Err(AskError::Unspeakable);
        }
        Ok(Audience::Users(wanted.into_iter().collect()))
    }

    /// The same on the wire: who is in one room only says so.
    pub(in crate::bot) fn on_the_wire(&self, to: &Audience) -> Audience {
        match (self.dialect.capabilities.addressing, to) {
            (Addressing::OneRoom, Audience::Room(_)) => Audience::Here,
            (Addressing::OneRoom | Addressing::Rooms | Addressing::OneUser | Addressing::Users, other) => other.clone(),
        }
    }

    /// The room that something happened in; where a dialect has one room at a time it does not say which.
    pub(super) fn placed(&self, room: RoomId) -> RoomId {
        if !room.as_str().is_empty() || self.dialect.capabilities.addressing != Addressing::OneRoom {
            return room;
        }
        let entering = self.asked.iter().find_map(|asked| asked.question.as_enter()).map(|enter| &enter.room);
        self.rooms.keys().next().or(entering).cloned().unwrap_or(room)
    }

    /// A conversation and one of its other users became known.
    pub(super) fn takes_part(&mut self, room: &RoomId, user: &UserId) {
        if !self.addresses_users() || room.as_str().is_empty() || *user == self.me.user || self.is_full_for(room) {
            return;
        }
        let known = self.rooms.entry(room.clone()).or_default();
        known.entered = true;
        known.others.insert(user.clone());
    }

    /// Whether this room is what was addressed.
    pub(super) fn is_addressed(&self, to: &Audience, room: &RoomId) -> bool {
        match to {
            Audience::Room(name) => name == room,
            Audience::Here => true,
            Audience::Users(users) => self.rooms.get(room).is_none_or(|known| {
                known.others.len() == users.len() && users.iter().all(|user| known.others.contains(user))
            }),
        }
    }
}
