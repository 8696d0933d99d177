//! The echo application (`fixtures/protocols/echo/SPEC.md`): a few events with which the protocols below the dialects are judged in depth.
//!
//! 1. `door.rs` says which namespaces there are and whom they let in.
//! 2. `events.rs` says what each event does, once for both engines, in terms of a [`Socket`](events::Socket).
//! 3. `lean.rs` is that on our own engine, with the rooms and questions of `hub.rs` and who may come back of `recovery.rs`; `oxide.rs` on the ecosystem's, with its own.
//!
//! What it is not: a dialect. It has no users, keeps nothing, and is for judges only.

mod door;
mod events;
mod hub;
mod lean;
mod oxide;
mod recovery;
mod values;

use std::{net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures_util::future::join_all;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::{
    config::Origins,
    http::Doors,
    listener::{ListenError, Listener, ListenerLimits, Serving},
    metrics::Metrics,
    transport::{EngineKind, EngineRules},
};

/// The only web page that may come, with credentials.
const PAGE: HeaderValue = HeaderValue::from_static("http://good.example");

/// A request that carries it is refused, as an application may refuse any.
const REFUSE: &str = "x-echo-refuse";

/// Engine.IO's code of a request that the application refuses.
const FORBIDDEN: u8 = 4;

/// Where it is served on the clocks that were asked for, twice more with something else, and on the documented clocks.
const PATHS: [Place; 4] = [
    PLAIN,
    Place { path: "/recovery", recovers: true, ..PLAIN },
    Place { path: "/polling-only", offers_websocket: false, ..PLAIN },
    Place { path: "/defaults", is_documented: true, ..PLAIN },
];

const PLAIN: Place = Place { path: "/socket.io", offers_websocket: true, recovers: false, is_documented: false };

struct Place {
    path: &'static str,
    offers_websocket: bool,
    /// Connections' states are recovered, on our own engine.
    recovers: bool,
    is_documented: bool,
}

/// What it is told.
#[derive(Debug, Clone)]
pub struct EchoConfig {
    /// Where clients connect. Port 0: any free one.
    pub listen: SocketAddr,
    /// What carries Socket.IO.
    pub engine_kind: EngineKind,
    /// Clocks and bounds of Socket.IO.
    pub engine: EngineRules,
}

impl EchoConfig {
    /// On the clocks and limits that the reference of the protocols documents.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, engine_kind: EngineKind::Lean, engine: documented() }
    }
}

fn documented() -> EngineRules {
    EngineRules {
        ping_interval: Duration::from_secs(25),
        ping_timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(45),
        upgrade_timeout: Duration::from_secs(10),
        packet_bytes_max: 1_000_000,
        recovery_window: Duration::from_secs(2),
        ..EngineRules::default()
    }
}

/// The application at work on one engine.
#[derive(Clone)]
enum Engine {
    Lean(lean::Echo),
    Socketioxide(oxide::Echo),
}

/// The application at work.
pub struct EchoServer {
    engines: Vec<Engine>,
    serving: Serving,
}

impl std::fmt::Debug for EchoServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EchoServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl EchoServer {
    /// Starts it: when this returns, it accepts. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn start(config: &EchoConfig) -> Result<Self, ListenError> {
        let listener = Listener::open("echo", config.listen, ListenerLimits::default())?;
        let metrics = Metrics::new();
        let doors = Doors { metrics: metrics.clone(), origins: Origins::Listed(vec![PAGE]), origin_required: false };
        let mut engines = Vec::new();
        let mut routes = Router::new().route("/health", get(async || StatusCode::OK));
        for Place { path, offers_websocket, recovers, is_documented } in PATHS {
            let rules = if is_documented { documented() } else { config.engine };
            let recovery_window = if recovers { rules.recovery_window } else { Duration::ZERO };
            let rules = EngineRules { offers_websocket, recovery_window, ..rules };
            let (engine, served) = match config.engine_kind {
                EngineKind::Lean => {
                    let echo = lean::Echo::new(rules, metrics.clone());
                    let served = doors.application(path, echo.service());
                    (Engine::Lean(echo), served)
                }
                EngineKind::Socketioxide => {
                    let echo = oxide::Echo::new(path, rules);
                    let served = doors.bare(path, echo.service());
                    (Engine::Socketioxide(echo), served)
                }
            };
            engines.push(engine);
            routes = routes.merge(served.layer(middleware::from_fn(refused)));
        }
        Ok(Self { engines, serving: listener.serve(routes, metrics) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.serving.address()
    }

    /// Stops within `limit`: accepts nobody, ends all sessions, closes.
    pub async fn drain(self, limit: Duration) {
        let began = tokio::time::Instant::now();
        let (closing, grace) = (limit / 2, limit / 8);
        self.serving.stop_accepting();
        join_all(self.engines.iter().map(async |engine| match engine {
            Engine::Lean(echo) => echo.close(closing).await,
            Engine::Socketioxide(echo) => echo.close(closing).await,
        }))
        .await;
        self.serving.stop((closing + grace).saturating_sub(began.elapsed()), grace).await;
    }
}

async fn refused(request: Request, next: Next) -> Response {
    if request.headers().contains_key(REFUSE) {
        return (StatusCode::FORBIDDEN, Json(json!({"code": FORBIDDEN, "message": "Forbidden"}))).into_response();
    }
    next.run(request).await
}
