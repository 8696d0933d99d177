//! One connection as the chat core sees it: its public id, its identity, its rooms, and the way to tell it something or end it.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

use chatwright_protocol::vocabulary::{Member, RoomId, UserId};

use crate::{
    auth::Identity,
    bell::Bell,
    store::{Device, DeviceId, InstanceId, Position},
    transport::{CannotTake, EndReason, Frame, Sink},
};

/// One connection. Shared by its driver, the rooms it listens to and the registry of the instance.
pub struct Connection {
    id: DeviceId,
    instance: InstanceId,
    sink: Arc<dyn Sink>,
    verified: bool,
    standing: Mutex<Standing>,
    /// Why it shall end, and the bell for its driver: by far smaller than a channel, of which there would be one for each connection.
    end: OnceLock<EndReason>,
    bell: Bell,
}

#[derive(Debug, Default)]
struct Standing {
    identity: Option<Identity>,
    rooms: BTreeSet<RoomId>,
}

impl Connection {
    pub(crate) fn new(id: DeviceId, instance: InstanceId, identity: Option<Identity>, sink: Arc<dyn Sink>) -> Self {
        let verified = identity.is_some();
        let standing = Mutex::new(Standing { identity, rooms: BTreeSet::new() });
        Self { id, instance, sink, verified, standing, end: OnceLock::new(), bell: Bell::default() }
    }

    /// The public id: may be shown to anybody.
    #[must_use]
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// Who it speaks for, once that is known.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.standing().identity.clone()
    }

    /// Whether its handshake proved who it is: then nothing that it says later changes that.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// Who it speaks for as rooms see him.
    #[must_use]
    pub fn member(&self) -> Option<Member> {
        self.standing().identity.as_ref().map(Identity::member)
    }

    /// The user whom it speaks for, once that is known.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.standing().identity.as_ref().map(|identity| identity.user.clone())
    }

    /// The rooms it is in.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomId> {
        self.standing().rooms.iter().cloned().collect()
    }

    /// Over what it is connected.
    #[must_use]
    pub fn carrier(&self) -> &'static str {
        self.sink.carrier()
    }

    /// Queues a frame for it. A peer that reads too slowly is ended: the frame is lost to him, and he catches up when he returns.
    pub fn tell(&self, frame: &Frame) {
        self.tell_by(&*self.sink, frame);
    }

    fn tell_by(&self, sink: &dyn Sink, frame: &Frame) {
        match sink.send(frame) {
            Ok(()) | Err(CannotTake::Closed) => {}
            Err(CannotTake::Full) => self.end(EndReason::SlowConsumer),
        }
    }

    /// It was told what is in a room up to this position.
    pub(super) fn knows(&self, room: &RoomId, position: Position) {
        self.sink.knows(room, position);
    }

    /// Asks its driver to end it. The first reason counts.
    pub fn end(&self, reason: EndReason) {
        if self.end.set(reason).is_ok() {
            self.bell.ring();
        }
    }

    /// Why it was asked to end, if it was.
    #[must_use]
    pub fn ended(&self) -> Option<EndReason> {
        self.end.get().copied()
    }

    /// Waits until somebody asks it to end, or its proof of identity is another. Its driver does, and nobody else.
    pub(crate) async fn rung(&self) {
        self.bell.rung().await;
    }

    /// Its client, who was away, has proved anew who it is: until then.
    pub(crate) fn prove_until(&self, expires_at_ms: Option<u64>) {
        if let Some(identity) = &mut self.standing().identity {
            identity.expires_at_ms = expires_at_ms;
        }
        self.bell.ring();
    }

    /// Until when its proof of identity is good, in milliseconds since the Unix epoch; `None`: for ever, or there is none.
    pub(crate) fn proved_until(&self) -> Option<u64> {
        self.standing().identity.as_ref().and_then(|identity| identity.expires_at_ms)
    }

    pub(super) fn set_identity(&self, identity: Identity) {
        self.standing().identity = Some(identity);
    }

    pub(super) fn clear_identity(&self) {
        self.standing().identity = None;
    }

    pub(super) fn is_in(&self, room: &RoomId) -> bool {
        self.standing().rooms.contains(room)
    }

    pub(super) fn rooms_count(&self) -> usize {
        self.standing().rooms.len()
    }

    pub(super) fn entered(&self, room: RoomId) {
        self.standing().rooms.insert(room);
    }

    pub(super) fn left(&self, room: &RoomId) -> bool {
        self.standing().rooms.remove(room)
    }

    pub(super) fn device(&self, member: Member) -> Device {
        Device { instance: self.instance.clone(), id: self.id.clone(), member }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().expect("no code panics while it holds the standing")
    }
}

/// A connection as those hold it who tell many the same: with its sink beside it, so that telling touches nothing else of it.
#[derive(Clone)]
pub(super) struct Hearer {
    sink: Arc<dyn Sink>,
    connection: Arc<Connection>,
}

impl Hearer {
    pub(super) fn new(connection: &Arc<Connection>) -> Self {
        Self { sink: Arc::clone(&connection.sink), connection: Arc::clone(connection) }
    }

    /// Asks for the memory that telling needs. Of many who are told the same each is cold: asked for one after the other they are waited
    /// for together.
    pub(super) fn touch(&self) {
        self.sink.touch();
    }

    /// See [`Connection::tell`].
    pub(super) fn tell(&self, frame: &Frame) {
        self.connection.tell_by(&*self.sink, frame);
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl fmt::Debug for Hearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).field("standing", &self.standing).finish_non_exhaustive()
    }
}
