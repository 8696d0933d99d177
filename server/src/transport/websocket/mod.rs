//! Raw WebSocket: JSON text frames over RFC 6455, for dialects whose first frame proves who the client is.
//!
//! A connection's life: the handshake (`handshake.rs`), the first frame within its time (`door.rs`), then frames both ways with pings
//! (`pump.rs`), and at the end a close frame whose code says why. One task owns the stream; what waits for a slow reader is bounded
//! (`queue.rs`), and a sender who is quicker than the core is held back by not reading on.

mod door;
mod handshake;
mod pump;
mod queue;

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::any};
use chatwright_protocol::dialects::AppPacket;

use super::EngineRules;
use crate::{auth::Gate, chat::Core, metrics::Metrics};

/// Clocks and bounds of the carrier: plain data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketRules {
    /// How long the first frame may take.
    pub auth_timeout: Duration,
    /// Time between two pings; who has not answered one when the next is due is ended.
    pub ping_interval: Duration,
    /// Bytes of one message: a text of 4,096 characters, escaped in JSON, and some hundred ids fit.
    pub message_bytes_max: usize,
    /// Frames that wait for one client to read; more is a slow consumer.
    pub frames_waiting_max: usize,
    /// The same in bytes.
    pub frames_waiting_bytes_max: u64,
}

impl From<EngineRules> for WebSocketRules {
    /// The settings of both carriers have the same names.
    fn from(rules: EngineRules) -> Self {
        Self {
            auth_timeout: rules.connect_timeout,
            ping_interval: rules.ping_interval,
            message_bytes_max: rules.packet_bytes_max,
            frames_waiting_max: rules.frames_waiting_max,
            frames_waiting_bytes_max: rules.frames_waiting_bytes_max,
        }
    }
}

/// How a dialect lets clients in.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// The token of a first frame; `None` for any other frame.
    pub token: fn(&AppPacket) -> Option<&str>,
    /// The close codes for who is not let in.
    pub codes: OpeningCodes,
}

/// Close codes for who is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpeningCodes {
    /// No good token; also when its time is over later.
    pub unauthorized: u16,
    /// Nothing within the time.
    pub timeout: u16,
    /// Too many connections of the user.
    pub too_many: u16,
}

/// The carrier at work. Cheap to clone.
#[derive(Clone)]
pub struct WebSocket {
    at_door: Arc<door::Door>,
}

impl WebSocket {
    /// A carrier that hands its connections to the core.
    #[must_use]
    pub fn new(rules: WebSocketRules, opening: Opening, core: Arc<dyn Core>, gate: Gate, metrics: Metrics) -> Self {
        Self { at_door: Arc::new(door::Door { rules, opening, core, gate, metrics }) }
    }

    /// The route of its end point.
    pub fn routes(&self, path: &str) -> Router {
        let at_door = Arc::clone(&self.at_door);
        Router::new().route(path, any(move |request| std::future::ready(handshake::answer(&at_door, request))))
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").field("rules", &self.at_door.rules).finish_non_exhaustive()
    }
}
