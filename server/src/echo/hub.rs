//! Who is in which room, for the echo application on our own engine, which knows no rooms itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use chatwright_protocol::socket_io::{Arg, Body, Packet};
use serde_json::{Map, Value};

use super::{
    events::{self, Audience, Then},
    recovery::Recovery,
};
use crate::transport::{
    EngineRules,
    lean::{Outlet, Prepared, fresh_sid},
};

/// Rooms of one client, and questions to it that wait for an answer; more are not entered and not asked.
const ROOMS_MAX: usize = 1000;
const QUESTIONS_MAX: usize = 1000;

/// A client inside a namespace.
pub(super) struct Member {
    sid: String,
    /// The secret by which it may come back, where that is possible.
    pid: Option<String>,
    namespace: String,
    outlet: Outlet,
    pub(super) auth: Map<String, Value>,
    questions: Mutex<HashMap<u64, Then>>,
    names: Mutex<Vec<String>>,
}

impl Member {
    fn new(sid: String, pid: Option<String>, namespace: String, outlet: Outlet, auth: Map<String, Value>) -> Arc<Self> {
        Arc::new(Self { sid, pid, namespace, outlet, auth, questions: Mutex::default(), names: Mutex::default() })
    }

    /// The answer to its CONNECT.
    fn welcome(&self) -> Body {
        let own = [("sid", Some(&self.sid)), ("pid", self.pid.as_ref())];
        let said = own.into_iter().filter_map(|(name, id)| Some((name.to_owned(), Value::from(id?.as_str()))));
        Body::Connect(Some(said.collect()))
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Tells the client one packet of its namespace; events, where they are numbered, by [`Hub::tell`].
    pub(super) fn tell(&self, body: Body) {
        if let Some(prepared) = prepare(&self.namespace, body) {
            self.outlet.send(&prepared);
        }
    }

    pub(super) fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// Calls itself so.
    pub(super) fn call(&self, name: String) {
        let mut names = lock(&self.names);
        if names.len() < ROOMS_MAX {
            names.push(name);
        }
    }

    /// Takes note of a question, unless there are too many.
    pub(super) fn expect(&self, id: u64, then: Then) -> bool {
        let mut questions = lock(&self.questions);
        let is_free = questions.len() < QUESTIONS_MAX;
        if is_free {
            questions.insert(id, then);
        }
        is_free
    }

    /// The answer to a question, or the end of the patience with it. What nobody asked is nothing.
    pub(super) fn answered(&self, id: u64, answer: Option<Vec<Arg>>) {
        let then = lock(&self.questions).remove(&id);
        if let Some(then) = then {
            then(answer);
        }
    }
}

/// The members of each room of each namespace, in the order of their ids.
type Rooms = HashMap<(String, String), BTreeMap<String, Arc<Member>>>;

/// The rooms of one place where the application is served.
pub(super) struct Hub {
    rooms: Mutex<Rooms>,
    questions: AtomicU64,
    recovery: Option<Recovery>,
}

impl Hub {
    pub(super) fn new(rules: &EngineRules) -> Self {
        Self { rooms: Mutex::default(), questions: AtomicU64::new(0), recovery: Recovery::new(rules) }
    }

    /// Lets somebody in, who was here before or is new, and answers so.
    pub(super) fn admit(&self, namespace: String, outlet: Outlet, auth: Map<String, Value>) -> Arc<Member> {
        let mut state = self.recovery.as_ref().map(|recovery| (recovery, recovery.state()));
        let back = state.as_mut().and_then(|(recovery, state)| recovery.returns(state, &namespace, &auth));
        let member = match back {
            None => {
                let pid = self.recovery.is_some().then(fresh_sid);
                Member::new(fresh_sid(), pid, namespace, outlet, auth)
            }
            Some((pid, away, missed)) => {
                let member = Member::new(away.sid, Some(pid), namespace, outlet, auth);
                missed.iter().for_each(|packet| member.outlet.send(packet));
                away.rooms.into_iter().filter(|room| *room != member.sid).for_each(|room| self.join(&member, room));
                member
            }
        };
        member.tell(member.welcome());
        member
    }

    /// Tells one client an event.
    pub(super) fn tell(&self, member: &Arc<Member>, body: Body) {
        let audience = Audience { rooms: vec![member.sid.clone()], except: Vec::new(), oneself: true };
        let only = std::slice::from_ref(member);
        self.spread(member.namespace(), audience, body, || only.to_vec());
    }

