//! What users of `conversations` notice while PostgreSQL, Redis or Kafka is away, silent or dead, and what `/health` says meanwhile.

mod engine;
mod link;
mod service;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chatwright_conformance::target::BackendName::{Kafka, Postgresql, Redis};
use chatwright_server::config::RedisConfig;
use chatwright_simulator::backends::Durability;
use link::Link;
use service::{Client, PATIENCE, TIMEOUT, ask, events_until, health, serve, stored, until_health_is};
use tokio::time::Instant;

/// As long as a backend is silent in these tests: longer than a server waits for it.
const SILENCE: Duration = Duration::from_secs(5);
/// A sweep that never comes: what is healed was noticed by its sequence or by a new subscription.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn backends_that_are_absent_at_the_start_are_waited_for_and_whoever_came_before_them_misses_nothing() {
    let Some(backends) = engine::start(&[Postgresql, Redis, Kafka], Durability::Durable).await else { return };
    let absent = [Postgresql, Redis, Kafka].map(|name| Arc::clone(backends.get(name).expect("asked for")));
    for backend in &absent {
        backend.kill().await.expect("killed");
    }
    let (_server, address) = serve(&backends, |_| {}).await;
    let body = until_health_is(address, "unavailable").await;
    for port in ["store", "bus"] {
        assert_eq!(body[port]["connected"], false, "{body}");
        assert!(body[port]["error"].is_string(), "with a reason: {body}");
    }
    let (mut alice, mut bob) = (Client::connect(address, "alice").await, Client::connect(address, "bob").await);
    alice.send("bob", "too early").await;
    assert_eq!(alice.answer().await["type"], "error");
    for backend in &absent {
        backend.start_again().await.expect("started");
    }
    until_health_is(address, "ok").await;
    alice.confirmed("bob", "now").await;
    assert_eq!(bob.heard_until("now").await, ["now"]);
    assert_eq!(stored(&backends, "alice").await, ["now"]);
    assert_eq!(events_until(&backends, "now").await.len(), 1);
    drop(absent);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_silent_for_five_seconds_costs_an_error_and_nobody_his_connection() {
    let Some(backends) = engine::start(&[Postgresql], Durability::Durable).await else { return };
    let postgresql = Arc::clone(backends.get(Postgresql).expect("asked for"));
    let (_server, address) = serve(&backends, |config| config.engine.ping_interval = Duration::from_secs(1)).await;
    let (mut alice, mut bob) = (Client::connect(address, "alice").await, Client::connect(address, "bob").await);
    alice.confirmed("bob", "before").await;
    postgresql.pause().await.expect("paused");
    let paused = Instant::now();
    for number in 0..40 {
        alice.send("bob", &format!("meanwhile {number}")).await;
    }
    for _ in 0..40 {
        assert_eq!(alice.answer().await["type"], "error");
    }
    assert!(paused.elapsed() < TIMEOUT * 3, "who asks waits once, not for each message: {:?}", paused.elapsed());
    let asked = Instant::now();
    let (status, body) = health(address).await;
    assert_eq!((status, &body["status"], &body["store"]["connected"]), (503, &"unavailable".into(), &false.into()));
    // Somebody comes while nobody knows his conversations.
    let mut carol = Client::connect(address, "carol").await;
    assert!(asked.elapsed() < TIMEOUT, "what is known to be away is not waited for: {:?}", asked.elapsed());
    tokio::time::sleep_until(paused + SILENCE).await;
    postgresql.resume().await.expect("resumed");
    until_health_is(address, "ok").await;
    alice.confirmed("bob", "after").await;
    alice.confirmed("carol", "hi").await;
    assert_eq!(bob.heard_until("after").await, ["before", "after"]);
    assert_eq!(carol.heard_until("hi").await, ["hi"]);
    assert_eq!(stored(&backends, "alice").await, ["before", "after", "hi"]);
    drop(postgresql);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_confirmed_when_the_database_was_killed_is_there_and_was_told_once_and_in_order() {
    let Some(backends) = engine::start(&[Postgresql, Kafka], Durability::Durable).await else { return };
    let postgresql = Arc::clone(backends.get(Postgresql).expect("asked for"));
    let (_server, address) = serve(&backends, |_| {}).await;
    let (mut alice, mut bob) = (Client::connect(address, "alice").await, Client::connect(address, "bob").await);
    let talking = async {
        let (mut confirmed, mut refused) = (Vec::new(), 0);
        let began = Instant::now();
        // On until there were refusals, and fifty confirmations behind the last of them.
        let mut since = 0;
        for number in 0.. {
            let text = number.to_string();
            alice.send("bob", &text).await;
            let answer = alice.answer().await;
            match answer["type"].as_str() {
                Some("message_sent") => {
                    since += 1;
                    confirmed.push(text);
                }
                Some("error") => {
                    (since, refused) = (0, refused + 1);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Some(_) | None => panic!("{answer}"),
            }
            if refused > 0 && since == 50 {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{} confirmed, {refused} refused", confirmed.len());
        }
        confirmed
    };
    let killing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        postgresql.kill().await.expect("killed");
        postgresql.start_again().await.expect("started");
    };
    let (confirmed, ()) = tokio::join!(talking, killing);
    let last = confirmed.last().expect("some are confirmed").clone();
    let stored = stored(&backends, "alice").await;
    let known: BTreeSet<&String> = stored.iter().collect();
    assert_eq!(known.len(), stored.len(), "nothing is there twice");
    assert!(confirmed.iter().all(|text| known.contains(text)), "{confirmed:?} of {stored:?}");
    assert_eq!(bob.heard_until(&last).await, stored, "as it stands there, so it was heard");
    let sequences = r#"SELECT count(*) AS all, max(sequence) AS last FROM chatwright.position"#;
    let counted = ask(&backends, Postgresql, sequences).await;
    assert_eq!(counted[0]["all"], counted[0]["last"], "no gap: {counted}");
    let events = events_until(&backends, &last).await;
    assert_eq!(once(&events), stored, "an event for each of them, in order");
    drop(postgresql);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_never_came_over_the_bus_is_noticed_by_the_sequence_of_the_next_one() {
    let Some(backends) = engine::start(&[Postgresql, Redis], Durability::Volatile).await else { return };
    let link = Link::to(backends.get(Redis).expect("asked for").address()).await;
    let (_one, here) = serve(&backends, |config| {
        config.redis = Some(RedisConfig::at(link.address.ip().to_string(), link.address.port()));
        config.clocks.sweep = NEVER;
    })
    .await;
    let (_other, there) = serve(&backends, |config| config.clocks.sweep = NEVER).await;
    let (mut alice, mut bob) = (Client::connect(here, "alice").await, Client::connect(there, "bob").await);
    alice.confirmed("bob", "one").await;
    assert_eq!(bob.heard_until("one").await, ["one"]);
    link.cut();
    alice.confirmed("bob", "lost").await;
    // Given up after the time for one question; then the link is mended, and nobody publishes it again.
    tokio::time::sleep(TIMEOUT * 2).await;
    link.mend();
    until_health_is(here, "ok").await;
    alice.confirmed("bob", "next").await;
    assert_eq!(bob.heard_until("next").await, ["lost", "next"]);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_cut_off_from_the_bus_reads_what_it_missed_as_soon_as_it_is_back() {
    let Some(backends) = engine::start(&[Postgresql, Redis], Durability::Volatile).await else { return };
    let link = Link::to(backends.get(Redis).expect("asked for").address()).await;
    let (_one, here) = serve(&backends, |config| config.clocks.sweep = NEVER).await;
    let (_other, there) = serve(&backends, |config| {
        config.redis = Some(RedisConfig::at(link.address.ip().to_string(), link.address.port()));
        config.clocks.sweep = NEVER;
    })
    .await;
    let (mut alice, mut bob) = (Client::connect(here, "alice").await, Client::connect(there, "bob").await);
    alice.confirmed("bob", "one").await;
    assert_eq!(bob.heard_until("one").await, ["one"]);
    link.cut();
    let body = until_health_is(there, "degraded").await;
    assert_eq!(body["bus"]["connected"], false, "{body}");
    for text in ["two", "three", "four"] {
        alice.confirmed("bob", text).await;
    }
    link.mend();
    assert_eq!(bob.heard_until("four").await, ["two", "three", "four"], "nobody says anything more, and it is told");
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_messages_are_confirmed_and_told_here_at_once_and_elsewhere_from_the_store() {
    let Some(backends) = engine::start(&[Postgresql, Redis], Durability::Volatile).await else { return };
    let redis = Arc::clone(backends.get(Redis).expect("asked for"));
    let (_one, here) = serve(&backends, |_| {}).await;
    let (_other, there) = serve(&backends, |_| {}).await;
    let (mut alice, mut carol) = (Client::connect(here, "alice").await, Client::connect(here, "carol").await);
    let mut bob = Client::connect(there, "bob").await;
    for away in ["silent", "dead"] {
        match away {
            "silent" => redis.pause().await.expect("paused"),
            _ => redis.kill().await.expect("killed"),
        }
        let began = Instant::now();
        let texts: Vec<String> = (0..20).map(|number| format!("{away} {number}")).collect();
        for text in &texts {
            alice.confirmed("bob", text).await;
            alice.confirmed("carol", text).await;
        }
        assert_eq!(carol.heard_until(&texts[19]).await, texts);
        assert_eq!(bob.heard_until(&texts[19]).await, texts, "from the store");
        let took = began.elapsed();
        assert!(took < PATIENCE / 2, "nobody waits for a {away} Redis: {took:?}");
        for address in [here, there] {
            let body = until_health_is(address, "degraded").await;
            assert_eq!((&body["store"]["connected"], &body["bus"]["connected"]), (&true.into(), &false.into()));
        }
        // Who comes now is let in: his connections are counted by each instance alone.
        drop(Client::connect(there, "dave").await);
        tokio::time::sleep_until(began + SILENCE).await;
        match away {
            "silent" => redis.resume().await.expect("resumed"),
            _ => redis.start_again().await.expect("started"),
        }
        for address in [here, there] {
            until_health_is(address, "ok").await;
        }
        let last = format!("{away} no more");
        alice.confirmed("bob", &last).await;
        assert_eq!(bob.heard_until(&last).await, [last.as_str()], "and nothing twice");
    }
    a_forgetful_redis_learns_how_many_connections_there_are(here, there).await;
    drop(redis);
    backends.stop().await;
}

/// Bob has one connection, that both know of again soon: then a sixth is one too many wherever it comes.
async fn a_forgetful_redis_learns_how_many_connections_there_are(
    here: std::net::SocketAddr,
    there: std::net::SocketAddr,
) {
    let mut places = Vec::new();
    for number in 0..4 {
        places.push(Client::connect(if number % 2 == 0 { here } else { there }, "bob").await);
    }
    let began = Instant::now();
    loop {
        let mut sixth = Client::knock(here, "bob").await;
        if sixth.read().await["type"] == "auth_error" {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "six are let in");
        drop(sixth);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_silent_or_dead_delays_events_and_no_message() {
    let Some(backends) = engine::start(&[Postgresql, Kafka], Durability::Durable).await else { return };
    let kafka = Arc::clone(backends.get(Kafka).expect("asked for"));
    let (_server, address) = serve(&backends, |_| {}).await;
    let mut alice = Client::connect(address, "alice").await;
    alice.confirmed("bob", "first").await;
    assert_eq!(events_until(&backends, "first").await.len(), 1);
    let mut said = vec!["first".to_owned()];
    for away in ["silent", "dead"] {
        match away {
            "silent" => kafka.pause().await.expect("paused"),
            _ => kafka.kill().await.expect("killed"),
        }
        let began = Instant::now();
        for number in 0..10 {
            let text = format!("{away} {number}");
            let asked = Instant::now();
            alice.confirmed("bob", &text).await;
            assert!(asked.elapsed() < TIMEOUT, "a message waits for a {away} broker: {:?}", asked.elapsed());
            said.push(text);
        }
        let body = until_health_is(address, "degraded").await;
        assert_eq!((&body["events"]["technology"], &body["events"]["connected"]), (&"kafka".into(), &false.into()));
        tokio::time::sleep_until(began + SILENCE).await;
        match away {
            "silent" => kafka.resume().await.expect("resumed"),
            _ => kafka.start_again().await.expect("started"),
        }
        let events = events_until(&backends, said.last().expect("something was said")).await;
        assert_eq!(once(&events), said, "in order, and each with one dedupeId");
        until_health_is(address, "ok").await;
    }
    drop(kafka);
    backends.stop().await;
}

/// The contents of events, the first of each message; the same event has the same `dedupeId` however often it was published, and another
/// event another.
fn once(events: &[serde_json::Value]) -> Vec<String> {
    let (mut contents, mut ids) = (Vec::new(), BTreeMap::new());
    for event in events {
        let text = |field: &str| event[field].as_str().expect("a text").to_owned();
        match ids.insert(text("messageId"), text("dedupeId")) {
            None => contents.push(text("content")),
            Some(earlier) => assert_eq!(earlier, text("dedupeId"), "{event}"),
        }
    }
    let different: BTreeSet<&String> = ids.values().collect();
    assert_eq!(different.len(), ids.len(), "each event has a dedupeId of its own");
    contents
}
