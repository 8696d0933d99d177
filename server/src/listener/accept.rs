//! Opens a listener, accepts until told to stop, and ends what is left within a limit.

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use super::{
    ConnectionId, CutReason, GuardedStream, ListenError, ListenerLimits, StallRules, TimedBody, Tls, http1,
    registry::Registry,
};
use crate::metrics::Metrics;

/// Connections that wait in the kernel while the loop is busy: a stampede of reconnecting clients is not turned away by a short queue.
const BACKLOG: i32 = 4096;
/// The pause after a failure to accept (no descriptors left, mostly), doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long connections that were cut have at most to leave; after that their tasks are aborted.
const CUT_GRACE: Duration = Duration::from_millis(500);
/// What a connection beyond the limit is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// An open port on which nothing is accepted yet: known to be free before anything else of the server starts.
#[derive(Debug)]
pub struct Listener {
    name: &'static str,
    socket: TcpListener,
    address: SocketAddr,
    limits: ListenerLimits,
    tls: Option<Tls>,
}

impl Listener {
    /// Opens `address` (port 0: any free one). `name` is the listener's in logs and metrics. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`] if the port is taken, needs privilege, or the address is not of this machine.
    pub fn open(name: &'static str, address: SocketAddr, limits: ListenerLimits) -> Result<Self, ListenError> {
        let open = || -> io::Result<(TcpListener, SocketAddr)> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?; // a restart does not wait for old connections to time out
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let socket = TcpListener::from_std(socket.into())?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        };
        let (socket, address) = open().map_err(|source| ListenError { address, source })?;
        Ok(Self { name, socket, address, limits, tls: None })
    }

    /// The same over TLS, if there is a certificate.
    #[must_use]
    pub fn encrypted(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts and serves in the background until [`Serving::stop`].
    #[must_use]
    pub fn serve<S, B>(self, service: S, metrics: Metrics) -> Serving
    where
        S: Service<Request<TimedBody>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { name, socket, address, limits, tls } = self;
        let registry = Registry::new(name, limits.connections_max, metrics.clone());
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let limits = Arc::new(limits);
        tokio::spawn(watch(Arc::downgrade(&registry), limits.stall));
        let connections = TaskTracker::new();
        let loop_ = Loop {
            name,
            socket,
            limits,
            tls,
            registry: Arc::clone(&registry),
            metrics,
            stop: stop.clone(),
            abort: abort.clone(),
            connections: connections.clone(),
        };
        let accepting = tokio::spawn(loop_.run(service));
        Serving { name, address, registry, stop, abort, connections, accepting }
    }
}

/// A listener at work. Dropping it stops accepting and lets the connections live; [`Serving::stop`] ends them too.
#[derive(Debug)]
pub struct Serving {
    name: &'static str,
    address: SocketAddr,
    registry: Arc<Registry>,
    stop: CancellationToken,
    abort: CancellationToken,
    connections: TaskTracker,
    accepting: JoinHandle<()>,
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.registry.len()
    }

    /// Accepts no further connection (the port is free at once) and no further request on those that are idle. The first step of a
    /// drain, before the clients are told to go.
    pub fn stop_accepting(&self) {
        self.stop.cancel();
    }

    /// Stops accepting, gives connections until `limit` to end by themselves, cuts the rest, which has `grace` to leave and as long again to
    /// be thrown out. Returns how many had to be cut.
    pub async fn stop(mut self, limit: Duration, grace: Duration) -> usize {
        let grace = grace.min(CUT_GRACE);
        self.stop.cancel();
        let _ = tokio::time::timeout(limit, self.registry.empty()).await;
        let left = self.registry.len();
        if left > 0 {
            tracing::info!(listener = self.name, connections = left, "cut at the end of the drain");
            self.registry.cut_all(CutReason::Shutdown);
            if tokio::time::timeout(grace, self.registry.empty()).await.is_err() {
                self.abort.cancel();
            }
        }
        self.connections.close();
        let _ = tokio::time::timeout(grace, self.connections.wait()).await;
        let _ = (&mut self.accepting).await;
        left
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Loop {
    name: &'static str,
    socket: TcpListener,
    limits: Arc<ListenerLimits>,
    tls: Option<Tls>,
    registry: Arc<Registry>,
    metrics: Metrics,
    stop: CancellationToken,
    abort: CancellationToken,
    connections: TaskTracker,
}

impl Loop {
    async fn run<S, B>(self, service: S)
    where
        S: Service<Request<TimedBody>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut pause = FIRST_PAUSE;
        let mut next_id = 0;
        while let Some(accepted) = self.stop.run_until_cancelled(self.socket.accept()).await {
            match accepted {
                Ok((stream, _)) if self.registry.is_full() => self.turn_away(&stream),
                Ok((stream, peer)) => {
                    pause = FIRST_PAUSE;
                    next_id += 1;
                    let prepared = prepare(&stream, &self.limits).and_then(|()| self.session());
                    let tls = match prepared {
                        Ok(tls) => tls,
                        Err(error) => {
                            tracing::debug!(%error, "the peer left before it was served");
                            continue;
                        }
                    };
                    let enrol = |handle| self.registry.enrol(handle);
                    let (stream, handle) = GuardedStream::new(stream, tls, ConnectionId(next_id), peer, enrol);
                    self.spawn(stream, handle, service.clone());
                }
                Err(error) if belongs_to_one_peer(&error) => {}
                Err(error) => {
                    self.metrics.accept_failed(self.name);
                    tracing::warn!(listener = self.name, %error, ?pause, "cannot accept, waiting");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn spawn<S, B>(&self, stream: GuardedStream, handle: super::ConnectionHandle, service: S)
    where
        S: Service<Request<TimedBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (limits, stop, abort) = (Arc::clone(&self.limits), self.stop.clone(), self.abort.clone());
        self.connections.spawn(async move {
            abort.run_until_cancelled(http1::serve(stream, handle, &limits, service, stop)).await;
        });
    }

    fn session(&self) -> io::Result<Option<super::tls::Session>> {
        self.tls.as_ref().map(Tls::session).transpose()
    }

    fn turn_away(&self, stream: &TcpStream) {
        self.metrics.connection_refused(self.name);
        if self.tls.is_none() {
            let _ = stream.try_write(FULL); // a fresh socket's buffer is empty: it fits, or the peer is gone
        }
    }
}

fn prepare(stream: &TcpStream, limits: &ListenerLimits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(limits.send_buffer_bytes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limits.user_timeout))?;
    Ok(())
}

/// The peer went away between its handshake and our accept: no reason to pause.
fn belongs_to_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Looks at the connections as long as there can be any.
async fn watch(registry: Weak<Registry>, rules: StallRules) {
    let mut ticks = tokio::time::interval(rules.look_every());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match registry.upgrade() {
            Some(registry) => registry.look(&rules, Instant::now()),
            None => return,
        }
    }
}
