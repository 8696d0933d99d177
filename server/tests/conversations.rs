//! The dialect `conversations` end to end over raw WebSocket: one instance, and two that share their memory.
#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

use std::{net::SocketAddr, time::Duration};

use chatwright_protocol::dialects::conversations;
use chatwright_server::{
    Config, Server, SharedMemory,
    auth::{
        jwt::JwtRules,
        mint::{TokenRequest, mint},
    },
    chat::Clocks,
    clock,
    config::VerifierConfig,
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// Nothing in these tests takes longer, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

const SECRET: &[u8] = b"a secret of the tests, long enough for HS256";

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn dial(address: SocketAddr) -> Self {
        let url = format!("ws://{address}/api/v1/chat");
        Self(timeout(PATIENCE, connect_async(url)).await.unwrap().unwrap().0)
    }

    async fn connect(address: SocketAddr, user: &str) -> Self {
        let mut client = Self::dial(address).await;
        client.say(json!({"type": "auth", "token": token(user)})).await;
        assert_eq!(client.read().await["type"], "auth_success");
        client
    }

    async fn say(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn send(&mut self, to: &[&str], content: &str) {
        self.say(json!({"type": "send_message", "recipientIds": to, "content": content})).await;
    }

    /// The next frame; a close frame as its code.
    async fn read(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("something comes in time") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Close(close))) => return json!({"closed": close.map(|close| u16::from(close.code))}),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return json!({"closed": null}),
            }
        }
    }

    /// The content of the next frame, which is of this type.
    async fn content(&mut self, kind: &str) -> String {
        let frame = self.read().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame["data"]["content"].as_str().unwrap().to_owned()
    }
}

fn token(user: &str) -> String {
    let expires_at_ms = clock::unix_ms() + 3_600_000;
    mint(SECRET, &TokenRequest { user: user.to_owned(), name: None, email: None, expires_at_ms }).unwrap()
}

fn config() -> Config {
    Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        verifier: VerifierConfig::Jwt(JwtRules::new(SECRET)),
        clocks: Clocks { lease: Duration::from_millis(600), sweep: Duration::from_millis(200), ..Clocks::default() },
        ..Config::of(&conversations::DIALECT)
    }
}

async fn alone() -> (Server, SocketAddr) {
    let server = Server::start(config()).await.unwrap();
    let address = server.addresses().listen;
    (server, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_confirmed_first_and_told_to_all_participants() {
    let (_server, address) = alone().await;
    let mut alice = Client::connect(address, "alice").await;
    let mut bob = Client::connect(address, "bob").await;
    alice.send(&["bob"], "hi").await;
    let sent = alice.read().await;
    assert_eq!(sent["type"], "message_sent");
    for client in [&mut alice, &mut bob] {
        let new = client.read().await;
        assert_eq!((&new["type"], &new["data"]), (&json!("new_message"), &sent["data"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_are_one_service() {
    let memory = SharedMemory::new(&config());
    let one = Server::start_beside(config(), &memory).await.unwrap();
    let two = Server::start_beside(config(), &memory).await.unwrap();
    let mut alice = Client::connect(one.addresses().listen, "alice").await;
    let mut bob = Client::connect(two.addresses().listen, "bob").await;
    for number in 0..30 {
        alice.send(&["bob"], &number.to_string()).await;
    }
    for number in 0..30 {
        assert_eq!(bob.content("new_message").await, number.to_string());
    }
    let mut places = Vec::new();
    for place in 0..4 {
        let server = if place % 2 == 0 { &one } else { &two };
        places.push(Client::connect(server.addresses().listen, "bob").await);
    }
    let mut sixth = Client::dial(one.addresses().listen).await;
    sixth.say(json!({"type": "auth", "token": token("bob")})).await;
    assert_eq!(sixth.read().await["type"], "auth_error");
    assert_eq!(sixth.read().await, json!({"closed": 4003}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_says_so_and_closes_with_1001() {
    let (server, address) = alone().await;
    let mut alice = Client::connect(address, "alice").await;
    let mut waiting = Client::dial(address).await;
    let draining = tokio::spawn(server.drain(Duration::from_secs(5)));
    for client in [&mut alice, &mut waiting] {
        assert_eq!(client.read().await["type"], "server_shutdown");
        assert_eq!(client.read().await, json!({"closed": 1001}));
    }
    drop((alice, waiting));
    assert_eq!(timeout(PATIENCE, draining).await.unwrap().unwrap(), 0, "nobody had to be cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_resumes_where_he_was() {
    let (_server, address) = alone().await;
    let mut alice = Client::connect(address, "alice").await;
    alice.send(&["bob"], "1").await;
    alice.send(&["bob"], "2").await;
    let conversation = alice.read().await["data"]["conversationId"].as_str().unwrap().to_owned();
    let mut contents = Vec::new();
    while contents.len() < 3 {
        contents.push(alice.read().await["data"]["content"].clone());
    }
    let mut bob = Client::connect(address, "bob").await;
    bob.say(json!({"type": "resume", "seen": {conversation: 1}})).await;
    let history = bob.read().await;
    assert_eq!(history["type"], "history");
    assert_eq!(history["data"]["messages"][0]["content"], "2");
    assert_eq!(history["data"]["messages"].as_array().unwrap().len(), 1);
    assert_eq!(bob.read().await["type"], "resumed");
}
