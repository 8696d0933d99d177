//! A server for `rooms` with everything in memory: `cargo run -p chatwright-server --example rooms -- [PORT] [SECRET] [fast]`.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use chatwright_protocol::dialects::rooms;
use chatwright_server::{
    auth::{
        Gate, IdentityMode,
        jwt::{JwtRules, JwtVerifier},
    },
    bus::memory::MemoryHub,
    chat::{Clocks, Hub, Limits, Ports, Rules},
    clock,
    listener::{Listener, ListenerLimits},
    metrics::Metrics,
    store::{
        InstanceId,
        memory::{MemoryMessages, Retention},
        memory_roster::MemoryRoster,
    },
    transport::oxide::{Oxide, OxideRules},
};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let port = args.next().and_then(|port| port.parse().ok()).unwrap_or(5004);
    let secret = args.next().unwrap_or_else(|| "secret".to_owned());
    let fast = args.next().is_some_and(|word| word == "fast");
    let metrics = Metrics::new();
    let limits = Limits::default();
    let retention = Retention { history_messages_max: limits.history_max, history_ttl: Duration::from_secs(604_800) };
    let (bus, deliveries) = MemoryHub::default().endpoint();
    let ports = Ports {
        messages: Arc::new(MemoryMessages::new(retention)),
        roster: Arc::new(MemoryRoster::default()),
        bus: Arc::new(bus),
        events: None,
    };
    let rules = Rules { dialect: &rooms::DIALECT, identity: IdentityMode::Token, limits, clocks: Clocks::default() };
    let hub = Hub::start(rules, InstanceId::fresh(), ports, deliveries, metrics.clone());
    let verifier = Arc::new(JwtVerifier::new(JwtRules::new(secret), Arc::new(clock::unix_ms)));
    let gate = Gate::new(IdentityMode::Token, verifier, metrics.clone());
    let mut engine = OxideRules::default();
    if fast {
        engine.ping_interval = Duration::from_millis(500);
        engine.ping_timeout = Duration::from_millis(500);
        engine.connect_timeout = Duration::from_secs(1);
    }
    let oxide = Oxide::new("/socket.io", engine, hub, gate, metrics.clone());
    let router: Router =
        Router::new().route_service("/socket.io/", oxide.service()).route_service("/socket.io", oxide.service());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = Listener::open("socket", address, ListenerLimits::default()).expect("the port is free");
    println!("http://{}", listener.address());
    let serving = listener.serve(router, metrics);
    std::future::pending::<()>().await;
    drop(serving);
}
