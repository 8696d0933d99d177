//! The dialect `rooms` end to end over a WebSocket, everything in memory.

mod support;

use std::time::Duration;

use chatwright_server::{Config, SharedMemory, auth::IdentityMode};
use serde_json::json;
use support::{Client, Got, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_reaches_every_member_once_its_sender_too() {
    let server = server::alone().await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let mut bob = Client::in_room(server.address, "bob", "room").await;
    let joined = alice.event("user_joined").await;
    assert_eq!(joined, json!({"roomId": "room", "userId": "bob", "username": "bob-name"}));
    alice.emit("send_message", json!({"roomId": "room", "message": "hi"})).await;
    for client in [&mut alice, &mut bob] {
        let message = client.event("new_message").await;
        assert_eq!(message["roomId"], "room");
        assert_eq!(message["userId"], "alice");
        assert_eq!(message["username"], "alice-name");
        assert_eq!(message["message"], "hi");
        assert_eq!(message["messageType"], "text");
        assert!(message["timestamp"].is_u64());
        client.nothing_more().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_gets_the_newest_fifty_oldest_first() {
    let server = server::alone().await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    for number in 0..60 {
        alice.emit("send_message", json!({"roomId": "room", "message": format!("{number}")})).await;
        alice.event("new_message").await;
    }
    let mut bob = Client::connect(server.address, "bob").await;
    let (history, users) = bob.join("room").await;
    let texts: Vec<&str> =
        history.as_array().expect("an array").iter().map(|m| m["message"].as_str().expect("text")).collect();
    let expected: Vec<String> = (10..60).map(|number| number.to_string()).collect();
    assert_eq!(texts, expected);
    assert_eq!(users, json!(["alice", "bob"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_belongs_to_users_and_not_to_devices() {
    let server = server::alone().await;
    let mut bob = Client::in_room(server.address, "bob", "room").await;
    let mut phone = Client::in_room(server.address, "alice", "room").await;
    bob.event("user_joined").await;
    let mut laptop = Client::connect(server.address, "alice").await;
    assert_eq!(laptop.join("room").await.1, json!(["alice", "bob"]));
    phone.emit("send_message", json!({"roomId": "room", "message": "hi"})).await;
    for client in [&mut bob, &mut phone, &mut laptop] {
        client.event("new_message").await;
    }
    drop(phone);
    laptop.emit("leave_room", json!({"roomId": "room"})).await;
    assert_eq!(bob.event("user_left").await["userId"], "alice");
    bob.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_again_gives_the_answers_again_and_changes_nothing_for_others() {
    let server = server::alone().await;
    let mut bob = Client::in_room(server.address, "bob", "room").await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    bob.event("user_joined").await;
    alice.join("room").await;
    alice.emit("send_message", json!({"roomId": "room", "message": "once"})).await;
    assert_eq!(alice.event("new_message").await["message"], "once");
    assert_eq!(bob.event("new_message").await["message"], "once");
    alice.nothing_more().await;
    bob.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_is_answered_and_has_no_effect() {
    let server = server::alone().await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let long = "x".repeat(4097);
    for (event, data) in [
        ("send_message", json!({"roomId": "elsewhere", "message": "hi"})),
        ("send_message", json!({"roomId": "room", "message": "  "})),
        ("send_message", json!({"roomId": "room", "message": long})),
        ("send_message", json!({"roomId": "room"})),
        ("send_message", json!({"roomId": "room", "message": "hi", "messageType": "system"})),
        ("send_message", json!("room")),
        ("typing", json!({"roomId": "elsewhere", "isTyping": true})),
        ("join_room", json!({"roomId": ""})),
        ("join_room", json!({"roomId": "r".repeat(129)})),
        ("authenticate", json!({"userId": "mallory", "username": "mallory"})),
        ("no_such_event", json!({})),
    ] {
        alice.emit(event, data.clone()).await;
        let error = alice.event("error").await;
        assert!(error["message"].is_string(), "{event} {data} {error}");
    }
    let answer = alice.ask("send_message", json!({"roomId": "elsewhere", "message": "hi"})).await;
    assert_eq!(answer, json!({"ok": false, "error": "Not a member of this room"}));
    alice.event("error").await;
    alice.emit("send_message", json!({"roomId": "room", "message": "good"})).await;
    let message = alice.event("new_message").await;
    assert_eq!(
        (&message["message"], &message["userId"], &message["sequence"]),
        (&json!("good"), &json!("alice"), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sixth_connection_of_a_user_is_refused_until_one_ends_also_across_instances() {
    let config = server::config();
    let memory = SharedMemory::new(&config);
    let (one, other) = (server::beside(config.clone(), &memory).await, server::beside(config, &memory).await);
    let mut five = Vec::new();
    for number in 0..5 {
        let address = if number % 2 == 0 { one.address } else { other.address };
        five.push(Client::connect(address, "alice").await);
    }
    let auth = || json!({"token": server::token("alice", Duration::from_secs(60))});
    let refused = Client::try_connect(other.address, auth()).await.err().expect("a refusal");
    assert_eq!(refused["message"], "Too many connections");
    drop(five.pop());
    for _ in 0..100 {
        if Client::try_connect(other.address, auth()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place is not free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_identity_is_what_authenticate_says_and_nothing_works_before() {
    let server = server::with(Config { identity: IdentityMode::Open, ..server::config() }).await;
    let mut alice = Client::try_connect(server.address, json!({})).await.expect("let in");
    alice.emit("join_room", json!({"roomId": "room"})).await;
    assert_eq!(alice.event("error").await, json!({"message": "Not authenticated"}));
    alice.emit("authenticate", json!({"userId": "alice", "username": "Alice"})).await;
    assert_eq!(alice.join("room").await, (json!([]), json!(["alice"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_share_messages_order_typing_and_rosters() {
    let config = server::config();
    let memory = SharedMemory::new(&config);
    let (one, other) = (server::beside(config.clone(), &memory).await, server::beside(config, &memory).await);
    let mut alice = Client::in_room(one.address, "alice", "room").await;
    let mut bob = Client::connect(other.address, "bob").await;
    assert_eq!(bob.join("room").await.1, json!(["alice", "bob"]));
    alice.event("user_joined").await;
    bob.emit("typing", json!({"roomId": "room", "isTyping": true})).await;
    assert_eq!(alice.event("user_typing").await["userId"], "bob");
    for number in 0..200 {
        let (event, client) = (
            json!({"roomId": "room", "message": format!("{number}")}),
            if number % 3 == 0 { &mut bob } else { &mut alice },
        );
        client.emit("send_message", event).await;
    }
    let mut seen = [Vec::new(), Vec::new()];
    for (client, seen) in [&mut alice, &mut bob].into_iter().zip(&mut seen) {
        for sequence in 1..=200 {
            let message = client.event("new_message").await;
            assert_eq!(message["sequence"], sequence);
            seen.push(message["message"].clone());
        }
        client.nothing_more().await;
    }
    assert_eq!(seen[0], seen[1]);
    drop(bob);
    assert_eq!(alice.event("user_left").await["userId"], "bob");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_tells_clients_to_go_and_ends_in_time() {
    let server = server::alone().await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let stalled = Client::in_room(server.address, "stalled", "room").await;
    alice.event("user_joined").await;
    alice.emit("send_message", json!({"roomId": "room", "message": "last"})).await;
    alice.event("new_message").await;
    let started = std::time::Instant::now();
    server.server.drain(Duration::from_secs(2)).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    loop {
        match alice.next().await {
            Got::End => break,
            Got::Event(..) => {}
            got @ (Got::Ack(..) | Got::Disconnected) => {
                panic!("{got:?}: a client that is told to leave would not come back")
            }
        }
    }
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
    drop(stalled);
}
