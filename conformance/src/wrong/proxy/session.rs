//! What belongs to one Engine.IO session, whatever it travels over: the counts of matches, and what waits to be sent. Rules are
//! applied to packets here.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use super::websocket::Outgoing;
use crate::wrong::rule::{Act, Direction, Rule, Subject, Transport};

/// Packets given to a polling session that does not fetch them.
const GIVEN_MAX: usize = 1024;

/// One session.
#[derive(Debug, Default)]
pub(super) struct Session {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: HashMap<usize, u64>,
    /// Held back until another has passed.
    held: HashMap<Direction, String>,
    /// For the next poll.
    given: Vec<String>,
    /// It has got its CONNECT answer.
    connected: bool,
    /// Its WebSocket, once packets go that way.
    websocket: Option<mpsc::Sender<Outgoing>>,
}

/// What is to be done with a packet, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// It is sent.
    Send(String),
    /// It is sent later; the rest goes on.
    Later(Duration, String),
    /// Everything waits.
    Wait(Duration),
    /// It is held back until another has passed.
    Hold(String),
    /// The others get it.
    Copy(String),
    /// The TCP connection is cut.
    Cut,
    /// The session is closed.
    Close(u16),
}

impl Session {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this match of a rule is one that the rule means.
    pub(super) fn counts(&self, index: usize, rule: &Rule) -> bool {
        let mut state = self.state();
        let count = state.counts.entry(index).or_default();
        *count += 1;
        let meant = rule.which.means(*count);
        drop(state);
        if meant {
            rule.hit();
        }
        meant
    }

    /// What the rules say about one packet.
    pub(super) fn decide(&self, rules: &[Rule], direction: Direction, over: Transport, packet: String) -> Vec<Step> {
        let fits = |rule: &Rule| {
            rule.subject == Subject::Packet
                && rule.direction == direction
                && rule.over.is_none_or(|wanted| wanted == over)
                && rule.pattern.is_match(&packet)
        };
        let Some((index, rule)) = rules.iter().enumerate().find(|(_, rule)| fits(rule)) else {
            return vec![Step::Send(packet)];
        };
        if !self.counts(index, rule) {
            return vec![Step::Send(packet)];
        }
        let filled = |with: &str| {
            let mut text = String::new();
            if let Some(found) = rule.pattern.captures(&packet) {
                found.expand(with, &mut text);
            }
            text
        };
        match &rule.act {
            Act::Drop => Vec::new(),
            Act::Duplicate => vec![Step::Send(packet.clone()), Step::Send(packet)],
            Act::Delay(by) => vec![Step::Later(*by, packet)],
            Act::Stall(by) => vec![Step::Wait(*by), Step::Send(packet)],
            Act::Swap => vec![Step::Hold(packet)],
            Act::Rewrite { find, with, .. } => vec![Step::Send(find.replace_all(&packet, with.as_str()).into_owned())],
            Act::Before(with) => vec![Step::Send(filled(with)), Step::Send(packet)],
            Act::After(with) => {
                let more = filled(with);
                vec![Step::Send(packet), Step::Send(more)]
            }
            Act::Copy => vec![Step::Copy(packet.clone()), Step::Send(packet)],
            Act::Cut => vec![Step::Cut],
            Act::Close(code) => vec![Step::Close(*code)],
        }
    }

    /// Notes what has passed to the client.
    pub(super) fn passed(&self, packet: &str) {
        if packet.starts_with("40") {
            self.state().connected = true;
        }
    }

    /// Its packets go over this WebSocket from here on.
    pub(super) fn moves_to(&self, websocket: mpsc::Sender<Outgoing>) {
        self.state().websocket = Some(websocket);
    }

    /// Holds a packet back; returns the one that was held so far.
    pub(super) fn hold(&self, direction: Direction, packet: String) -> Option<String> {
        self.state().held.insert(direction, packet)
    }

    /// What was held back.
    pub(super) fn held(&self, direction: Direction) -> Option<String> {
        self.state().held.remove(&direction)
    }

    /// A packet out of turn, if it is past its CONNECT.
    pub(super) fn give(&self, packet: &str) {
        let mut state = self.state();
        if !state.connected {
            return;
        }
        match &state.websocket {
            // A full queue loses it: whoever is that slow would not notice one more.
            Some(websocket) => drop(websocket.try_send(Outgoing::Packet(packet.to_owned()))),
            None if state.given.len() < GIVEN_MAX => state.given.push(packet.to_owned()),
            None => {}
        }
    }

    /// What was given and not fetched yet.
    pub(super) fn given(&self) -> Vec<String> {
        std::mem::take(&mut self.state().given)
    }
}
