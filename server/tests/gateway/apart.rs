//! Each service in a server of its own, two of the chat service, and the API gateway in front of them.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use chatwright_protocol::dialects::gateway;
use chatwright_server::{
    Config, Server, SharedMemory,
    auth::jwt::JwtRules,
    config::{RedisConfig, Role, Upstreams, VerifierConfig},
};
use serde_json::{Value, json};

use crate::{
    http::{ask, get},
    support::{Client, PATIENCE, redis::Redis, server},
};

struct Cluster {
    user: Server,
    message: Server,
    chats: Vec<Server>,
    gateway: Server,
}

/// Of one of the services.
pub(crate) fn config(role: Role, redis: Option<&RedisConfig>) -> Config {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        listen: anywhere,
        listeners: std::collections::BTreeMap::new(),
        verifier: VerifierConfig::Jwt(JwtRules::new(server::SECRET)),
        clocks: server::config().clocks,
        role,
        redis: redis.cloned(),
        engine_kind: server::engine_kind(),
        ..Config::of(&gateway::DIALECT)
    }
}

fn url(server: &Server) -> http::Uri {
    format!("http://{}", server.addresses().listen).parse().unwrap()
}

impl Cluster {
    async fn start(redis: Option<&RedisConfig>) -> Self {
        let memory = SharedMemory::new(&config(Role::All, None));
        let started = async |role| Server::start_beside(config(role, redis), &memory).await.unwrap();
        let user = started(Role::User).await;
        let message = started(Role::Message).await;
        let chats = vec![started(Role::Chat).await, started(Role::Chat).await];
        let upstreams =
            Upstreams { user: vec![url(&user)], message: vec![url(&message)], chat: chats.iter().map(url).collect() };
        let front = Config { upstreams, ..config(Role::Gateway, None) };
        let gateway = Server::start(front).await.unwrap();
        Self { user, message, chats, gateway }
    }

    fn front(&self) -> SocketAddr {
        self.gateway.addresses().listen
    }

    async fn stop(self) {
        for server in [self.gateway, self.user, self.message].into_iter().chain(self.chats) {
            server.drain(Duration::from_secs(5)).await;
        }
    }
}

fn said(room: &str, text: &str) -> Value {
    json!({"roomId": room, "userId": "x", "username": "x", "text": text, "timestamp": 1})
}

async fn in_room(address: SocketAddr, user: &str, room: &str) -> Client {
    let mut client = Client::connect(address, user).await;
    client.raw(&format!("42{}", json!(["joinRoom", room]))).await;
    client.emit("sendMessage", said(room, &format!("{user} is here"))).await;
    while client.event("receiveMessage").await["text"] != format!("{user} is here") {}
    client
}

/// The texts of a room's history once there are so many: it may lag.
async fn history(address: SocketAddr, room: &str, count: usize) -> Vec<String> {
    let token = server::token("reader", Duration::from_secs(60));
    let began = Instant::now();
    loop {
        let (status, messages) = get(address, &format!("/messages/history/{room}"), &token).await;
        assert_eq!(status, 200, "{messages}");
        let texts: Vec<String> =
            messages.as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect();
        if texts.len() >= count || began.elapsed() > PATIENCE {
            return texts;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn converse_through_the_gateway(cluster: &Cluster) {
    let front = cluster.front();
    let account = json!({"email": "ann@example.test", "password": "correct horse"}).to_string();
    let (status, answer) = ask(front, "POST", "/auth/register", "", &account).await;
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = ask(front, "POST", "/auth/login", "", &account).await;
    assert_eq!(status, 200, "{answer}");
    // In turn: the two land on different instances.
    let mut alice = in_room(front, "alice", "lobby").await;
    let mut bob = in_room(front, "bob", "lobby").await;
    assert_eq!(cluster.chats.iter().map(Server::tcp_connections).min(), Some(1), "each instance has one of them");
    assert_eq!(alice.event("receiveMessage").await["text"], "bob is here");
    for number in 0..20 {
        alice.emit("sendMessage", said("lobby", &number.to_string())).await;
    }
    for number in 0..20 {
        let got = bob.event("receiveMessage").await;
        assert_eq!((&got["text"], &got["userId"]), (&json!(number.to_string()), &json!("alice")));
    }
    let texts = history(front, "lobby", 22).await;
    let numbers: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(&texts[..2], ["alice is here", "bob is here"]);
    assert_eq!(&texts[2..], numbers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_apart_are_one_service_behind_the_gateway() {
    let cluster = Cluster::start(None).await;
    converse_through_the_gateway(&cluster).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chat_instances_meet_on_redis() {
    let Some(redis) = Redis::start().await else { return };
    let cluster = Cluster::start(Some(&redis.config(""))).await;
    converse_through_the_gateway(&cluster).await;
    let mut connection = redis.client().await;
    let list: Option<String> = redis::cmd("GET").arg("chat:history:lobby").query_async(&mut connection).await.unwrap();
    assert!(list.is_some_and(|list| list.contains("bob is here")), "the documented key holds the list");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polling_session_stays_with_the_instance_that_opened_it() {
    let cluster = Cluster::start(None).await;
    let front = cluster.front();
    let path = "/socket.io/?EIO=4&transport=polling";
    for user in ["alice", "bob", "carol"] {
        let (status, open) = ask(front, "GET", path, "", "").await;
        assert_eq!(status, 200, "{open}");
        let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        let session = format!("{path}&sid={}", open["sid"].as_str().unwrap());
        let token = server::token(user, Duration::from_secs(60));
        let connect = format!("40{}", json!({"token": token}));
        assert_eq!(ask(front, "POST", &session, "", &connect).await, (200, "ok".to_owned()));
        let (status, answer) = ask(front, "GET", &session, "", "").await;
        assert!(status == 200 && answer.starts_with("40{"), "{status} {answer}");
        for number in 0..4 {
            let event = format!("42{number}{}", json!(["joinRoom", "lobby"]));
            assert_eq!(ask(front, "POST", &session, "", &event).await, (200, "ok".to_owned()));
            let (status, answer) = ask(front, "GET", &session, "", "").await;
            assert_eq!((status, answer.as_str()), (200, format!("43{number}[{{\"ok\":true}}]").as_str()));
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_gone_is_told_and_passed_over() {
    let mut cluster = Cluster::start(None).await;
    let gone = cluster.chats.remove(0);
    let gone_at = url(&gone).to_string();
    gone.drain(Duration::from_secs(5)).await;
    let (status, health) = get(cluster.front(), "/health", "").await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    let chat = health["services"].as_array().unwrap().iter().find(|it| it["service"] == "chat-service").unwrap();
    let of = |status: &str| {
        let instances = chat["instances"].as_array().unwrap().iter();
        instances.filter(|instance| instance["status"] == status).map(|it| it["url"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("unavailable"), [json!(gone_at)]);
    assert_eq!(of("ok").len(), 1);
    for number in 0..4 {
        in_room(cluster.front(), &format!("user {number}"), "lobby").await;
    }
    let user = std::mem::replace(&mut cluster.user, Server::start(config(Role::User, None)).await.unwrap());
    user.drain(Duration::from_secs(5)).await;
    let (status, _) = ask(cluster.front(), "POST", "/auth/login", "", "{}").await;
    assert_eq!(status, 503);
    assert_eq!(get(cluster.front(), "/health", "").await.0, 503);
    cluster.stop().await;
}
