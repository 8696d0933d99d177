//! Instances of the server in this process.
#![expect(unreachable_pub, reason = "shared by test binaries, which export nothing")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use chatwright_protocol::dialects::rooms;
use chatwright_server::{
    auth::{
        Gate, IdentityMode,
        jwt::{JwtRules, JwtVerifier},
        mint::{TokenRequest, mint},
    },
    bus::memory::MemoryHub,
    chat::{Clocks, Hub, Limits, Ports, Rules},
    clock,
    listener::{Listener, ListenerLimits, Serving},
    metrics::Metrics,
    store::{
        InstanceId,
        memory::{MemoryMessages, Retention},
        memory_roster::MemoryRoster,
    },
    transport::oxide::{Oxide, OxideRules},
};

const SECRET: &[u8] = b"a secret of the tests, long enough for HS256";

/// A token for a user that ends after `lifetime`.
pub fn token(user: &str, lifetime: Duration) -> String {
    let expires_at_ms = clock::unix_ms() + u64::try_from(lifetime.as_millis()).expect("a short time");
    let request =
        TokenRequest { user: user.to_owned(), name: Some(format!("{user}-name")), email: None, expires_at_ms };
    mint(SECRET, &request).expect("the secret is fine")
}

/// What instances share.
pub struct Cluster {
    messages: Arc<MemoryMessages>,
    roster: Arc<MemoryRoster>,
    bus: MemoryHub,
}

impl Cluster {
    pub fn new() -> Self {
        let limits = Limits::default();
        let retention =
            Retention { history_messages_max: limits.history_max, history_ttl: Duration::from_secs(7 * 24 * 3600) };
        Self {
            messages: Arc::new(MemoryMessages::new(retention)),
            roster: Arc::new(MemoryRoster::default()),
            bus: MemoryHub::default(),
        }
    }
}

/// One instance.
pub struct Instance {
    pub hub: Arc<Hub>,
    pub address: SocketAddr,
    pub oxide: Oxide,
    pub serving: Serving,
}

/// How an instance differs from the defaults.
pub struct Setup {
    pub identity: IdentityMode,
    pub oxide: OxideRules,
    pub listener: ListenerLimits,
    pub limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            identity: IdentityMode::Token,
            oxide: OxideRules::default(),
            listener: ListenerLimits::default(),
            limits: Limits::default(),
        }
    }
}

/// A server alone.
pub async fn alone() -> Instance {
    start(&Cluster::new(), Setup::default()).await
}

/// A server beside others.
pub async fn start(cluster: &Cluster, setup: Setup) -> Instance {
    let metrics = Metrics::new();
    let (bus, deliveries) = cluster.bus.endpoint();
    let ports =
        Ports { messages: cluster.messages.clone(), roster: cluster.roster.clone(), bus: Arc::new(bus), events: None };
    let clocks = Clocks { lease: Duration::from_millis(600), sweep: Duration::from_millis(200), ..Clocks::default() };
    let rules = Rules { dialect: &rooms::DIALECT, identity: setup.identity, limits: setup.limits, clocks };
    let hub = Hub::start(rules, InstanceId::fresh(), ports, deliveries, metrics.clone());
    let verifier = Arc::new(JwtVerifier::new(JwtRules::new(SECRET), Arc::new(clock::unix_ms)));
    let gate = Gate::new(setup.identity, verifier, metrics.clone());
    let oxide = Oxide::new("/socket.io", setup.oxide, hub.clone(), gate, metrics.clone());
    let router: Router =
        Router::new().route_service("/socket.io/", oxide.service()).route_service("/socket.io", oxide.service());
    let listener =
        Listener::open("socket", "127.0.0.1:0".parse().expect("an address"), setup.listener).expect("a port");
    let address = listener.address();
    let serving = listener.serve(router, metrics);
    tokio::task::yield_now().await;
    Instance { hub, address, oxide, serving }
}
