//! Puts a server together from its configuration: this folder alone names adapters. One file per dialect.

mod conversations;
mod direct;
mod gateway;
mod rooms;
mod sessions;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::{
    auth::{
        ClaimNames, Gate, Verifier,
        grpc::{BadGrpcAddress, GrpcVerifier},
        jwt::{JwtRules, JwtVerifier},
        service::{BadServiceAddress, ServiceVerifier},
    },
    chat::{self, Core},
    clock,
    config::{Config, RedisConfig, Secret, VerifierConfig},
    http::{
        Doors, admin_routes,
        pages::{self, Whereabouts},
    },
    listener::{ListenError, Listener, Serving, Tls, TlsError},
    metrics::Metrics,
    redis_link::{BadRedis, RedisLink, RedisOptions},
    store::{away::AwayStore, mongodb::BadMongo, postgres::BadPostgres, redis::RedisAway},
    transport::{EndReason, Engine},
};

/// Of the time for a drain, the part in which connections end by themselves.
const GOODBYE_SHARE: u32 = 2;
/// The part behind that in which what is left of them closes or is cut; the rest is for the store.
const CLOSING_SHARE: u32 = 4;
/// The part that those have who were cut, twice: to leave, and to be thrown out.
const GRACE_SHARE: u32 = 16;

/// The first port that needs no privilege, and where the others are found without it: 80 becomes 8080.
const PRIVILEGED_END: u16 = 1024;
const UNPRIVILEGED_OFFSET: u16 = 8000;

/// The name of the listener that every dialect has: its sockets, and for most everything else.
const SOCKET: &str = "socket";

/// One running server.
pub struct Server {
    core: Arc<dyn Core>,
    hub: Option<Arc<chat::rooms::Hub>>,
    engine: Option<Engine>,
    listeners: Vec<(&'static str, Serving)>,
    admin: Option<Serving>,
    secret: Option<Secret>,
}

/// Where a server listens, with the real ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Clients: sockets, and REST where the dialect has no listener of its own for it.
    pub listen: SocketAddr,
    /// The dialect's further listeners, by name.
    pub others: BTreeMap<&'static str, SocketAddr>,
    /// `/metrics`.
    pub admin: Option<SocketAddr>,
}

/// What instances in one process share instead of backends: one field per dialect.
#[derive(Clone)]
pub struct SharedMemory {
    rooms: rooms::Shared,
    conversations: conversations::Shared,
    gateway: gateway::Shared,
    sessions: sessions::Shared,
    direct: direct::Shared,
}

impl SharedMemory {
    /// An empty one that keeps what this configuration says.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            rooms: rooms::Shared::new(config),
            direct: direct::Shared::new(),
            gateway: gateway::Shared::new(),
            sessions: sessions::Shared::new(),
            conversations: conversations::Shared::default(),
        }
    }
}

/// What every dialect's wiring is given.
struct Foundation<'a> {
    config: &'a Config,
    gate: Gate,
    doors: Doors,
    metrics: Metrics,
    /// What tokens must fulfil, for services that give them out; `None` where somebody else verifies them.
    tokens: Option<JwtRules>,
}

impl Foundation<'_> {
    /// The configured Socket.IO engine, before this core.
    fn engine(&self, path: &'static str, core: Arc<dyn Core>) -> Engine {
        self.recovering_engine(path, core, None)
    }

    /// The same for a core that can go on with what another instance has kept there.
    fn recovering_engine(&self, path: &'static str, core: Arc<dyn Core>, away: Option<Arc<dyn AwayStore>>) -> Engine {
        let Self { config, gate, metrics, .. } = self;
        Engine::new(config.engine_kind, path, config.engine, core, gate.clone(), metrics.clone(), away)
    }
}

/// How one Redis is used, whatever for.
fn redis_options(config: &Config, redis: &RedisConfig) -> RedisOptions {
    RedisOptions { server: redis.clone(), timeout: config.clocks.backend_timeout }
}

/// Where those whose clients are away are kept for other instances: on Redis, or else with those who share this process.
fn away(redis: Option<&RedisOptions>, here: &Arc<dyn AwayStore>) -> Result<Arc<dyn AwayStore>, BadRedis> {
    let Some(options) = redis else { return Ok(Arc::clone(here)) };
    Ok(Arc::new(RedisAway::new(RedisLink::new(options)?)))
}

