//! Engine.IO v4 without IO: packets, polling payloads, the open packet. Both sides read and write the same words.
//!
//! A packet travels in one of two shapes (`docs/engine.io-protocol/v4-current.md`, "Packet encoding"):
//!
//! - as a WebSocket frame: text `<type>[data]`, binary data as it is ([`Packet::decode_text`], [`Packet::to_frame`]);
//! - inside a polling payload: packets joined by `\x1e`, binary as `b` and base64 ([`payload::decode`], [`payload::Writer`]).

mod from_client;
mod open;
pub mod payload;

use std::borrow::Cow;

use bytes::Bytes;

pub use from_client::FromClient;
pub use open::Open;

/// The protocol's version as the query parameter `EIO` says it.
pub const EIO: &str = "4";

/// One Engine.IO packet; text borrows from what it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the server opens the session.
    Open(Open),
    /// `1`: either side ends the session.
    Close,
    /// `2`: the server asks for a sign of life; `probe` while a client upgrades.
    Ping(Cow<'a, str>),
    /// `3`: the answer to a ping, with the ping's own data.
    Pong(Cow<'a, str>),
    /// `4`: text for the layer above.
    Text(Cow<'a, str>),
    /// Bytes for the layer above; without a type digit on the wire.
    Binary(Bytes),
    /// `5`: the client has moved to the new transport.
    Upgrade,
    /// `6`: nothing; ends a waiting poll.
    Noop,
}

/// A packet as one WebSocket frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text frame.
    Text(String),
    /// A binary frame.
    Binary(Bytes),
}

/// What is wrong with a packet or payload. The sender broke the protocol: close the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No type digit.
    #[error("empty packet")]
    Empty,
    /// The first character is no type digit.
    #[error("unknown packet type {0:?}")]
    UnknownType(char),
    /// A close, upgrade or noop packet with data, or binary base64 in a text frame.
    #[error("unexpected data in a packet of type {0:?}")]
    UnexpectedData(char),
    /// The open packet's JSON is not as the protocol says.
    #[error("malformed open packet")]
    MalformedOpen,
    /// A binary packet of a payload that is not base64.
    #[error("malformed base64 in a binary packet")]
    MalformedBase64,
    /// More bytes than the limit allows.
    #[error("payload of {got} bytes where {max} are allowed")]
    PayloadTooLarge {
        /// As read.
        got: usize,
        /// As allowed.
        max: usize,
    },
    /// More packets in one payload than the limit allows.
    #[error("more than {max} packets in one payload")]
    TooManyPackets {
        /// As allowed.
        max: usize,
    },
}

impl<'a> Packet<'a> {
    /// Text for the layer above.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// Reads one text frame.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is empty, has an unknown type, or data where its type allows none.
    pub fn decode_text(text: &'a str) -> Result<Self, DecodeError> {
        let mut chars = text.chars();
        let digit = chars.next().ok_or(DecodeError::Empty)?;
        let data = chars.as_str();
        let bare = |packet| if data.is_empty() { Ok(packet) } else { Err(DecodeError::UnexpectedData(digit)) };
        match digit {
            '0' => Open::from_json(data).map(Packet::Open),
            '1' => bare(Packet::Close),
            '2' => Ok(Packet::Ping(Cow::Borrowed(data))),
            '3' => Ok(Packet::Pong(Cow::Borrowed(data))),
            '4' => Ok(Packet::Text(Cow::Borrowed(data))),
            '5' => bare(Packet::Upgrade),
            '6' => bare(Packet::Noop),
            other => Err(DecodeError::UnknownType(other)),
        }
    }

    /// The packet as a WebSocket frame.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        match self {
            Self::Binary(bytes) => Frame::Binary(bytes.clone()),
            Self::Open(_)
            | Self::Close
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::Text(_)
            | Self::Upgrade
            | Self::Noop => {
                let mut out = String::new();
                self.write_text(&mut out);
                Frame::Text(out)
            }
        }
    }

    /// The packet, independent of what it was read from.
    #[must_use]
    pub fn into_owned(self) -> Packet<'static> {
        match self {
            Self::Open(open) => Packet::Open(open),
            Self::Close => Packet::Close,
            Self::Ping(data) => Packet::Ping(Cow::Owned(data.into_owned())),
            Self::Pong(data) => Packet::Pong(Cow::Owned(data.into_owned())),
            Self::Text(text) => Packet::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Packet::Binary(bytes),
            Self::Upgrade => Packet::Upgrade,
            Self::Noop => Packet::Noop,
        }
    }

    /// Appends the packet's text form; a binary packet has none here (a payload writes it as base64).
    fn write_text(&self, out: &mut String) {
        let (digit, data): (char, Cow<'_, str>) = match self {
            Self::Open(open) => ('0', Cow::Owned(open.to_json())),
            Self::Close => ('1', Cow::Borrowed("")),
            Self::Ping(data) => ('2', Cow::Borrowed(data)),
            Self::Pong(data) => ('3', Cow::Borrowed(data)),
            Self::Text(text) => ('4', Cow::Borrowed(text)),
            Self::Binary(_) => return,
            Self::Upgrade => ('5', Cow::Borrowed("")),
            Self::Noop => ('6', Cow::Borrowed("")),
        };
        out.reserve(1 + data.len());
        out.push(digit);
        out.push_str(&data);
    }
}
