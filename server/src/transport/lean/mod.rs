//! A Socket.IO engine of our own: strict to the letter, in order, bounded, and light.
//!
//! # What happens
//!
//! 1. `service.rs` reads a request ([`request`]) and gives it to `polling.rs` or `upgrade.rs`, within the bounds of `table.rs`.
//! 2. A WebSocket is taken out of HTTP's hands: from then on the engine owns the stream, and `ws/` reads and makes its frames.
//! 3. Each session is one task, `life.rs`. It reads (`ear.rs`, `line.rs`) what its client says, and what that means is decided by a state machine
//!    without IO (`talk.rs`). A CONNECT is verified and counted before it is answered; then [`crate::connection::drive`] takes the events.
//! 4. What a client is told is encoded once for all who read it (`packet.rs`) and queued (`outgoing.rs` and its bounded `outbox.rs`);
//!    `flusher.rs` writes what has gathered, each connection's with one call.
//! 5. `heart.rs` pings everybody from clocks that all share (`clock.rs`).
//! 6. Where a window for it is configured, whose transport breaks off may come back and miss nothing (`recovery.rs`, `log.rs`), to another
//!    instance too (`elsewhere.rs`).
//!
//! Raw WebSocket ([`websocket`]) is the same without polls and without Socket.IO's packets.
//!
//! An idle session costs no buffer, no channel and no timer. A client that sends faster than its commands are carried out is held back by
//! not reading; one that reads too slowly fills its queue, is told so (close code 1013, "slow consumer") and sent away, and the listener's
//! watcher cuts those that stopped reading.
//!
//! What it is not: a library for others, with rooms and acknowledgements asked of clients. For a chat core it knows one namespace and sends no
//! attachments, because no dialect here has any; an application that wants more (`app.rs`) sees to them itself.

mod answer;
mod app;
mod clock;
mod ear;
mod elsewhere;
mod flusher;
#[cfg(test)]
mod fuzz;
mod heart;
mod life;
mod line;
mod log;
mod outbox;
mod outgoing;
mod over;
mod packet;
mod polling;
mod recovery;
mod request;
mod service;
mod session;
mod shelf;
mod table;
mod talk;
mod upgrade;
pub mod websocket;
mod wire;
mod ws;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chatwright_protocol::engine_io::{self, Open};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

pub(crate) use app::{Application, Conversation, Outlet, Prepared};
pub(super) use log::{Numbered, Offset};
pub(super) use packet::Packet;
pub use service::LeanService;
pub(crate) use table::fresh_sid;

use super::{EndReason, EngineRules};
use crate::{auth::Gate, chat::Core, metrics::Metrics, store::away::AwayStore};
use flusher::Flushers;
use heart::Heart;
use outbox::Bounds;
use shelf::Shelf;
use table::Table;

/// How long sessions may take at most to end when the engine closes; a client that does not read is cut by then.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// What the parts of one engine share.
struct Shared {
    rules: EngineRules,
    above: Above,
    metrics: Metrics,
    table: Arc<Table>,
    heart: Arc<Heart>,
    flushers: Flushers,
    /// Those who may come back; `None`: nobody may.
    shelf: Option<Arc<Shelf>>,
    /// The sessions' tasks.
    tasks: TaskTracker,
    numbers: AtomicUsize,
    is_closing: AtomicBool,
    // Packets that are always the same.
    ping: Packet,
    noop: Packet,
    close: Packet,
    disconnect: Packet,
}

/// What the sessions are for.
enum Above {
    Core(Door),
    Application(Arc<dyn Application>),
}

/// A chat core, and who may come in.
struct Door {
    core: Arc<dyn Core>,
    gate: Gate,
}

