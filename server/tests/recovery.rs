//! Connection state recovery on our own engine: who comes back in time has missed nothing and nobody has noticed; everybody else begins anew.
#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

mod support;

use std::time::Duration;

use chatwright_server::{
    Config,
    transport::{EngineKind, EngineRules},
};
use serde_json::{Value, json};
use support::{
    Client, PATIENCE,
    server::{self, Instance},
    visitor::Visitor,
};
use tokio::time::timeout;

async fn with_window(window: Duration) -> Instance {
    let engine = EngineRules { recovery_window: window, ..EngineRules::default() };
    server::with(Config { engine, engine_kind: EngineKind::Lean, ..server::config() }).await
}

async fn speak(bob: &mut Client, texts: &[&str]) {
    for text in texts {
        bob.emit("send_message", json!({"roomId": "room", "message": text})).await;
        assert_eq!(bob.event("new_message").await["message"], *text);
    }
}

fn texts(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event[1]["message"].as_str().unwrap()).collect()
}

/// Waits until the server has seen that a client is gone.
async fn until_connections(server: &Instance, count: usize) {
    let gone = async {
        while server.server.tcp_connections() > count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the server notices");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_in_time_has_missed_nothing_and_nobody_has_noticed() {
    let server = with_window(Duration::from_secs(60)).await;
    let mut bob = Client::in_room(server.address, "bob", "room").await;
    let mut alice = Visitor::in_room(server.address, "alice").await;
    bob.event("user_joined").await;
    for round in 0..3 {
        speak(&mut bob, &["here"]).await;
        assert_eq!(alice.event().await[1]["message"], "here");
        let (sid, pid) = (alice.sid.clone(), alice.pid.clone());
        let auth = json!({"pid": alice.pid, "offset": alice.offset});
        drop(alice);
        until_connections(&server, 1).await;
        speak(&mut bob, &["one", "two", "three"]).await;
        let (back, missed) = Visitor::connect(server.address, "alice", auth).await;
        assert_eq!(texts(&missed), ["one", "two", "three"], "round {round}");
        assert_eq!((&back.sid, &back.pid), (&sid, &pid));
        alice = back;
        alice.say(r#"42["send_message",{"roomId":"room","message":"back"}]"#).await;
        assert_eq!(alice.event().await[1]["message"], "back");
        assert_eq!(bob.event("new_message").await["message"], "back"); // and nothing of leaving or joining
    }
    assert_eq!(server.server.core().registry().all().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_whom_he_says_or_does_not_know_enough_begins_anew() {
    let server = with_window(Duration::from_secs(60)).await;
    let mallory = Visitor::in_room(server.address, "alice").await;
    let (sid, pid) = (mallory.sid.clone(), mallory.pid.clone());
    let (other, missed) = mallory.returns_as(server.address, "mallory").await;
    assert!(other.pid != pid && other.sid != sid && missed.is_empty());

    let auth = json!({"pid": pid, "offset": "never"});
    let (anew, missed) = Visitor::connect(server.address, "alice", auth).await;
    assert!(anew.pid != pid && anew.sid != sid && missed.is_empty());

    let (other, _) = Visitor::connect(server.address, "alice", json!({"pid": "nobody", "offset": "1"})).await;
    assert!(other.pid != "nobody");

    let mut carol = Visitor::in_room(server.address, "carol").await;
    let (sid, pid) = (carol.sid.clone(), carol.pid.clone());
    carol.say("41").await;
    let (anew, _) = carol.returns_as(server.address, "carol").await;
    assert!(anew.pid != pid && anew.sid != sid, "who left on purpose has left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_too_late_has_left() {
    let server = with_window(Duration::from_millis(200)).await;
    let mut bob = Client::in_room(server.address, "bob", "room").await;
    let alice = Visitor::in_room(server.address, "alice").await;
    bob.event("user_joined").await;
    let (pid, offset) = (alice.pid.clone(), alice.offset.clone());
    drop(alice);
    assert_eq!(bob.event("user_left").await["userId"], "alice");
    let (anew, missed) = Visitor::connect(server.address, "alice", json!({"pid": pid, "offset": offset})).await;
    assert!(anew.pid != pid && missed.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_bounded_and_whoever_missed_more_begins_anew() {
    let engine = EngineRules {
        recovery_window: Duration::from_secs(60),
        recovery_bytes_max: 8 * 1024,
        ..EngineRules::default()
    };
    let server = server::with(Config { engine, engine_kind: EngineKind::Lean, ..server::config() }).await;
    let mut bob = Client::in_room(server.address, "bob", "room").await;
    let alice = Visitor::in_room(server.address, "alice").await;
    bob.event("user_joined").await;
    let (pid, auth) = (alice.pid.clone(), json!({"pid": alice.pid, "offset": alice.offset}));
    drop(alice);
    until_connections(&server, 1).await;
    let long = "x".repeat(4000);
    speak(&mut bob, &[long.as_str(); 3]).await;
    let (anew, missed) = Visitor::connect(server.address, "alice", auth).await;
    assert!(anew.pid != pid && missed.is_empty());
    assert_eq!(bob.event("user_left").await["userId"], "alice", "what nobody can go on with is over at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_nobody_who_is_away() {
    let server = with_window(Duration::from_secs(600)).await;
    let alice = Visitor::in_room(server.address, "alice").await;
    drop(alice);
    until_connections(&server, 0).await;
    let began = std::time::Instant::now();
    assert_eq!(server.server.drain(Duration::from_secs(20)).await, 0);
    assert!(began.elapsed() < Duration::from_secs(10), "took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_with_another_token_stays_as_long_as_that_one_holds() {
    let server = with_window(Duration::from_secs(60)).await;
    let short = server::token("alice", Duration::from_secs(2));
    let (alice, _) = Visitor::connect(server.address, "alice", json!({"token": short})).await;
    let (sid, claim) = (alice.sid.clone(), alice.claim());
    drop(alice);
    until_connections(&server, 0).await;
    let (mut alice, _) = Visitor::connect(server.address, "alice", claim).await;
    assert_eq!(alice.sid, sid, "it is recovered");
    tokio::time::sleep(Duration::from_millis(2500)).await; // until the first token has ended
    alice.say(r#"42["join_room",{"roomId":"room"}]"#).await;
    assert_eq!(alice.event().await[0], "message_history");
}
