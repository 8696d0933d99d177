//! One room as this instance sees it: who listens here, and of whom they have been told. A state machine without IO.
//!
//! What happened may come in any order and twice (from the store's answers, from the bus, from a comparison). Each listener is told each
//! coming and going once, because what is told is the difference to what he knows, and what is older than that is dropped.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chatwright_protocol::{
    dialects::sessions::DIALECT,
    vocabulary::{Event, Member, RoomId, UserId},
};

use crate::{
    bus::Movement,
    chat::Connection,
    store::{
        DeviceId,
        sessions::{Presence, Version},
    },
    transport::Frame,
};

/// Users who are known to have gone; beyond it the memory of them is dropped, and a notice that comes very late could be told again.
const GONE_MAX: usize = 1000;

/// A room's listeners on this instance, and what they know.
#[derive(Debug)]
pub(super) struct Standing {
    room: RoomId,
    listeners: HashMap<DeviceId, Listener>,
    /// Connections that are about to listen.
    expected: usize,
    known: BTreeMap<UserId, Known>,
}

#[derive(Debug)]
struct Listener {
    connection: Arc<Connection>,
    user: UserId,
}

/// What the listeners were told of a user last.
#[derive(Debug)]
struct Known {
    name: String,
    is_here: bool,
    version: Version,
}

/// Whether a comparison may conclude that somebody is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Absence {
    /// Who is missing has gone.
    IsDeparture,
    /// Others may not have entered their users again yet.
    ProvesNothing,
}

impl Standing {
    pub(super) fn new(room: RoomId) -> Self {
        Self { room, listeners: HashMap::new(), expected: 0, known: BTreeMap::new() }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.listeners.is_empty() && self.expected == 0
    }

    /// Somebody will listen: the room is kept for him. Returns whether nobody did before.
    pub(super) fn expect(&mut self) -> bool {
        let first = self.is_unused();
        self.expected += 1;
        first
    }

    /// Whom somebody expected will not come, or has come.
    pub(super) fn expect_no_more(&mut self) {
        self.expected -= 1;
    }

    /// Makes a connection a listener and tells it who else is here.
    pub(super) fn admit(&mut self, connection: &Arc<Connection>, user: &UserId) {
        let here = self.known.iter().filter(|(other, known)| known.is_here && *other != user);
        let users = here.map(|(other, known)| Member { user: other.clone(), name: known.name.clone() }).collect();
        if let Some(frame) = Frame::of(&DIALECT, &Event::Members { room: self.room.clone(), users }) {
            connection.tell(&frame);
        }
        let listener = Listener { connection: Arc::clone(connection), user: user.clone() };
        self.listeners.insert(connection.id().clone(), listener);
    }

    /// Forgets a listener.
    pub(super) fn remove(&mut self, device: &DeviceId) {
        self.listeners.remove(device);
    }

    /// Somebody came or went: tells it, if it is news. A user never hears of himself.
    pub(super) fn moved(&mut self, member: &Member, movement: Movement, version: Version) {
        let (was_here, is_old) = match self.known.get(&member.user) {
            Some(known) => (known.is_here, version != 0 && version <= known.version),
            None => (false, false),
        };
        if is_old {
            return;
        }
        let is_here = movement != Movement::Went;
        self.known.insert(member.user.clone(), Known { name: member.name.clone(), is_here, version });
        self.forget_some_gone();
        let (room, member, who) = (self.room.clone(), member.clone(), &member.user);
        match (movement, was_here) {
            (Movement::Came, false) => self.tell_others(who, &Event::Joined { room, member }),
            (Movement::CameBack, false) => self.tell_others(who, &Event::Returned { room, member }),
            (Movement::CameBack, true) => {
                // That he had gone never arrived.
                self.tell_others(who, &Event::Left { room: room.clone(), member: member.clone() });
                self.tell_others(who, &Event::Returned { room, member });
            }
            (Movement::Went, true) => self.tell_others(who, &Event::Left { room, member }),
            (Movement::Came, true) | (Movement::Went, false) => {}
        }
    }

    /// Compares what is known with who is there.
    pub(super) fn compare(&mut self, presence: &Presence, absence: Absence) {
        let missing: Vec<Member> = self
            .known
            .iter()
            .filter(|(user, known)| known.is_here && !presence.members.iter().any(|member| member.user == **user))
            .map(|(user, known)| Member { user: user.clone(), name: known.name.clone() })
            .collect();
        if absence == Absence::IsDeparture {
            for member in missing {
                self.moved(&member, Movement::Went, presence.version);
            }
        }
        for member in &presence.members {
            self.moved(member, Movement::Came, presence.version);
        }
    }

    /// Tells all listeners but one connection.
    pub(super) fn tell_except(&self, frame: &Frame, except: Option<&DeviceId>) {
        let heard = self.listeners.iter().filter(|(device, _)| except != Some(*device));
        heard.for_each(|(_, listener)| listener.connection.tell(frame));
    }

    /// Tells all listeners but a user's own.
    fn tell_others(&self, who: &UserId, event: &Event) {
        let Some(frame) = Frame::of(&DIALECT, event) else { return };
        let others = self.listeners.values().filter(|listener| listener.user != *who);
        others.for_each(|listener| listener.connection.tell(&frame));
    }

    fn forget_some_gone(&mut self) {
        if self.known.values().filter(|known| !known.is_here).count() > GONE_MAX {
            self.known.retain(|_, known| known.is_here);
        }
    }
}
