//! Raw WebSocket: JSON text frames over RFC 6455, for dialects whose first frame proves who the client is.
//!
//! It is the engine beneath without Socket.IO: the same reader, writer, clocks and bounds. A connection's life: the handshake
//! (`handshake.rs`), the first frame within its time, then frames both ways with WebSocket's own pings, and at the end a close frame whose
//! code says why (`life.rs`). A sender who is quicker than the core is held back by not reading on.

mod handshake;
mod life;

use std::sync::Arc;

use axum::{Router, routing::any};
use chatwright_protocol::dialects::AppPacket;

use super::{
    Above, Door, Lean, Shared,
    packet::Packet,
    ws::{self, Opcode},
};
use crate::{
    auth::Gate,
    chat::Core,
    metrics::Metrics,
    transport::{Engine, EngineRules},
};

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
    lean: Lean,
    endpoint: Arc<Endpoint>,
}

/// The end point, and whom it lets in where.
struct Endpoint {
    shared: Arc<Shared>,
    opening: Opening,
    core: Arc<dyn Core>,
    gate: Gate,
}

impl WebSocket {
    /// A carrier that hands its connections to the core. The first frame must come within the time to enter a namespace; who has not
    /// answered a ping when the next would be due is ended. Call it inside a tokio runtime.
    #[must_use]
    pub fn new(rules: EngineRules, opening: Opening, core: Arc<dyn Core>, gate: Gate, metrics: Metrics) -> Self {
        let rules = EngineRules { ping_timeout: rules.ping_interval, ..rules };
        let above = Above::Core(Door { core: Arc::clone(&core), gate: gate.clone() });
        let ping = Packet::control(ws::frame(Opcode::Ping, &[]));
        let lean = Lean::start(Shared::new(rules, above, metrics, ping, None));
        let endpoint = Arc::new(Endpoint { shared: Arc::clone(&lean.shared), opening, core, gate });
        Self { lean, endpoint }
    }

    /// The route of its end point.
    pub fn routes(&self, path: &str) -> Router {
        let endpoint = Arc::clone(&self.endpoint);
        Router::new().route(path, any(move |request| std::future::ready(handshake::answer(&endpoint, request))))
    }

    /// The engine beneath, for whoever closes it. The carrier works as long as it lives.
    #[must_use]
    pub fn engine(&self) -> Engine {
        Engine::Lean(self.lean.clone())
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").field("rules", &self.endpoint.shared.rules).finish_non_exhaustive()
    }
}
