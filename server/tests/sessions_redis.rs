//! `sessions` over a real Redis: the documented hash, several instances, an instance that dies, a Redis that is missing, lost and back, and TLS.

#[path = "support/speech.rs"]
mod speech;
mod support;

use std::{
    io::Write as _,
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chatwright_protocol::dialects::sessions::DIALECT;
use chatwright_server::{
    Config, Server,
    auth::IdentityMode,
    chat::Clocks,
    config::{RedisConfig, RedisTls},
};
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use speech::{say, until_heard};
use support::{Client, PATIENCE, redis::Redis, server};

const GRACE: Duration = Duration::from_millis(500);

fn config(redis: RedisConfig) -> Config {
    Config {
        dialect: &DIALECT,
        identity: IdentityMode::Open,
        grace: GRACE,
        redis: Some(redis),
        clocks: Clocks {
            backend_timeout: Duration::from_secs(1),
            lease: Duration::from_secs(10),
            sweep: Duration::from_millis(100),
            ..Clocks::default()
        },
        ..server::config()
    }
}

async fn start(redis: RedisConfig) -> Server {
    Server::start(config(redis)).await.expect("it starts")
}

async fn connect(server: &Server) -> Client {
    Client::at(server.addresses().listen, DIALECT.path, Value::Null).await.expect("everybody is let in")
}

async fn join(client: &mut Client, user: &str, room: &str) {
    client.emit("join_room", json!({"userId": user, "username": format!("{user}-name"), "roomId": room})).await;
    assert_eq!(client.event("system_message").await["eventType"], "existing_users");
}

fn told(kind: &str, user: &str) -> Value {
    json!({"eventType": kind, "userId": user, "username": format!("{user}-name")})
}

async fn hash(inside: &mut redis::aio::MultiplexedConnection, key: &str) -> Vec<(String, Value)> {
    let fields: std::collections::BTreeMap<String, String> = inside.hgetall(key).await.expect("a hash");
    fields.into_iter().map(|(user, json)| (user, serde_json::from_str(&json).expect("JSON"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_the_documented_hash_while_somebody_is_in_it() {
    let Some(redis) = Redis::start().await else { return };
    let server = start(redis.config("")).await;
    let mut inside = redis.client().await;
    let (mut alice, mut bob) = (connect(&server).await, connect(&server).await);
    join(&mut alice, "alice", "a:room").await;
    join(&mut bob, "bob", "a:room").await;
    let here = |gone: bool, name: &str| json!({"username": name, "isDisconnectConfirm": gone});
    let expected = [("alice".to_owned(), here(false, "alice-name")), ("bob".to_owned(), here(false, "bob-name"))];
    assert_eq!(hash(&mut inside, "room:a:room:users").await, expected);
    drop(bob);
    assert_eq!(alice.event("system_message").await, told("connect", "bob"));
    assert_eq!(alice.event("system_message").await, told("disconnect", "bob"));
    let users = hash(&mut inside, "room:a:room:users").await;
    assert_eq!(users[1], ("bob".to_owned(), here(true, "bob-name")));
    drop(alice);
    let is_gone = async {
        while inside.exists::<_, bool>("room:a:room:users").await.expect("an answer") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_gone).await.expect("the room is deleted when nobody is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_is_the_same_on_both_instances() {
    let Some(redis) = Redis::start().await else { return };
    let (one, two) = (start(redis.config("p:")).await, start(redis.config("p:")).await);
    let (mut alice, mut bob) = (connect(&one).await, connect(&two).await);
    join(&mut alice, "alice", "room").await;
    join(&mut bob, "bob", "room").await;
    assert_eq!(alice.event("system_message").await, told("connect", "bob"));
    for number in 0..50 {
        say(&mut bob, "bob", &format!("{number}")).await;
    }
    for number in 0..50 {
        assert_eq!(alice.event("receive_message").await["content"], format!("{number}"));
    }
    drop(bob);
    let mut bob = connect(&one).await;
    join(&mut bob, "bob", "room").await;
    tokio::time::sleep(GRACE).await;
    say(&mut bob, "bob", "fence").await;
    assert_eq!(alice.event("receive_message").await["content"], "fence");
    drop(bob);
    assert_eq!(alice.event("system_message").await, told("disconnect", "bob"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_the_service_goes_on_and_when_it_is_back_it_is_shared_again() {
    let Some(mut redis) = Redis::start().await else { return };
    let (one, two) = (start(redis.config("")).await, start(redis.config("")).await);
    let (mut alice, mut carol, mut bob) = (connect(&one).await, connect(&one).await, connect(&two).await);
    join(&mut alice, "alice", "room").await;
    join(&mut bob, "bob", "room").await;
    assert_eq!(alice.event("system_message").await, told("connect", "bob"));
    redis.kill();
    join(&mut carol, "carol", "room").await;
    assert_eq!(alice.event("system_message").await, told("connect", "carol"));
    say(&mut carol, "carol", "in memory").await;
    assert_eq!(alice.event("receive_message").await["content"], "in memory");
    redis.start_again().await;
    let mut notices = until_heard(&mut carol, "carol", &mut bob, "together again").await;
    notices.extend(until_heard(&mut bob, "bob", &mut alice, "both ways").await);
    assert!(notices.iter().all(|notice| notice["eventType"] != "disconnect"), "nobody has left: {notices:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_at_the_start_everything_is_in_memory_until_it_comes() {
    let Some(mut redis) = Redis::start().await else { return };
    redis.kill();
    let (one, two) = (start(redis.config("")).await, start(redis.config("")).await);
    let (mut alice, mut carol, mut bob) = (connect(&one).await, connect(&one).await, connect(&two).await);
    join(&mut alice, "alice", "room").await;
    join(&mut carol, "carol", "room").await;
    assert_eq!(alice.event("system_message").await, told("connect", "carol"));
    join(&mut bob, "bob", "room").await;
    redis.start_again().await;
    let mut notices = until_heard(&mut bob, "bob", &mut alice, "together at last").await;
    if notices.is_empty() {
        notices.push(alice.until("system_message").await);
    }
    assert_eq!(notices, [told("connect", "bob")]);
}

/// A Redis that speaks TLS only, with a certificate of its own authority; killed when dropped.
struct TlsRedis {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl TlsRedis {
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let write = |name: &str, text: &str| {
            let mut file = std::fs::File::create(folder.path().join(name)).expect("a file");
            file.write_all(text.as_bytes()).expect("written");
        };
        write("cert.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let child = Command::new("redis-server")
            .args(["--port", "0", "--tls-port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-auth-clients", "no"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self { child, folder, port })
    }

    fn config(&self) -> RedisConfig {
        let tls = Some(RedisTls { authority: Some(self.folder.path().join("cert.pem")) });
        RedisConfig { tls, ..RedisConfig::at("localhost", self.port) }
    }
}

impl Drop for TlsRedis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_with_tls_is_shared() {
    if Redis::start().await.is_none() {
        return; // said there
    }
    let redis = TlsRedis::start().expect("redis-server is there");
    let (one, two) = (start(redis.config()).await, start(redis.config()).await);
    let (mut alice, mut bob) = (connect(&one).await, connect(&two).await);
    join(&mut alice, "alice", "room").await;
    join(&mut bob, "bob", "room").await;
    until_heard(&mut alice, "alice", &mut bob, "over TLS").await;
}
