//! The state of one namespace: connected or not, who waits for which acknowledgement, what waits for a connection.

use std::{
    collections::{HashMap, VecDeque},
    sync::atomic::Ordering,
};

use chatwright_protocol::{
    engine_io,
    socket_io::{Arg, Body, Packet},
};
use serde_json::{Map, Value};
use tokio::sync::mpsc::Sender;

use super::{
    AckId, SocketEvent,
    emitter::{AckSlot, Emission, Offline, Ready, Registration},
    mailbox::Mailbox,
};
use crate::{
    config::Auth,
    engine::Engine,
    error::{AckError, ConnectError, DisconnectReason},
};

/// Where a namespace is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Neither connected nor to be connected: the server or the client ended it.
    Inactive,
    /// To be connected as soon as there is a session, or CONNECT is sent.
    Connecting,
    /// The server has let it in.
    Connected,
}

#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) handle: Registration,
    pub(super) phase: Phase,
    auth: Auth,
    events: Sender<SocketEvent>,
    ready: Option<Ready>,
    acks: HashMap<u64, AckSlot>,
    /// Emitted while offline; bounded by the places of the send queue.
    buffer: VecDeque<Emission>,
}

impl Namespace {
    pub(super) fn new(handle: Registration, auth: Auth, events: Sender<SocketEvent>, ready: Ready) -> Self {
        let (acks, buffer) = (HashMap::new(), VecDeque::new());
        Self { handle, phase: Phase::Connecting, auth, events, ready: Some(ready), acks, buffer }
    }

    /// Asks to be let in.
    pub(super) fn request(&self, engine: &mut Engine) {
        self.push(engine, Body::Connect(self.auth.payload()));
    }

    /// The server has let it in: what waited is sent.
    pub(super) fn connected(&mut self, payload: Option<&Map<String, Value>>, engine: &mut Engine, mail: &mut Mailbox) {
        self.phase = Phase::Connected;
        self.handle.shared.connections.fetch_add(1, Ordering::AcqRel);
        self.handle.shared.connected.store(true, Ordering::Release);
        match self.ready.take() {
            // A caller that has stopped waiting disconnects by itself.
            Some(ready) => drop(ready.send(Ok(()))),
            None => {
                let sid = payload.and_then(|payload| payload.get("sid")).and_then(Value::as_str).unwrap_or_default();
                mail.post(&self.events, SocketEvent::Connected { sid: sid.to_owned() });
            }
        }
        for emission in std::mem::take(&mut self.buffer) {
            self.emit(emission, Some(engine), mail);
        }
    }

    pub(super) fn refused(&mut self, message: String, data: Option<Value>, mail: &mut Mailbox) {
        self.phase = Phase::Inactive;
        match self.ready.take() {
            // A caller that has stopped waiting does not want to know.
            Some(ready) => drop(ready.send(Err(ConnectError::Refused { message, data }))),
            None => mail.post(&self.events, SocketEvent::Refused { message, data }),
        }
    }

    /// The connection, or this namespace of it, is gone.
    pub(super) fn disconnected(&mut self, reason: DisconnectReason, reconnecting: bool, mail: &mut Mailbox) {
        let was_connected = self.phase == Phase::Connected;
        self.handle.shared.connected.store(false, Ordering::Release);
        let goes_on = reconnecting && self.phase != Phase::Inactive;
        self.phase = if goes_on { Phase::Connecting } else { Phase::Inactive };
        if let Some(ready) = self.ready.take() {
            self.phase = Phase::Inactive;
            // A caller that has stopped waiting does not want to know.
            drop(ready.send(Err(ConnectError::Lost(reason))));
            return;
        }
        let mut lost: Vec<u64> = self.acks.keys().copied().collect();
        lost.sort_unstable();
        for id in lost {
            self.answer(id, Err(AckError::Disconnected), mail);
        }
        if was_connected {
            mail.post(&self.events, SocketEvent::Disconnected { reason, reconnecting: goes_on });
        }
    }

    pub(super) fn gave_up(&mut self, attempts: u32, mail: &mut Mailbox) {
        if self.phase == Phase::Connecting {
            self.phase = Phase::Inactive;
            mail.post(&self.events, SocketEvent::GaveUp { attempts });
        }
    }

    /// Sends a packet, or keeps or drops it as it asks for.
    pub(super) fn emit(&mut self, mut emission: Emission, engine: Option<&mut Engine>, mail: &mut Mailbox) {
        let connection = self.handle.shared.connections.load(Ordering::Acquire);
        let (connected, wanted) = match emission.offline {
            Offline::Wait | Offline::Drop => (self.phase == Phase::Connected, true),
            Offline::Only(mine) => (self.phase == Phase::Connected, mine == connection),
        };
        match engine {
            Some(engine) if connected && wanted => {
                if let Some((id, slot)) = emission.ack.take() {
                    self.acks.insert(id, slot);
                }
                engine.push(&engine_io::Packet::text(&emission.packet.text), Some(emission.place));
                for attachment in emission.packet.attachments {
                    engine.push(&engine_io::Packet::Binary(attachment), None);
                }
            }
            Some(_) | None if emission.offline == Offline::Wait => self.buffer.push_back(emission),
            Some(_) | None => {
                if let Some((id, slot)) = emission.ack.take() {
                    self.acks.insert(id, slot);
                    self.answer(id, Err(AckError::NotSent), mail);
                }
            }
        }
    }

    pub(super) fn forget(&mut self, id: u64) {
        self.acks.remove(&id);
        self.buffer.retain(|emission| emission.ack.as_ref().is_none_or(|(buffered, _)| *buffered != id));
    }

    /// An acknowledgement came, or never will. Unknown ids are late answers: ignored.
    pub(super) fn answer(&mut self, id: u64, result: Result<Vec<Arg>, AckError>, mail: &mut Mailbox) {
        match self.acks.remove(&id) {
            // A caller whose time is up has gone.
            Some(AckSlot::Caller(caller)) => drop(caller.send(result)),
            Some(AckSlot::Events(_place)) => {
                mail.post(&self.events, SocketEvent::Acknowledged { id: AckId(id), result });
            }
            None => {}
        }
    }

    pub(super) fn post(&self, event: SocketEvent, mail: &mut Mailbox) {
        mail.post(&self.events, event);
    }

    pub(super) fn leave(&self, engine: &mut Engine) {
        self.push(engine, Body::Disconnect);
    }

    fn push(&self, engine: &mut Engine, body: Body) {
        let packet = Packet { namespace: self.handle.namespace.to_string(), body };
        match packet.encode() {
            Ok(encoded) => engine.push(&engine_io::Packet::text(&encoded.text), None),
            Err(error) => tracing::warn!(%error, "a namespace that cannot be named on the wire"),
        }
    }
}
