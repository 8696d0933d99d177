//! `rooms` over a real Redis: the documented keys, several instances, and what happens when Redis or an instance dies.

mod support;

use std::time::Duration;

use chatwright_server::{Config, chat::Clocks};
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use support::{
    Client, Got, PATIENCE,
    redis::Redis,
    server::{self, Instance},
};

fn config(redis: &Redis, prefix: &str) -> Config {
    Config {
        redis: Some(redis.config(prefix)),
        clocks: Clocks {
            backend_timeout: Duration::from_secs(1),
            lease: Duration::from_millis(900),
            sweep: Duration::from_millis(200),
            ..Clocks::default()
        },
        ..server::config()
    }
}

async fn two(redis: &Redis) -> (Instance, Instance) {
    (server::with(config(redis, "")).await, server::with(config(redis, "")).await)
}

async fn say(client: &mut Client, room: &str, text: &str) {
    client.emit("send_message", json!({"roomId": room, "message": text})).await;
}

/// Joins as soon as the store is back.
async fn join_patiently(client: &mut Client, room: &str) -> (Value, Value) {
    let started = std::time::Instant::now();
    loop {
        client.emit("join_room", json!({"roomId": room})).await;
        match client.next().await {
            Got::Event(name, history) if name == "message_history" => {
                return (history, client.event("room_users").await);
            }
            Got::Event(name, _) if name == "error" => tokio::time::sleep(Duration::from_millis(50)).await,
            got @ (Got::Event(..) | Got::Ack(..) | Got::Disconnected | Got::End) => panic!("unexpected {got:?}"),
        }
        assert!(started.elapsed() < PATIENCE, "the store does not come back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_keys_hold_what_the_document_says() {
    let Some(redis) = Redis::start().await else { return };
    let server = server::with(config(&redis, "p:")).await;
    let mut alice = Client::in_room(server.address, "alice", "room:1").await;
    let mut inside = redis.client().await;
    let id = server.server.core().registry().all()[0].id().to_string();
    let channels: Vec<(String, i64)> =
        redis::cmd("PUBSUB").arg("NUMSUB").arg("p:chat:room:room:1").query_async(&mut inside).await.expect("an answer");
    assert_eq!(channels, [("p:chat:room:room:1".to_owned(), 1)]);
    say(&mut alice, "room:1", "hi").await;
    alice.event("new_message").await;
    say(&mut alice, "room:1", "newest").await;
    alice.event("new_message").await;

    let list: Vec<String> = inside.lrange("p:chat:history:room:1", 0, -1).await.expect("a list");
    let newest: Value = serde_json::from_str(&list[0]).expect("JSON");
    assert_eq!((list.len(), &newest["message"], &newest["userId"]), (2, &json!("newest"), &json!("alice")));
    let ttl: i64 = inside.ttl("p:chat:history:room:1").await.expect("a TTL");
    assert!((604_700..=604_800).contains(&ttl), "{ttl}");
    let users: Vec<String> = inside.smembers("p:chat:room:room:1:users").await.expect("a set");
    assert_eq!(users, ["alice"]);
    let presence: std::collections::HashMap<String, String> =
        inside.hgetall("p:user:presence:alice").await.expect("a hash");
    assert_eq!((presence["status"].as_str(), &presence["socketId"]), ("online", &id));
    assert!(presence["lastSeen"].parse::<u64>().is_ok());
    let ttl: i64 = inside.ttl("p:user:presence:alice").await.expect("a TTL");
    assert!((3500..=3600).contains(&ttl), "{ttl}");

    drop(alice);
    for _ in 0..100 {
        let status: String = inside.hget("p:user:presence:alice", "status").await.expect("a field");
        if status == "offline" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let keys: Vec<String> = inside.keys("*").await.expect("keys");
    assert!(keys.iter().all(|key| key.starts_with("p:")), "{keys:?}");
    assert!(!keys.contains(&"p:chat:room:room:1:users".to_owned()), "nobody is left: {keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_agree_on_the_order_of_everything() {
    let Some(redis) = Redis::start().await else { return };
    let (one, other) = two(&redis).await;
    let mut alice = Client::in_room(one.address, "alice", "room").await;
    let mut bob = Client::in_room(other.address, "bob", "room").await;
    assert_eq!(alice.event("user_joined").await["userId"], "bob");
    for number in 0..300 {
        let text = number.to_string();
        if number % 2 == 0 { say(&mut alice, "room", &text).await } else { say(&mut bob, "room", &text).await }
    }
    let mut orders = Vec::new();
    for client in [&mut alice, &mut bob] {
        let mut order = Vec::new();
        for sequence in 1..=300 {
            let message = client.event("new_message").await;
            assert_eq!(message["sequence"], sequence);
            order.push(message["messageId"].clone());
        }
        client.nothing_more().await;
        orders.push(order);
    }
    assert_eq!(orders[0], orders[1]);
    bob.emit("leave_room", json!({"roomId": "room"})).await;
    assert_eq!(alice.event("user_left").await["userId"], "bob");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_people_on_one_instance_go_on_and_what_they_said_is_written_when_it_returns() {
    let Some(mut redis) = Redis::start().await else { return };
    let (one, other) = two(&redis).await;
    let mut alice = Client::in_room(one.address, "alice", "room").await;
    let mut bob = Client::in_room(one.address, "bob", "room").await;
    let mut carol = Client::in_room(other.address, "carol", "room").await;
    for joined in ["bob", "carol"] {
        assert_eq!(alice.event("user_joined").await["userId"], joined);
    }
    bob.event("user_joined").await;
    say(&mut alice, "room", "before").await;
    for client in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(client.event("new_message").await["message"], "before");
    }

    redis.kill();
    say(&mut alice, "room", "during 1").await;
    say(&mut alice, "room", "during 2").await;
    for text in ["during 1", "during 2"] {
        let early = bob.event("new_message").await;
        assert_eq!(
            (&early["message"], early.get("sequence")),
            (&json!(text), None),
            "not confirmed, so without a place"
        );
    }
    assert!(one.server.core().health().await.store.problem.is_some());
    let answer = alice.ask("send_message", json!({"roomId": "room", "message": "during 3"})).await;
    assert_eq!(answer["ok"], false, "nothing is confirmed now: {answer}");
    bob.event("new_message").await;

    redis.start_again().await;
    for client in [&mut alice, &mut carol] {
        for (sequence, text) in (2..).zip(["during 1", "during 2", "during 3"]) {
            let message = client.event("new_message").await;
            assert_eq!((&message["message"], &message["sequence"]), (&json!(text), &json!(sequence)));
        }
    }
    say(&mut carol, "room", "after").await;
    for client in [&mut alice, &mut bob, &mut carol] {
        let message = client.event("new_message").await;
        assert_eq!((&message["message"], &message["sequence"]), (&json!("after"), &json!(5)));
    }
    let mut dave = Client::connect(one.address, "dave").await;
    let (history, users) = join_patiently(&mut dave, "room").await;
    let texts: Vec<&Value> = history.as_array().expect("an array").iter().map(|message| &message["message"]).collect();
    assert_eq!(texts, ["before", "during 1", "during 2", "during 3", "after"]);
    assert_eq!(users, json!(["alice", "bob", "carol", "dave"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_everything_counts_anew_and_nobody_is_deaf() {
    let Some(redis) = Redis::start().await else { return };
    let (one, other) = two(&redis).await;
    let mut alice = Client::in_room(one.address, "alice", "room").await;
    let mut bob = Client::in_room(other.address, "bob", "room").await;
    alice.event("user_joined").await;
    for _ in 0..3 {
        say(&mut alice, "room", "old").await;
        alice.event("new_message").await;
        bob.event("new_message").await;
    }
    let mut inside = redis.client().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut inside).await.expect("flushed");
    say(&mut bob, "room", "new").await;
    for client in [&mut alice, &mut bob] {
        let message = client.until("new_message").await;
        assert_eq!((&message["message"], &message["sequence"]), (&json!("new"), &json!(1)));
    }
    for _ in 0..100 {
        let users: Vec<String> = inside.smembers("chat:room:room:users").await.expect("a set");
        if users.len() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the roster does not heal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bus_forgot_is_read_from_the_store() {
    let Some(redis) = Redis::start().await else { return };
    let (one, other) = two(&redis).await;
    let mut alice = Client::in_room(one.address, "alice", "room").await;
    let mut bob = Client::in_room(other.address, "bob", "room").await;
    alice.event("user_joined").await;
    let mut inside = redis.client().await;
    for round in 0..5 {
        // All subscribing connections are cut while a message is on its way.
        let text = round.to_string();
        say(&mut alice, "room", &text).await;
        let _: i64 =
            redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut inside).await.expect("cut");
        for client in [&mut alice, &mut bob] {
            assert_eq!(client.event("new_message").await["message"], text);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_redis_is_a_delay_and_no_failure() {
    let Some(redis) = Redis::start().await else { return };
    let mut config = config(&redis, "");
    config.clocks.backend_timeout = Duration::from_secs(3);
    let server = server::with(config).await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let mut inside = redis.client().await;
    let () = redis::cmd("CLIENT").arg("PAUSE").arg(1500).query_async(&mut inside).await.expect("paused");
    let answer = alice.ask("send_message", json!({"roomId": "room", "message": "patience"})).await;
    assert_eq!((&answer["ok"], &answer["sequence"]), (&json!(true), &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_away_for_longer_than_a_lease_makes_nobody_leave() {
    let Some(mut redis) = Redis::start().await else { return };
    let (one, other) = two(&redis).await;
    let mut alice = Client::in_room(one.address, "alice", "room").await;
    let mut bob = Client::in_room(other.address, "bob", "room").await;
    alice.event("user_joined").await;
    redis.kill();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    redis.start_again().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(one.hub.room_users(&"room".into()).await, Ok(vec!["alice".into(), "bob".into()]));
    say(&mut bob, "room", "still here").await;
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.event("new_message").await["message"], "still here");
    }
}
