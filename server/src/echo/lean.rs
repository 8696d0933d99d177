//! The echo application on our own engine: each session's packets, by the rules of several namespaces, and what they do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chatwright_protocol::socket_io::{Arg, Body, Packet};
use serde_json::{Map, Value, json};

use super::{
    door::{self, Admission},
    events::{self, Audience, Socket, Then, ThenAll, later},
    hub::{Hub, Member, lock, prepare},
};
use crate::{
    metrics::Metrics,
    transport::{
        EndReason, EngineRules,
        lean::{Application, Conversation, Lean, LeanService, Outlet},
    },
};

/// Namespaces that one session may be in; one that asks for more breaks the protocol.
const NAMESPACES_MAX: usize = 256;

/// The application at one path.
#[derive(Clone)]
pub(super) struct Echo {
    engine: Lean,
}

impl Echo {
    pub(super) fn new(rules: EngineRules, metrics: Metrics) -> Self {
        let hub = Arc::new(Hub::new(&rules));
        Self { engine: Lean::of_application(rules, Arc::new(Rooms { hub }), metrics) }
    }

    pub(super) fn service(&self) -> LeanService {
        self.engine.service()
    }

    pub(super) async fn close(&self, limit: Duration) {
        self.engine.close(limit).await;
    }
}

/// What the engine gives its sessions to.
struct Rooms {
    hub: Arc<Hub>,
}

impl Application for Rooms {
    fn begin(&self, outlet: Outlet) -> Box<dyn Conversation> {
        Box::new(Talk { hub: Arc::clone(&self.hub), outlet, inside: Arc::default() })
    }
}

/// Where a session stands with a namespace.
enum Stay {
    /// It has knocked.
    AtDoor,
    In(Arc<Member>),
}

type Inside = Arc<Mutex<HashMap<String, Stay>>>;

/// One session.
struct Talk {
    hub: Arc<Hub>,
    outlet: Outlet,
    inside: Inside,
}

impl Conversation for Talk {
    fn said(&mut self, packet: Packet) -> Result<(), &'static str> {
        let Packet { namespace, body } = packet;
        let member = match lock(&self.inside).get(&namespace) {
            Some(Stay::In(member)) => Some(Arc::clone(member)),
            Some(Stay::AtDoor) if matches!(body, Body::Connect(_)) => return Err("a second CONNECT"),
            Some(Stay::AtDoor) | None => None,
        };
        match (body, member) {
            (Body::Connect(_), Some(_)) => Err("a second CONNECT"),
            (Body::Connect(auth), None) => self.knock(namespace, auth.unwrap_or_default()),
            (Body::ConnectError { .. }, _) => Err("CONNECT_ERROR from a client"),
            (Body::Disconnect | Body::Event { .. } | Body::Ack { .. }, None) => {
                Err("a packet for a namespace that was not entered")
            }
            (Body::Disconnect, Some(member)) => {
                lock(&self.inside).remove(&namespace);
                self.hub.gone(&member, "client namespace disconnect");
                Ok(())
            }
            (Body::Event { name, args, id }, Some(member)) => {
                events::handle(&self.socket(member), &name, args, id);
                Ok(())
            }
            (Body::Ack { id, args }, Some(member)) => {
                member.answered(id, Some(args));
                Ok(())
            }
        }
    }

    fn ended(&mut self, reason: EndReason) {
        let stays: Vec<_> = lock(&self.inside).drain().collect();
        for (_, stay) in stays {
            let Stay::In(member) = stay else { continue };
            match reason {
                EndReason::TransportClosed | EndReason::HeartbeatTimeout => self.hub.lost(&member, words(reason)),
                EndReason::ClientLeft
                | EndReason::EndAsked
                | EndReason::ProtocolViolation
                | EndReason::ServerStopping
                | EndReason::TokenExpired
                | EndReason::SlowConsumer
                | EndReason::TooManyRequests => self.hub.gone(&member, words(reason)),
            }
        }
    }
}

impl Talk {
    fn socket(&self, member: Arc<Member>) -> LeanSocket {
        LeanSocket { hub: Arc::clone(&self.hub), inside: Arc::clone(&self.inside), member }
    }

    fn knock(&self, namespace: String, auth: Map<String, Value>) -> Result<(), &'static str> {
        if lock(&self.inside).len() >= NAMESPACES_MAX {
            return Err("too many namespaces");
        }
        match door::knock(&namespace, &auth) {
            Admission::Refused(message, data) => {
                let body = Body::ConnectError { message: message.to_owned(), data };
                if let Some(refusal) = prepare(&namespace, body) {
                    self.outlet.send(&refusal);
                }
            }
            Admission::Now => {
                lock(&self.inside).insert(namespace.clone(), Stay::AtDoor);
                enter(&self.hub, &self.inside, namespace, self.outlet.clone(), auth);
            }
            Admission::Later => {
                lock(&self.inside).insert(namespace.clone(), Stay::AtDoor);
                let (hub, inside, outlet) = (Arc::clone(&self.hub), Arc::clone(&self.inside), self.outlet.clone());
                later(door::SLOW, move || enter(&hub, &inside, namespace, outlet, auth));
            }
        }
        Ok(())
    }
}

