//! Keeps what passes through the proxy, packet by packet, with the session that each belongs to.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

use crate::wrong::{Direction, Transport};

/// More is no case that anybody edits; what comes then is passed on and not kept.
const HEARD_MAX: usize = 20_000;

/// What has passed.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By number; kept, so that none is taken for another.
    sessions: Vec<(Arc<dyn Any + Send + Sync>, bool)>,
    heard: Vec<Heard>,
}

/// One thing that has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// The number of its session, in the order in which they began.
    pub(super) session: usize,
    pub(super) what: What,
}

/// What it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A packet of Engine.IO, or the text of a frame where there is none.
    Packet { to_server: bool, over: Transport, packet: String },
    /// The connection that carries it is over.
    End,
}

impl Tap {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A packet passes.
    pub(crate) fn packet<S: Any + Send + Sync>(
        &self,
        session: &Arc<S>,
        direction: Direction,
        over: Transport,
        packet: &str,
    ) {
        let to_server = direction == Direction::Server;
        let mut state = self.state();
        let number = state.number(session);
        // The client takes its leave of Engine.IO, or of the main namespace.
        if to_server && (packet == "1" || packet == "41") {
            state.sessions[number].1 = true;
        }
        state.put(Heard { session: number, what: What::Packet { to_server, over, packet: packet.to_owned() } });
    }

    /// The connection that carried the session is over.
    pub(crate) fn end<S: Any + Send + Sync>(&self, session: &Arc<S>) {
        let mut state = self.state();
        let number = state.number(session);
        state.sessions[number].1 = true;
        state.put(Heard { session: number, what: What::End });
    }

    pub(super) fn sessions(&self) -> (usize, usize) {
        let state = self.state();
        (state.sessions.len(), state.sessions.iter().filter(|(_, over)| *over).count())
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.state().heard.clone()
    }
}

impl State {
    fn number<S: Any + Send + Sync>(&mut self, session: &Arc<S>) -> usize {
        let session: Arc<dyn Any + Send + Sync> = Arc::clone(session) as _;
        let same = |known: &Arc<dyn Any + Send + Sync>| std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(&session));
        let found = self.sessions.iter().position(|(known, _)| same(known));
        found.unwrap_or_else(|| {
            self.sessions.push((session, false));
            self.sessions.len() - 1
        })
    }

    fn put(&mut self, heard: Heard) {
        if self.heard.len() < HEARD_MAX {
            self.heard.push(heard);
        }
    }
}
