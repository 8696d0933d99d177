//! `sessions` while Redis is slow, silent, or deaf to subscribers: nobody waits beyond the limits, `/health` says so, and what was missed is
//! made good. How it fares when Redis is missing, killed and back is in `sessions_redis.rs`.

#[path = "support/speech.rs"]
mod speech;
mod support;

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use chatwright_protocol::{
    dialects::sessions::DIALECT,
    vocabulary::{Member, RoomId},
};
use chatwright_server::{
    Config, Server,
    auth::IdentityMode,
    bus::{Bus as _, Movement, Notice, NoticeBody, redis::RedisBus},
    chat::Clocks,
    config::RedisConfig,
    redis_link::RedisOptions,
    store::InstanceId,
};
use serde_json::{Value, json};
use speech::{say, until_heard};
use support::{Client, PATIENCE, link::Link, redis::Redis, server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The time for one question to Redis.
const LIMIT: Duration = Duration::from_secs(1);
/// A Redis that answers, but later than anybody waits.
const SLOW: Duration = Duration::from_secs(5);
/// A join asks the bus and the store, one question each; on a machine that does other things too.
const JOIN_MAX: Duration = Duration::from_secs(4);

async fn start(port: u16) -> Server {
    let clocks = Clocks {
        backend_timeout: LIMIT,
        lease: Duration::from_secs(3),
        sweep: Duration::from_millis(100),
        ..Clocks::default()
    };
    let redis = Some(RedisConfig::at("127.0.0.1", port));
    let grace = Duration::from_secs(2);
    let config = Config { dialect: &DIALECT, identity: IdentityMode::Open, grace, redis, clocks, ..server::config() };
    Server::start(config).await.expect("it starts")
}

async fn join(server: &Server, user: &str, room: &str) -> Client {
    let mut client = Client::at(server.addresses().listen, DIALECT.path, Value::Null).await.expect("let in");
    client.emit("join_room", json!({"userId": user, "username": user, "roomId": room})).await;
    assert_eq!(client.event("system_message").await["eventType"], "existing_users");
    client
}

fn told(kind: &str, user: &str) -> Value {
    json!({"eventType": kind, "userId": user, "username": user})
}

async fn health(server: &Server) -> Value {
    let mut stream = TcpStream::connect(server.addresses().listen).await.expect("it listens");
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(&answer[answer.find('{').expect("a body")..]).expect("JSON")
}

async fn until_degraded(server: &Server, degraded: bool) -> Value {
    let began = Instant::now();
    loop {
        let health = health(server).await;
        if health["degraded"] == degraded {
            return health;
        }
        assert!(began.elapsed() < PATIENCE, "{health}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_takes_five_seconds_delays_nobody_that_long_and_is_shared_again_when_it_is_quick() {
    let Some(redis) = Redis::start().await else { return };
    let link = Link::to(redis.port()).await;
    let (one, two) = (start(link.port()).await, start(link.port()).await);
    let mut alice = join(&one, "alice", "room").await;
    let mut carol = join(&two, "carol", "room").await;
    assert_eq!(alice.event("system_message").await, told("connect", "carol"));
    link.delay(SLOW);
    let began = Instant::now();
    let mut bob = join(&one, "bob", "room").await;
    assert!(began.elapsed() < JOIN_MAX, "the first who joins waits {:?}", began.elapsed());
    assert_eq!(alice.event("system_message").await, told("connect", "bob"));
    let began = Instant::now();
    say(&mut bob, "bob", "quickly").await;
    assert_eq!(alice.event("receive_message").await["content"], "quickly");
    assert!(began.elapsed() < LIMIT, "who speaks waits for no Redis: {:?}", began.elapsed());
    let said = until_degraded(&one, true).await;
    assert_eq!((&said["status"], &said["storage"]), (&json!("ok"), &json!("memory")), "{said}");
    assert!(said["reason"].is_string(), "{said}");
    let began = Instant::now();
    let _dave = join(&one, "dave", "another room").await;
    assert!(began.elapsed() < JOIN_MAX, "the first in a room waits {:?}", began.elapsed());
    let began = Instant::now();
    let _erin = join(&one, "erin", "a third room").await;
    assert!(began.elapsed() < LIMIT, "a Redis known to be away is waited for: {:?}", began.elapsed());
    link.delay(Duration::ZERO);
    let mut notices = until_heard(&mut carol, "carol", &mut alice, "together again").await;
    notices.extend(until_heard(&mut bob, "bob", &mut carol, "both ways").await);
    assert!(notices.iter().all(|notice| notice["eventType"] != "disconnect"), "nobody has left: {notices:?}");
    assert_eq!(until_degraded(&one, false).await["storage"], "redis");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_while_the_channel_was_cut_is_told_once_when_it_is_back() {
    let Some(redis) = Redis::start().await else { return };
    let link = Link::to(redis.port()).await;
    let (one, two) = (start(link.port()).await, start(redis.port()).await);
    let mut alice = join(&one, "alice", "room").await;
    link.cut_subscribers(true);
    until_degraded(&one, true).await;
    let mut carol = join(&two, "carol", "room").await;
    link.cut_subscribers(false);
    assert_eq!(alice.event("system_message").await, told("connect", "carol"), "the gap is healed from the store");
    let notices = until_heard(&mut carol, "carol", &mut alice, "now").await;
    assert!(notices.is_empty(), "{notices:?}");
    until_degraded(&one, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_without_answers_keeps_a_bounded_number_of_notices_and_nobody_waits_for_it() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let server = RedisConfig::at("127.0.0.1", silent.local_addr().expect("an address").port());
    let (bus, _deliveries) = RedisBus::new(&RedisOptions { server, timeout: LIMIT }).expect("a bus");
    let room = RoomId::from("room");
    let notice = Notice {
        origin: InstanceId::fresh(),
        room: room.clone(),
        audience: Vec::new(),
        body: NoticeBody::Moved {
            member: Member { user: "alice".into(), name: "Alice".to_owned() },
            movement: Movement::Came,
            version: 1,
        },
    };
    let began = Instant::now();
    let mut refused = 0;
    for _ in 0..40_000 {
        refused += usize::from(bus.publish(notice.clone()).await.is_err());
    }
    assert!(refused > 0, "everything is kept");
    assert!(began.elapsed() < PATIENCE, "publishing waits: {:?}", began.elapsed());
    let began = Instant::now();
    assert!(bus.subscribe(&room).await.is_err(), "nobody has answered");
    assert!(began.elapsed() < 2 * LIMIT, "{:?}", began.elapsed());
    let began = Instant::now();
    for number in 0..100 {
        assert!(bus.subscribe(&RoomId::from(format!("room {number}"))).await.is_err());
    }
    assert!(began.elapsed() < 3 * LIMIT, "each wish waits for a bus that is known to be away: {:?}", began.elapsed());
}
