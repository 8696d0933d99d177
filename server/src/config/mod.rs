//! What a server is told: plain data, made from a TOML file and from variables that somebody hands in. Nothing here reads the
//! environment or a disk.
//!
//! The tables behind [`settings`] have a line for each thing that can be set: its key in the file, its variable, its check. A variable beats the
//! file, the file beats the default, and an error names the place that is wrong.

mod checks;
mod dotenv;
mod file;
mod origins;
mod raw;
mod role;
mod settings;
mod together;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use chatwright_protocol::dialects::{Dialect, rooms};
use http::Uri;
use uuid::Uuid;

pub use dotenv::parse_env_file;
pub use origins::Origins;
pub use role::{Role, Upstreams};
pub use settings::{Setting, settings};
pub use together::{check_apart, configure_all, share_secret, variable_prefix};

use crate::{
    auth::{ClaimNames, IdentityMode, jwt::JwtRules, service::ServiceRules},
    chat,
    listener::ListenerLimits,
    transport::{EngineKind, EngineRules},
};

/// Everything that one server is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What it speaks.
    pub dialect: &'static Dialect,
    /// Where clients connect. Port 0: any free one.
    pub listen: SocketAddr,
    /// The dialect's further listeners, by name.
    pub listeners: BTreeMap<&'static str, SocketAddr>,
    /// Where `/metrics` is; `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// Whether identities are verified.
    pub identity: IdentityMode,
    /// How they are.
    pub verifier: VerifierConfig,
    /// Which web pages may talk to it.
    pub origins: Origins,
    /// Whether a Socket.IO handshake without an `Origin` header is refused: keeps native clients out.
    pub origin_required: bool,
    /// What clients may ask of the chat core.
    pub limits: chat::Limits,
    /// How long the chat core waits.
    pub clocks: chat::Clocks,
    /// How long a user of `sessions` may be away before the others are told.
    pub grace: Duration,
    /// How long a room's messages are kept after its newest one.
    pub history_ttl: Duration,
    /// Clocks and bounds of Socket.IO.
    pub engine: EngineRules,
    /// What carries Socket.IO.
    pub engine_kind: EngineKind,
    /// Bounds of connections and of HTTP heads.
    pub connections: ListenerLimits,
    /// What clients' listeners encrypt with; `None`: nothing is encrypted.
    pub tls: Option<TlsFiles>,
    /// The largest body of a REST request.
    pub rest_body_bytes_max: usize,
    /// How long a stop may take before connections that are left are cut.
    pub drain: Duration,
    /// Shared state and the bus between instances; `None`: all in memory.
    pub redis: Option<RedisConfig>,
    /// MongoDB with its database, as one address; `None`: all in memory.
    pub mongodb: Option<Secret>,
    /// PostgreSQL with its database, as one address; `None`: all in memory.
    pub postgres: Option<Secret>,
    /// RabbitMQ as one address; `None`: no broker.
    pub rabbitmq: Option<Secret>,
    /// The queue of `rooms` for other services' notifications.
    pub rabbitmq_queue: String,
    /// Kafka's brokers, `host:port`; empty: no broker.
    pub kafka_brokers: Vec<String>,
    /// Which of its services this process plays, in a dialect that has several.
    pub role: Role,
    /// Where the services are that it does not play.
    pub upstreams: Upstreams,
    /// How much is logged, for who starts the logging; `None`: as they think best.
    pub log_level: Option<LogLevel>,
    /// Whether log lines are JSON.
    pub log_json: bool,
    /// Where an event per message is appended for other services; `None`: nowhere.
    pub events_file: Option<PathBuf>,
}

/// PEM files with a certificate chain and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// How much is logged: each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What somebody should look at.
    Warn,
    /// The life of the server.
    Info,
    /// What it does, in detail.
    Debug,
    /// Everything.
    Trace,
}

/// Who verifies tokens.
#[derive(Debug, Clone, PartialEq)]
pub enum VerifierConfig {
    /// The server, with a secret that is made at its start: for one process that nobody configured.
    Embedded(ClaimNames),
    /// The server, with a shared secret.
    Jwt(JwtRules),
    /// An auth service, asked over HTTP.
    Service(ServiceRules),
    /// An auth service, asked over gRPC.
    Grpc {
        /// `http://host:port`.
        address: Uri,
        /// The time for one verification.
        timeout: Duration,
    },
}

/// Where Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whom to log in as; `None`: its default user.
    pub user: Option<String>,
    /// Its password, if it wants one.
    pub password: Option<Secret>,
    /// Which of its numbered databases. Channels are shared by all of them.
    pub database: u32,
    /// How its connections are secured; `None`: not at all.
    pub tls: Option<RedisTls>,
    /// Put before each key and channel; empty: names exactly as documented. Two services on one Redis need different ones.
    pub prefix: String,
}

/// Whose certificates a Redis with TLS may show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RedisTls {
    /// A file with the certificate of an authority of one's own, in PEM; `None`: the authorities that everybody trusts.
    pub authority: Option<PathBuf>,
}

impl RedisConfig {
    /// One that wants no password, with names exactly as documented.
    #[must_use]
    pub fn at(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, user: None, password: None, database: 0, tls: None, prefix: String::new() }
    }
}

