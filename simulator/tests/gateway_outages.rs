//! A whole `gateway` on real services, one of which is away at the start, slow, and killed while it is needed: what is confirmed stays, what
//! was said meanwhile is confirmed later and once, and `/health` says what is missing.

mod engine;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use chatwright_client_sdk::{
    Bot, BotConfig, BotEvent, Identity,
    protocol::{dialects::gateway, vocabulary::RoomId},
};
use chatwright_conformance::target::BackendName;
use chatwright_server::{
    Config, Server,
    auth::{
        jwt::JwtRules,
        mint::{TokenRequest, mint},
    },
    config::{RedisConfig, Secret, VerifierConfig},
};
use chatwright_simulator::backends::{Backends, Container, Durability};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long something may take that has no bound of its own, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(90);
/// What "slow" means: longer than the server waits for one answer.
const SLOW: Duration = Duration::from_secs(5);
const SECRET: &str = "a secret of these tests only, long enough";
/// 2100-01-01.
const FAR_FUTURE_MS: u64 = 4_102_444_800_000;
const ROOM: &str = "lobby";

/// What is known of a service: who is ill without it, and whether messages are confirmed all the same.
struct Needed {
    service: BackendName,
    by: &'static [(&'static str, &'static str)],
    spares_confirmations: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_may_be_away_at_the_start_slow_and_killed() {
    let by = &[("socket", "/health"), ("message", "/health"), ("gateway", "/messages/health")];
    survives(Needed { service: BackendName::Rabbitmq, by, spares_confirmations: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_may_be_away_at_the_start_slow_and_killed() {
    let by = &[("user", "/health"), ("message", "/health"), ("gateway", "/auth/health")];
    survives(Needed { service: BackendName::Mongodb, by, spares_confirmations: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_be_away_at_the_start_slow_and_killed() {
    survives(Needed { service: BackendName::Redis, by: &[("socket", "/health")], spares_confirmations: false }).await;
}

async fn survives(needed: Needed) {
    let services = [BackendName::Redis, BackendName::Mongodb, BackendName::Rabbitmq];
    let Some(backends) = engine::start(&services, Durability::Durable).await else { return };
    let container = Arc::clone(backends.get(needed.service).expect("asked for"));
    container.end().await.expect("stopped");
    let server = Server::start(config(&backends)).await.expect("a server that waits for what it needs");
    ill(&server, &needed).await;
    container.start_again().await.expect("started");
    well(&server).await;
    let mut ann = ann(&server).await;
    said(&mut ann, "at the start").await;

    container.pause().await.expect("paused");
    let paused = Instant::now();
    let ticket = post(&mut ann, "slow");
    if needed.spares_confirmations {
        confirmed(&mut ann, ticket).await;
    }
    ill(&server, &needed).await;
    tokio::time::sleep(SLOW.saturating_sub(paused.elapsed())).await;
    container.resume().await.expect("goes on");
    if !needed.spares_confirmations {
        confirmed(&mut ann, ticket).await;
    }
    well(&server).await;

    killed(&needed, &container, &server, &mut ann).await;
    let said = ["at the start", "slow", "killed 0", "killed 1", "killed 2", "at the end"];
    let told = history(&server, said.len()).await;
    assert_eq!(told, said, "each once, in order");
    drop(ann);
    server.drain(Duration::from_secs(5)).await;
    drop(container);
    backends.stop().await;
}

async fn killed(needed: &Needed, container: &Container, server: &Server, ann: &mut Bot) {
    container.kill().await.expect("killed");
    let tickets = [0, 1, 2].map(|number| post(ann, &format!("killed {number}")));
    if needed.spares_confirmations {
        for ticket in tickets {
            confirmed(ann, ticket).await;
        }
    }
    ill(server, needed).await;
    container.start_again().await.expect("started");
    if !needed.spares_confirmations {
        for ticket in tickets {
            confirmed(ann, ticket).await;
        }
    }
    well(server).await;
    said(ann, "at the end").await;
}

fn config(backends: &Backends) -> Config {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let of = |service| backends.get(service).expect("asked for");
    let redis = of(BackendName::Redis).values();
    Config {
        listen: anywhere,
        listeners: ["user", "message", "gateway", "web"].map(|name| (name, anywhere)).into(),
        verifier: VerifierConfig::Jwt(JwtRules::new(SECRET)),
        redis: Some(RedisConfig::at(redis["host"].clone(), redis["port"].parse().expect("a number"))),
        mongodb: Some(Secret::new(of(BackendName::Mongodb).url())),
        rabbitmq: Some(Secret::new(of(BackendName::Rabbitmq).url())),
        ..Config::of(&gateway::DIALECT)
    }
}

async fn ann(server: &Server) -> Bot {
    let url = format!("http://{}", server.addresses().listen);
    let mut config = BotConfig::new(&gateway::DIALECT, &url);
    (config.answer_timeout, config.pending_timeout) = (PATIENCE, PATIENCE);
    config.rest_url = Some(format!("http://{}", listener(server, "gateway")));
    let mut ann = Bot::connect_with(&gateway::DIALECT, Identity::token("ann", token()), config).await.expect("let in");
    ann.join(ROOM).await.expect("joined");
    ann
}

fn token() -> String {
    let request = TokenRequest { user: "ann".to_owned(), name: None, email: None, expires_at_ms: FAR_FUTURE_MS };
    mint(SECRET.as_bytes(), &request).expect("a secret that the library takes")
}

fn post(bot: &mut Bot, text: &str) -> chatwright_client_sdk::Ticket {
    bot.post(&RoomId::from(ROOM), text).expect("posted")
}

async fn said(bot: &mut Bot, text: &str) {
    let ticket = post(bot, text);
    confirmed(bot, ticket).await;
}

async fn confirmed(bot: &mut Bot, ticket: chatwright_client_sdk::Ticket) {
    let event = bot.wait_for(|event| event.ticket() == Some(ticket), PATIENCE).await.expect("an end in time");
    assert!(matches!(event, BotEvent::Confirmed { .. }), "{event:?}");
}

fn listener(server: &Server, name: &str) -> SocketAddr {
    let addresses = server.addresses();
    addresses.others.get(name).copied().unwrap_or(addresses.listen)
}

/// Who needs the service says that it is missing.
async fn ill(server: &Server, needed: &Needed) {
    for (name, path) in needed.by {
        until(&format!("{name}{path} says that {} is missing", needed.service.as_str()), async || {
            let (status, body) = get(listener(server, name), path).await;
            status == 503 && body["reason"].as_str().is_some_and(|reason| reason.contains(needed.service.as_str()))
        })
        .await;
    }
}

async fn well(server: &Server) {
    for (name, path) in [("socket", "/health"), ("user", "/health"), ("message", "/health"), ("gateway", "/health")] {
        until(&format!("{name}{path} is well"), async || get(listener(server, name), path).await.0 == 200).await;
    }
}

/// The room's texts, once there are so many.
async fn history(server: &Server, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    until("everything is in the history", async || {
        let (status, messages) = get(listener(server, "gateway"), &format!("/messages/history/{ROOM}")).await;
        let messages = if status == 200 { messages.as_array().cloned().unwrap_or_default() } else { Vec::new() };
        texts = messages.iter().filter_map(|message| message["text"].as_str().map(str::to_owned)).collect();
        texts.len() >= count
    })
    .await;
    texts
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Status and JSON of one request over a connection of its own.
async fn get(address: SocketAddr, path: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let token = token();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer in time").expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}