impl Shared {
    fn new(rules: EngineRules, above: Above, metrics: Metrics, ping: Packet, away: Option<Arc<dyn AwayStore>>) -> Self {
        Self {
            table: Table::new(&rules),
            shelf: Shelf::new(&rules, away),
            heart: Arc::new(Heart::new(&rules)),
            rules,
            above,
            metrics,
            flushers: Flushers::new(),
            tasks: TaskTracker::new(),
            numbers: AtomicUsize::new(0),
            is_closing: AtomicBool::new(false),
            ping,
            noop: Packet::of("6"),
            close: Packet::of("1"),
            disconnect: Packet::of("41"),
        }
    }

    fn next_number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn bounds(&self) -> Bounds {
        Bounds { packets_max: self.rules.frames_waiting_max, bytes_max: self.rules.frames_waiting_bytes_max }
    }

    fn is_stopping(&self) -> bool {
        let stops = match &self.above {
            Above::Core(Door { core, .. }) => core.registry().stopping().is_cancelled(),
            Above::Application(_) => false,
        };
        stops || self.is_closing.load(Ordering::Acquire)
    }

    fn open_packet(&self, sid: &str, upgrades: &[&str]) -> Packet {
        let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let open = engine_io::Packet::Open(Open {
            sid: sid.to_owned(),
            upgrades: upgrades.iter().map(|&name| name.to_owned()).collect(),
            ping_interval_ms: milliseconds(self.rules.ping_interval),
            ping_timeout_ms: milliseconds(self.rules.ping_timeout),
            max_payload_bytes: self.rules.packet_bytes_max,
        });
        match open.to_frame() {
            engine_io::Frame::Text(text) => Packet::of(&text),
            engine_io::Frame::Binary(_) => unreachable!("an open packet is text"),
        }
    }
}

/// The engine at work. Cheap to clone.
#[derive(Clone)]
pub struct Lean {
    shared: Arc<Shared>,
    /// Ends the clocks and the writers with the last clone.
    _alive: Arc<[AbortOnDropHandle<()>]>,
}

impl fmt::Debug for Lean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lean")
    }
}

impl Lean {
    /// An engine that hands its connections to the core, and keeps those whose clients are away for other instances, if somewhere. Call it
    /// inside a tokio runtime.
    #[must_use]
    pub fn new(
        rules: EngineRules,
        core: Arc<dyn Core>,
        gate: Gate,
        metrics: Metrics,
        away: Option<Arc<dyn AwayStore>>,
    ) -> Self {
        Self::of(rules, Above::Core(Door { core, gate }), metrics, away)
    }

    /// An engine that hands its sessions to an application. Call it inside a tokio runtime.
    pub(crate) fn of_application(rules: EngineRules, application: Arc<dyn Application>, metrics: Metrics) -> Self {
        Self::of(rules, Above::Application(application), metrics, None)
    }

    fn of(rules: EngineRules, above: Above, metrics: Metrics, away: Option<Arc<dyn AwayStore>>) -> Self {
        Self::start(Shared::new(rules, above, metrics, Packet::of("2"), away))
    }

    fn start(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let mut alive = vec![AbortOnDropHandle::new(tokio::spawn(Arc::clone(&shared.heart).beat()))];
        alive.extend(shared.flushers.writers().map(|writer| AbortOnDropHandle::new(tokio::spawn(writer))));
        Self { shared, _alive: alive.into() }
    }

    /// The service that answers everything below the engine's path.
    #[must_use]
    pub fn service(&self) -> LeanService {
        LeanService::new(Arc::clone(&self.shared))
    }

    /// Closes all clients' sessions within `limit`, in good order as far as they read.
    pub async fn close(&self, limit: Duration) {
        self.shared.is_closing.store(true, Ordering::Release);
        for session in self.shared.table.all() {
            session.stop_softly(EndReason::ServerStopping);
        }
        self.shared.tasks.close();
        if tokio::time::timeout(CLOSE_MAX.min(limit), self.shared.tasks.wait()).await.is_err() {
            tracing::info!("some clients do not read: they are cut");
        }
    }
}
