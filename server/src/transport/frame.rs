//! What a dialect says, encoded once and queued for many connections.

use std::sync::{Arc, OnceLock};

use chatwright_protocol::{
    dialects::{Dialect, Spoken},
    vocabulary::{Event, RoomId},
};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeTuple},
};
use serde_json::value::RawValue;

use super::lean::{Numbered, Offset, Packet};
use crate::store::Position;

/// An encoded application packet. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Frame {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    spoken: Spoken,
    place: Option<(RoomId, Position)>,
    packet: OnceLock<Packet>,
    numbered: OnceLock<Numbered>,
}

impl Frame {
    /// What a client of this dialect reads for an event; `None` where the dialect has no words for it.
    #[must_use]
    pub fn of(dialect: &Dialect, event: &Event) -> Option<Self> {
        (dialect.server.encode)(event).map(Self::from)
    }

    /// The same, after which a client knows a room up to this position: a message.
    #[must_use]
    pub fn placed(mut self, room: &RoomId, position: Position) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.place = Some((room.clone(), position));
        }
        self
    }

    pub(super) fn place(&self) -> Option<&(RoomId, Position)> {
        self.inner.place.as_ref()
    }

    /// The Socket.IO event's name; empty for a dialect without event names.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.spoken.name().unwrap_or_default()
    }

    /// The arguments: serialises as a tuple of values that are JSON already.
    #[must_use]
    pub fn args(&self) -> Args<'_> {
        Args(self.inner.spoken.json())
    }

    /// The Socket.IO event, or the JSON text of what is no event, in a WebSocket's frame; made once for all connections.
    pub(super) fn packet(&self) -> &Packet {
        let spoken = &self.inner.spoken;
        self.inner.packet.get_or_init(|| match spoken.name() {
            None => Packet::of(spoken.json()),
            Some(name) => Packet::event(name, std::iter::once(spoken.json())),
        })
    }

    /// The same with an offset behind its arguments, for clients whose connections are recovered; made once as well.
    pub(super) fn numbered(&self) -> &Numbered {
        self.inner.numbered.get_or_init(|| {
            let offset = Offset::next();
            let text = format!("\"{offset}\"");
            let args = [self.inner.spoken.json(), text.as_str()].into_iter();
            Numbered { offset, packet: Packet::event(self.name(), args) }
        })
    }

    /// Bytes of the name and the arguments: what the frame costs in a queue, give or take punctuation.
    #[must_use]
    pub fn size(&self) -> usize {
        self.name().len() + self.inner.spoken.json().len()
    }
}

impl From<Spoken> for Frame {
    fn from(spoken: Spoken) -> Self {
        let (packet, numbered) = (OnceLock::new(), OnceLock::new());
        Self { inner: Arc::new(Inner { spoken, place: None, packet, numbered }) }
    }
}

/// The arguments of a [`Frame`].
#[derive(Debug, Clone, Copy)]
pub struct Args<'a>(&'a str);

impl Serialize for Args<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let argument: &RawValue = serde_json::from_str(self.0).map_err(S::Error::custom)?;
        let mut tuple = serializer.serialize_tuple(1)?;
        tuple.serialize_element(argument)?;
        tuple.end()
    }
}
