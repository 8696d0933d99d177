//! What a client needs to know before it connects; the defaults are the official JavaScript client's.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use chatwright_protocol::{engine_io::Frame, socket_io::Limits};
use serde_json::{Map, Value};

/// How to reach a server and how to behave towards it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Scheme, host and port: `http://127.0.0.1:5004` (or `ws://`, which means the same).
    pub url: String,
    /// The end point's path; the request adds a slash.
    pub path: String,
    /// Which transports, in which order.
    pub transports: Transports,
    /// Query parameters beside the protocol's own.
    pub query: Vec<(String, String)>,
    /// Headers of each HTTP request, e.g. `("authorization", "Bearer ...")`.
    pub headers: Vec<(String, String)>,
    /// How long opening a connection may take, namespace included.
    pub connect_timeout: Duration,
    /// What happens when the connection is lost; `None`: nothing.
    pub reconnection: Option<Reconnection>,
    /// Seed of the reconnection's jitter.
    pub seed: u64,
    /// The local address to connect from. A port range of 28,000 per address limits a load generator that has only one.
    pub local_address: Option<IpAddr>,
    /// Received events that wait for their reader. When it is full, the client stops reading from the connection until there is room:
    /// nothing is lost, and a server that cuts off slow readers does so.
    pub events_max: usize,
    /// Packets that wait to be written, also while offline. When it is full, emitting waits (online) or is refused (offline).
    pub send_queue_max: usize,
    /// Acknowledgements waited for at once. When it is full, asking for another one waits.
    pub acks_max: usize,
    /// Bytes of one WebSocket message or polling body, both ways.
    pub message_bytes_max: usize,
    /// What a received packet may cost.
    pub limits: Limits,
    /// Sees each Engine.IO packet in both directions.
    pub tap: Option<Tap>,
}

impl Config {
    /// The defaults for a server at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            path: "/socket.io".to_owned(),
            transports: Transports::WebSocket,
            query: Vec::new(),
            headers: Vec::new(),
            connect_timeout: Duration::from_secs(20),
            reconnection: Some(Reconnection::default()),
            seed: 0,
            local_address: None,
            events_max: 1024,
            send_queue_max: 1024,
            acks_max: 1024,
            message_bytes_max: 4 << 20,
            limits: Limits { text_bytes_max: 4 << 20, attachment_bytes_max: 4 << 20, ..Limits::default() },
            tap: None,
        }
    }
}

/// Which transports a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transports {
    /// WebSocket alone: works behind any load balancer.
    WebSocket,
    /// Long polling alone.
    Polling,
    /// Long polling first, then the upgrade to WebSocket if the server offers it: what the official client does.
    PollingThenWebSocket,
}

/// How a lost connection is restored. Never after the server or the client itself ended it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reconnection {
    /// Delay before the first attempt; it doubles with each one.
    pub delay_min: Duration,
    /// The largest delay.
    pub delay_max: Duration,
    /// Part of the delay that is drawn by lot, 0 to 1.
    pub jitter: f64,
    /// Attempts until it is given up; `None`: never.
    pub attempts_max: Option<u32>,
}

impl Default for Reconnection {
    /// 1 to 5 s, jitter 0.5, for ever: socket.io-client 4.8.
    fn default() -> Self {
        Self { delay_min: Duration::from_secs(1), delay_max: Duration::from_secs(5), jitter: 0.5, attempts_max: None }
    }
}

/// The credentials of a namespace, sent with each CONNECT.
#[derive(Clone, Default)]
pub enum Auth {
    /// None.
    #[default]
    None,
    /// Always the same.
    Fixed(Map<String, Value>),
    /// Asked for anew at each connection: for tokens that expire.
    Fresh(Arc<dyn Fn() -> Map<String, Value> + Send + Sync>),
}

impl Auth {
    /// `{"token": ...}`.
    #[must_use]
    pub fn token(token: &str) -> Self {
        Self::Fixed(Map::from_iter([("token".to_owned(), Value::from(token))]))
    }

    pub(crate) fn payload(&self) -> Option<Map<String, Value>> {
        match self {
            Self::None => None,
            Self::Fixed(payload) => Some(payload.clone()),
            Self::Fresh(make) => Some(make()),
        }
    }
}

impl fmt::Debug for Auth {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Fixed(_) => "Fixed(..)",
            Self::Fresh(_) => "Fresh(..)",
        })
    }
}

/// Which way a packet went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}

/// Looks at each Engine.IO packet. Called inside the connection's task: it must not block.
#[derive(Clone)]
pub struct Tap(Arc<See>);

type See = dyn Fn(Direction, &Frame) + Send + Sync;

impl Tap {
    /// A tap that calls `see`.
    pub fn new(see: impl Fn(Direction, &Frame) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    pub(crate) fn see(&self, direction: Direction, frame: &Frame) {
        (self.0)(direction, frame);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap(..)")
    }
}
