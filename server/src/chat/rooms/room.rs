//! One room as this instance sees it: who listens here, and up to which message they have been told. A state machine without IO.
//!
//! Messages come from three sides (own sends, the bus, the store) and in any order; each listener is told each message once, in the
//! order of positions. A joiner first reads the history; what happens meanwhile is held for him, so that nothing is missing or double
//! between the history and the live messages.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use chatwright_protocol::{
    dialects::Dialect,
    vocabulary::{Event, MessageId, UserId},
};

use crate::{
    chat::{Connection, connection::Hearer},
    store::{DeviceId, History, Position, Stored},
    transport::{EndReason, Frame},
};

/// Messages that wait for a predecessor; beyond it the oldest are dropped and the store is read instead (it has them).
const WAITING_MAX: usize = 4096;

/// Frames held for one joiner while his history is read; beyond it he is cut off as a slow consumer would be.
const HELD_MAX: usize = 4096;

/// Messages told before they were stored whose listeners are remembered; as many as a backlog may hold.
const EARLY_MAX: usize = 1000;

/// What is to be done after messages were offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub(super) enum Next {
    /// Nothing: all listeners are told.
    Settled,
    /// A message waits for one before it: if the bus does not bring it soon, read the store.
    Gap,
}

/// A room's listeners on this instance.
#[derive(Debug)]
pub(super) struct Room {
    dialect: &'static Dialect,
    /// Up to where the listeners are told; `None` until the store was read once.
    told: Option<Position>,
    waiting: BTreeMap<Position, Stored>,
    listeners: HashMap<DeviceId, Listener>,
    /// Messages that were told before the store confirmed them (it was away), with those who heard them.
    early: HashMap<MessageId, HashSet<DeviceId>>,
}

#[derive(Debug)]
struct Listener {
    hearer: Hearer,
    user: UserId,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// His history is being read; what happens meanwhile waits, with its position if it has one. `before` is set when he was live
    /// already and only joins again.
    Joining { held: Vec<(Option<Position>, Frame)>, before: Option<Position> },
    /// He was given the history up to here; from there on he hears everything.
    Live(Position),
}

