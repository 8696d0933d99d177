//! What can be set for every dialect, by section.

use super::{BYTES_MAX, Setting, ms, secs, setting};
use crate::{
    auth::IdentityMode,
    config::{
        LogLevel, Secret,
        origins::Origins,
        raw::{Raw, Read},
    },
    transport::{EngineKind, UnknownEngine},
};

#[rustfmt::skip] // one line a setting
pub(super) const SETTINGS: &[Setting] = &[
    setting!("listen.mode", Some("NODE_ENV"), "development, or production: listens on all interfaces", |d, v| d.production = v.text()? == "production"),
    setting!("listen.host", Some("HOST"), "IP address for clients", |d, v| d.host = Some(v.ip()?)),
    setting!("listen.port", Some("PORT"), "port for clients; 0: any free one", |d, v| d.config.listen.set_port(v.port()?)),
    setting!("listen.admin_host", Some("ADMIN_HOST"), "IP address for /metrics", |d, v| d.admin_host = Some(v.ip()?)),
    setting!("listen.admin_port", Some("ADMIN_PORT"), "port for /metrics; unset: no such listener", |d, v| d.admin_port = Some(v.port()?)),
    setting!("listen.engine", Some("SOCKET_IO_ENGINE"), "what carries Socket.IO: lean or socketioxide", |d, v| d.config.engine_kind = engine(v)?),
    setting!("listen.tls_cert", Some("TLS_CERT"), "PEM file with the certificate chain for clients; unset: no TLS", |d, v| d.tls_certificate = Some(v.text()?.into())),
    setting!("listen.tls_key", Some("TLS_KEY"), "PEM file with its private key", |d, v| d.tls_key = Some(v.text()?.into())),
    setting!("identity.mode", Some("IDENTITY"), "token: verified tokens only; open: clients say who they are", |d, v| d.config.identity = mode(v)?),
    setting!("identity.jwt_secret", Some("JWT_SECRET"), "shared secret of HS256 tokens", |d, v| d.jwt_secret = Some(Secret::new(v.text()?))),
    setting!("identity.jwt_issuer", Some("JWT_ISSUER"), "iss that tokens must carry", |d, v| d.jwt_issuer = Some(v.text()?.to_owned())),
    setting!("identity.jwt_audience", Some("JWT_AUDIENCE"), "aud that tokens must carry", |d, v| d.jwt_audience = Some(v.text()?.to_owned())),
    setting!("identity.jwt_expiry_required", Some("JWT_EXPIRY_REQUIRED"), "whether a token without exp is refused", |d, v| d.jwt_expiry_required = v.flag()?),
    setting!("identity.user_claims", None, "where the user's id stands; the first that is there", |d, v| d.names.user = some(v.list()?)?),
    setting!("identity.name_claims", None, "where the user's name stands", |d, v| d.names.name = some(v.list()?)?),
    setting!("identity.email_claims", None, "where the e-mail address stands", |d, v| d.names.email = some(v.list()?)?),
    setting!("identity.auth_service", Some("AUTH_SERVICE_URL"), "auth service over HTTP that verifies tokens", |d, v| d.auth_service = Some(v.service()?)),
    setting!("identity.auth_service_grpc", Some("AUTH_SERVICE_GRPC_URL"), "auth service over gRPC that verifies tokens", |d, v| d.auth_grpc = Some(v.service()?)),
    setting!("identity.auth_timeout", Some("AUTH_TIMEOUT"), "time for one question to the auth service", |d, v| d.auth_timeout = v.span(ms(50)..=secs(30))?),
    setting!("cors.origins", Some("CORS_ORIGIN"), "\"*\", or the exact origins of web pages that may connect, with credentials", |d, v| d.config.origins = Origins::read(&v.list()?)?),
    setting!("cors.origin_required", Some("CORS_ORIGIN_REQUIRED"), "whether a handshake without Origin is refused", |d, v| d.config.origin_required = v.flag()?),
    setting!("limits.text", Some("MAX_MESSAGE_LENGTH"), "characters of a message", |d, v| d.config.limits.text_characters_max = v.size(1..=1_000_000)?),
    setting!("limits.id", None, "characters of a room's or user's id", |d, v| d.config.limits.id_characters_max = v.size(1..=1024)?),
    setting!("limits.connections_per_user", Some("MAX_CONNECTIONS_PER_USER"), "connections of one user, in the whole cluster", |d, v| d.config.limits.connections_per_user_max = v.size(1..=1_000_000)?),
    setting!("limits.connections", Some("MAX_CONNECTIONS"), "chat connections of this instance", |d, v| d.config.limits.connections_max = v.size(1..=1_000_000)?),
    setting!("limits.tcp_connections", None, "TCP connections of this instance; more are answered 503", |d, v| d.config.connections.connections_max = v.size(1..=2_000_000)?),
    setting!("limits.rooms_per_connection", None, "rooms that a connection may be in at once", |d, v| d.config.limits.rooms_per_connection_max = v.size(1..=100_000)?),
    setting!("limits.participants", None, "participants in a room's record", |d, v| d.config.limits.participants_max = v.size(1..=100_000)?),
    setting!("limits.history", Some("MAX_MESSAGE_HISTORY"), "messages kept of a room", |d, v| d.config.limits.history_max = v.size(1..=1_000_000)?),
    setting!("limits.history_default", None, "messages of a history for which nobody asked a number", |d, v| d.config.limits.history_default = v.size(1..=1_000_000)?),
    setting!("limits.history_ttl", Some("MESSAGE_HISTORY_TTL"), "how long messages are kept after a room's newest one", |d, v| d.config.history_ttl = v.span(secs(1)..=secs(100 * 365 * 86_400))?),
    setting!("limits.backlog", None, "messages taken while the store is away", |d, v| d.config.limits.backlog_max = v.size(0..=1_000_000)?),
    setting!("limits.rest_body", None, "bytes of a REST request's body", |d, v| d.config.rest_body_bytes_max = v.size(256..=BYTES_MAX)?),
    setting!("limits.packet", None, "bytes of a Socket.IO packet", |d, v| d.config.engine.packet_bytes_max = v.size(256..=BYTES_MAX)?),
    setting!("limits.attachments", None, "binary attachments of a packet", |d, v| d.config.engine.attachments_max = v.size(0..=10_000)?),
    setting!("limits.events_waiting", None, "events of a client that wait for their turn; more is a flood (engine socketioxide; the lean one holds its sender back)", |d, v| d.config.engine.events_waiting_max = v.size(16..=1_000_000)?),
    setting!("limits.events_waiting_bytes", None, "the same in bytes", |d, v| d.config.engine.events_waiting_bytes_max = v.size(1024..=BYTES_MAX)?),
    setting!("limits.frames_waiting", None, "frames that wait for a client to read; more is a slow reader", |d, v| d.config.engine.frames_waiting_max = v.size(16..=1_000_000)?),
    setting!("limits.frames_waiting_bytes", None, "the same in bytes", |d, v| d.config.engine.frames_waiting_bytes_max = v.count(1024..=BYTES_MAX)?),
    setting!("limits.sessions", None, "Socket.IO sessions of this instance, those without a namespace too; more are answered 503 (lean engine)", |d, v| d.config.engine.sessions_max = v.size(1..=2_000_000)?),
    setting!("limits.sessions_per_address", None, "the same from one address; a proxy in front is one (lean engine)", |d, v| d.config.engine.sessions_per_address_max = v.size(1..=2_000_000)?),
    setting!("limits.handshakes_per_second", None, "new Socket.IO sessions in a second; more are answered 503 (lean engine)", |d, v| d.config.engine.handshakes_per_second_max = v.size(1..=1_000_000)?),
    setting!("limits.recovery_connections", None, "connections that wait for their clients to come back; more end at once (lean engine)", |d, v| d.config.engine.recovery_connections_max = v.size(1..=1_000_000)?),
    setting!("limits.recovery_bytes", None, "bytes of events kept of each connection for that", |d, v| d.config.engine.recovery_bytes_max = v.size(1024..=BYTES_MAX)?),
    setting!("limits.head", None, "bytes of a request's head", |d, v| d.config.connections.head_bytes_max = v.size(1024..=1 << 20)?),
    setting!("limits.headers", None, "header lines of a request", |d, v| d.config.connections.headers_max = v.size(8..=1000)?),
    setting!("limits.send_buffer", None, "bytes that the kernel keeps for a slow reader", |d, v| d.config.connections.send_buffer_bytes = v.size(4096..=16 << 20)?),
    setting!("limits.read_rate", None, "bytes per second that a reader for whom we wait must take", |d, v| d.config.connections.stall.bytes_per_second_min = v.count(0..=BYTES_MAX)?),
    setting!("clocks.ping_interval", None, "time between two Engine.IO pings", |d, v| d.config.engine.ping_interval = v.span(ms(50)..=secs(3600))?),
    setting!("clocks.ping_timeout", None, "time for the answer to a ping", |d, v| d.config.engine.ping_timeout = v.span(ms(50)..=secs(3600))?),
    setting!("clocks.connect_timeout", None, "how long a client may stay without a namespace", |d, v| d.config.engine.connect_timeout = v.span(ms(50)..=secs(600))?),
    setting!("clocks.upgrade_timeout", None, "time for the move from polling to WebSocket", |d, v| d.config.engine.upgrade_timeout = v.span(ms(50)..=secs(600))?),
    setting!("clocks.recovery", None, "how long a Socket.IO client may take to come back and miss nothing (connection state recovery, lean engine); 0: not at all", |d, v| d.config.engine.recovery_window = v.span(ms(0)..=secs(3600))?),
    setting!("clocks.head_timeout", None, "time for a request's head, and for a pause between requests", |d, v| d.config.connections.head_timeout = v.span(ms(50)..=secs(600))?),
    setting!("clocks.body_timeout", None, "time for a request's body", |d, v| d.config.connections.body_timeout = v.span(ms(50)..=secs(600))?),
    setting!("clocks.write_deadline", None, "how long a write may wait for a reader who takes nothing", |d, v| d.config.connections.stall.write_deadline = v.span(ms(50)..=secs(600))?),
    setting!("clocks.user_timeout", None, "how long the kernel waits for a peer's acknowledgement", |d, v| d.config.connections.user_timeout = v.span(ms(50)..=secs(3600))?),
    setting!("clocks.drain", Some("DRAIN_TIMEOUT"), "how long a stop may take", |d, v| d.config.drain = v.span(ms(0)..=secs(3600))?),
    setting!("clocks.backend_timeout", None, "time for one question to a store or bus", |d, v| d.config.clocks.backend_timeout = v.span(ms(50)..=secs(60))?),
    setting!("clocks.lease", None, "how long a silent instance counts as alive", |d, v| d.config.clocks.lease = v.span(ms(500)..=secs(600))?),
    setting!("clocks.sweep", None, "how often rooms are compared with the store", |d, v| d.config.clocks.sweep = v.span(ms(50)..=secs(600))?),
    setting!("log.level", Some("LOG_LEVEL"), "error, warn, info, debug or trace", |d, v| d.config.log_level = Some(level(v)?)),
    setting!("log.json", Some("LOG_JSON"), "whether log lines are JSON", |d, v| d.config.log_json = v.flag()?),
    setting!("redis.host", Some("REDIS_HOST"), "host of Redis; unset: all in memory", |d, v| d.redis_host = Some(v.text()?.to_owned())),
    setting!("redis.port", Some("REDIS_PORT"), "port of Redis", |d, v| d.redis_port = Some(v.port()?)),
    setting!("redis.password", Some("REDIS_PASSWORD"), "password of Redis", |d, v| d.redis_password = Some(Secret::new(v.text()?))),
    setting!("redis.prefix", Some("REDIS_PREFIX"), "put before each key and channel", |d, v| d.redis_prefix = v.text()?.to_owned()),
    setting!("redis.url", None, "Redis as one address, redis://[user:password@]host[:port][/database], instead of the parts", |d, v| d.redis_url = Some(v.redis()?)),
];

fn mode(raw: &Raw) -> Read<IdentityMode> {
    match raw.text()? {
        "token" => Ok(IdentityMode::Token),
        "open" => Ok(IdentityMode::Open),
        _ => Err("token or open is expected".to_owned()),
    }
}

fn engine(raw: &Raw) -> Read<EngineKind> {
    raw.text()?.parse().map_err(|problem: UnknownEngine| problem.to_string())
}

fn level(raw: &Raw) -> Read<LogLevel> {
    match raw.text()?.to_ascii_lowercase().as_str() {
        "error" => Ok(LogLevel::Error),
        "warn" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        "trace" => Ok(LogLevel::Trace),
        _ => Err("error, warn, info, debug or trace is expected".to_owned()),
    }
}

fn some(list: Vec<String>) -> Read<Vec<String>> {
    if list.is_empty() { Err("at least one name is expected".to_owned()) } else { Ok(list) }
}
