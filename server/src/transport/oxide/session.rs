//! Engine.IO sessions as streams: how much of what was queued has been taken, and how to end one of them from outside, both of which
//! the engine does not offer.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::Method;
use socketioxide::{TransportType, extract::SocketRef, service::SocketIoService};
use tower::Service as _;

use super::{
    EngineRules,
    service::{Elsewhere, own_request},
};
use crate::{
    listener::{ConnectionHandle, CutReason},
    transport::EndReason,
};

/// How long a client that was told to go may take to close by itself. The official client does so at once.
const GOODBYE: Duration = Duration::from_secs(1);

/// Refused attempts to enter on one engine connection; after that it is ended. The official client tries once and gives up.
const REFUSALS_MAX: u32 = 5;

/// The engine's own service.
pub(super) type Engine = SocketIoService<Elsewhere>;

/// The sessions that have shown their id, by it.
pub(super) struct Sessions {
    path: &'static str,
    idle_max: Duration,
    engine: Engine,
    by_sid: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<String, Arc<Session>>,
    /// At this size, those that are over are looked for; so the table is bounded by twice the living ones.
    clear_at: usize,
}

/// The table is not searched for dead entries below this size.
const CLEAR_AT_MIN: usize = 256;

/// One engine session.
#[derive(Debug)]
pub(super) struct Session {
    /// Its WebSocket: from the start, under probe, or after an upgrade.
    stream: Mutex<Option<ConnectionHandle>>,
    /// Bytes of answers to polls.
    polled_bytes: AtomicU64,
    /// Attempts to enter that were refused.
    refusals: AtomicU32,
    /// Times that it entered.
    entries: AtomicU32,
    /// A POST of it is being received.
    pub(super) posting: AtomicBool,
    seen: Mutex<Instant>,
}

impl Session {
    fn new() -> Self {
        Self {
            stream: Mutex::default(),
            polled_bytes: AtomicU64::new(0),
            refusals: AtomicU32::new(0),
            entries: AtomicU32::new(0),
            posting: AtomicBool::new(false),
            seen: Mutex::new(Instant::now()),
        }
    }

    /// Bytes that went out on this session, over whatever transport.
    pub(super) fn drained_bytes(&self) -> u64 {
        self.polled_bytes.load(Ordering::Relaxed) + self.stream().map_or(0, |stream| stream.bytes_out())
    }

    pub(super) fn polled(&self, bytes: u64) {
        self.polled_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes this stream for the session's WebSocket. `false` while another one is: the engine would let a second WebSocket that comes
    /// in the middle of an upgrade end the session.
    pub(super) fn carried_by(&self, stream: ConnectionHandle) -> bool {
        let mut current = self.stream.lock().expect("no code panics while it holds the stream");
        if current.as_ref().is_some_and(|current| current.is_open() && current.id() != stream.id()) {
            return false;
        }
        *current = Some(stream);
        true
    }

    /// The session goes on without this stream: it did not become its WebSocket.
    pub(super) fn not_carried_by(&self, stream: &ConnectionHandle) {
        self.stream
            .lock()
            .expect("no code panics while it holds the stream")
            .take_if(|current| current.id() == stream.id());
    }

    fn stream(&self) -> Option<ConnectionHandle> {
        self.stream.lock().expect("no code panics while it holds the stream").clone()
    }

    pub(super) fn entered(&self) -> u32 {
        self.entries.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn entries(&self) -> u32 {
        self.entries.load(Ordering::Relaxed)
    }

    /// `true` when it was refused too often.
    pub(super) fn refused(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::Relaxed) + 1 >= REFUSALS_MAX
    }

    fn is_over(&self, idle_max: Duration) -> bool {
        match self.stream() {
            Some(stream) => !stream.is_open(),
            None => self.seen.lock().expect("no code panics while it holds the time").elapsed() > idle_max,
        }
    }
}

impl Sessions {
    pub(super) fn new(path: &'static str, rules: EngineRules, engine: Engine) -> Arc<Self> {
        let idle_max = rules.ping_interval + rules.ping_timeout + rules.connect_timeout;
        Arc::new(Self { path, idle_max, engine, by_sid: Mutex::default() })
    }

