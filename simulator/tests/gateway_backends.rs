//! What stands behind `gateway` and `direct` on real services: MongoDB and RabbitMQ, and what happens when they are killed.

mod engine;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chatwright_client_sdk::protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};
use chatwright_conformance::target::BackendName;
use chatwright_server::{
    config::Secret,
    contract::{
        account_store_keeps_its_promises, direct_store_keeps_its_promises, gateway_archive_keeps_its_promises,
        persist_queue_keeps_its_promises,
    },
    events::{
        queue::{PersistFeed, PersistQueue, Settled},
        rabbitmq_queue::{RabbitmqFeed, RabbitmqQueue},
    },
    store::{
        gateway::Archive,
        mongodb::{MongoAccounts, MongoDirect, MongoLink, MongoRoomMessages},
    },
};
use chatwright_simulator::backends::{Backends, Durability};
use lapin::{Connection, ConnectionProperties, options::BasicGetOptions};

const TIMEOUT: Duration = Duration::from_secs(5);
/// How long something may take that has no bound of its own, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn direct_messages_keep_their_promises_on_mongodb() {
    let Some(backends) = engine::start(&[BackendName::Mongodb], Durability::Volatile).await else { return };
    direct_store_keeps_its_promises(Arc::new(MongoDirect::new(link(&backends).await))).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_the_archive_keep_their_promises_on_mongodb() {
    let Some(backends) = engine::start(&[BackendName::Mongodb], Durability::Volatile).await else { return };
    account_store_keeps_its_promises(Arc::new(MongoAccounts::new(link(&backends).await))).await;
    gateway_archive_keeps_its_promises(Arc::new(MongoRoomMessages::new(link(&backends).await))).await;
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_keeps_its_promises_on_rabbitmq_and_what_is_dead_stands_where_people_look() {
    let Some(backends) = engine::start(&[BackendName::Rabbitmq], Durability::Volatile).await else { return };
    let [one, other] = [(); 2].map(|()| RabbitmqFeed::new(url(&backends, BackendName::Rabbitmq), TIMEOUT));
    let dead = persist_queue_keeps_its_promises(&queue(&backends), one, other).await;
    let url = backends.get(BackendName::Rabbitmq).expect("asked for").url();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("RabbitMQ answers");
    let channel = connection.create_channel().await.expect("a channel");
    let letters = || channel.basic_get("message_persist_queue.dead".into(), BasicGetOptions { no_ack: true });
    let letter = letters().await.expect("the queue is there").expect("a letter");
    assert!(String::from_utf8_lossy(&letter.delivery.data).contains(dead.id.as_str()));
    assert!(letters().await.expect("the queue is there").is_none(), "and no other");
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rabbitmq_confirmed_is_delivered_after_it_was_killed_and_both_ends_come_back_by_themselves() {
    let Some(backends) = engine::start(&[BackendName::Rabbitmq], Durability::Durable).await else { return };
    let rabbitmq = Arc::clone(backends.get(BackendName::Rabbitmq).expect("asked for"));
    let queue = queue(&backends);
    let feed = Arc::new(RabbitmqFeed::new(url(&backends, BackendName::Rabbitmq), TIMEOUT));
    let (one, two) = (message("one"), message("two"));
    queue.publish(&one).await.expect("taken");
    let held = feed.next().await;
    let waiting = tokio::spawn({
        let feed = Arc::clone(&feed);
        async move { feed.next().await }
    });
    rabbitmq.kill().await.expect("killed");
    assert!(queue.publish(&two).await.is_err(), "a dead RabbitMQ confirms");
    rabbitmq.start_again().await.expect("started");
    let began = Instant::now();
    while let Err(problem) = queue.publish(&two).await {
        assert!(began.elapsed() < PATIENCE, "{problem}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = tokio::time::timeout(PATIENCE, waiting).await.expect("in time").expect("a task");
    assert_eq!(again.message, one, "what was not settled comes again");
    feed.settle(held.tag, Settled::Stored).await; // of an earlier connection: nothing happens
    feed.settle(again.tag, Settled::Stored).await;
    let next = tokio::time::timeout(PATIENCE, feed.next()).await.expect("in time");
    assert_eq!(next.message, two);
    feed.settle(next.tag, Settled::Stored).await;
    drop(rabbitmq);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mongodb_that_is_not_there_at_the_start_is_waited_for_and_keeps_what_it_confirmed_when_it_is_killed() {
    let Some(backends) = engine::start(&[BackendName::Mongodb], Durability::Durable).await else { return };
    let mongodb = Arc::clone(backends.get(BackendName::Mongodb).expect("asked for"));
    mongodb.end().await.expect("stopped");
    let archive = MongoRoomMessages::new(link(&backends).await);
    assert!(archive.insert(&message("too early")).await.is_err());
    mongodb.start_again().await.expect("started");
    let one = message("one");
    let first = insert(&archive, &one).await;
    mongodb.kill().await.expect("killed");
    let two = message("two");
    assert!(archive.insert(&two).await.is_err(), "a dead MongoDB confirms");
    mongodb.start_again().await.expect("started");
    let second = insert(&archive, &two).await;
    assert_eq!(second, first + 1);
    let page = archive.newest(&one.room, 10, None).await.expect("a page");
    assert_eq!(page.messages.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    drop(mongodb);
    backends.stop().await;
}

/// Again and again until the archive answers; the message's id makes that one message.
async fn insert(archive: &MongoRoomMessages, message: &Message) -> u64 {
    let began = Instant::now();
    loop {
        match archive.insert(message).await {
            Ok(sequence) => return sequence,
            Err(problem) => assert!(began.elapsed() < PATIENCE, "{problem}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn message(text: &str) -> Message {
    Message {
        id: MessageId::from(text),
        room: RoomId::from("room"),
        sender: Member { user: UserId::from("alice"), name: "Alice".to_owned() },
        text: text.to_owned(),
        kind: MessageKind::Text,
        attachment: None,
        sent_at_ms: 1,
        sequence: 0,
        receiver: None,
        read_at_ms: None,
    }
}

fn url(backends: &Backends, service: BackendName) -> Secret {
    Secret::new(backends.get(service).expect("asked for").url())
}

async fn link(backends: &Backends) -> MongoLink {
    MongoLink::new(&url(backends, BackendName::Mongodb), TIMEOUT).await.expect("a link")
}

fn queue(backends: &Backends) -> RabbitmqQueue {
    RabbitmqQueue::new(url(backends, BackendName::Rabbitmq), TIMEOUT)
}
