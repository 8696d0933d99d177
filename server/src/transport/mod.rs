//! The seam between the chat core and what carries bytes: engines for Socket.IO, and raw WebSocket, are interchangeable behind it.
//!
//! An engine opens connections (a handshake that is accepted or refused), hands over each connection's packets in the order sent, takes
//! encoded frames, and closes with a reason. Groups are not its business: the core's rooms know their listeners, because only there a
//! listener that cannot take a frame is known by name and can be cut off.

mod engine;
pub mod frame;
pub mod lean;
pub mod oxide;

use std::fmt;

use chatwright_protocol::vocabulary::RoomId;

use crate::store::Position;

pub use engine::{Engine, EngineKind, EngineRules, EngineService, UnknownEngine};
pub use frame::Frame;
pub use lean::websocket;

/// Where the core puts what one connection shall read.
///
/// Promises of every engine: frames of one connection arrive in the order of the calls; a call never waits; what waits for a slow
/// reader is bounded in frames and in bytes.
pub trait Sink: Send + Sync {
    /// Queues a frame.
    ///
    /// # Errors
    /// [`CannotTake`]: this frame is lost for this connection, so the connection must end (it catches up when it returns).
    fn send(&self, frame: &Frame) -> Result<(), CannotTake>;

    /// Reads a little of what [`send`](Self::send) will need, so that it is near by then.
    fn touch(&self) {}

    /// The peer was told what is in a room up to this position, in frames that do not say so themselves.
    fn knows(&self, room: &RoomId, position: Position) {
        let _ = (room, position); // for those who keep it for another instance
    }

    /// Over what the peer is connected now, e.g. `websocket`, for people who look.
    fn carrier(&self) -> &'static str;
}

/// Why a frame could not be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CannotTake {
    /// The peer reads too slowly: its queue is full.
    Full,
    /// The connection is over.
    Closed,
}

/// Why a connection ended, for logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The client said good-bye.
    ClientLeft,
    /// The client asked the server to end it.
    EndAsked,
    /// The transport closed or broke.
    TransportClosed,
    /// The peer did not answer pings.
    HeartbeatTimeout,
    /// The client broke the protocol.
    ProtocolViolation,
    /// The proof of identity ended.
    TokenExpired,
    /// The peer reads too slowly: more waits for it than may. It may come back at once and catch up.
    SlowConsumer,
    /// The client sends faster than it may.
    TooManyRequests,
    /// The server stops.
    ServerStopping,
}

impl EndReason {
    /// The reason in words, as in the log line of a disconnect.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientLeft => "client left",
            Self::EndAsked => "end asked for",
            Self::TransportClosed => "transport closed",
            Self::HeartbeatTimeout => "heartbeat timeout",
            Self::ProtocolViolation => "protocol violation",
            Self::TokenExpired => "token expired",
            Self::SlowConsumer => "slow consumer",
            Self::TooManyRequests => "too many requests",
            Self::ServerStopping => "server stopping",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
