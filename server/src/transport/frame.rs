//! What a dialect says, encoded once and queued for many connections.

use std::sync::{Arc, OnceLock};

use chatwright_protocol::{
    dialects::{AppPacket, Dialect},
    vocabulary::{Event, RoomId},
};
use serde::{Serialize, Serializer, ser::SerializeTuple};
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
    name: String,
    args: Vec<Box<RawValue>>,
    place: Option<(RoomId, Position)>,
    packet: OnceLock<Packet>,
    numbered: OnceLock<Numbered>,
}

impl Frame {
    /// What a client of this dialect reads for an event; `None` where the dialect has no words for it.
    #[must_use]
    pub fn of(dialect: &Dialect, event: &Event) -> Option<Self> {
        (dialect.server.encode)(event).map(|packet| Self::from(&packet))
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
        &self.inner.name
    }

    /// The arguments: serialises as a tuple of values that are JSON already.
    #[must_use]
    pub fn args(&self) -> Args<'_> {
        Args(&self.inner.args)
    }

    /// The Socket.IO event, or the JSON text of what is no event, in a WebSocket's frame; made once for all connections.
    pub(super) fn packet(&self) -> &Packet {
        let mut args = self.inner.args.iter().map(|arg| arg.get());
        self.inner.packet.get_or_init(|| {
            if self.inner.name.is_empty() {
                Packet::of(args.next().unwrap_or("null"))
            } else {
                Packet::event(&self.inner.name, args)
            }
        })
    }

    /// The same with an offset behind its arguments, for clients whose connections are recovered; made once as well.
    pub(super) fn numbered(&self) -> &Numbered {
        self.inner.numbered.get_or_init(|| {
            let offset = Offset::next();
            let text = format!("\"{offset}\"");
            let args = self.inner.args.iter().map(|arg| arg.get()).chain([text.as_str()]);
            Numbered { offset, packet: Packet::event(&self.inner.name, args) }
        })
    }

    /// Bytes of the name and the arguments: what the frame costs in a queue, give or take punctuation.
    #[must_use]
    pub fn size(&self) -> usize {
        self.inner.name.len() + self.inner.args.iter().map(|arg| arg.get().len()).sum::<usize>()
    }
}

impl From<&AppPacket> for Frame {
    fn from(packet: &AppPacket) -> Self {
        let (name, args) = match packet {
            AppPacket::Event { name, args } => (name.clone(), args.iter().map(raw).collect()),
            AppPacket::Json(value) => (String::new(), vec![raw(value)]),
        };
        let (packet, numbered) = (OnceLock::new(), OnceLock::new());
        Self { inner: Arc::new(Inner { name, args, place: None, packet, numbered }) }
    }
}

fn raw(value: &serde_json::Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a JSON value always serialises")
}

/// The arguments of a [`Frame`].
#[derive(Debug, Clone, Copy)]
pub struct Args<'a>(&'a [Box<RawValue>]);

impl Serialize for Args<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for arg in self.0 {
            tuple.serialize_element(arg)?;
        }
        tuple.end()
    }
}