    /// Tells everybody whom this reaches, encoded once.
    pub(super) fn broadcast(&self, member: &Member, audience: Audience, body: Body) {
        let mut told = audience.clone();
        if !audience.oneself {
            told.except.push(member.sid.clone());
        }
        self.spread(member.namespace(), told, body, || self.reached(member, &audience));
    }

    fn spread(&self, namespace: &str, told: Audience, body: Body, to: impl FnOnce() -> Vec<Arc<Member>>) {
        let mut state = self.recovery.as_ref().map(|recovery| (recovery, recovery.state()));
        let prepared = match &mut state {
            Some((recovery, state)) => recovery.keep(state, namespace, told, body),
            None => prepare(namespace, body),
        };
        if let Some(prepared) = prepared {
            to().iter().for_each(|member| member.outlet.send(&prepared));
        }
    }

    /// A member lost its transport: gone, and it may come back.
    pub(super) fn lost(&self, member: &Member, reason: &str) {
        if let (Some(recovery), Some(pid)) = (&self.recovery, &member.pid) {
            let mut state = recovery.state();
            let mut rooms = self.take_out(member);
            rooms.push(member.sid.clone());
            recovery.leaves(&mut state, pid.clone(), &member.sid, member.namespace(), rooms);
        }
        self.gone(member, reason);
    }

    /// Takes a member out of all rooms; which they were.
    fn take_out(&self, member: &Member) -> Vec<String> {
        let mut left = Vec::new();
        lock(&self.rooms).retain(|(_, room), members| {
            if members.remove(&member.sid).is_some() {
                left.push(room.clone());
            }
            !members.is_empty()
        });
        left
    }

    /// The id of the next question.
    pub(super) fn next_question(&self) -> u64 {
        self.questions.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn join(&self, member: &Arc<Member>, room: String) {
        let mut rooms = lock(&self.rooms);
        let is_in = rooms.values().filter(|members| members.contains_key(&member.sid)).count();
        if is_in < ROOMS_MAX {
            let members = rooms.entry((member.namespace.clone(), room)).or_default();
            members.insert(member.sid.clone(), Arc::clone(member));
        }
    }

    pub(super) fn leave(&self, member: &Member, room: &str) {
        let key = (member.namespace.clone(), room.to_owned());
        let mut rooms = lock(&self.rooms);
        if let Some(members) = rooms.get_mut(&key) {
            members.remove(&member.sid);
            if members.is_empty() {
                rooms.remove(&key);
            }
        }
    }

    /// Everybody whom this reaches, each once.
    pub(super) fn reached(&self, member: &Member, audience: &Audience) -> Vec<Arc<Member>> {
        let rooms = lock(&self.rooms);
        let of = |room: &String| rooms.get(&(member.namespace.clone(), room.clone())).into_iter().flatten();
        let mut reached: BTreeMap<_, _> = audience.rooms.iter().flat_map(of).collect();
        for (sid, _) in audience.except.iter().flat_map(of) {
            reached.remove(sid);
        }
        if !audience.oneself {
            reached.remove(&member.sid);
        }
        reached.into_values().cloned().collect()
    }

    /// Asks all of them, encoded once.
    pub(super) fn ask(namespace: &str, reached: &[Arc<Member>], body: Body) {
        if let Some(prepared) = prepare(namespace, body) {
            reached.iter().for_each(|member| member.outlet.send(&prepared));
        }
    }

    /// A member is gone from its namespace: out of its rooms, and whoever watches it hears so.
    pub(super) fn gone(&self, member: &Member, reason: &str) {
        self.take_out(member);
        lock(&member.questions).clear();
        for name in std::mem::take(&mut *lock(&member.names)) {
            let audience = Audience { rooms: vec![events::watchers(&name)], except: Vec::new(), oneself: true };
            let (event, args) = events::gone(&name, reason);
            let body = Body::Event { name: event.to_owned(), args, id: None };
            self.broadcast(member, audience, body);
        }
    }
}

/// A packet as all who are told it read it; `None` for one that cannot be said, because JSON in it looks like a placeholder.
pub(super) fn prepare(namespace: &str, body: Body) -> Option<Prepared> {
    let packet = Packet { namespace: namespace.to_owned(), body };
    packet.encode().ok().map(|encoded| Prepared::new(&encoded))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds this")
}
