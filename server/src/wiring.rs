//! Puts a server together from its configuration: the only file that names adapters.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use chatwright_protocol::dialects::rooms;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    auth::{
        Gate, Verifier,
        grpc::{BadGrpcAddress, GrpcVerifier},
        jwt::{JwtRules, JwtVerifier},
        service::{BadServiceAddress, ServiceVerifier},
    },
    bus::{Bus, Deliveries, memory::MemoryHub, redis::RedisBus},
    chat::{Hub, Ports, Rules},
    clock,
    config::{Config, Secret, VerifierConfig},
    events::{EventSink, json_lines::JsonLines},
    http::{Doors, admin_routes, client_routes},
    listener::{ListenError, Listener, Serving},
    metrics::Metrics,
    redis_link::{BadRedis, RedisLink, RedisOptions},
    store::{
        InstanceId, MessageStore, RosterStore,
        memory::{MemoryMessages, Retention},
        memory_roster::MemoryRoster,
        redis::{RedisMessages, RedisRoster},
    },
    transport::{EndReason, oxide::Oxide},
};

/// Of the time for a drain, the part in which connections end by themselves; the rest is for the store and for cutting what is left.
const GOODBYE_SHARE: u32 = 2;

/// One running server.
#[derive(Debug)]
pub struct Server {
    hub: Arc<Hub>,
    oxide: Oxide,
    sockets: Serving,
    admin: Option<Serving>,
    secret: Option<Secret>,
}

/// Where a server listens, with the real ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Clients: Socket.IO and REST.
    pub listen: SocketAddr,
    /// `/metrics`.
    pub admin: Option<SocketAddr>,
}

/// What instances in one process share instead of Redis.
#[derive(Clone)]
pub struct SharedMemory {
    messages: Arc<dyn MessageStore>,
    roster: Arc<dyn RosterStore>,
    bus: MemoryHub,
}

impl SharedMemory {
    /// An empty one that keeps what this configuration says.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let messages = Arc::new(MemoryMessages::new(retention(config)));
        Self { messages, roster: Arc::new(MemoryRoster::default()), bus: MemoryHub::default() }
    }
}

/// A server could not be started. The words say what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is not to be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The auth service's address is of no use.
    #[error(transparent)]
    AuthService(#[from] BadServiceAddress),
    /// The same for gRPC.
    #[error(transparent)]
    AuthGrpc(#[from] BadGrpcAddress),
    /// Redis cannot be used as configured. That it does not answer is no error: the server waits for it.
    #[error(transparent)]
    Redis(#[from] BadRedis),
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
        let sockets = Listener::open("socket", config.listen, config.connections.clone())?;
        let admin = config.admin.map(|admin| Listener::open("admin", admin, config.connections.clone())).transpose()?;
        let metrics = Metrics::new();
        let (verifier, secret) = verifier(&config.verifier)?;
        let gate = Gate::new(config.identity, verifier, metrics.clone());
        let (ports, deliveries) = ports(&config, memory, events(&config).await?)?;
        let rules =
            Rules { dialect: &rooms::DIALECT, identity: config.identity, limits: config.limits, clocks: config.clocks };
        let hub = Hub::start(rules, InstanceId::fresh(), ports, deliveries, metrics.clone());
        hub.renew().await; // known to the cluster before the first client comes
        let oxide = Oxide::new(rooms::DIALECT.path, config.engine, Arc::clone(&hub), gate.clone(), metrics.clone());
        let doors = Doors {
            hub: Arc::clone(&hub),
            gate,
            metrics: metrics.clone(),
            origins: config.origins,
            origin_required: config.origin_required,
            rest_body_bytes_max: config.rest_body_bytes_max,
        };
        let sockets = sockets.serve(client_routes(doors, rooms::DIALECT.path, oxide.service()), metrics.clone());
        let admin = admin.map(|admin| admin.serve(admin_routes(metrics.clone()), metrics));
        Ok(Self { hub, oxide, sockets, admin, secret })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses { listen: self.sockets.address(), admin: self.admin.as_ref().map(Serving::address) }
    }

    /// TCP connections of clients now.
    #[must_use]
    pub fn tcp_connections(&self) -> usize {
        self.sockets.connections()
    }

    /// The secret that tokens are signed with, if it was made at this start.
    #[must_use]
    pub fn embedded_secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// The chat core, for whoever looks at it from inside the process.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Stops within `limit`: accepts nobody, ends all connections, writes what waits, closes. Returns how many connections had to be cut.
    ///
    /// What a client was told to be stored is stored; a command that is carried out now is finished.
    pub async fn drain(self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        self.hub.stop_accepting();
        self.sockets.stop_accepting();
        let goodbye = deadline - limit / GOODBYE_SHARE;
        let _ = tokio::time::timeout_at(goodbye, self.hub.end_all(EndReason::ServerStopping)).await;
        self.oxide.close().await;
        let cut = self.sockets.stop(goodbye.saturating_duration_since(Instant::now())).await;
        if tokio::time::timeout_at(deadline, self.hub.stop()).await.is_err() {
            tracing::warn!("something still waited for its backend at the end of the drain; it was never confirmed");
        }
        if let Some(admin) = self.admin {
            admin.stop(deadline.saturating_duration_since(Instant::now())).await;
        }
        cut
    }
}

fn verifier(config: &VerifierConfig) -> Result<(Arc<dyn Verifier>, Option<Secret>), StartError> {
    let clock = Arc::new(clock::unix_ms);
    Ok(match config {
        VerifierConfig::Embedded(names) => {
            let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
            let rules = JwtRules { names: names.clone(), ..JwtRules::new(secret.as_bytes()) };
            (Arc::new(JwtVerifier::new(rules, clock)), Some(Secret::new(secret)))
        }
        VerifierConfig::Jwt(rules) => (Arc::new(JwtVerifier::new(rules.clone(), clock)), None),
        VerifierConfig::Service(rules) => (Arc::new(ServiceVerifier::new(rules.clone(), clock)?), None),
        VerifierConfig::Grpc { address, timeout } => (Arc::new(GrpcVerifier::new(address, *timeout, clock)?), None),
    })
}

async fn events(config: &Config) -> Result<Option<Arc<dyn EventSink>>, StartError> {
    let Some(path) = &config.events_file else { return Ok(None) };
    match JsonLines::open(path).await {
        Ok(sink) => Ok(Some(Arc::new(sink))),
        Err(source) => Err(StartError::Events { path: path.clone(), source }),
    }
}

fn ports(
    config: &Config,
    memory: &SharedMemory,
    events: Option<Arc<dyn EventSink>>,
) -> Result<(Ports, Deliveries), StartError> {
    let Some(redis) = &config.redis else {
        let (bus, deliveries) = memory.bus.endpoint();
        let (messages, roster) = (Arc::clone(&memory.messages), Arc::clone(&memory.roster));
        return Ok((Ports { messages, roster, bus: Arc::new(bus) as Arc<dyn Bus>, events }, deliveries));
    };
    let options = RedisOptions { server: redis.clone(), timeout: config.clocks.backend_timeout };
    let link = RedisLink::new(&options)?;
    let (bus, deliveries) = RedisBus::new(&options)?;
    let messages = Arc::new(RedisMessages::new(link.clone(), retention(config)));
    let ports = Ports { messages, roster: Arc::new(RedisRoster::new(link)), bus: Arc::new(bus), events };
    Ok((ports, deliveries))
}

fn retention(config: &Config) -> Retention {
    Retention { history_messages_max: config.limits.history_max, history_ttl: config.history_ttl }
}
