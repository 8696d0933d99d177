//! Reads more of a room's history than a join brings, over the dialect's REST route.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use chatwright_protocol::{
    dialects::{Dialect, HistoryRoute},
    vocabulary::{Message, RoomId},
};
use http::header;

use super::{BotConfig, Identity};
use crate::{
    config::Config,
    engine::{endpoint::Endpoint, http_client},
    error::ConnectError,
};

/// A server that cannot answer now is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// From this status on it is the server that has a problem, and it may pass.
const SERVER_ERROR: u16 = 500;

type Reading = Pin<Box<dyn Future<Output = Option<Vec<Message>>> + Send>>;

/// At most one request at a time.
pub(super) struct HistoryReader {
    route: Option<HistoryRoute>,
    endpoint: Endpoint,
    identity: Identity,
    timeout: Duration,
    /// How long a join may stay unanswered and yet be done.
    silence: Duration,
    /// When the route has caught up with what was said before the first room of this return was entered.
    settles: Option<Instant>,
    reading: Option<Reading>,
}

impl HistoryReader {
    pub(super) fn new(dialect: &Dialect, config: &BotConfig, identity: &Identity) -> Result<Self, ConnectError> {
        let url = config.rest_url.clone().unwrap_or_else(|| config.socket.url.clone());
        let endpoint = Endpoint::new(&Config { url, ..config.socket.clone() })?;
        let (route, identity) = (dialect.client.history, identity.clone());
        let (timeout, silence) = (config.answer_timeout, config.silence_timeout);
        Ok(Self { route, endpoint, identity, timeout, silence, settles: None, reading: None })
    }

    /// There is a new connection: the rooms are about to be entered again, all at once.
    pub(super) fn returned(&mut self) {
        self.settles = None;
    }

    /// Begins to read, unless it is under way; what a route may still hold back has arrived if it is read `settled`.
    pub(super) fn begin(&mut self, room: &RoomId, settled: bool) {
        if self.reading.is_some() {
            return;
        }
        let Some(route) = self.route else { return };
        let (endpoint, identity, timeout) = (self.endpoint.clone(), self.identity.clone(), self.timeout);
        let target = (route.target)(room, route.messages_max);
        let now = Instant::now();
        let due = match self.settles {
            _ if !settled || route.lag.is_zero() => now,
            None => *self.settles.insert(now + route.lag),
            // This room was entered at most so much later than the first.
            Some(settles) => settles + self.silence,
        };
        self.reading = Some(Box::pin(async move {
            tokio::time::sleep_until(due.into()).await;
            let persistent = persist(&endpoint, &identity, &target, route);
            tokio::time::timeout(timeout, persistent).await.ok().flatten()
        }));
    }

    /// The messages read, `None` if that failed; for ever while nothing is read. Cancel safe.
    pub(super) async fn finished(&mut self) -> Option<Vec<Message>> {
        let Some(reading) = &mut self.reading else { return std::future::pending().await };
        let messages = reading.await;
        self.reading = None;
        messages
    }
}

impl fmt::Debug for HistoryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryReader").field("reading", &self.reading.is_some()).finish_non_exhaustive()
    }
}

/// Asks again while the server says that it cannot answer now; `None` once it says that it will not.
async fn persist(endpoint: &Endpoint, identity: &Identity, target: &str, route: HistoryRoute) -> Option<Vec<Message>> {
    loop {
        let error = match read(endpoint, identity, target, route).await {
            Ok(messages) => return Some(messages),
            Err(error) => error,
        };
        tracing::debug!(%error, "no history");
        match error {
            ConnectError::Unreachable { .. } | ConnectError::Timeout(_) | ConnectError::Lost(_) => {}
            ConnectError::Handshake { status, .. } if status >= SERVER_ERROR => {}
            ConnectError::Handshake { .. }
            | ConnectError::Address { .. }
            | ConnectError::Protocol(_)
            | ConnectError::Refused { .. }
            | ConnectError::Closed => return None,
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn read(
    endpoint: &Endpoint,
    identity: &Identity,
    target: &str,
    route: HistoryRoute,
) -> Result<Vec<Message>, ConnectError> {
    let mut request = endpoint.plain_request("http", target);
    if let Some(bearer) = identity.bearer() {
        request = request.header(header::AUTHORIZATION, bearer);
    }
    let request = request.body(http_client::body("")).map_err(|error| ConnectError::Protocol(error.to_string()))?;
    let client = http_client::new(endpoint.local_address());
    let (status, body) = http_client::fetch(&client, request, endpoint).await?;
    if status != 200 {
        return Err(ConnectError::Handshake { status, body: body.chars().take(200).collect() });
    }
    let json = serde_json::from_str(&body).map_err(|error| ConnectError::Protocol(error.to_string()))?;
    (route.decode)(&json).map_err(|error| ConnectError::Protocol(error.to_string()))
}
