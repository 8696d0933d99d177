//! The accept loop of every listener: what a hostile, slow or dead peer can cost is bounded here, below HTTP and below Socket.IO.
//!
//! Each accepted stream is counted and can be cut at once ([`ConnectionHandle`]), whatever the layers above are waiting for: an engine
//! that awaits a write to a peer that stopped reading cannot be asked to close, but its socket can be shut down under it. A watcher
//! cuts peers that block writing too long ([`stall`]); the kernel cuts peers that are gone (`TCP_USER_TIMEOUT`); the number of
//! connections, the size and time of a request's head, and the time of its body are limited.
//!
//! With a certificate it speaks TLS beneath HTTP (`tls.rs`). What it is not: HTTP/2, routing.

mod accept;
mod body;
mod connection;
mod http1;
mod registry;
mod stall;
mod stream;
mod tls;

use std::{io, net::SocketAddr, time::Duration};

pub use accept::{Listener, Serving};
pub use body::{BodyError, TimedBody};
pub use connection::{ConnectionHandle, ConnectionId, CutReason};
pub use stall::StallRules;
pub use stream::GuardedStream;
pub use tls::{Tls, TlsError};

/// The bounds of one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections at once; further ones are answered 503 and closed. More than chat connections: polling clients use two, REST some.
    pub connections_max: usize,
    /// Bytes of a request's head (request line and headers); more is answered 431.
    pub head_bytes_max: usize,
    /// Header lines of a request; more is answered 431.
    pub headers_max: usize,
    /// The time for a request's head, and the longest pause between two requests on a connection.
    pub head_timeout: Duration,
    /// The time for a request's body, from the end of its head.
    pub body_timeout: Duration,
    /// When a peer that reads too slowly is cut.
    pub stall: StallRules,
    /// How long sent bytes may stay without acknowledgement, or a peer's window closed, before the kernel gives the connection up.
    pub user_timeout: Duration,
    /// The kernel's send buffer: bounds what one slow reader costs outside the process.
    pub send_buffer_bytes: usize,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections_max: 60_000,
            head_bytes_max: 16 * 1024,
            headers_max: 64,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            stall: StallRules::default(),
            user_timeout: Duration::from_secs(20),
            send_buffer_bytes: 256 * 1024,
        }
    }
}

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address}: {source}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why, as the system says it.
    #[source]
    pub source: io::Error,
}
