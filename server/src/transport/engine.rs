//! The Socket.IO engines as one: chosen by configuration, interchangeable, with the same clocks and bounds.

use std::{
    convert::Infallible,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use futures_util::future::BoxFuture;
use http::Request;
use tower::Service;

use super::{
    lean::{Lean, LeanService},
    oxide::{Oxide, OxideService},
};
use crate::{auth::Gate, chat::Core, metrics::Metrics, store::away::AwayStore};

/// Which engine carries Socket.IO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EngineKind {
    /// Our own.
    #[default]
    Lean,
    /// The ecosystem's.
    Socketioxide,
}

impl EngineKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Lean, Self::Socketioxide];

    /// Its name in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Socketioxide => "socketioxide",
            Self::Lean => "lean",
        }
    }
}

/// There is no engine of this name. The words name those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} is expected", EngineKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or "))]
pub struct UnknownEngine;

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name).ok_or(UnknownEngine)
    }
}

/// Clocks and bounds of the engine: plain data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineRules {
    /// Time between two pings.
    pub ping_interval: Duration,
    /// How long the answer to a ping may take.
    pub ping_timeout: Duration,
    /// How long a client may stay outside of every namespace.
    pub connect_timeout: Duration,
    /// How long the move from polling to WebSocket may take.
    pub upgrade_timeout: Duration,
    /// Bytes of one packet, over whatever transport: a text of 4,096 characters, escaped in JSON, and some ids fit many times over.
    pub packet_bytes_max: usize,
    /// Whether a client may come over WebSocket, or move to it.
    pub offers_websocket: bool,
    /// Binary attachments of one packet; no dialect here has any, and a stranger's are bounded.
    pub attachments_max: usize,
    /// Events of one client that wait for their turn; more is a flood. Not for the lean engine, where none wait: it does not read on.
    pub events_waiting_max: usize,
    /// The same in bytes.
    pub events_waiting_bytes_max: usize,
    /// Frames that wait for one client to read; more is a slow consumer.
    pub frames_waiting_max: usize,
    /// The same in bytes: a history of fifty long messages is one frame.
    pub frames_waiting_bytes_max: u64,
    /// Sessions at once, also those outside of every namespace; more are answered 503. Only the lean engine counts them.
    pub sessions_max: usize,
    /// The same from one address, as the system names it: a proxy in front is one address. Only the lean engine.
    pub sessions_per_address_max: usize,
    /// Handshakes in one second, from everywhere; more are answered 503. Only the lean engine.
    pub handshakes_per_second_max: usize,
    /// How long a client whose transport broke off may come back as if nothing had been; zero: not at all. Only the lean engine.
    pub recovery_window: Duration,
    /// Connections that wait for their clients to come back; more end at once.
    pub recovery_connections_max: usize,
    /// Bytes of events that are kept of each connection for that, those that are not away among them; a client that has read less begins anew.
    pub recovery_bytes_max: usize,
}

impl Default for EngineRules {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            upgrade_timeout: Duration::from_secs(10),
            packet_bytes_max: 100_000,
            offers_websocket: true,
            attachments_max: 10,
            events_waiting_max: 8192,
            events_waiting_bytes_max: 4 << 20,
            frames_waiting_max: 8192,
            frames_waiting_bytes_max: 8 << 20,
            sessions_max: 60_000, // as many as TCP connections
            sessions_per_address_max: 60_000,
            handshakes_per_second_max: 10_000, // ten times what one core can verify tokens for
            recovery_window: Duration::ZERO,   // an event with an offset has one argument more than the documents say
            recovery_connections_max: 4096,
            recovery_bytes_max: 64 * 1024, // dozens of messages; in a room they are shared by its members
        }
    }
}

/// An engine at work. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Engine {
    /// See [`EngineKind::Socketioxide`].
    Socketioxide(Oxide),
    /// See [`EngineKind::Lean`].
    Lean(Lean),
}

impl Engine {
    /// An engine that serves `path` (without a final slash) and hands its connections to the core. Our own keeps those whose clients are away
    /// for other instances, if `away` is somewhere.
    #[must_use]
    pub fn new(
        kind: EngineKind,
        path: &'static str,
        rules: EngineRules,
        core: Arc<dyn Core>,
        gate: Gate,
        metrics: Metrics,
        away: Option<Arc<dyn AwayStore>>,
    ) -> Self {
        match kind {
            EngineKind::Socketioxide => Self::Socketioxide(Oxide::new(path, rules, core, gate, metrics)),
            EngineKind::Lean => Self::Lean(Lean::new(rules, core, gate, metrics, away)),
        }
    }

    /// The service that answers everything below the engine's path.
    #[must_use]
    pub fn service(&self) -> EngineService {
        match self {
            Self::Socketioxide(oxide) => EngineService::Socketioxide(oxide.service()),
            Self::Lean(lean) => EngineService::Lean(lean.service()),
        }
    }

    /// Closes all clients' connections within `limit`, in good order as far as they read.
    pub async fn close(&self, limit: Duration) {
        match self {
            Self::Socketioxide(oxide) => oxide.close(limit).await,
            Self::Lean(lean) => lean.close(limit).await,
        }
    }
}

/// An engine's service. Cheap to clone.
#[derive(Clone)]
pub enum EngineService {
    /// See [`EngineKind::Socketioxide`].
    Socketioxide(OxideService),
    /// See [`EngineKind::Lean`].
    Lean(LeanService),
}

impl Service<Request<Body>> for EngineService {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self {
            Self::Socketioxide(service) => service.call(request),
            Self::Lean(service) => service.call(request),
        }
    }
}
