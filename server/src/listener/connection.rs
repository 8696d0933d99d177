//! What is counted of an accepted TCP stream, and the handle by which others see it and cut it.

use std::{
    fmt,
    net::{Shutdown, SocketAddr},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use socket2::SockRef;

use super::{stall::Writing, stream::Guarded};

/// A TCP connection of this process, unique while the process lives. For logs; not a secret and not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub(super) u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp-{}", self.0)
    }
}

/// Why the server cut a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutReason {
    /// A write made no progress within the deadline.
    StoppedReading,
    /// Writes made less progress than a reader must make.
    ReadsTooSlowly,
    /// More waits for the peer than may wait.
    QueueFull,
    /// The peer sends faster than it may.
    Flooding,
    /// The identity of the connection is over.
    Expired,
    /// The server stops and the connection did not end by itself.
    Shutdown,
}

impl CutReason {
    /// The reason in one word, for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StoppedReading => "stopped reading",
            Self::ReadsTooSlowly => "reads too slowly",
            Self::QueueFull => "queue full",
            Self::Flooding => "flooding",
            Self::Expired => "expired",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What is known of a connection. It stands beside its stream, so that a write finds both in one place of memory.
#[derive(Debug)]
#[repr(C)] // what a write touches in front
pub(super) struct Meter {
    bytes_out: AtomicU64,
    /// Milliseconds after `started`, plus one, since which a write has been waiting; 0: none waits.
    blocked_at_ms: AtomicU64,
    cut: OnceLock<CutReason>,
    bytes_in: AtomicU64,
    /// The zero of `blocked_at_ms`.
    started: Instant,
}

/// What a meter says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    bytes_in: u64,
    writing: Writing,
    cut: Option<CutReason>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            blocked_at_ms: AtomicU64::new(0),
            cut: OnceLock::new(),
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.get().is_some()
    }

    /// Cut, or a write waits: of what was written something may never have come to the peer.
    pub(super) fn is_broken(&self) -> bool {
        self.is_cut() || self.blocked_at_ms.load(Relaxed) != 0
    }

    pub(super) fn reading(&self) -> Reading {
        Reading { bytes_in: self.bytes_in.load(Relaxed), writing: self.writing(), cut: self.cut.get().copied() }
    }

    pub(super) fn writing(&self) -> Writing {
        let blocked_since = match self.blocked_at_ms.load(Relaxed) {
            0 => None,
            at => Some(self.started + Duration::from_millis(at - 1)),
        };
        Writing { bytes_out: self.bytes_out.load(Relaxed), blocked_since }
    }

    pub(super) fn blocked(&self) {
        let at = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
        // Only the first wait counts: a write that is polled again and again without progress is one wait.
        let _ = self.blocked_at_ms.compare_exchange(0, at, Relaxed, Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
        if self.blocked_at_ms.load(Relaxed) != 0 {
            self.blocked_at_ms.store(0, Relaxed);
        }
    }
}

/// A connection as others see it: found in the extensions of each of its requests, kept as long as one likes (it does not keep the
/// connection open).
#[derive(Clone)]
pub struct ConnectionHandle {
    id: ConnectionId,
    peer: SocketAddr,
    stream: Weak<Guarded>,
    /// What the meter said when the stream was over.
    last: Arc<OnceLock<Reading>>,
}

impl ConnectionHandle {
    pub(super) fn new(
        id: ConnectionId,
        peer: SocketAddr,
        stream: &Weak<Guarded>,
        last: &Arc<OnceLock<Reading>>,
    ) -> Self {
        Self { id, peer, stream: Weak::clone(stream), last: Arc::clone(last) }
    }

    /// Which connection.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The other end as the system names it (a proxy's address behind a proxy).
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes read so far.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.reading().bytes_in
    }

    /// Bytes that the kernel took so far.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.reading().writing.bytes_out
    }

    /// How long the present write has been waiting for the peer, if one waits.
    #[must_use]
    pub fn blocked_for(&self) -> Option<Duration> {
        self.reading().writing.blocked_since.map(|since| since.elapsed())
    }

    /// Whether the stream still exists.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.last.get().is_none()
    }

    /// Why the connection was cut, if it was.
    #[must_use]
    pub fn cut_reason(&self) -> Option<CutReason> {
        self.reading().cut
    }

    /// Ends the connection now: pending reads and writes of whoever holds the stream return at once, what waits in the kernel is thrown
    /// away, and the peer sees a reset. Later calls change nothing.
    pub fn cut(&self, reason: CutReason) {
        let Some(stream) = self.stream.upgrade() else {
            return;
        };
        if stream.meter().cut.set(reason).is_ok() {
            let socket = SockRef::from(stream.tcp());
            let _ = socket.set_linger(Some(Duration::ZERO));
            let _ = socket.shutdown(Shutdown::Both); // wakes both sides; fails only if the peer was quicker
        }
    }

    /// Does this if the connection is over before the peer has taken what it is answered now: if it is cut, or ends while a write waits.
    /// The next request means that all was taken. It must not wait for anything.
    pub(crate) fn if_broken(&self, act: impl FnOnce() + Send + 'static) {
        if let Some(stream) = self.stream.upgrade() {
            stream.if_broken(Some(Box::new(act)));
        }
    }

    /// The peer has taken all that it was answered.
    pub(super) fn settled(&self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.if_broken(None);
        }
    }

    /// The stream, as long as it exists. Who drops the last one closes it.
    pub(super) fn stream(&self) -> Option<Arc<Guarded>> {
        self.stream.upgrade()
    }

    fn reading(&self) -> Reading {
        match self.stream.upgrade() {
            Some(stream) => stream.meter().reading(),
            None => self.last.get().copied().unwrap_or_default(), // nothing: it is being made or dropped this very moment
        }
    }
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionHandle({} of {})", self.id, self.peer)
    }
}
