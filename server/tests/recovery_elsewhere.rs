//! Connection state recovery across instances that share a Redis: who comes back to another instance has missed nothing and nobody has noticed.
#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

mod support;

use std::time::Duration;

use chatwright_server::{
    Config,
    chat::Clocks,
    transport::{EngineKind, EngineRules},
};
use futures_util::{StreamExt as _, future::join_all};
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use support::{
    Client, PATIENCE,
    redis::Redis,
    server::{self, Instance},
    visitor::Visitor,
};
use tokio::time::timeout;

async fn instance(redis: &Redis) -> Instance {
    let engine = EngineRules { recovery_window: Duration::from_secs(60), ..EngineRules::default() };
    let clocks = Clocks { backend_timeout: Duration::from_secs(1), ..Clocks::default() };
    let redis = Some(redis.config("p:"));
    server::with(Config { engine, engine_kind: EngineKind::Lean, clocks, redis, ..server::config() }).await
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

async fn speak(bob: &mut Client, texts: &[&str]) {
    for text in texts {
        bob.emit("send_message", json!({"roomId": "room", "message": text})).await;
        assert_eq!(bob.event("new_message").await["message"], *text);
    }
}

/// What somebody who came back reads: what was kept for him, and what the room has beyond that.
async fn reads(visitor: &mut Visitor, before: Vec<Value>, texts: &[&str]) {
    let mut read = before;
    while read.len() < texts.len() {
        read.push(visitor.event().await);
    }
    let read: Vec<_> =
        read.iter().map(|event| (event[0].as_str().unwrap(), event[1]["message"].as_str().unwrap())).collect();
    let wanted: Vec<_> = texts.iter().map(|text| ("new_message", *text)).collect();
    assert_eq!(read, wanted);
}

/// Alice and Bob, each on an instance, in the room. Each knows of the other, and Alice has read what there was to read.
async fn both_in_room(alices: &Instance, bobs: &Instance) -> (Visitor, Client) {
    let mut bob = Client::in_room(bobs.address, "bob", "room").await;
    let mut alice = Visitor::in_room(alices.address, "alice").await;
    bob.event("user_joined").await;
    speak(&mut bob, &["hello"]).await;
    while alice.event().await[0] != "new_message" {} // Bob's arrival may come behind hers, by way of Redis
    (alice, bob)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_to_another_instance_has_missed_nothing_and_nobody_has_noticed() {
    let Some(redis) = Redis::start().await else { return };
    let instances = [instance(&redis).await, instance(&redis).await];
    let (mut alice, mut bob) = both_in_room(&instances[0], &instances[1]).await;
    for round in 0..4 {
        let (here, there) = (&instances[round % 2], &instances[(round + 1) % 2]);
        speak(&mut bob, &["here", "read"]).await;
        assert_eq!(alice.event().await[1]["message"], "here");
        let (sid, claim) = (alice.sid.clone(), alice.claim());
        assert_eq!(alice.event().await[1]["message"], "read");
        // What was sent and never read comes again, as far as the client has not said that it has read it.
        drop(alice);
        redis.keeps("p:", claim["pid"].as_str().unwrap()).await;
        speak(&mut bob, &["one", "two", "three"]).await;
        let (mut back, before) = Visitor::connect(there.address, "alice", claim.clone()).await;
        assert_eq!((&back.sid, &json!(back.pid)), (&sid, &claim["pid"]), "round {round}");
        assert_eq!(before[0][1]["message"], "read");
        reads(&mut back, before, &["read", "one", "two", "three"]).await;
        back.say(r#"42["send_message",{"roomId":"room","message":"back"}]"#).await;
        assert_eq!(back.event().await[1]["message"], "back");
        assert_eq!(bob.event("new_message").await["message"], "back"); // and nothing of leaving or joining
        let others = usize::from(round % 2 == 1); // Bob
        until("it is over where it was", async || here.server.core().registry().all().len() == others).await;
        alice = back;
    }
    assert_eq!(instances[0].hub.room_users(&"room".into()).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_to_where_he_was_before_he_was_elsewhere_has_missed_nothing() {
    let Some(redis) = Redis::start().await else { return };
    let instances = [instance(&redis).await, instance(&redis).await];
    let (mut alice, mut bob) = both_in_room(&instances[0], &instances[1]).await;
    let sid = alice.sid.clone();
    // While she is away nobody speaks, so the instance that she was on before has not noticed yet that she is elsewhere.
    for round in 0..5 {
        let claim = alice.claim();
        drop(alice);
        redis.keeps("p:", claim["pid"].as_str().unwrap()).await;
        let (back, missed) = Visitor::connect(instances[(round + 1) % 2].address, "alice", claim).await;
        assert_eq!((&back.sid, missed), (&sid, Vec::new()), "round {round}");
        alice = back;
    }
    speak(&mut bob, &["one"]).await; // with what she left behind it is over now, and nothing was said of leaving or joining
    reads(&mut alice, Vec::new(), &["one"]).await;
    alice.say(r#"42["send_message",{"roomId":"room","message":"two"}]"#).await;
    reads(&mut alice, Vec::new(), &["two"]).await;
    assert_eq!(bob.event("new_message").await["message"], "two");
    let all = |instance: &Instance| instance.server.core().registry().all().len();
    until("only the two are left", async || instances.iter().map(all).sum::<usize>() == 2).await;
    assert_eq!(instances[0].hub.room_users(&"room".into()).await.unwrap().len(), 2);
    let mut inside = redis.client().await;
    let connections: Vec<String> = inside.hkeys("p:chatwright:connections:alice").await.unwrap();
    assert_eq!(connections, [sid]);
    let status: String = inside.hget("p:user:presence:alice", "status").await.unwrap();
    assert_eq!(status, "online");
    speak(&mut bob, &["three"]).await;
    reads(&mut alice, Vec::new(), &["three"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_who_come_back_at_once_one_goes_on_and_the_others_begin_anew() {
    let Some(redis) = Redis::start().await else { return };
    let (here, there) = (instance(&redis).await, instance(&redis).await);
    let (mut alice, mut bob) = both_in_room(&here, &there).await;
    let sid = alice.sid.clone();
    for text in ["one", "two"] {
        let claim = alice.claim();
        drop(alice);
        redis.keeps("p:", claim["pid"].as_str().unwrap()).await;
        speak(&mut bob, &[text]).await;
        let comes = |instance: &Instance| Visitor::connect(instance.address, "alice", claim.clone());
        let all = join_all([comes(&here), comes(&here), comes(&there)]).await;
        let mut same: Vec<_> = all.into_iter().filter(|(visitor, _)| visitor.sid == sid).collect();
        assert_eq!(same.len(), 1, "{text}");
        let (mut back, missed) = same.remove(0);
        reads(&mut back, missed, &[text]).await;
        alice = back;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_leaves_everybody_behind_for_the_other_instances() {
    let Some(redis) = Redis::start().await else { return };
    let (here, there) = (instance(&redis).await, instance(&redis).await);
    let (alice, mut bob) = both_in_room(&here, &there).await;
    here.server.drain(Duration::from_secs(20)).await;
    assert_eq!(bob.event("user_left").await["userId"], "alice");
    speak(&mut bob, &["one", "two"]).await;
    let (sid, claim) = (alice.sid.clone(), alice.claim());
    let (mut back, before) = Visitor::connect(there.address, "alice", claim).await;
    assert_eq!(back.sid, sid);
    reads(&mut back, before, &["one", "two"]).await;
    assert_eq!(bob.event("user_joined").await["userId"], "alice");
    speak(&mut bob, &["three"]).await;
    assert_eq!(back.event().await[1]["message"], "three");
}

/// Reads until the end of the connection; what it has read counts.
async fn reads_on(visitor: &mut Visitor) {
    while let Some(Ok(message)) = timeout(PATIENCE, visitor.socket.next()).await.expect("an end") {
        let event = message.to_text().ok().and_then(|text| text.strip_prefix("42"));
        if let Some(event) = event {
            let event: Value = serde_json::from_str(event).unwrap();
            visitor.offset = event.as_array().unwrap().last().unwrap().clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_leaves_those_behind_too_who_are_told_that_others_go() {
    let Some(redis) = Redis::start().await else { return };
    let (here, there) = (instance(&redis).await, instance(&redis).await);
    let mut crowd = Vec::new();
    for number in 0..8 {
        crowd.push(Visitor::in_room(here.address, &format!("user-{number}")).await);
    }
    let drained = here.server.drain(Duration::from_secs(20));
    tokio::join!(drained, join_all(crowd.iter_mut().map(reads_on)));
    for (number, visitor) in crowd.iter().enumerate() {
        let (back, _) = Visitor::connect(there.address, &format!("user-{number}"), visitor.claim()).await;
        assert_eq!(back.sid, visitor.sid, "user-{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_else_gets_nothing_and_takes_nothing_away() {
    let Some(redis) = Redis::start().await else { return };
    let (here, there) = (instance(&redis).await, instance(&redis).await);
    let alice = Visitor::in_room(here.address, "alice").await;
    let (sid, claim) = (alice.sid.clone(), alice.claim());
    drop(alice);
    redis.keeps("p:", claim["pid"].as_str().unwrap()).await;
    let (mallory, missed) = Visitor::connect(there.address, "mallory", claim.clone()).await;
    assert!(mallory.sid != sid && json!(mallory.pid) != claim["pid"] && missed.is_empty());
    let (back, missed) = Visitor::connect(there.address, "alice", claim.clone()).await;
    assert!(back.sid == sid && json!(back.pid) == claim["pid"] && missed.is_empty());

    let odd = json!({"pid": claim["pid"], "offset": "never"});
    drop(back);
    redis.keeps("p:", claim["pid"].as_str().unwrap()).await;
    let (anew, missed) = Visitor::connect(here.address, "alice", odd).await;
    assert!(anew.sid != sid && json!(anew.pid) != claim["pid"] && missed.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_whoever_comes_back_elsewhere_begins_anew_and_here_goes_on() {
    let Some(mut redis) = Redis::start().await else { return };
    let (here, there) = (instance(&redis).await, instance(&redis).await);
    let (alice, carol) = (Visitor::in_room(here.address, "alice").await, Visitor::in_room(here.address, "carol").await);
    let (sids, claims) = ([alice.sid.clone(), carol.sid.clone()], [alice.claim(), carol.claim()]);
    drop(alice);
    drop(carol);
    for claim in &claims {
        redis.keeps("p:", claim["pid"].as_str().unwrap()).await;
    }
    redis.kill();
    let (anew, missed) = Visitor::connect(there.address, "alice", claims[0].clone()).await;
    assert!(anew.sid != sids[0] && json!(anew.pid) != claims[0]["pid"] && missed.is_empty());
    let (back, _) = Visitor::connect(here.address, "carol", claims[1].clone()).await;
    assert_eq!((&back.sid, &json!(back.pid)), (&sids[1], &claims[1]["pid"]));
}
