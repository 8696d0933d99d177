//! A server in this process, tokens for its users, and a wire between the two that can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chatwright_client_sdk::{Bot, BotConfig, BotEvent, ConnectError, Identity, Reconnection};
use chatwright_protocol::dialects::{Dialect, rooms};
use chatwright_server::{
    Config, Server,
    auth::{
        IdentityMode,
        jwt::JwtRules,
        mint::{TokenRequest, mint},
    },
    config::VerifierConfig,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

const SECRET: &str = "a secret of these tests only";
/// 2100-01-01.
const FAR_FUTURE_MS: u64 = 4_102_444_800_000;
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    dialect: &'static Dialect,
    pub(crate) server: Server,
    address: SocketAddr,
    pub(crate) wire: Wire,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::speaking(&rooms::DIALECT, change).await
    }

    /// A server of any dialect, which wants to see tokens.
    pub(crate) async fn of(dialect: &'static Dialect) -> Self {
        Self::speaking(dialect, |_| {}).await
    }

    async fn speaking(dialect: &'static Dialect, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            identity: IdentityMode::Token,
            verifier: VerifierConfig::Jwt(JwtRules::new(SECRET)),
            ..Config::of(dialect)
        };
        config.listeners.values_mut().for_each(|address| address.set_port(0));
        change(&mut config);
        let server = Server::start(config).await.expect("loopback has a free port");
        let address = server.addresses().listen;
        Self { dialect, server, address, wire: Wire::to(address).await }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Straight to the server.
    pub(crate) async fn bot(&self, user: &str) -> Bot {
        self.connect(user, &self.url()).await.expect("a good token")
    }

    /// Over the wire that can be cut.
    pub(crate) async fn shaky_bot(&self, user: &str) -> Bot {
        self.connect(user, &self.wire.url()).await.expect("a good token")
    }

    /// Over that wire, by a bot that knows where histories are told.
    pub(crate) async fn shaky_reader(&self, user: &str, listener: &str) -> Bot {
        let address = self.server.addresses().others[listener];
        let config = BotConfig { rest_url: Some(format!("http://{address}")), ..self.config(&self.wire.url()) };
        let identity = Identity::token(user, token(user, FAR_FUTURE_MS));
        Bot::connect_with(self.dialect, identity, config).await.expect("a good token")
    }

    async fn connect(&self, user: &str, url: &str) -> Result<Bot, ConnectError> {
        let identity = Identity::token(user, token(user, FAR_FUTURE_MS));
        Bot::connect_with(self.dialect, identity, self.config(url)).await
    }

    fn config(&self, url: &str) -> BotConfig {
        let mut config = BotConfig::new(self.dialect, url);
        config.socket.reconnection = quick(url).socket.reconnection;
        config
    }
}

/// As by default, but back within a fraction of a second.
pub(crate) fn quick(url: &str) -> BotConfig {
    let mut config = BotConfig::new(&rooms::DIALECT, url);
    let delay = Duration::from_millis(50);
    config.socket.reconnection =
        Some(Reconnection { delay_min: delay, delay_max: 2 * delay, ..Reconnection::default() });
    config
}

pub(crate) fn token(user: &str, expires_at_ms: u64) -> String {
    let request = TokenRequest { user: user.to_owned(), name: None, email: None, expires_at_ms };
    mint(SECRET.as_bytes(), &request).expect("a secret that the library takes")
}

pub(crate) fn good_token(user: &str) -> String {
    token(user, FAR_FUTURE_MS)
}

/// The texts of the messages that the bot hears, until `count` came.
pub(crate) async fn hear(bot: &mut Bot, count: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let is_message = |event: &BotEvent| matches!(event, BotEvent::Message { .. });
        match bot.wait_for(is_message, PATIENCE).await {
            Ok(BotEvent::Message { message, .. }) => heard.push(message.text),
            other => panic!("expected message {} of {count} after {heard:?}, got {other:?}", heard.len() + 1),
        }
    }
    heard
}

/// A TCP relay that can be cut and mended.
pub(crate) struct Wire {
    address: SocketAddr,
    whole: Arc<AtomicBool>,
    relays: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Wire {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("bound");
        let whole = Arc::new(AtomicBool::new(true));
        let relays: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let (open, running) = (Arc::clone(&whole), Arc::clone(&relays));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                let relay = tokio::spawn(async move {
                    if let Ok(mut upstream) = TcpStream::connect(server).await {
                        // Its end is the point of it.
                        let _ = copy_bidirectional(&mut client, &mut upstream).await;
                    }
                });
                running.lock().expect("nobody panics with it").push(relay.abort_handle());
            }
        });
        Self { address, whole, relays }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All connections end, new ones are refused.
    pub(crate) fn cut(&self) {
        self.whole.store(false, Ordering::SeqCst);
        for relay in self.relays.lock().expect("nobody panics with it").drain(..) {
            relay.abort();
        }
    }

    pub(crate) fn mend(&self) {
        self.whole.store(true, Ordering::SeqCst);
    }
}