/// A text that no log and no debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// One that nobody can guess, of 256 bits or nearly.
    #[must_use]
    pub fn fresh() -> Self {
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    /// The text, for whom it is meant.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Default for Config {
    /// Of `rooms`.
    fn default() -> Self {
        Self::of(&rooms::DIALECT)
    }
}

impl Config {
    /// What holds for a dialect of which nothing was said: everything in memory, on its documented ports of the loopback interface.
    #[must_use]
    pub fn of(dialect: &'static Dialect) -> Self {
        let (names, engine, drain) = figures(dialect);
        Self {
            dialect,
            listen: SocketAddr::from(([127, 0, 0, 1], dialect.default_port)),
            listeners: (dialect.further_ports.iter())
                .map(|&(name, port)| (name, SocketAddr::from(([127, 0, 0, 1], port))))
                .collect(),
            admin: None,
            identity: if dialect.policy.open_by_default { IdentityMode::Open } else { IdentityMode::Token },
            verifier: VerifierConfig::Embedded(names),
            origins: Origins::of(dialect),
            origin_required: false,
            limits: chat::Limits {
                connections_per_user_max: dialect.policy.connections_per_user_max,
                ..chat::Limits::default()
            },
            clocks: chat::Clocks::default(),
            grace: Duration::from_secs(10),
            history_ttl: Duration::from_secs(7 * 24 * 3600),
            engine,
            engine_kind: EngineKind::default(),
            connections: ListenerLimits::default(),
            tls: None,
            rest_body_bytes_max: 128 * 1024,
            drain,
            redis: None,
            mongodb: None,
            postgres: None,
            rabbitmq: None,
            rabbitmq_queue: "new_message".to_owned(),
            kafka_brokers: Vec::new(),
            role: Role::All,
            upstreams: Upstreams::default(),
            log_level: None,
            // Its document wants structured logs.
            log_json: dialect.name == "conversations",
            events_file: None,
        }
    }

    /// All listeners by name: `socket` is that of [`listen`](Self::listen), `admin` that of [`admin`](Self::admin).
    pub fn all_listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let further = self.listeners.iter().map(|(&name, &address)| (name, address));
        std::iter::once(("socket", self.listen)).chain(further).chain(self.admin.map(|admin| ("admin", admin)))
    }

    /// Moves all listeners for clients to this address.
    pub fn set_ip(&mut self, ip: IpAddr) {
        self.listen.set_ip(ip);
        self.listeners.values_mut().for_each(|address| address.set_ip(ip));
    }

    /// Moves the listener that is at one address to another.
    pub fn move_listener(&mut self, from: SocketAddr, to: SocketAddr) {
        let further = self.listeners.values_mut();
        for address in std::iter::once(&mut self.listen).chain(further).chain(&mut self.admin) {
            if *address == from {
                *address = to;
            }
        }
    }

    /// Moves one of the further listeners to this port.
    pub(crate) fn set_port(&mut self, listener: &'static str, port: u16) {
        let ip = self.listen.ip();
        self.listeners.entry(listener).or_insert_with(|| SocketAddr::new(ip, port)).set_port(port);
    }
}

/// The figures that a dialect's document has otherwise: where a token names its user, the clocks of its connections, the time for a stop.
fn figures(dialect: &Dialect) -> (ClaimNames, EngineRules, Duration) {
    let (names, engine, drain) = (ClaimNames::default(), EngineRules::default(), Duration::from_secs(10));
    match dialect.name {
        "conversations" => {
            let user = ["id", "userId", "sub"].map(str::to_owned).to_vec();
            let (ping_interval, connect_timeout) = (Duration::from_secs(30), Duration::from_secs(5));
            let engine = EngineRules { ping_interval, connect_timeout, ..engine };
            (ClaimNames { user, ..names }, engine, Duration::from_secs(5))
        }
        _ => (names, engine, drain),
    }
}

/// A configuration with what its reader should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured {
    /// The configuration.
    pub config: Config,
    /// Loosenesses and things that are set without effect: one line each, to be shown at the start.
    pub warnings: Vec<String>,
}

/// The configuration is wrong. The words name the key and its line, or the variable, and say what is expected; never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// E.g. `line 7, limits.text` or `MAX_MESSAGE_HISTORY`.
    pub place: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A dialect's configuration from the text of a TOML file (if there is one) and from variables (the process's, over those of an `.env` file).
///
/// With several dialects in one process each variable carries its dialect's name: `prefix` is then e.g. `ROOMS`, and `ROOMS_PORT` is
/// read instead of `PORT`; [`configure_all`] does that. Variables that nobody knows are somebody else's; keys of the file that nobody knows
/// are errors. Without a prefix set, a dialect that is not alone has its name before each key in Redis.
///
/// # Errors
/// [`ConfigError`] for the first thing that is wrong.
pub fn configure(
    dialect: &'static Dialect,
    file: Option<&str>,
    variables: &BTreeMap<String, String>,
    prefix: Option<&str>,
) -> Result<Configured, ConfigError> {
    let mut draft = checks::Draft::of(dialect);
    if prefix.is_some() {
        draft.redis_prefix = format!("{}:", dialect.name); // two dialects' documented names would collide
    }
    if let Some(text) = file {
        file::apply(text, &mut draft, prefix.is_none())?;
    }
    settings::apply_variables(variables, prefix, &mut draft)?;
    checks::finish(draft)
}