impl Room {
    pub(super) fn new(dialect: &'static Dialect) -> Self {
        Self { dialect, told: None, waiting: BTreeMap::new(), listeners: HashMap::new(), early: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    pub(super) fn told(&self) -> Option<Position> {
        self.told
    }

    /// Whether a user listens here with any device.
    pub(super) fn hosts(&self, user: &UserId) -> bool {
        self.listeners.values().any(|listener| listener.user == *user)
    }

    /// With how many connections a user listens here.
    pub(super) fn devices_of(&self, user: &UserId) -> usize {
        self.listeners.values().filter(|listener| listener.user == *user).count()
    }

    /// The users who listen here, each once, in the order of their ids.
    pub(super) fn users(&self) -> Vec<UserId> {
        let users: BTreeSet<&UserId> = self.listeners.values().map(|listener| &listener.user).collect();
        users.into_iter().cloned().collect()
    }

    /// Starts to hold for a connection what happens in the room.
    pub(super) fn start_joining(&mut self, connection: &Arc<Connection>, user: UserId) {
        let before = self.listeners.get(connection.id()).and_then(|listener| match listener.stage {
            Stage::Live(since) => Some(since),
            Stage::Joining { before, .. } => before,
        });
        let stage = Stage::Joining { held: Vec::new(), before };
        let listener = Listener { hearer: Hearer::new(connection), user, stage };
        self.listeners.insert(connection.id().clone(), listener);
    }

    /// Ends a join whose history could not be read: who was live before goes on so, who was not is no listener.
    pub(super) fn abandon_joining(&mut self, device: &DeviceId) {
        let Some(listener) = self.listeners.get_mut(device) else { return };
        let Stage::Joining { held, before } = &mut listener.stage else { return };
        match (*before, std::mem::take(held)) {
            (None, _) => {
                self.listeners.remove(device);
            }
            (Some(before), held) => {
                listener.stage = Stage::Live(before);
                held.into_iter().for_each(|(position, frame)| listener.hear(position, &frame));
            }
        }
    }

    /// Gives a joiner his history and whatever `more` he is owed, then what happened meanwhile; from here on he is live.
    pub(super) fn finish_joining(&mut self, device: &DeviceId, history: &History, more: &[Frame]) -> Next {
        if let Some(listener) = self.listeners.get_mut(device) {
            for frame in more {
                listener.hearer.tell(frame);
            }
            let joining = std::mem::replace(&mut listener.stage, Stage::Live(history.latest));
            if let Stage::Joining { held, .. } = joining {
                held.into_iter().for_each(|(position, frame)| listener.hear(position, &frame));
            }
        }
        if self.told.is_none() {
            self.told = Some(history.latest);
        }
        self.settle()
    }

    /// Forgets a connection; `true` if it was here.
    pub(super) fn remove(&mut self, device: &DeviceId) -> bool {
        self.listeners.remove(device).is_some()
    }

    /// Takes a message that the store confirmed, from whichever side.
    pub(super) fn offer(&mut self, stored: Stored) -> Next {
        if self.told.is_some_and(|told| stored.position() <= told) {
            return Next::Settled;
        }
        if self.waiting.is_empty() && self.told.is_some_and(|told| is_due(stored.position(), told)) {
            self.tell_message(stored);
            return Next::Settled;
        }
        self.waiting.insert(stored.position(), stored);
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_first();
        }
        self.settle()
    }

    /// Takes what the store has above [`Room::told`]: whatever is missing in it is gone for good and no longer waited for.
    pub(super) fn heal(&mut self, history: History) -> Next {
        for stored in history.messages {
            if self.told.is_some_and(|told| stored.position() > told) {
                self.waiting.remove(&stored.position());
                self.tell_message(stored);
            }
        }
        self.told = self.told.max(Some(history.latest));
        self.settle()
    }

    /// Tells a message before the store confirmed it, to all but its sender (whose echo is the confirmation).
    pub(super) fn tell_early(&mut self, id: &MessageId, frame: &Frame, sender: &DeviceId) {
        let mut heard = HashSet::new();
        for (device, listener) in self.listeners.iter_mut().filter(|(device, _)| *device != sender) {
            heard.insert(device.clone());
            listener.hear(None, frame);
        }
        if self.early.len() >= EARLY_MAX {
            self.early.clear(); // a store that lost its data never confirmed them; a repetition is the lesser harm
        }
        self.early.insert(id.clone(), heard);
    }

    /// Tells something that is not stored to all listeners, except those of one user.
    pub(super) fn tell(&mut self, event: &Event, except: Option<&UserId>) {
        let Some(frame) = Frame::of(self.dialect, event) else { return };
        for listener in self.listeners.values_mut().filter(|listener| except != Some(&listener.user)) {
            listener.hear(None, &frame);
        }
    }

    /// Tells all waiting messages whose turn it is.
    fn settle(&mut self) -> Next {
        let Some(mut told) = self.told else { return Next::Settled }; // the first join reads the store and settles then
        while let Some(entry) = self.waiting.first_entry() {
            let position = *entry.key();
            if position > told && !is_due(position, told) {
                return Next::Gap;
            }
            let stored = entry.remove();
            if position > told {
                self.tell_message(stored);
                told = position;
            }
        }
        Next::Settled
    }

    fn tell_message(&mut self, stored: Stored) {
        let position = stored.position();
        self.told = Some(position);
        let heard = self.early.remove(&stored.message.id).unwrap_or_default();
        let room = stored.message.room.clone();
        let Some(frame) = Frame::of(self.dialect, &Event::Message(stored.message)) else { return };
        let frame = frame.placed(&room, position);
        self.listeners.values().for_each(|listener| listener.hearer.touch());
        for (device, listener) in self.listeners.iter_mut().filter(|(device, _)| !heard.contains(*device)) {
            tracing::trace!(device = %device, sequence = position.sequence, "message told");
            listener.hear(Some(position), &frame);
        }
    }
}

/// Whether nothing is missing between what was told and this.
fn is_due(position: Position, told: Position) -> bool {
    position == told.next() || (position.generation > told.generation && position.sequence == 1)
}

impl Listener {
    fn hear(&mut self, position: Option<Position>, frame: &Frame) {
        match &mut self.stage {
            Stage::Live(since) => {
                if position.is_none_or(|position| position > *since) {
                    self.hearer.tell(frame);
                }
            }
            Stage::Joining { held, .. } => {
                held.push((position, frame.clone()));
                if held.len() > HELD_MAX {
                    self.hearer.connection().end(EndReason::SlowConsumer);
                    held.clear();
                }
            }
        }
    }
}
