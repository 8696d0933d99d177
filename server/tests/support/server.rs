//! Instances of the server in this process.
#![expect(unreachable_pub, reason = "shared by test binaries, which export nothing")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chatwright_server::{
    Config, Server, SharedMemory,
    auth::{
        jwt::JwtRules,
        mint::{TokenRequest, mint},
    },
    chat::{Clocks, rooms::Hub},
    clock,
    config::VerifierConfig,
    transport::EngineKind,
};

pub const SECRET: &[u8] = b"a secret of the tests, long enough for HS256";

/// A token for a user that ends after `lifetime`.
pub fn token(user: &str, lifetime: Duration) -> String {
    let expires_at_ms = clock::unix_ms() + u64::try_from(lifetime.as_millis()).expect("a short time");
    let request =
        TokenRequest { user: user.to_owned(), name: Some(format!("{user}-name")), email: None, expires_at_ms };
    mint(SECRET, &request).expect("the secret is fine")
}

/// One instance.
pub struct Instance {
    pub server: Server,
    pub hub: Arc<Hub>,
    pub address: SocketAddr,
}

/// What carries Socket.IO in these tests: the default, or what `SOCKET_IO_ENGINE` says, because each of them holds for every engine.
pub fn engine_kind() -> EngineKind {
    let named = std::env::var("SOCKET_IO_ENGINE").ok();
    named.map_or_else(EngineKind::default, |name| name.parse().expect("SOCKET_IO_ENGINE names an engine"))
}

/// The configuration of these tests: a free port, a known secret, fast clocks.
pub fn config() -> Config {
    Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        verifier: VerifierConfig::Jwt(JwtRules::new(SECRET)),
        clocks: Clocks { lease: Duration::from_millis(600), sweep: Duration::from_millis(200), ..Clocks::default() },
        engine_kind: engine_kind(),
        ..Config::default()
    }
}

/// A server alone.
pub async fn alone() -> Instance {
    with(config()).await
}

/// A server alone with this configuration.
pub async fn with(config: Config) -> Instance {
    let memory = SharedMemory::new(&config);
    beside(config, &memory).await
}

/// A server beside others in this process.
pub async fn beside(config: Config, memory: &SharedMemory) -> Instance {
    let server = Server::start_beside(config, memory).await.expect("the server starts");
    Instance { hub: Arc::clone(server.hub().expect("rooms is served")), address: server.addresses().listen, server }
}