/// Lets somebody in who stands at the door; who has gone meanwhile is not let in.
fn enter(hub: &Hub, inside: &Inside, namespace: String, outlet: Outlet, auth: Map<String, Value>) {
    let mut stays = lock(inside);
    if !matches!(stays.get(&namespace), Some(Stay::AtDoor)) {
        return;
    }
    outlet.entered();
    let member = hub.admit(namespace.clone(), outlet, auth);
    for n in door::greetings(&namespace) {
        hub.tell(&member, Body::Event { name: "greeting".to_owned(), args: vec![json!(n).into()], id: None });
    }
    stays.insert(namespace, Stay::In(member));
}

/// Why somebody is gone, in the words of the official server.
fn words(reason: EndReason) -> &'static str {
    match reason {
        EndReason::ClientLeft => "client namespace disconnect",
        EndReason::EndAsked => "server namespace disconnect",
        EndReason::TransportClosed => "transport close",
        EndReason::HeartbeatTimeout => "ping timeout",
        EndReason::ProtocolViolation => "parse error",
        EndReason::ServerStopping => "server shutting down",
        EndReason::TokenExpired | EndReason::SlowConsumer | EndReason::TooManyRequests => "forced close",
    }
}

/// A client inside a namespace.
#[derive(Clone)]
struct LeanSocket {
    hub: Arc<Hub>,
    inside: Inside,
    member: Arc<Member>,
}

impl LeanSocket {
    fn is_in(&self) -> bool {
        let is_me = |stay: &Stay| matches!(stay, Stay::In(member) if Arc::ptr_eq(member, &self.member));
        lock(&self.inside).get(self.member.namespace()).is_some_and(is_me)
    }

    /// What is said to somebody who has left is for nobody.
    fn tell(&self, body: Body) {
        if self.is_in() {
            self.member.tell(body);
        }
    }
}

impl Socket for LeanSocket {
    type Reply = u64;

    fn auth(&self) -> Value {
        Value::Object(self.member.auth.clone())
    }

    fn emit(&self, event: &str, args: Vec<Arg>) {
        if self.is_in() {
            self.hub.tell(&self.member, Body::Event { name: event.to_owned(), args, id: None });
        }
    }

    fn acknowledge(&self, id: u64, args: Vec<Arg>) {
        self.tell(Body::Ack { id, args });
    }

    fn ask(&self, event: &str, args: Vec<Arg>, patience: Option<Duration>, then: Then) {
        let id = self.hub.next_question();
        if !self.is_in() || !self.member.expect(id, then) {
            return;
        }
        self.member.tell(Body::Event { name: event.to_owned(), args, id: Some(id) });
        if let Some(patience) = patience {
            let member = Arc::clone(&self.member);
            later(patience, move || member.answered(id, None));
        }
    }

    fn ask_room(&self, room: &str, event: &str, args: Vec<Arg>, patience: Duration, then: ThenAll) {
        let audience = Audience { rooms: vec![room.to_owned()], except: Vec::new(), oneself: true };
        let asked = self.hub.reached(&self.member, &audience);
        let poll = Arc::new(Mutex::new(Poll { missing: asked.len(), answers: Vec::new(), then: Some(then) }));
        if asked.is_empty() {
            Poll::finish(&poll, true);
            return;
        }
        let id = self.hub.next_question();
        for member in &asked {
            let poll = Arc::clone(&poll);
            member.expect(id, Box::new(move |answer| Poll::answered(&poll, answer)));
        }
        let body = Body::Event { name: event.to_owned(), args, id: Some(id) };
        Hub::ask(self.member.namespace(), &asked, body);
        later(patience, move || {
            Poll::finish(&poll, false);
            asked.iter().for_each(|member| member.answered(id, None));
        });
    }

    fn join(&self, room: String) {
        if self.is_in() {
            self.hub.join(&self.member, room);
        }
    }

    fn leave(&self, room: &str) {
        self.hub.leave(&self.member, room);
    }

    fn broadcast(&self, audience: Audience, event: &str, args: Vec<Arg>) {
        let body = Body::Event { name: event.to_owned(), args, id: None };
        self.hub.broadcast(&self.member, audience, body);
    }

    fn call_itself(&self, name: String) {
        self.member.call(name);
    }

    fn send_away(&self) {
        if !self.is_in() {
            return;
        }
        self.member.tell(Body::Disconnect);
        lock(&self.inside).remove(self.member.namespace());
        self.hub.gone(&self.member, "server namespace disconnect");
    }

    fn close(&self) {
        let stays: Vec<_> = lock(&self.inside).drain().collect();
        for (_, stay) in stays {
            if let Stay::In(member) = stay {
                member.tell(Body::Disconnect);
                self.hub.gone(&member, "server namespace disconnect");
            }
        }
        self.member.outlet().end();
    }
}

/// The answers of a room, until all are there or the patience is over.
struct Poll {
    missing: usize,
    answers: Vec<Arg>,
    then: Option<ThenAll>,
}

impl Poll {
    fn answered(poll: &Mutex<Self>, answer: Option<Vec<Arg>>) {
        let is_last = {
            let mut poll = lock(poll);
            poll.missing = poll.missing.saturating_sub(1);
            let first = answer.map(|answer| answer.into_iter().next().unwrap_or(Arg::Json(Value::Null)));
            poll.answers.extend(first);
            poll.missing == 0
        };
        if is_last {
            Self::finish(poll, true);
        }
    }

    fn finish(poll: &Mutex<Self>, all: bool) {
        let mut poll = lock(poll);
        let (then, answers) = (poll.then.take(), std::mem::take(&mut poll.answers));
        drop(poll);
        if let Some(then) = then {
            then(all, answers);
        }
    }
}
