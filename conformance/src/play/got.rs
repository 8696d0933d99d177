//! What an actor has got: an arrival, read as far as the actor's protocol goes, with its words for the transcript.

use std::fmt;

use tokio::time::Instant;

use crate::{
    case::{clipped, recorded},
    datum::{Datum, hex},
    wire::{Raw, SocketPacket},
};

/// One thing that arrived.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) at: Instant,
    pub(super) what: What,
    /// The Engine.IO packet that it was, where it was one.
    pub(super) packet: Option<String>,
}

/// What it is.
#[derive(Debug, Clone)]
pub(super) enum What {
    Socket(SocketPacket),
    Raw(Raw),
}

impl Got {
    /// Whether the connection or session is over with it.
    pub(super) fn is_ending(&self) -> bool {
        match &self.what {
            What::Raw(Raw::End(_) | Raw::Close(..)) => true,
            What::Raw(Raw::Packet(packet)) => packet.starts_with('1'),
            What::Raw(
                Raw::Binary(_)
                | Raw::Text(_)
                | Raw::Ping(_)
                | Raw::Pong(_)
                | Raw::Bytes(_)
                | Raw::Refused(_)
                | Raw::Broken { .. },
            )
            | What::Socket(_) => false,
        }
    }

    /// Whether nothing comes behind it: the end, or the DISCONNECT of the main namespace.
    pub(super) fn is_last(&self) -> bool {
        self.is_ending() || matches!(&self.what, What::Socket(SocketPacket::Disconnect { nsp }) if nsp == "/")
    }

    /// Whether it is the server's DISCONNECT.
    pub(super) fn is_disconnect(&self) -> bool {
        matches!(self.what, What::Socket(SocketPacket::Disconnect { .. }))
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Socket(packet) => socket(f, packet),
            What::Raw(raw) => low(f, raw),
        }
    }
}

fn socket(f: &mut fmt::Formatter<'_>, packet: &SocketPacket) -> fmt::Result {
    match packet {
        SocketPacket::Connect { nsp, payload } => write!(f, "CONNECT {payload}{}", elsewhere(nsp)),
        SocketPacket::ConnectError { nsp, payload } => write!(f, "CONNECT_ERROR {payload}{}", elsewhere(nsp)),
        SocketPacket::Disconnect { nsp } => write!(f, "DISCONNECT{}", elsewhere(nsp)),
        SocketPacket::Event { nsp, name, args, ack } => {
            f.write_str(&event_words(name, args))?;
            if let Some(id) = ack {
                write!(f, " ack={id}")?;
            }
            f.write_str(&elsewhere(nsp))
        }
        SocketPacket::Ack { nsp, id, args } => {
            write!(f, "ack={id}")?;
            args.iter().try_for_each(|arg| write!(f, " {arg}"))?;
            f.write_str(&elsewhere(nsp))
        }
    }
}

fn elsewhere(nsp: &str) -> String {
    if nsp == "/" { String::new() } else { format!(" nsp={nsp}") }
}

/// An event as a case writes it.
pub(super) fn event_words(name: &str, args: &[Datum]) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:.-".contains(c));
    let mut words = if plain { name.to_owned() } else { Datum::Text(name.to_owned()).to_string() };
    for arg in args {
        words += &format!(" {arg}");
    }
    words
}

fn low(f: &mut fmt::Formatter<'_>, raw: &Raw) -> fmt::Result {
    match raw {
        Raw::Packet(text) => write!(f, "packet {}", recorded(text)),
        Raw::Binary(bytes) => write!(f, "binary {}", clipped(hex(bytes))),
        Raw::Text(text) => write!(f, "text {}", recorded(text)),
        Raw::Ping(payload) => write!(f, "ping {}", String::from_utf8_lossy(payload)),
        Raw::Pong(payload) => write!(f, "pong {}", String::from_utf8_lossy(payload)),
        Raw::Close(code, reason) => {
            f.write_str("close")?;
            code.map_or(Ok(()), |code| write!(f, " {code}"))?;
            if reason.is_empty() { Ok(()) } else { write!(f, " {reason}") }
        }
        Raw::Bytes(bytes) => write!(f, "bytes {}", clipped(format!("{:?}", String::from_utf8_lossy(bytes)))),
        Raw::Refused(answer) => write!(f, "a handshake answered {}: {}", answer.status, clipped(answer.text())),
        Raw::Broken { protocol, what } => write!(f, "something that {protocol} forbids: {what}"),
        Raw::End(why) => write!(f, "the end: {why}"),
    }
}
