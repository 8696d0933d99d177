//! The contract of each port of the server over its adapters on a Redis in a container: the image that users run, not a binary that happens
//! to be installed.

mod engine;

use std::{sync::Arc, time::Duration};

use chatwright_client_sdk::protocol::vocabulary::{Member, MessageKind, RoomId};
use chatwright_conformance::target::BackendName;
use chatwright_server::{
    bus::redis::RedisBus,
    config::RedisConfig,
    contract::{bus_keeps_its_promises, message_store_keeps_its_promises, roster_store_keeps_its_promises},
    redis_link::{RedisLink, RedisOptions},
    store::{
        Attempt, Draft, MessageStore,
        memory::Retention,
        redis::{RedisMessages, RedisRoster},
    },
};
use chatwright_simulator::backends::{Backends, Durability};

const RETENTION: Retention = Retention { history_messages_max: 40, history_ttl: Duration::from_secs(600) };

#[tokio::test(flavor = "multi_thread")]
async fn messages_keep_their_promises_on_a_redis_in_a_container() {
    let Some(backends) = engine::start(&[BackendName::Redis], Durability::Durable).await else { return };
    let store = RedisMessages::new(link(&backends), RETENTION);
    message_store_keeps_its_promises(Arc::new(store), RETENTION.history_messages_max).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roster_keeps_its_promises_on_a_redis_in_a_container() {
    let Some(backends) = engine::start(&[BackendName::Redis], Durability::Volatile).await else { return };
    roster_store_keeps_its_promises(Arc::new(RedisRoster::new(link(&backends)))).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_keeps_its_promises_on_a_redis_in_a_container() {
    let Some(backends) = engine::start(&[BackendName::Redis], Durability::Volatile).await else { return };
    let [one, two, three] = [(); 3].map(|()| {
        let (bus, deliveries) = RedisBus::new(&options(&backends)).expect("a bus");
        (Arc::new(bus) as _, deliveries)
    });
    bus_keeps_its_promises(one, two, three).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_confirmed_before_redis_was_killed_stands_in_its_history_afterwards() {
    let Some(backends) = engine::start(&[BackendName::Redis], Durability::Durable).await else { return };
    let redis = Arc::clone(backends.get(BackendName::Redis).expect("it was asked for"));
    let store = RedisMessages::new(link(&backends), RETENTION);
    let room = RoomId::from("room");
    let first = store.append(&draft("one"), Attempt::First).await.expect("redis answers");
    redis.kill().await.expect("killed");
    assert!(store.append(&draft("two"), Attempt::First).await.is_err(), "a dead redis confirms");
    redis.start_again().await.expect("started");
    let second = store.append(&draft("three"), Attempt::First).await.expect("redis answers again");
    assert_eq!(second, first.next(), "the positions go on where they were");
    let history = store.history(&room, 10).await.expect("redis answers");
    let texts: Vec<&str> = history.messages.iter().map(|stored| stored.message.text.as_str()).collect();
    assert_eq!(texts, ["one", "three"]);
    drop(redis);
    backends.stop().await;
}

fn draft(text: &str) -> Draft {
    let sender = Member { user: "alice".into(), name: "Alice".to_owned() };
    Draft {
        id: text.into(),
        room: "room".into(),
        sender,
        text: text.to_owned(),
        kind: MessageKind::Text,
        sent_at_ms: 1,
    }
}

fn link(backends: &Backends) -> RedisLink {
    RedisLink::new(&options(backends)).expect("a link")
}

fn options(backends: &Backends) -> RedisOptions {
    let values = backends.get(BackendName::Redis).expect("it was asked for").values();
    let port = values["port"].parse().expect("a port is a number");
    let server = RedisConfig::at(values["host"].clone(), port);
    RedisOptions { server, timeout: Duration::from_secs(3) }
}
