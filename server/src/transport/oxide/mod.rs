//! The Socket.IO engine of the ecosystem, `socketioxide`, behind the seam.
//!
//! What it does not do by itself is done here: order per client (`inbound.rs`), a public id that is not the session id, a bound in bytes
//! and a way to end one client (`session.rs`), authentication before the CONNECT answer (`handshake.rs`). The crate's `tracing` feature
//! stays off: at debug level it would print tokens.

mod handshake;
mod inbound;
mod outbound;
mod service;
mod session;

use std::{fmt, sync::Arc, time::Duration};

use socketioxide::{ParserConfig, SocketIo, SocketIoBuilder, TransportType, handler::ConnectHandler as _};

pub(crate) use service::Elsewhere;
pub use service::OxideService;

use super::EngineRules;
use crate::{auth::Gate, chat::Core, metrics::Metrics};
use handshake::Door;
use session::Sessions;

/// The only namespace.
const NAMESPACE: &str = "/";

/// Sockets are closed one after the other by the engine; a peer that does not read must not hold up the others for longer than this.
const ENGINE_CLOSE_MAX: Duration = Duration::from_secs(2);

/// The library's engine at `path` (without a final slash), bounded by our rules.
pub(crate) fn builder(path: &'static str, rules: &EngineRules) -> SocketIoBuilder {
    let parser = ParserConfig::common()
        .max_incoming_binaries(rules.attachments_max)
        .max_incoming_binary_buf_size(rules.packet_bytes_max)
        .packet_completion_timeout(rules.connect_timeout);
    // Engine limits by builder methods only: those inside `with_config` are overwritten at build.
    let builder = SocketIo::builder()
        .req_path(path)
        .ping_interval(rules.ping_interval)
        .ping_timeout(rules.ping_timeout)
        .connect_timeout(rules.connect_timeout)
        .upgrade_timeout(rules.upgrade_timeout)
        .max_payload(rules.packet_bytes_max as u64)
        .ws_max_message_size(rules.packet_bytes_max)
        .ws_max_frame_size(rules.packet_bytes_max)
        .max_buffer_size(rules.frames_waiting_max)
        .with_parser(parser);
    if rules.offers_websocket { builder } else { builder.transports([TransportType::Polling]) }
}

/// The engine at work.
#[derive(Clone)]
pub struct Oxide {
    io: SocketIo,
    service: OxideService,
}

impl fmt::Debug for Oxide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Oxide")
    }
}

impl Oxide {
    /// An engine that serves `path` (without a final slash) and hands its connections to the core.
    #[must_use]
    pub fn new(path: &'static str, rules: EngineRules, core: Arc<dyn Core>, gate: Gate, metrics: Metrics) -> Self {
        let (service, io) = builder(path, &rules).build_with_inner_svc(Elsewhere);
        let sessions = Sessions::new(path, rules, service.clone());
        let at_door = Arc::new(Door { core, gate, metrics, rules, sessions: Arc::clone(&sessions) });
        let handler = handshake::entered.with(move |socket, auth| at_door.let_in(socket, auth));
        // The local adapter's namespace is ready at once: the future it returns has nothing to wait for.
        let () = io.ns(NAMESPACE, handler);
        Self { io, service: OxideService::new(service, sessions) }
    }

    /// The service that answers everything below the engine's path.
    #[must_use]
    pub fn service(&self) -> OxideService {
        self.service.clone()
    }

    /// Closes all clients' connections within `limit`, in good order as far as they read.
    pub async fn close(&self, limit: Duration) {
        if tokio::time::timeout(ENGINE_CLOSE_MAX.min(limit), self.io.close()).await.is_err() {
            tracing::info!("some clients do not read: they are cut");
        }
    }
}