/// What a dialect's wiring makes.
struct Assembled {
    core: Arc<dyn Core>,
    /// For whoever looks at `rooms` from inside the process.
    hub: Option<Arc<chat::rooms::Hub>>,
    /// The Socket.IO engine, for dialects that have one.
    engine: Option<Engine>,
    /// What each listener serves; [`SOCKET`] is one of them.
    routes: Vec<(&'static str, Router)>,
}

/// A server could not be started. The words say what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is not to be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate or its key is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The auth service's address is of no use.
    #[error(transparent)]
    AuthService(#[from] BadServiceAddress),
    /// The same for gRPC.
    #[error(transparent)]
    AuthGrpc(#[from] BadGrpcAddress),
    /// Redis cannot be used as configured. That it does not answer is no error: the server waits for it.
    #[error(transparent)]
    Redis(#[from] BadRedis),
    /// The user service gives out tokens, and somebody else verifies them.
    #[error("the user service signs tokens itself: set identity.jwt_secret (JWT_SECRET) and no auth service")]
    SigningSecret,
    /// The dialect is known, and this server does not speak it.
    #[error("the server does not speak {0}")]
    Dialect(&'static str),
    /// PostgreSQL cannot be used as configured. That it does not answer is no error.
    #[error(transparent)]
    Postgres(#[from] BadPostgres),
    /// MongoDB cannot be used as configured. That it does not answer is no error.
    #[error(transparent)]
    Mongodb(#[from] BadMongo),
    /// The file for events cannot be opened.
    #[error("failed to open {path} for events: {source}")]
    Events {
        /// As configured.
        path: PathBuf,
        /// Why, as the system says it.
        #[source]
        source: std::io::Error,
    },
}

impl Server {
    /// Starts a server: when this returns, it accepts. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let memory = SharedMemory::new(&config);
        Self::start_beside(config, &memory).await
    }

    /// The same, beside other instances in this process: where no Redis is configured they share `memory`.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_beside(config: Config, memory: &SharedMemory) -> Result<Self, StartError> {
        // Ports first: a server that cannot listen must not enter itself anywhere.
        let tls = config.tls.as_ref().map(|files| Tls::load(&files.certificate, &files.key)).transpose()?;
        let mut listeners = BTreeMap::new();
        for (name, address) in std::iter::once((SOCKET, config.listen)).chain(config.listeners.clone()) {
            listeners.insert(name, open(name, address, &config)?.encrypted(tls.clone()));
        }
        let admin = config.admin.map(|admin| Listener::open("admin", admin, config.connections.clone())).transpose()?;
        let metrics = Metrics::new();
        let (verifier, secret) = verifier(&config.verifier)?;
        let foundation = Foundation {
            gate: Gate::new(config.identity, verifier, metrics.clone()),
            doors: Doors {
                metrics: metrics.clone(),
                origins: config.origins.clone(),
                origin_required: config.origin_required,
            },
            metrics: metrics.clone(),
            tokens: tokens(&config.verifier, secret.as_ref()),
            config: &config,
        };
        let assembled = match config.dialect.name {
            "rooms" => rooms::assemble(&foundation, &memory.rooms).await?,
            "conversations" => conversations::assemble(&foundation, &memory.conversations).await?,
            "gateway" => gateway::assemble(&foundation, &memory.gateway).await?,
            "sessions" => sessions::assemble(&foundation, &memory.sessions).await?,
            "direct" => direct::assemble(&foundation, &memory.direct).await?,
            name => return Err(StartError::Dialect(name)),
        };
        let ports = listeners.iter().map(|(&name, listener)| (name, listener.address().port())).collect();
        let whereabouts = Whereabouts::new(config.dialect, config.identity, ports);
        let listeners = assembled
            .routes
            .into_iter()
            .filter_map(|(name, routes)| {
                let routes = pages::beside(routes, config.dialect, name, &whereabouts);
                Some((name, listeners.remove(name)?.serve(routes, metrics.clone())))
            })
            .collect();
        let admin = admin.map(|admin| admin.serve(admin_routes(metrics.clone()), metrics));
        Ok(Self { core: assembled.core, hub: assembled.hub, engine: assembled.engine, listeners, admin, secret })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let mut others: BTreeMap<_, _> =
            self.listeners.iter().map(|(name, serving)| (*name, serving.address())).collect();
        let listen = others.remove(SOCKET).expect("every dialect serves its sockets");
        Addresses { listen, others, admin: self.admin.as_ref().map(Serving::address) }
    }

    /// TCP connections of clients now.
    #[must_use]
    pub fn tcp_connections(&self) -> usize {
        self.listeners.iter().map(|(_, serving)| serving.connections()).sum()
    }

    /// The secret that tokens are signed with, if it was made at this start.
    #[must_use]
    pub fn embedded_secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// The chat core, for whoever looks at it from inside the process.
    #[must_use]
    pub fn core(&self) -> &Arc<dyn Core> {
        &self.core
    }

    /// The core of `rooms`, if that is what is served.
    #[must_use]
    pub fn hub(&self) -> Option<&Arc<chat::rooms::Hub>> {
        self.hub.as_ref()
    }

    /// Stops within `limit`: accepts nobody, ends all connections, writes what waits, closes. Returns how many connections had to be cut.
    ///
    /// What a client was told to be stored is stored; a command that is carried out now is finished.
    pub async fn drain(self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        self.core.registry().stop_accepting();
        self.listeners.iter().for_each(|(_, serving)| serving.stop_accepting());
        let goodbye = deadline - limit / GOODBYE_SHARE;
        let (closed, grace) = (goodbye + limit / CLOSING_SHARE, limit / GRACE_SHARE);
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        let _ = tokio::time::timeout_at(
            goodbye,
            self.core.registry().end_all(EndReason::ServerStopping, limit / GOODBYE_SHARE / 2),
        )
        .await;
        if let Some(engine) = &self.engine {
            engine.close(left(closed)).await;
        }
        let stopping = self.listeners.into_iter().map(|(_, serving)| serving.stop(left(closed), grace));
        let cut = join_all(stopping).await.into_iter().sum();
        if tokio::time::timeout_at(deadline, self.core.stop()).await.is_err() {
            tracing::warn!("something still waited for its backend at the end of the drain; it was never confirmed");
        }
        if let Some(admin) = self.admin {
            admin.stop(left(deadline), grace).await;
        }
        cut
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

/// Opens a listener. A port that needs privilege falls back to one that does not, with a line that says so.
fn open(name: &'static str, address: SocketAddr, config: &Config) -> Result<Listener, ListenError> {
    match Listener::open(name, address, config.connections.clone()) {
        Err(ListenError { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied
                && (1..PRIVILEGED_END).contains(&address.port()) =>
        {
            let instead = SocketAddr::new(address.ip(), address.port() + UNPRIVILEGED_OFFSET);
            tracing::warn!("{name}: port {} needs privilege, port {} is taken instead", address.port(), instead.port());
            Listener::open(name, instead, config.connections.clone())
        }
        opened => opened,
    }
}

/// What tokens of our own must fulfil so that our own verifier takes them.
fn tokens(verifier: &VerifierConfig, embedded: Option<&Secret>) -> Option<JwtRules> {
    match verifier {
        VerifierConfig::Embedded(names) => embedded.map(|secret| embedded_rules(names, secret)),
        VerifierConfig::Jwt(rules) => Some(rules.clone()),
        VerifierConfig::Service(_) | VerifierConfig::Grpc { .. } => None,
    }
}

fn embedded_rules(names: &ClaimNames, secret: &Secret) -> JwtRules {
    JwtRules { names: names.clone(), ..JwtRules::new(secret.expose().as_bytes()) }
}

fn verifier(config: &VerifierConfig) -> Result<(Arc<dyn Verifier>, Option<Secret>), StartError> {
    let clock = Arc::new(clock::unix_ms);
    Ok(match config {
        VerifierConfig::Embedded(names) => {
            let secret = Secret::fresh();
            (Arc::new(JwtVerifier::new(embedded_rules(names, &secret), clock)), Some(secret))
        }
        VerifierConfig::Jwt(rules) => (Arc::new(JwtVerifier::new(rules.clone(), clock)), None),
        VerifierConfig::Service(rules) => (Arc::new(ServiceVerifier::new(rules.clone(), clock)?), None),
        VerifierConfig::Grpc { address, timeout } => (Arc::new(GrpcVerifier::new(address, *timeout, clock)?), None),
    })
}