    /// The session of this id; a new entry if it has not shown itself before. Only ids that the engine vouched for may be asked for.
    pub(super) fn of(&self, sid: &str) -> Arc<Session> {
        let mut table = self.table();
        if table.sessions.len() >= table.clear_at.max(CLEAR_AT_MIN) {
            table.sessions.retain(|_, session| !session.is_over(self.idle_max));
            table.clear_at = table.sessions.len() * 2;
        }
        let session = table.sessions.entry(sid.to_owned()).or_insert_with(|| Arc::new(Session::new()));
        *session.seen.lock().expect("no code panics while it holds the time") = Instant::now();
        Arc::clone(session)
    }

    /// The session of this id, if it is known.
    pub(super) fn find(&self, sid: &str) -> Option<Arc<Session>> {
        self.table().sessions.get(sid).cloned()
    }

    /// The session of a socket, with its stream where the session began on a WebSocket.
    pub(super) fn of_socket(&self, socket: &SocketRef) -> Arc<Session> {
        let session = self.of(socket.id.as_str());
        if socket.transport_type() == TransportType::Websocket
            && let Some(stream) = socket.req_parts().extensions.get::<ConnectionHandle>()
        {
            session.carried_by(stream.clone());
        }
        session
    }

    /// Ends a client's connection: told first where that makes sense, then cut or closed.
    pub(super) async fn end(&self, socket: SocketRef, session: &Session, reason: EndReason) {
        let cut = match reason {
            EndReason::ClientLeft | EndReason::EndAsked | EndReason::TransportClosed | EndReason::HeartbeatTimeout => {
                return;
            }
            EndReason::ServerStopping => return, // the engine closes all of them together
            EndReason::SlowConsumer => CutReason::QueueFull,
            EndReason::TooManyRequests | EndReason::ProtocolViolation => CutReason::Flooding,
            EndReason::TokenExpired => CutReason::Expired,
        };
        let told = socket.clone().disconnect().is_ok();
        if told && reason == EndReason::TokenExpired {
            tokio::time::sleep(GOODBYE).await;
        }
        self.close(&socket, session, cut).await;
    }

    /// Closes the engine connection of a client, whatever it does.
    pub(super) async fn close(&self, socket: &SocketRef, session: &Session, reason: CutReason) {
        if let Some(stream) = session.stream() {
            stream.cut(reason);
            return;
        }
        // Between polls there is no stream to cut.
        self.close_polling(socket.id.as_str()).await;
    }

    /// Ends a polling session: the engine is told in the client's name that it closes.
    pub(super) async fn close_polling(&self, sid: &str) {
        self.ask(Method::POST, sid, b"1").await;
    }

    /// Takes the ping that the engine queues at once, and answers it.
    pub(super) async fn take_first_ping(&self, sid: &str) {
        self.ask(Method::GET, sid, b"").await;
        self.ask(Method::POST, sid, b"3").await;
    }

    /// Asks the engine in a client's name; what it answers does not matter, because an error means that the session is over already.
    async fn ask(&self, method: Method, sid: &str, body: &'static [u8]) {
        if let Some(request) = own_request(method, self.path, sid, body) {
            let Ok(_) = self.engine.clone().call(request).await;
        }
    }

    /// Closes an engine connection that has left every namespace and does not enter one again in time.
    pub(super) async fn close_if_idle(&self, socket: &SocketRef, session: &Session, patience: Duration) {
        let entries = session.entries();
        tokio::time::sleep(patience).await;
        if session.entries() == entries {
            self.close(socket, session, CutReason::Shutdown).await;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.by_sid.lock().expect("no code panics while it holds the sessions")
    }
}
