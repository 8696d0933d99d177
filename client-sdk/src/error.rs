//! Errors by the reaction they ask for, and the reasons of a disconnection in the official client's words.

use std::{fmt, io, time::Duration};

use serde_json::Value;

/// Why a connection did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be used: correct the configuration.
    #[error("unusable address {url:?}: {problem}")]
    Address {
        /// As configured.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nobody answers there: try again, or start the server.
    #[error("no connection to {address}: {source}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took longer than allowed: try again.
    #[error("no connection after {0:?}")]
    Timeout(Duration),
    /// The server answers in HTTP, but not with a session: wrong path, wrong version, overload.
    #[error("handshake refused with status {status}: {body}")]
    Handshake {
        /// HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// The server does not speak the protocol.
    #[error("not an Engine.IO server: {0}")]
    Protocol(String),
    /// The server refused the namespace: other credentials, or none that it would accept.
    #[error("refused: {message}")]
    Refused {
        /// Its words.
        message: String,
        /// Its data for programs.
        data: Option<Value>,
    },
    /// The connection was lost before the namespace was open: try again.
    #[error("connection lost while connecting: {0}")]
    Lost(DisconnectReason),
    /// The client was closed.
    #[error("client closed")]
    Closed,
}

/// Why a packet was not emitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The packet cannot be said: correct the call.
    #[error(transparent)]
    Malformed(#[from] chatwright_protocol::socket_io::EncodeError),
    /// Not a packet of this connection's carrier: correct the dialect.
    #[error("a packet of another carrier")]
    OtherCarrier,
    /// Larger than `message_bytes_max`.
    #[error("packet of {got} bytes where {max} are allowed")]
    TooLarge {
        /// As encoded.
        got: usize,
        /// As configured.
        max: usize,
    },
    /// Offline, and `send_queue_max` packets wait already.
    #[error("send queue full while offline")]
    QueueFull,
    /// The client was closed.
    #[error("client closed")]
    Closed,
}

/// Why an acknowledgement did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The packet was not emitted.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// None in time. The event may have been carried out.
    #[error("no acknowledgement after {0:?}")]
    Timeout(Duration),
    /// The connection was lost before. The event may have been carried out.
    #[error("connection lost before the acknowledgement")]
    Disconnected,
    /// There was no connection, and the packet was not to wait for one.
    #[error("not sent: no connection")]
    NotSent,
}

/// Why a namespace was disconnected; shown in the official client's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisconnectReason {
    /// The server sent DISCONNECT: no reconnection.
    ServerDisconnect,
    /// This side asked for it: no reconnection.
    ClientDisconnect,
    /// No ping in `pingInterval + pingTimeout`.
    PingTimeout,
    /// The connection ended, in whatever manner.
    TransportClose,
    /// The transport failed: a refused request, a broken frame.
    TransportError,
    /// The server sent what is no packet.
    ParseError,
}

impl DisconnectReason {
    /// Whether the client reconnects by itself, if it is configured to.
    #[must_use]
    pub fn is_recoverable(self) -> bool {
        match self {
            Self::ServerDisconnect | Self::ClientDisconnect => false,
            Self::PingTimeout | Self::TransportClose | Self::TransportError | Self::ParseError => true,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerDisconnect => "io server disconnect",
            Self::ClientDisconnect => "io client disconnect",
            Self::PingTimeout => "ping timeout",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
        })
    }
}
