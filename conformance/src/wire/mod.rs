//! The judge's own wire: TCP, HTTP/1.1, WebSocket, Engine.IO and Socket.IO as a client sees them, and where a client
//! is judged, as a server does; small, bounded and strict.
//!
//! It shares no code with what it judges. Whatever a server sends that its protocol forbids becomes [`Raw::Broken`], never a skip.

mod beats;
mod dial;
mod door;
mod engine;
mod frame;
mod http;
mod link;
mod polled;
mod polling;
mod socket_io;
mod websocket;

pub(crate) use beats::Beats;
pub(crate) use dial::{Dial, dial};
pub(crate) use door::{Door, Knock};
pub(crate) use engine::{Opening, Session, open};
pub(crate) use frame::{BINARY, Frame, TEXT};
pub(crate) use http::{Answer, HttpRequest, send as http_send};
pub(crate) use link::{Inlet, Link, connect_tcp, connect_websocket};
pub(crate) use socket_io::{Decoder, Emitted, SocketPacket, encode, nsp_part};

use tokio::time::Instant;

/// How many arrivals wait for the player before a connection stops reading: more than any case leaves unread.
pub(crate) const ARRIVALS_MAX: usize = 4096;

/// Something that a connection has seen, and when.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) raw: Raw,
}

impl Arrival {
    pub(crate) fn now(raw: Raw) -> Self {
        Self { at: Instant::now(), raw }
    }
}

/// What arrives below Socket.IO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    /// An Engine.IO packet with its digit.
    Packet(String),
    /// A binary Engine.IO message, or a binary frame.
    Binary(Vec<u8>),
    /// A text frame.
    Text(String),
    /// A ping frame.
    Ping(Vec<u8>),
    /// A pong frame.
    Pong(Vec<u8>),
    /// A close frame.
    Close(Option<u16>, String),
    /// Bytes of a bare connection.
    Bytes(Vec<u8>),
    /// The handshake was not accepted.
    Refused(Answer),
    /// The server broke this protocol.
    Broken {
        /// `rfc6455`, `engine-io`, `socket-io`, `http`.
        protocol: &'static str,
        /// How.
        what: String,
    },
    /// The connection or session is over.
    End(String),
}
