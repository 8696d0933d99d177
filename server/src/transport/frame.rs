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
pub struct Frame(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// A JSON text of a raw WebSocket dialect: nobody reads it otherwise, so it is a packet at once.
    Text(Packet),
    /// A Socket.IO event.
    Event(Arc<Spread>),
}

/// An event on its way to many.
#[derive(Debug)]
struct Spread {
    name: &'static str,
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

    /// The same, after which a client knows a room up to this position: a message, told as an event.
    #[must_use]
    pub fn placed(mut self, room: &RoomId, position: Position) -> Self {
        if let Kind::Event(event) = &mut self.0
            && let Some(event) = Arc::get_mut(event)
        {
            event.place = Some((room.clone(), position));
        }
        self
    }

    pub(super) fn place(&self) -> Option<&(RoomId, Position)> {
        match &self.0 {
            Kind::Text(_) => None,
            Kind::Event(event) => event.place.as_ref(),
        }
    }

    /// The Socket.IO event's name; empty for a dialect without event names.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Text(_) => "",
            Kind::Event(event) => event.name,
        }
    }

    /// The event's arguments, or the text: serialises as a tuple of values that are JSON already.
    #[must_use]
    pub fn args(&self) -> Args<'_> {
        Args(match &self.0 {
            Kind::Text(packet) => str::from_utf8(packet.text()).expect("made of a text"),
            Kind::Event(event) => event.spoken.json(),
        })
    }

    /// The Socket.IO event, or the JSON text of what is no event, in a WebSocket's frame; made once for all connections.
    pub(super) fn packet(&self) -> &Packet {
        match &self.0 {
            Kind::Text(packet) => packet,
            Kind::Event(event) => {
                event.packet.get_or_init(|| Packet::event(event.name, std::iter::once(event.spoken.json())))
            }
        }
    }

    /// The event with an offset behind its arguments, for clients whose connections are recovered; made once as well. `None`: it is none.
    pub(super) fn numbered(&self) -> Option<&Numbered> {
        let Kind::Event(event) = &self.0 else { return None };
        Some(event.numbered.get_or_init(|| {
            let offset = Offset::next();
            let text = format!("\"{offset}\"");
            let args = [event.spoken.json(), text.as_str()].into_iter();
            Numbered { offset, packet: Packet::event(event.name, args) }
        }))
    }

    /// Bytes of the name and the arguments: what the frame costs in a queue, give or take punctuation.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.0 {
            Kind::Text(packet) => packet.text().len(),
            Kind::Event(event) => event.name.len() + event.spoken.json().len(),
        }
    }
}

impl From<Spoken> for Frame {
    fn from(spoken: Spoken) -> Self {
        Self(match spoken.name() {
            None => Kind::Text(Packet::of(spoken.json())),
            Some(name) => {
                let (packet, numbered) = (OnceLock::new(), OnceLock::new());
                Kind::Event(Arc::new(Spread { name, spoken, place: None, packet, numbered }))
            }
        })
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
