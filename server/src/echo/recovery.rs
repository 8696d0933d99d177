//! Recovery of a connection's state for the echo application, as the official server keeps it in memory: all events of the last moments, and who
//! went away then. Who comes back with his private id and the last offset that he has read is who he was, in his rooms, and reads what he missed.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use chatwright_protocol::socket_io::{Arg, Body};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{events::Audience, hub};
use crate::transport::{
    EngineRules,
    lean::{Prepared, fresh_sid},
};

/// Bytes of events that are kept in all; the oldest go first, and who needs them begins anew.
const BYTES_MAX: usize = 4 << 20;

/// What is kept at one path.
pub(super) struct Recovery {
    window: Duration,
    away_max: usize,
    state: Mutex<State>,
}

/// Held while something is told or somebody comes or goes, so that an event is either missed or heard, and not both.
#[derive(Default)]
pub(super) struct State {
    told: VecDeque<Told>,
    bytes: usize,
    away: HashMap<String, Away>,
}

struct Told {
    at: Instant,
    offset: String,
    namespace: String,
    audience: Audience,
    packet: Prepared,
}

/// Somebody who may come back.
pub(super) struct Away {
    pub(super) sid: String,
    pub(super) namespace: String,
    /// His own, which is called as he is, among them.
    pub(super) rooms: Vec<String>,
    since: Instant,
}

impl Recovery {
    /// `None`: nobody may come back.
    pub(super) fn new(rules: &EngineRules) -> Option<Self> {
        let EngineRules { recovery_window: window, recovery_connections_max: away_max, .. } = *rules;
        (!window.is_zero()).then(|| Self { window, away_max, state: Mutex::default() })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        hub::lock(&self.state)
    }

    /// Numbers an event and keeps it.
    pub(super) fn keep(&self, state: &mut State, namespace: &str, audience: Audience, body: Body) -> Option<Prepared> {
        let Body::Event { name, mut args, id: None } = body else { return hub::prepare(namespace, body) };
        let offset = fresh_sid();
        args.push(Arg::Json(Value::from(offset.as_str())));
        let packet = hub::prepare(namespace, Body::Event { name, args, id: None })?;
        let now = Instant::now();
        state.bytes += packet.bytes();
        let namespace = namespace.to_owned();
        state.told.push_back(Told { at: now, offset, namespace, audience, packet: packet.clone() });
        while let Some(first) = state.told.front()
            && (state.bytes > BYTES_MAX || now.duration_since(first.at) > self.window)
        {
            state.bytes -= first.packet.bytes();
            state.told.pop_front();
        }
        Some(packet)
    }

    /// Somebody lost his transport. When too many are away, he begins anew.
    pub(super) fn leaves(&self, state: &mut State, pid: String, sid: &str, namespace: &str, rooms: Vec<String>) {
        let since = Instant::now();
        state.away.retain(|_, away| since.duration_since(away.since) <= self.window);
        if state.away.len() < self.away_max {
            let (sid, namespace) = (sid.to_owned(), namespace.to_owned());
            state.away.insert(pid, Away { sid, namespace, rooms, since });
        }
    }

    /// Somebody enters with this payload: if he was here before, his private id, who he was, and what he missed.
    pub(super) fn returns(
        &self,
        state: &mut State,
        namespace: &str,
        auth: &Map<String, Value>,
    ) -> Option<(String, Away, Vec<Prepared>)> {
        let text = |name: &str| auth.get(name).and_then(Value::as_str);
        let (pid, offset) = (text("pid")?, text("offset")?);
        let is_known =
            state.away.get(pid).is_some_and(|away| away.namespace == namespace && away.since.elapsed() <= self.window);
        let read = state.told.iter().position(|told| told.offset == offset)?;
        let away = is_known.then(|| state.away.remove(pid))??;
        let concerns = |told: &&Told| told.namespace == namespace && told.audience.reaches(&away.rooms);
        let missed = state.told.range(read + 1..).filter(concerns).map(|told| told.packet.clone()).collect();
        Some((pid.to_owned(), away, missed))
    }
}
