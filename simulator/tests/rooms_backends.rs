//! What stands behind `rooms` on real services: MongoDB behind Redis, RabbitMQ for other services, and what happens while they are away.

mod engine;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chatwright_client_sdk::protocol::vocabulary::{Member, MessageKind, RoomId, RoomKind, UserId};
use chatwright_conformance::target::BackendName;
use chatwright_server::{
    amqp_link::{AmqpLink, Topology},
    config::{RedisConfig, Secret},
    contract::{event_sink_keeps_its_promises, message_store_keeps_its_promises, room_archive_keeps_its_promises},
    events::{EventSink, rabbitmq::RabbitmqEvents, wire},
    redis_link::{RedisLink, RedisOptions},
    store::{
        Attempt, Draft, MessageStore, RoomRecord,
        archived::ArchivedMessages,
        memory::Retention,
        mongodb::{MongoArchive, MongoLink},
        redis::RedisMessages,
    },
};
use chatwright_simulator::backends::{Backends, Durability};
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueDeclareOptions},
    types::FieldTable,
};

const RETENTION: Retention = Retention { history_messages_max: 40, history_ttl: Duration::from_secs(600) };
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long something may take that has no bound of its own, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
const QUEUE: &str = "new_message";

#[tokio::test(flavor = "multi_thread")]
async fn the_room_archive_keeps_its_promises_on_mongodb() {
    let Some(backends) = engine::start(&[BackendName::Mongodb], Durability::Volatile).await else { return };
    room_archive_keeps_its_promises(Arc::new(archive(&backends).await)).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_keep_their_promises_on_rabbitmq() {
    let Some(backends) = engine::start(&[BackendName::Rabbitmq], Durability::Volatile).await else { return };
    event_sink_keeps_its_promises(&sink(&backends), || taken(&backends, 10)).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_keep_their_promises_on_redis_with_mongodb_behind_it() {
    let Some(backends) = engine::start(&[BackendName::Redis, BackendName::Mongodb], Durability::Volatile).await else {
        return;
    };
    let store = ArchivedMessages::start(front(&backends), Arc::new(archive(&backends).await), None);
    message_store_keeps_its_promises(Arc::new(store), RETENTION.history_messages_max).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_forgot_is_read_from_the_archive() {
    let Some(backends) = engine::start(&[BackendName::Redis, BackendName::Mongodb], Durability::Volatile).await else {
        return;
    };
    let archive = Arc::new(archive(&backends).await);
    let store = ArchivedMessages::start(front(&backends), Arc::clone(&archive) as Arc<_>, None);
    let room = RoomId::from("room");
    let record = RoomRecord { room: room.clone(), kind: RoomKind::Direct, participants: vec![UserId::from("alice")] };
    store.open_room(&record).await.expect("a record");
    for text in ["one", "two"] {
        store.append(&draft(text), Attempt::First).await.expect("confirmed");
    }
    let told = store.history(&room, 10).await.expect("a history").latest;
    until("both are archived", async || archived(&*archive).await == ["one", "two"]).await;
    redis(&backends, "FLUSHALL").await;
    assert_eq!(texts(&store, 10).await, ["one", "two"]);
    assert_eq!(store.room(&room).await.expect("an answer"), Some(record));
    let next = store.append(&draft("three"), Attempt::First).await.expect("confirmed");
    assert!(next > told, "{next:?} after {told:?}");
    assert_eq!(texts(&store, 10).await, ["one", "two", "three"]);
    assert_eq!(texts(&store, 2).await, ["two", "three"]);
    let since = store.since(&room, told).await.expect("a history");
    assert_eq!(since.messages.iter().map(|stored| stored.message.text.as_str()).collect::<Vec<_>>(), ["three"]);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_archive_and_broker_are_away_messages_are_confirmed_and_both_get_everything_later() {
    let services = [BackendName::Redis, BackendName::Mongodb, BackendName::Rabbitmq];
    let Some(backends) = engine::start(&services, Durability::Durable).await else { return };
    let [mongodb, rabbitmq] =
        [BackendName::Mongodb, BackendName::Rabbitmq].map(|name| Arc::clone(backends.get(name).expect("asked for")));
    let archive = Arc::new(archive(&backends).await);
    let store =
        ArchivedMessages::start(front(&backends), Arc::clone(&archive) as Arc<_>, Some(Arc::new(sink(&backends))));
    let record = RoomRecord {
        room: "room".into(),
        kind: RoomKind::Direct,
        participants: vec![UserId::from("alice"), UserId::from("bob")],
    };
    store.open_room(&record).await.expect("a record");
    store.append(&draft("before"), Attempt::First).await.expect("confirmed");
    until("the first is archived", async || archived(&*archive).await == ["before"]).await;
    rabbitmq.kill().await.expect("killed");
    store.append(&draft("without a broker"), Attempt::First).await.expect("confirmed without a broker");
    until("a broker that is away stops no archive", async || archived(&*archive).await.len() == 2).await;
    mongodb.kill().await.expect("killed");
    store.append(&draft("without both"), Attempt::First).await.expect("confirmed without both");
    assert_eq!(texts(&store, 10).await, ["before", "without a broker", "without both"], "Redis alone has it");
    // The instance dies with its work undone, and another goes on.
    drop(store);
    mongodb.start_again().await.expect("started");
    rabbitmq.start_again().await.expect("started");
    let _other =
        ArchivedMessages::start(front(&backends), Arc::clone(&archive) as Arc<_>, Some(Arc::new(sink(&backends))));
    let all = ["before", "without a broker", "without both"];
    until("the archive has all", async || archived(&*archive).await == all).await;
    let events = taken(&backends, all.len()).await;
    let mut told: Vec<&str> = Vec::new();
    for text in all {
        let is_it = |event: &&String| event.contains(&format!("\"message\":\"{text}\""));
        told.extend(events.iter().find(is_it).map(|event| {
            assert!(event.contains("\"receiverId\":\"bob\""), "{event}");
            text
        }));
    }
    assert_eq!(told, all, "{events:?}");
    drop((mongodb, rabbitmq));
    backends.stop().await;
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// At least so many different events from the queue, the first copy of each, in their order.
async fn taken(backends: &Backends, wanted: usize) -> Vec<String> {
    let url = backends.get(BackendName::Rabbitmq).expect("asked for").url();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("RabbitMQ answers");
    let channel = connection.create_channel().await.expect("a channel");
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    // The same as the server's: otherwise the broker would refuse it.
    channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await.expect("declared");
    let mut events: Vec<String> = Vec::new();
    let began = Instant::now();
    while events.len() < wanted {
        assert!(began.elapsed() < PATIENCE, "only {events:?}");
        let options = BasicGetOptions { no_ack: true };
        match channel.basic_get(QUEUE.into(), options).await.expect("the queue is there") {
            Some(got) => {
                assert_eq!(*got.delivery.properties.delivery_mode(), Some(2), "persistent");
                let event = String::from_utf8(got.delivery.data).expect("JSON");
                if !events.contains(&event) {
                    events.push(event);
                }
            }
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    events
}

async fn texts(store: &dyn MessageStore, limit: usize) -> Vec<String> {
    let history = store.history(&RoomId::from("room"), limit).await.expect("a history");
    history.messages.into_iter().map(|stored| stored.message.text).collect()
}

/// What the archive has of the room; nothing while it is away.
async fn archived(archive: &dyn chatwright_server::store::archive::Archive) -> Vec<String> {
    let end = chatwright_server::store::Position { generation: u64::MAX, sequence: 0 };
    let messages = archive.before(&RoomId::from("room"), end, 100).await.unwrap_or_default();
    messages.into_iter().map(|stored| stored.message.text).collect()
}

fn draft(text: &str) -> Draft {
    Draft {
        id: text.into(),
        room: "room".into(),
        sender: Member { user: "alice".into(), name: "Alice".to_owned() },
        text: text.to_owned(),
        kind: MessageKind::Text,
        sent_at_ms: 1,
    }
}

fn front(backends: &Backends) -> RedisMessages {
    let values = backends.get(BackendName::Redis).expect("asked for").values();
    let port = values["port"].parse().expect("a number");
    let server = RedisConfig::at(values["host"].clone(), port);
    RedisMessages::new(RedisLink::new(&RedisOptions { server, timeout: TIMEOUT }).expect("a link"), RETENTION)
}

async fn redis(backends: &Backends, command: &str) {
    let url = backends.get(BackendName::Redis).expect("asked for").url();
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    redis::cmd(command).exec_async(&mut connection).await.expect("done");
}

async fn archive(backends: &Backends) -> MongoArchive {
    let url = Secret::new(backends.get(BackendName::Mongodb).expect("asked for").url());
    MongoArchive::new(MongoLink::new(&url, TIMEOUT).await.expect("a link"), true)
}

fn sink(backends: &Backends) -> impl EventSink + use<> {
    let url = Secret::new(backends.get(BackendName::Rabbitmq).expect("asked for").url());
    let topology = Topology { exchange: None, queue: QUEUE.to_owned(), dead_letters: None, single_consumer: false };
    RabbitmqEvents::new(AmqpLink::new(url, "test", topology, TIMEOUT), wire::to_json)
}
