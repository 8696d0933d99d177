//! One accepted TCP stream with its counters, and the handle by which others see it and cut it.

use std::{
    fmt,
    io::{self, Read as _},
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use super::{registry::Membership, stall::Writing};

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

/// What is known of a connection: shared by the stream, its handles and the watcher.
#[derive(Debug)]
pub(super) struct Meter {
    /// The zero of `blocked_at_ms`.
    started: Instant,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Milliseconds after `started`, plus one, since which a write has been waiting; 0: none waits.
    blocked_at_ms: AtomicU64,
    cut: OnceLock<CutReason>,
}

impl Meter {
    pub(super) fn writing(&self) -> Writing {
        let blocked_since = match self.blocked_at_ms.load(Relaxed) {
            0 => None,
            at => Some(self.started + Duration::from_millis(at - 1)),
        };
        Writing { bytes_out: self.bytes_out.load(Relaxed), blocked_since }
    }

    fn blocked(&self) {
        let at = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
        // Only the first wait counts: a write that is polled again and again without progress is one wait.
        let _ = self.blocked_at_ms.compare_exchange(0, at, Relaxed, Relaxed);
    }

    fn wrote(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
        self.blocked_at_ms.store(0, Relaxed);
    }
}

/// A connection as others see it: found in the extensions of each of its requests, kept as long as one likes (it does not keep the
/// connection open).
#[derive(Clone)]
pub struct ConnectionHandle {
    id: ConnectionId,
    peer: SocketAddr,
    meter: Arc<Meter>,
    stream: Weak<TcpStream>,
}

impl ConnectionHandle {
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
        self.meter.bytes_in.load(Relaxed)
    }

    /// Bytes that the kernel took so far.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.meter.bytes_out.load(Relaxed)
    }

    /// How long the present write has been waiting for the peer, if one waits.
    #[must_use]
    pub fn blocked_for(&self) -> Option<Duration> {
        self.meter.writing().blocked_since.map(|since| since.elapsed())
    }

    /// Whether the stream still exists.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
    }

    /// Why the connection was cut, if it was.
    #[must_use]
    pub fn cut_reason(&self) -> Option<CutReason> {
        self.meter.cut.get().copied()
    }

    /// Ends the connection now: pending reads and writes of whoever holds the stream return at once, what waits in the kernel is thrown
    /// away, and the peer sees a reset. Later calls change nothing.
    pub fn cut(&self, reason: CutReason) {
        let Some(stream) = self.stream.upgrade() else {
            return;
        };
        if self.meter.cut.set(reason).is_ok() {
            let socket = SockRef::from(&*stream);
            let _ = socket.set_linger(Some(Duration::ZERO));
            let _ = socket.shutdown(Shutdown::Both); // wakes both sides; fails only if the peer was quicker
        }
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionHandle({} of {})", self.id, self.peer)
    }
}

/// The stream that HTTP is spoken on: it counts, and a cut reaches it while it waits.
#[derive(Debug)]
pub struct GuardedStream {
    stream: Arc<TcpStream>,
    meter: Arc<Meter>,
    /// Given back when the stream is dropped, wherever it was moved to by then.
    _membership: Membership,
}

impl GuardedStream {
    /// Wraps an accepted stream; `enrol` registers its handle and returns the membership that the stream carries.
    pub(super) fn new(
        stream: TcpStream,
        id: ConnectionId,
        peer: SocketAddr,
        enrol: impl FnOnce(ConnectionHandle) -> Membership,
    ) -> (Self, ConnectionHandle) {
        let stream = Arc::new(stream);
        let meter = Arc::new(Meter {
            started: Instant::now(),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            blocked_at_ms: AtomicU64::new(0),
            cut: OnceLock::new(),
        });
        let handle = ConnectionHandle { id, peer, meter: Arc::clone(&meter), stream: Arc::downgrade(&stream) };
        (Self { stream, meter, _membership: enrol(handle.clone()) }, handle)
    }

    /// Waits until there may be something to read, or the end.
    ///
    /// # Errors
    /// What the system says.
    pub async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }

    /// Waits until the peer may take something, or the end.
    ///
    /// # Errors
    /// What the system says.
    pub async fn writable(&self) -> io::Result<()> {
        self.stream.writable().await
    }

    /// Reads what is there: for owners who share a stream between a reader and a writer.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is, else what the system says.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check_uncut()?;
        let socket = SockRef::from(&*self.stream);
        let mut bytes = 0;
        let read = self.stream.try_io(Interest::READABLE, || {
            bytes = (&*socket).read(buffer)?;
            // Fewer bytes than asked for: that was all. Saying so here spares the call that would find nothing.
            if bytes > 0 && bytes < buffer.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match read {
            Err(error) if bytes == 0 => Err(error),
            Ok(()) | Err(_) => {
                self.meter.bytes_in.fetch_add(bytes as u64, Relaxed);
                Ok(bytes)
            }
        }
    }

    /// Writes as much as the system takes at once.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if it takes nothing (the peer's time runs from then on), else what the system says.
    pub fn try_write_vectored(&self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.check_uncut()?;
        match self.stream.try_write_vectored(slices) {
            Ok(bytes) => {
                self.meter.wrote(bytes);
                Ok(bytes)
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::WouldBlock {
                    self.meter.blocked();
                }
                Err(error)
            }
        }
    }

    /// Nothing more will be written: the peer reads an end behind what was.
    pub fn finish(&self) {
        let _ = SockRef::from(&*self.stream).shutdown(Shutdown::Write); // fails only if the peer was quicker
    }

    fn check_uncut(&self) -> io::Result<()> {
        if self.meter.cut.get().is_some() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    fn poll_written(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.meter.cut.get().is_some() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            let Poll::Ready(ready) = self.stream.poll_write_ready(cx) else {
                self.meter.blocked();
                return Poll::Pending;
            };
            ready?;
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(bytes) => {
                    self.meter.wrote(bytes);
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.meter.cut.get().is_some() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(bytes) => {
                    buffer.advance(bytes);
                    self.meter.bytes_in.fetch_add(bytes as u64, Relaxed);
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // nothing is kept here
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match SockRef::from(&*self.stream).shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()), // the peer was quicker
            result => result,
        })
    }
}
