//! `direct` on real services while they are away: MongoDB absent at the start, killed, silent for five seconds; Redis killed. What was confirmed
//! stands, what is said meanwhile is heard and confirmed later, and `/health` says how it is.

mod engine;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use chatwright_client_sdk::{
    Auth, Config as ClientConfig, Socket, SocketEvent,
    protocol::{
        dialects::direct::{self, conversation::id_of},
        vocabulary::UserId,
    },
};
use chatwright_conformance::target::BackendName;
use chatwright_server::{
    Config, Server,
    config::{RedisConfig, Secret},
    store::{
        direct::DirectStore as _,
        mongodb::{MongoDirect, MongoLink},
    },
};
use chatwright_simulator::backends::{Backends, Durability};
use serde_json::{Value, json};

/// How long something may take that has no bound of its own, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a backend is silent that is called slow.
const SLOW: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_while_mongodb_is_not_there_is_heard_at_once_and_confirmed_when_it_is() {
    let Some(backends) = engine::start(&[BackendName::Mongodb, BackendName::Redis], Durability::Durable).await else {
        return;
    };
    let mongodb = backends.get(BackendName::Mongodb).expect("asked for");
    mongodb.end().await.expect("stopped");
    let server = server(&backends).await;
    until("it says that the store is away", async || store_problem(&server).await.is_some()).await;
    let (mut alice, mut bob) = (join(&server, "alice").await, join(&server, "bob").await);
    say(&alice, "absent at the start").await;
    assert_eq!(heard(&mut bob).await, "absent at the start");
    mongodb.start_again().await.expect("started");
    assert_eq!(confirmed(&mut alice).await, "absent at the start");
    until("it says that all is well", async || store_problem(&server).await.is_none()).await;

    say(&alice, "before the kill").await;
    assert_eq!(confirmed(&mut alice).await, "before the kill");
    assert_eq!(heard(&mut bob).await, "before the kill");
    mongodb.kill().await.expect("killed");
    let dead = ["first while it is dead", "second while it is dead"];
    for text in dead {
        say(&alice, text).await;
    }
    for text in dead {
        assert_eq!(heard(&mut bob).await, text);
    }
    assert_eq!(server.core().health().await.backlog, dead.len());
    mongodb.start_again().await.expect("started");
    for text in dead {
        assert_eq!(confirmed(&mut alice).await, text);
    }
    say(&alice, "when it is back").await;
    assert_eq!(heard(&mut bob).await, "when it is back", "nothing is told twice");
    assert_eq!(confirmed(&mut alice).await, "when it is back");
    let all = ["absent at the start", "before the kill", dead[0], dead[1], "when it is back"];
    assert_eq!(stored(&backends).await, all);
    server.drain(Duration::from_secs(10)).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mongodb_that_is_silent_for_five_seconds_holds_up_nobody_who_does_not_need_it() {
    let Some(backends) = engine::start(&[BackendName::Mongodb, BackendName::Redis], Durability::Volatile).await else {
        return;
    };
    let server = server(&backends).await;
    let (mut alice, mut bob) = (join(&server, "alice").await, join(&server, "bob").await);
    let (carol, mut dave) = (join(&server, "carol").await, join(&server, "dave").await);
    let mongodb = backends.get(BackendName::Mongodb).expect("asked for");
    mongodb.pause().await.expect("paused");
    let silent_since = Instant::now();
    say(&alice, "into the silence").await;
    let mut slowest = Duration::ZERO;
    while silent_since.elapsed() < SLOW {
        let asked = Instant::now();
        emit(&carol, "user_typing", json!({"userId": "carol", "targetUserId": "dave"})).await;
        next(&mut dave, "user_typing").await;
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(slowest < SLOW / 2, "others waited {slowest:?}");
    mongodb.resume().await.expect("resumed");
    assert_eq!(confirmed(&mut alice).await, "into the silence");
    assert_eq!(heard(&mut bob).await, "into the silence");
    say(&alice, "and after it").await;
    assert_eq!(heard(&mut bob).await, "and after it", "nothing is told twice");
    assert_eq!(stored(&backends).await, ["into the silence", "and after it"], "once, although it was tried again");
    server.drain(Duration::from_secs(10)).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_redis_did_not_bring_to_the_other_instance_is_read_from_mongodb() {
    let Some(backends) = engine::start(&[BackendName::Mongodb, BackendName::Redis], Durability::Durable).await else {
        return;
    };
    let (one, other) = (server(&backends).await, server(&backends).await);
    let (mut alice, mut bob) = (join(&one, "alice").await, join(&other, "bob").await);
    let redis = backends.get(BackendName::Redis).expect("asked for");
    let all = ["one", "two", "without a bus", "with a bus"];
    for text in all {
        if text == "without a bus" {
            redis.kill().await.expect("killed");
            until("it says that the bus is away", async || one.core().health().await.bus.problem.is_some()).await;
        }
        if text == "with a bus" {
            redis.start_again().await.expect("started");
            until("it says that all is well", async || one.core().health().await.bus.problem.is_none()).await;
        }
        say(&alice, text).await;
        assert_eq!(confirmed(&mut alice).await, text);
        assert_eq!(heard(&mut bob).await, text, "what the bus does not bring is found in the store");
    }
    assert_eq!(stored(&backends).await, all);
    one.drain(Duration::from_secs(10)).await;
    other.drain(Duration::from_secs(10)).await;
    backends.stop().await;
}

async fn server(backends: &Backends) -> Server {
    let redis = backends.get(BackendName::Redis).expect("asked for").values();
    let port = redis["port"].parse().expect("a port is a number");
    let mut config = Config::of(&direct::DIALECT);
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    config.listen = anywhere;
    config.listeners.values_mut().for_each(|address| *address = anywhere);
    config.redis = Some(RedisConfig::at(redis["host"].clone(), port));
    config.mongodb = Some(Secret::new(backends.get(BackendName::Mongodb).expect("asked for").url()));
    Server::start(config).await.expect("loopback has free ports, and backends are waited for")
}

async fn store_problem(server: &Server) -> Option<String> {
    server.core().health().await.store.problem
}

/// A connection that has joined as this user.
async fn join(server: &Server, user: &str) -> Socket {
    let mut config = ClientConfig::new(format!("http://{}", server.addresses().listen));
    direct::DIALECT.path.clone_into(&mut config.path);
    let socket = Socket::open(config, Auth::None).await.expect("let in");
    let joined = socket.emitter().emit_with_ack("user_join", vec![json!(user).into()], PATIENCE).await;
    joined.expect("joined");
    socket
}

async fn say(alice: &Socket, text: &str) {
    emit(alice, "send_message", json!({"userId": "alice", "targetUserId": "bob", "message": text})).await;
}

async fn emit(socket: &Socket, event: &str, payload: Value) {
    socket.emitter().emit(event, vec![payload.into()]).await.expect("connected");
}

async fn confirmed(alice: &mut Socket) -> String {
    next(alice, "message_sent").await["message"].as_str().expect("a text").to_owned()
}

async fn heard(bob: &mut Socket) -> String {
    next(bob, "new_message").await["message"].as_str().expect("a text").to_owned()
}

/// The payload of the next event of this name; others may come before it.
async fn next(socket: &mut Socket, wanted: &str) -> Value {
    let waiting = async {
        loop {
            let happened = socket.next().await.expect("still there");
            let SocketEvent::Event { name, args, .. } = happened else {
                panic!("while it waits for {wanted}: {happened:?}")
            };
            if name == wanted {
                return args.into_iter().next().and_then(|arg| arg.into_json()).expect("a payload");
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no {wanted}"))
}

/// The conversation of alice and bob as a client of MongoDB finds it.
async fn stored(backends: &Backends) -> Vec<String> {
    let url = Secret::new(backends.get(BackendName::Mongodb).expect("asked for").url());
    let store = MongoDirect::new(MongoLink::new(&url, PATIENCE).await.expect("a link"));
    let (alice, bob) = (UserId::from("alice"), UserId::from("bob"));
    let page = store.page(&id_of(&alice, &bob), &alice, 1, 100).await.expect("a page");
    page.messages.into_iter().map(|message| message.text).collect()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
