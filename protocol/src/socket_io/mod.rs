//! Socket.IO v5 without IO: packets of all types, with namespaces, acknowledgement ids and binary attachments.
//!
//! 1. [`Packet::encode`] turns a packet into one text and the attachments that follow it.
//! 2. [`Decoder::text`] and [`Decoder::binary`] put them together again, within [`Limits`].
//!
//! Whether a packet is of the binary types (5, 6) follows from its arguments; nobody has to choose.
//! The contract is `docs/socket.io-protocol/v5-current.md`; where it is silent, the official parser (4.2) decides.

mod argument;
mod decoder;
mod encoder;
mod error;
mod header;
mod json;

use serde_json::{Map, Value};

pub use argument::Arg;
pub use decoder::Decoder;
pub use encoder::Encoded;
pub use error::{DecodeError, EncodeError};

/// The namespace that needs no name on the wire.
pub const MAIN_NAMESPACE: &str = "/";

/// Names that belong to the libraries: no event may have them.
pub const RESERVED_EVENTS: &[&str] =
    &["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// One Socket.IO packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// Where it belongs: `/`, or a name that starts with `/`.
    pub namespace: String,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// From a client: let me in, with its credentials. From a server: you are in, with the connection's `sid`.
    Connect(Option<Map<String, Value>>),
    /// Either side ends the namespace; no answer is expected.
    Disconnect,
    /// Something happened, or is asked for.
    Event {
        /// The event's name; a number on the wire becomes its digits.
        name: String,
        /// What follows the name.
        args: Vec<Arg>,
        /// With an id, an [`Body::Ack`] with the same id is expected.
        id: Option<u64>,
    },
    /// The answer to an event with an id.
    Ack {
        /// The event's id.
        id: u64,
        /// The answer, possibly empty.
        args: Vec<Arg>,
    },
    /// A server refuses a [`Body::Connect`].
    ConnectError {
        /// Why, in words.
        message: String,
        /// Why, for programs.
        data: Option<Value>,
    },
}

impl Packet {
    /// An event of the main namespace, without attachments and without a wish for an acknowledgement.
    #[must_use]
    pub fn event(name: &str, args: Vec<Value>) -> Self {
        let args = args.into_iter().map(Arg::from).collect();
        Self { namespace: MAIN_NAMESPACE.to_owned(), body: Body::Event { name: name.to_owned(), args, id: None } }
    }
}

/// What one packet may cost its reader. Memory taken for a packet is at most a constant times these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the packet's text.
    pub text_bytes_max: usize,
    /// Attachments of one packet.
    pub attachments_max: usize,
    /// Bytes of all attachments of one packet together.
    pub attachment_bytes_max: usize,
    /// Nesting of the JSON payload; also bounds the reader's stack.
    pub json_depth_max: usize,
    /// Values in the JSON payload: `[0,0,...]` costs its reader some forty times its length.
    pub json_values_max: usize,
    /// Bytes of a namespace's name.
    pub namespace_bytes_max: usize,
}

impl Default for Limits {
    /// 10 attachments, as the official parser; 1 MB of text and 1 MB of attachments, as the official server's `maxHttpBufferSize`;
    /// the rest is room enough for a history of a thousand messages.
    fn default() -> Self {
        Self {
            text_bytes_max: 1_000_000,
            attachments_max: 10,
            attachment_bytes_max: 1_000_000,
            json_depth_max: 64,
            json_values_max: 100_000,
            namespace_bytes_max: 256,
        }
    }
}
