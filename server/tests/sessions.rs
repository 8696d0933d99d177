//! The dialect `sessions` end to end over a WebSocket, everything in memory; several instances share one memory.

mod support;

use std::time::Duration;

use chatwright_protocol::dialects::sessions::DIALECT;
use chatwright_server::{Config, Server, SharedMemory, auth::IdentityMode, chat::Clocks};
use serde_json::{Value, json};
use support::{Client, Got, server};

const GRACE: Duration = Duration::from_millis(400);

fn config() -> Config {
    Config {
        dialect: &DIALECT,
        identity: IdentityMode::Open,
        grace: GRACE,
        clocks: Clocks { lease: Duration::from_millis(600), sweep: Duration::from_millis(100), ..Clocks::default() },
        ..server::config()
    }
}

async fn two() -> (Server, Server) {
    let memory = SharedMemory::new(&config());
    let start = || Server::start_beside(config(), &memory);
    (start().await.expect("it starts"), start().await.expect("it starts"))
}

async fn connect(server: &Server) -> Client {
    Client::at(server.addresses().listen, DIALECT.path, Value::Null).await.expect("everybody is let in")
}

fn who(user: &str) -> Value {
    json!({"userId": user, "username": format!("{user}-name")})
}

fn told(kind: &str, user: &str) -> Value {
    json!({"eventType": kind, "userId": user, "username": format!("{user}-name")})
}

/// Joins and takes the answer: the other users.
async fn join(client: &mut Client, user: &str, room: &str) -> Value {
    let mut payload = who(user);
    payload["roomId"] = json!(room);
    client.emit("join_room", payload).await;
    let answer = client.event("system_message").await;
    assert_eq!(answer["eventType"], "existing_users");
    answer["users"].clone()
}

async fn say(client: &mut Client, user: &str, text: &str) {
    let mut message = who(user);
    message["content"] = json!(text);
    message["timestamp"] = json!(1_700_000_000_000_u64);
    client.emit("send_message", json!({"message": message})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_reaches_the_others_in_the_room_on_every_instance_and_not_its_sender() {
    let (one, two) = two().await;
    let (mut alice, mut bob, mut tab) = (connect(&one).await, connect(&two).await, connect(&one).await);
    assert_eq!(join(&mut alice, "alice", "room").await, json!([]));
    assert_eq!(join(&mut bob, "bob", "room").await, json!([who("alice")]));
    assert_eq!(alice.event("system_message").await, told("connect", "bob"));
    assert_eq!(join(&mut tab, "alice", "room").await, json!([who("bob")]));
    for number in 0..20 {
        say(&mut alice, "alice", &format!("{number}")).await;
    }
    for listener in [&mut bob, &mut tab] {
        for number in 0..20 {
            let message = listener.event("receive_message").await;
            let expected = json!({"userId": "alice", "username": "alice-name", "content": format!("{number}"), "timestamp": 1_700_000_000_000_u64});
            assert_eq!(message, expected);
        }
    }
    say(&mut bob, "bob", "fence").await;
    assert_eq!(alice.event("receive_message").await["content"], "fence");
    assert_eq!(tab.event("receive_message").await["content"], "fence");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_departure_is_told_once_after_the_grace_period_and_a_return_within_it_not_at_all() {
    let (one, two) = two().await;
    let (mut alice, mut bob) = (connect(&one).await, connect(&one).await);
    join(&mut bob, "bob", "room").await;
    join(&mut alice, "alice", "room").await;
    assert_eq!(bob.event("system_message").await, told("connect", "alice"));
    drop(alice);
    let mut alice = connect(&two).await;
    assert_eq!(join(&mut alice, "alice", "room").await, json!([who("bob")]));
    tokio::time::sleep(GRACE).await;
    say(&mut alice, "alice", "I never left").await;
    assert_eq!(bob.event("receive_message").await["content"], "I never left");
    let left = std::time::Instant::now();
    alice.raw(r#"42["leave_session"]"#).await;
    assert_eq!(alice.next().await, Got::Disconnected);
    assert_eq!(bob.event("system_message").await, told("disconnect", "alice"));
    assert!(left.elapsed() >= GRACE, "the grace period was not kept: {:?}", left.elapsed());
    let mut alice = connect(&one).await;
    join(&mut alice, "alice", "room").await;
    assert_eq!(bob.event("system_message").await, told("reconnect", "alice"));
    say(&mut alice, "alice", "fence").await;
    assert_eq!(bob.event("receive_message").await["content"], "fence");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_everybody_left_is_forgotten() {
    let (one, _two) = two().await;
    let (mut alice, mut bob) = (connect(&one).await, connect(&one).await);
    join(&mut alice, "alice", "room").await;
    drop(alice);
    tokio::time::sleep(GRACE).await;
    let memory_is_clear = async {
        loop {
            let mut probe = connect(&one).await;
            if join(&mut probe, "bob", "room").await == json!([]) {
                return probe;
            }
            drop(probe);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _probe = tokio::time::timeout(support::PATIENCE, memory_is_clear).await.expect("alice is gone in time");
    join(&mut bob, "bob", "another").await;
    let mut alice = connect(&one).await;
    join(&mut alice, "alice", "another").await;
    assert_eq!(bob.event("system_message").await, told("connect", "alice"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verified_user_speaks_for_himself_whatever_the_payload_says() {
    let config = Config { identity: IdentityMode::Token, ..config() };
    let server = Server::start(config).await.expect("it starts");
    let address = server.addresses().listen;
    assert!(Client::at(address, DIALECT.path, Value::Null).await.is_err(), "a token is demanded");
    let enter = async |user: &str| {
        let auth = json!({"token": server::token(user, Duration::from_secs(60))});
        Client::at(address, DIALECT.path, auth).await.expect("let in")
    };
    let (mut mallory, mut bob) = (enter("mallory").await, enter("bob").await);
    join(&mut bob, "bob", "room").await;
    join(&mut mallory, "alice", "room").await;
    assert_eq!(bob.event("system_message").await, told("connect", "mallory"));
    say(&mut mallory, "alice", "it is me, alice").await;
    assert_eq!(bob.event("receive_message").await["userId"], "mallory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_refused_and_nobody_notices() {
    let (one, _two) = two().await;
    let (mut alice, mut bob) = (connect(&one).await, connect(&one).await);
    say(&mut alice, "alice", "not in any room").await;
    join(&mut bob, "bob", "room").await;
    join(&mut alice, "alice", "room").await;
    assert_eq!(bob.event("system_message").await, told("connect", "alice"));
    for (event, payload) in [
        ("send_message", json!({"message": {"userId": "alice", "username": "a", "content": " ", "timestamp": 1}})),
        ("send_message", json!({"message": "text"})),
        ("join_room", json!({"userId": "alice", "username": "a"})),
        ("join_room", json!({"userId": "", "username": "a", "roomId": "room"})),
        ("no_such_event", json!({})),
    ] {
        let answer = alice.ask(event, payload).await;
        assert_eq!(answer["ok"], false, "{answer}");
    }
    say(&mut alice, "alice", "fence").await;
    assert_eq!(bob.event("receive_message").await["content"], "fence");
}
