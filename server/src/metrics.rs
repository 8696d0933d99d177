//! What the server counts, for `/metrics` on the admin address. Labels are `&'static str` on purpose: nothing that a client sends (a
//! room's id, a path, a name) can become one, so the number of series is bounded by the source code.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::auth::AuthError;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The command that comes most, as it comes most.
const SEND_DONE: Label = ("send", "done");

type Label = (&'static str, &'static str);
type Counters<const N: usize> = Family<[Label; N], Counter>;
type Seconds = Family<[Label; 1], Histogram, fn() -> Histogram>;

/// The counters of one server. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Series>);

#[derive(Debug)]
struct Series {
    registry: Registry,
    connections_open: Family<[Label; 1], Gauge>,
    connections_accepted: Counters<1>,
    connections_refused: Counters<1>,
    connections_cut: Counters<2>,
    accept_errors: Counters<1>,
    bytes_received: Counters<1>,
    bytes_sent: Counters<1>,
    requests: Counters<3>,
    request_seconds: Seconds,
    tokens: Counters<2>,
    token_seconds: Seconds,
    sessions_open: Gauge,
    rooms_open: Gauge,
    commands: Counters<2>,
    /// The one of them that most often grows, found without a look-up.
    sends_done: Counter,
    deliveries: Counter,
    deliveries_dropped: Counters<1>,
    messages_received: Counter,
    messages_sent: Counter,
    bus_messages: Counters<1>,
    events_published: Counter,
    bus_gaps: Counter,
    bus_reconnects: Counter,
    cache_reads: Counters<1>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("chatwright");
        let commands: Counters<2> = added(&mut registry, "commands", "commands of clients");
        let (command, outcome) = SEND_DONE;
        let sends_done = commands.get_or_create_owned(&[("command", command), ("outcome", outcome)]);
        let series = Series {
            connections_open: added(&mut registry, "connections_open", "TCP connections"),
            connections_accepted: added(&mut registry, "connections_accepted", "TCP connections accepted"),
            connections_refused: added(&mut registry, "connections_refused", "TCP connections turned away, too many"),
            connections_cut: added(&mut registry, "connections_cut", "TCP connections cut by the server"),
            accept_errors: added(&mut registry, "accept_errors", "failures to accept, each followed by a pause"),
            bytes_received: added(&mut registry, "bytes_received", "bytes read from connections that are over"),
            bytes_sent: added(&mut registry, "bytes_sent", "bytes written to connections that are over"),
            requests: added(&mut registry, "requests", "REST requests"),
            request_seconds: added_as(&mut registry, "request_seconds", "time to answer REST requests", seconds()),
            tokens: added(&mut registry, "tokens_verified", "tokens looked at"),
            token_seconds: added_as(&mut registry, "token_seconds", "time to verify tokens", seconds()),
            sessions_open: added(&mut registry, "sessions_open", "chat connections"),
            rooms_open: added(&mut registry, "rooms_open", "rooms with somebody in them on this instance"),
            commands,
            sends_done,
            deliveries: added(&mut registry, "deliveries", "events handed to connections"),
            deliveries_dropped: added(&mut registry, "deliveries_dropped", "events that could not be handed over"),
            messages_received: added(&mut registry, "messages_received", "messages that clients sent"),
            messages_sent: added(&mut registry, "messages_sent", "messages handed to connections"),
            bus_messages: added(&mut registry, "bus_messages", "messages to and from other instances"),
            events_published: added(&mut registry, "events_published", "events handed to other services"),
            bus_gaps: added(&mut registry, "bus_gaps", "gaps noticed between instances, healed from the store"),
            bus_reconnects: added(&mut registry, "bus_reconnects", "times the bus came back"),
            cache_reads: added(&mut registry, "cache_reads", "histories looked for in the cache"),
            registry,
        };
        Self(Arc::new(series))
    }

    /// All counters as text, in [`CONTENT_TYPE`].
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0.registry)
            .expect("writing to a String does not fail");
        text
    }

    /// A TCP connection came in.
    pub fn connection_opened(&self, listener: &'static str) {
        self.0.connections_accepted.get_or_create(&[("listener", listener)]).inc();
        self.0.connections_open.get_or_create(&[("listener", listener)]).inc();
    }

    /// A TCP connection is over, after this much traffic.
    pub fn connection_closed(&self, listener: &'static str, bytes_in: u64, bytes_out: u64) {
        let label = [("listener", listener)];
        self.0.connections_open.get_or_create(&label).dec();
        self.0.bytes_received.get_or_create(&label).inc_by(bytes_in);
        self.0.bytes_sent.get_or_create(&label).inc_by(bytes_out);
    }

    /// A TCP connection was turned away: there are as many as allowed.
    pub fn connection_refused(&self, listener: &'static str) {
        self.0.connections_refused.get_or_create(&[("listener", listener)]).inc();
    }

    /// A TCP connection was cut by the server.
    pub fn connection_cut(&self, listener: &'static str, reason: &'static str) {
        self.0.connections_cut.get_or_create(&[("listener", listener), ("reason", reason)]).inc();
    }

    /// The system could not give a connection (mostly: out of descriptors).
    pub fn accept_failed(&self, listener: &'static str) {
        self.0.accept_errors.get_or_create(&[("listener", listener)]).inc();
    }

    /// A REST request was answered. `route` is the template, never the path.
    pub fn request_answered(&self, route: &'static str, method: &'static str, status: u16, took: Duration) {
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.0.requests.get_or_create(&[("route", route), ("method", method), ("status", class)]).inc();
        self.0.request_seconds.get_or_create(&[("route", route)]).observe(took.as_secs_f64());
    }

    /// A token was looked at; `refused` says why it was not good enough.
    pub fn token_verified(&self, verifier: &'static str, refused: Option<AuthError>, took: Duration) {
        let outcome = match refused {
            None => "verified",
            Some(AuthError::Missing) => "missing",
            Some(AuthError::Invalid) => "invalid",
            Some(AuthError::Expired) => "expired",
            Some(AuthError::Unavailable) => "unavailable",
        };
        self.0.tokens.get_or_create(&[("verifier", verifier), ("outcome", outcome)]).inc();
        self.0.token_seconds.get_or_create(&[("verifier", verifier)]).observe(took.as_secs_f64());
    }

    /// A chat connection was let in.
    pub fn session_opened(&self) {
        self.0.sessions_open.inc();
    }

    /// A chat connection is over.
    pub fn session_closed(&self) {
        self.0.sessions_open.dec();
    }

    /// How many rooms have somebody in them on this instance.
    pub fn rooms(&self, open: usize) {
        self.0.rooms_open.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// A command was carried out or refused; both words come from the source code.
    pub fn command(&self, command: &'static str, outcome: &'static str) {
        if (command, outcome) == SEND_DONE {
            self.0.sends_done.inc();
            return;
        }
        self.0.commands.get_or_create(&[("command", command), ("outcome", outcome)]).inc();
    }

    /// Events were handed to this many connections.
    pub fn delivered(&self, connections: usize) {
        self.0.deliveries.inc_by(u64::try_from(connections).unwrap_or(u64::MAX));
    }

    /// An event could not be handed to a connection.
    pub fn delivery_dropped(&self, reason: &'static str) {
        self.0.deliveries_dropped.get_or_create(&[("reason", reason)]).inc();
    }

    /// A client sent a message.
    pub fn message_received(&self) {
        self.0.messages_received.inc();
    }

    /// A message was handed to this many connections.
    pub fn message_sent(&self, connections: usize) {
        self.0.messages_sent.inc_by(u64::try_from(connections).unwrap_or(u64::MAX));
        self.delivered(connections);
    }

    /// Something was told to the other instances.
    pub fn bus_published(&self) {
        self.0.bus_messages.get_or_create(&[("direction", "published")]).inc();
    }

    /// Another instance told something.
    pub fn bus_received(&self) {
        self.0.bus_messages.get_or_create(&[("direction", "received")]).inc();
    }

    /// An event was handed to other services.
    pub fn event_published(&self) {
        self.0.events_published.inc();
    }

    /// Messages of another instance were missed and read from the store.
    pub fn bus_gap(&self) {
        self.0.bus_gaps.inc();
    }

    /// The bus came back after it was lost.
    pub fn bus_reconnected(&self) {
        self.0.bus_reconnects.inc();
    }

    /// A history was looked for in the cache.
    pub fn cache_read(&self, outcome: &'static str) {
        self.0.cache_reads.get_or_create(&[("outcome", outcome)]).inc();
    }
}

fn added<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Clone + Default,
{
    added_as(registry, name, help, M::default())
}

fn added_as<M>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M
where
    M: prometheus_client::registry::Metric + Clone,
{
    registry.register(name, help, metric.clone());
    metric
}

/// From half a millisecond (a local token) to 16 s (longer than any bound here).
fn seconds() -> Seconds {
    const BUCKETS: [f64; 16] =
        [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0, 4.0, 8.0, 16.0];
    Family::new_with_constructor(|| Histogram::new(BUCKETS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_each_counter_once_with_its_labels() {
        let metrics = Metrics::new();
        metrics.connection_opened("socket");
        metrics.clone().command("send", "done");
        metrics.command("send", "refused");
        metrics.request_answered("/health", "GET", 503, Duration::from_millis(3));
        let text = metrics.render();
        for line in [
            "chatwright_connections_open{listener=\"socket\"} 1",
            "chatwright_commands_total{command=\"send\",outcome=\"done\"} 1",
            "chatwright_commands_total{command=\"send\",outcome=\"refused\"} 1",
            "chatwright_requests_total{route=\"/health\",method=\"GET\",status=\"5xx\"} 1",
        ] {
            assert_eq!(text.lines().filter(|seen| *seen == line).count(), 1, "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
