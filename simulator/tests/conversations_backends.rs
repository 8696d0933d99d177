//! What stands behind `conversations` on real services: PostgreSQL and Kafka, and what happens when they are killed.

mod engine;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use chatwright_client_sdk::protocol::vocabulary::{MessageId, RoomId, UserId};
use chatwright_conformance::target::BackendName;
use chatwright_server::{
    config::Secret,
    contract::{conversation_store_keeps_its_promises, event_sink_keeps_its_promises},
    events::{EventSink, kafka::KafkaEvents, wire},
    store::{
        Attempt, StoreError,
        conversations::{ConversationStore, Letter, Page},
        postgres::{PostgresConversations, PostgresLink},
    },
};
use chatwright_simulator::backends::{Backends, Durability};
use rskafka::client::{ClientBuilder, partition::UnknownTopicHandling};
use sqlx::{Connection, PgConnection};

const TIMEOUT: Duration = Duration::from_secs(5);
const LEASE: Duration = Duration::from_secs(5);
/// How long something may take that has no bound of its own, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "chat-events";

#[tokio::test(flavor = "multi_thread")]
async fn conversations_keep_their_promises_on_postgresql() {
    let Some(backends) = engine::start(&[BackendName::Postgresql], Durability::Volatile).await else { return };
    conversation_store_keeps_its_promises(Arc::new(store(&backends))).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_are_those_of_the_document_and_what_is_ours_stands_apart() {
    let Some(backends) = engine::start(&[BackendName::Postgresql], Durability::Volatile).await else { return };
    // Two instances that start at once on an empty database.
    let (one, other) = (store(&backends), store(&backends));
    let (one, other) = tokio::join!(one.ping(), other.ping());
    one.and(other).expect("both find their tables");
    let mut connection = PgConnection::connect(&url(&backends)).await.expect("PostgreSQL answers");
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .expect("tables");
    assert_eq!(tables, ["Conversation", "Message", "Participant"]);
    let indexes: Vec<String> =
        sqlx::query_scalar("SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
            .fetch_all(&mut connection)
            .await
            .expect("indexes");
    for index in
        ["Message_conversationId_createdAt_idx", "Participant_userId_conversationId_key", "Participant_userId_idx"]
    {
        assert!(indexes.iter().any(|there| there == index), "{index} of {indexes:?}");
    }
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_conversation_takes_its_participants_and_messages_with_it_and_nobody_is_in_one_twice() {
    let Some(backends) = engine::start(&[BackendName::Postgresql], Durability::Volatile).await else { return };
    let store = store(&backends);
    let first = store.send(&letter("one"), Attempt::First).await.expect("sent");
    let mut connection = PgConnection::connect(&url(&backends)).await.expect("PostgreSQL answers");
    let twice = r#"INSERT INTO "Participant" ("id", "userId", "conversationId") VALUES ('x', 'alice', $1)"#;
    let refused = sqlx::query(twice).bind(first.room.as_str()).execute(&mut connection).await.expect_err("twice");
    assert!(refused.as_database_error().is_some_and(|error| error.is_unique_violation()), "{refused}");
    let deleted = sqlx::query(r#"DELETE FROM "Conversation" WHERE "id" = $1"#).bind(first.room.as_str());
    assert_eq!(deleted.execute(&mut connection).await.expect("deleted").rows_affected(), 1);
    let left = r#"SELECT (SELECT count(*) FROM "Participant") + (SELECT count(*) FROM "Message") + (SELECT count(*) FROM chatwright.position)"#;
    let left: i64 = sqlx::query_scalar(left).fetch_one(&mut connection).await.expect("a count");
    assert_eq!(left, 0);
    let second = store.send(&letter("two"), Attempt::First).await.expect("sent");
    assert_ne!(second.room, first.room, "the same users begin anew");
    assert_eq!(second.sequence, 1);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_that_stand_in_the_documented_tables_already_are_gone_on_with() {
    let Some(backends) = engine::start(&[BackendName::Postgresql], Durability::Volatile).await else { return };
    let mut connection = PgConnection::connect(&url(&backends)).await.expect("PostgreSQL answers");
    let tables = include_str!("../../server/src/store/postgres/migrations/0001_conversations.sql");
    let (documented, _) = tables.split_once("-- What a conversation needs").expect("the documented part comes first");
    sqlx::raw_sql(sqlx::AssertSqlSafe(documented)).execute(&mut connection).await.expect("tables");
    let odd = "b\u{1f642}\"\\\n\u{1}/é";
    sqlx::raw_sql(
        r#"INSERT INTO "Conversation" ("id", "updatedAt", "createdAt") VALUES ('old', now(), '2020-01-01'), ('twin', now(), '2021-01-01'), ('empty', now(), now());
        INSERT INTO "Message" ("id", "conversationId", "senderId", "content", "createdAt") VALUES
            ('m2', 'old', 'alice', 'second', '2020-01-03'), ('m1', 'old', 'alice', 'first', '2020-01-02')"#,
    )
    .execute(&mut connection)
    .await
    .expect("rows");
    for (id, user, conversation) in [
        ("1", "alice", "old"),
        ("2", odd, "old"),
        ("3", "Zoe", "old"),
        ("4", "alice", "twin"),
        ("5", odd, "twin"),
        ("6", "Zoe", "twin"),
    ] {
        let row = sqlx::query(r#"INSERT INTO "Participant" ("id", "userId", "conversationId") VALUES ($1, $2, $3)"#);
        row.bind(id).bind(user).bind(conversation).execute(&mut connection).await.expect("a row");
    }
    let store = store(&backends);
    let mut participants: Vec<UserId> = ["alice", odd, "Zoe"].map(UserId::from).to_vec();
    participants.sort();
    let third = store.send(&Letter { participants, ..letter("third") }, Attempt::First).await.expect("sent");
    assert_eq!((third.room.as_str(), third.sequence), ("old", 3));
    let messages = store.messages(&third.room, &Page::Newest, 10).await.expect("messages");
    let contents: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(contents, ["first", "second", "third"]);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_keep_their_promises_on_kafka() {
    let Some(backends) = engine::start(&[BackendName::Kafka], Durability::Volatile).await else { return };
    event_sink_keeps_its_promises(&sink(&backends), || taken(&backends, 10)).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_confirmed_stands_there_after_it_was_killed_and_the_link_comes_back_by_itself() {
    let Some(backends) = engine::start(&[BackendName::Postgresql], Durability::Durable).await else { return };
    let postgresql = Arc::clone(backends.get(BackendName::Postgresql).expect("asked for"));
    let store = store(&backends);
    let first = store.send(&letter("one"), Attempt::First).await.expect("confirmed");
    postgresql.kill().await.expect("killed");
    let away = letter("two");
    let refused = store.send(&away, Attempt::First).await.expect_err("a dead PostgreSQL confirms");
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    postgresql.start_again().await.expect("started");
    let began = Instant::now();
    let second = loop {
        match store.send(&away, Attempt::Again).await {
            Ok(message) => break message,
            Err(problem) => assert!(began.elapsed() < PATIENCE, "{problem}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&second.room, second.sequence), (&first.room, 2));
    let messages = store.messages(&first.room, &Page::Newest, 10).await.expect("messages");
    assert_eq!(messages, [first, second]);
    assert_eq!(store.waiting_events(10).await.expect("events").len(), 2, "and the events with them");
    drop(postgresql);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_is_not_there_at_the_start_is_waited_for_and_one_that_is_silent_is_not_waited_for_long() {
    let Some(backends) = engine::start(&[BackendName::Postgresql], Durability::Durable).await else { return };
    let postgresql = Arc::clone(backends.get(BackendName::Postgresql).expect("asked for"));
    postgresql.end().await.expect("stopped");
    let store = store(&backends);
    assert!(store.ping().await.is_err());
    postgresql.start_again().await.expect("started");
    let began = Instant::now();
    while let Err(problem) = store.ping().await {
        assert!(began.elapsed() < PATIENCE, "{problem}");
    }
    postgresql.pause().await.expect("paused");
    let asked = Instant::now();
    assert!(store.ping().await.is_err());
    assert!(asked.elapsed() < TIMEOUT * 3, "{:?}", asked.elapsed());
    postgresql.resume().await.expect("resumed");
    let began = Instant::now();
    while let Err(problem) = store.ping().await {
        assert!(began.elapsed() < PATIENCE, "{problem}");
    }
    drop(postgresql);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_at_a_time_hands_out_events_and_another_goes_on_when_it_is_gone() {
    let Some(backends) = engine::start(&[BackendName::Postgresql], Durability::Volatile).await else { return };
    let (one, other) = (store(&backends), store(&backends));
    one.send(&letter("hi"), Attempt::First).await.expect("sent");
    let (first, second) = tokio::join!(one.waiting_events(10), other.waiting_events(10));
    let (first, second) = (first.expect("events"), second.expect("events"));
    assert_eq!(first.len() + second.len(), 1, "{first:?} {second:?}");
    let heir = if first.is_empty() { one } else { other };
    let began = Instant::now();
    while heir.waiting_events(10).await.expect("events").is_empty() {
        assert!(began.elapsed() < PATIENCE, "nobody goes on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_kafka_delays_events_and_keeps_those_it_took() {
    let Some(backends) = engine::start(&[BackendName::Kafka], Durability::Durable).await else { return };
    let kafka = Arc::clone(backends.get(BackendName::Kafka).expect("asked for"));
    let sink = sink(&backends);
    sink.offer(&event("one")).await.expect("taken");
    kafka.kill().await.expect("killed");
    assert!(sink.offer(&event("two")).await.is_err(), "a dead Kafka takes events");
    kafka.start_again().await.expect("started");
    let began = Instant::now();
    while let Err(problem) = sink.offer(&event("two")).await {
        assert!(began.elapsed() < PATIENCE, "{problem}");
    }
    let texts = [event("one"), event("two")].map(|event| wire::to_json(&event));
    assert_eq!(taken(&backends, 2).await, texts);
    drop(kafka);
    backends.stop().await;
}

/// At least so many different events of the topic, in the order of their partition.
async fn taken(backends: &Backends, wanted: usize) -> Vec<String> {
    let broker = backends.get(BackendName::Kafka).expect("asked for").url();
    let client = ClientBuilder::new(vec![broker]).build().await.expect("Kafka answers");
    let began = Instant::now();
    loop {
        let topics = client.list_topics().await.expect("topics");
        let partitions = topics.into_iter().find(|topic| topic.name == TOPIC).expect("the topic").partitions;
        let (mut events, mut used) = (Vec::new(), BTreeSet::new());
        for partition in partitions {
            let reader =
                client.partition_client(TOPIC, partition, UnknownTopicHandling::Retry).await.expect("a reader");
            let (records, _) = reader.fetch_records(0, 0..1_000_000, 100).await.expect("records");
            for record in records {
                used.insert(partition);
                assert!(record.record.key.is_some(), "the room is the key");
                let event = String::from_utf8(record.record.value.expect("a body")).expect("JSON");
                if !events.contains(&event) {
                    events.push(event);
                }
            }
        }
        assert!(used.len() <= 1, "one room, one partition: {used:?}");
        if events.len() >= wanted {
            return events;
        }
        assert!(began.elapsed() < PATIENCE, "only {events:?}");
    }
}

fn event(text: &str) -> chatwright_server::events::MessageSent {
    chatwright_server::events::MessageSent {
        message: MessageId::from(text),
        room: RoomId::from("room"),
        sender: UserId::from("alice"),
        receiver: None,
        recipients: vec![UserId::from("bob")],
        dedupe_id: None,
        text: text.to_owned(),
        sent_at_ms: 1,
    }
}

fn letter(text: &str) -> Letter {
    Letter {
        id: MessageId::from(text),
        sender: UserId::from("alice"),
        participants: vec![UserId::from("alice"), UserId::from("bob")],
        text: text.to_owned(),
        sent_at_ms: 1_704_974_400_000,
    }
}

fn url(backends: &Backends) -> String {
    backends.get(BackendName::Postgresql).expect("asked for").url()
}

fn store(backends: &Backends) -> PostgresConversations {
    PostgresConversations::new(PostgresLink::new(&Secret::new(url(backends)), TIMEOUT).expect("a link"), LEASE)
}

fn sink(backends: &Backends) -> impl EventSink + use<> {
    let broker = backends.get(BackendName::Kafka).expect("asked for").url();
    KafkaEvents::new(vec![broker], TOPIC, TIMEOUT, wire::to_json)
}
