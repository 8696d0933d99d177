//! The queue between `gateway`'s services on RabbitMQ (`004_920c0bc2ef256b0d.txt`): the topic exchange `chat_exchange`, and the queue
//! `message_persist_queue` with its dead letters.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};
use futures_util::{StreamExt, future::BoxFuture};
use lapin::{
    Acker, Channel, Connection, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicRejectOptions},
    types::FieldTable,
};
use serde::{Deserialize, Serialize};

use super::{
    NotTaken,
    queue::{Pending, PersistFeed, PersistQueue, Settled},
};
use crate::{
    amqp_link::{AmqpError, AmqpLink, Publication, Topology, answers},
    config::Secret,
};

const EXCHANGE: &str = "chat_exchange";
const QUEUE: &str = "message_persist_queue";
const DEAD_LETTERS: &str = "message_persist_queue.dead";
const KEYS: &str = "messages.#";

/// Bytes of a room's id in a routing key, which has room for 255. Nothing is read back from it: the body names the room.
const ROOM_BYTES_MAX: usize = 240;

/// How long a broker that is away is left alone by a consumer: it doubles from one to the other.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

const TECHNOLOGY: &str = "rabbitmq";

fn link(url: Secret, name: &'static str, timeout: Duration) -> AmqpLink {
    let topology = Topology {
        exchange: Some((EXCHANGE.to_owned(), KEYS.to_owned())),
        queue: QUEUE.to_owned(),
        dead_letters: Some(DEAD_LETTERS.to_owned()),
        single_consumer: true,
    };
    AmqpLink::new(url, name, topology, timeout)
}

/// The publishing end.
#[derive(Debug)]
pub struct RabbitmqQueue {
    link: AmqpLink,
}

impl RabbitmqQueue {
    /// Nothing is connected before the first message.
    #[must_use]
    pub fn new(url: Secret, timeout: Duration) -> Self {
        Self { link: link(url, "chatwright gateway: chat", timeout) }
    }
}

impl PersistQueue for RabbitmqQueue {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            let (key, body) = (routing_key(&message.room), body(message));
            let publication = Publication { key: &key, id: message.id.as_str(), body: body.as_bytes() };
            self.link.publish(publication).await.map_err(not_taken)
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), NotTaken>> {
        Box::pin(async move { self.link.ping().await.map_err(not_taken) })
    }

    fn technology(&self) -> &'static str {
        TECHNOLOGY
    }
}

/// The consuming end: one delivery at a time, acknowledged by hand.
pub struct RabbitmqFeed {
    link: AmqpLink,
    timeout: Duration,
    open: tokio::sync::Mutex<Option<(Connection, Consumer)>>,
    hand: Mutex<Hand>,
    tags: AtomicU64,
}

/// What the consumer holds.
#[derive(Default)]
struct Hand {
    channel: Option<Channel>,
    delivery: Option<(u64, Acker)>,
}

impl fmt::Debug for RabbitmqFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitmqFeed").field("link", &self.link).finish_non_exhaustive()
    }
}

impl RabbitmqFeed {
    /// Nothing is connected before the first question.
    #[must_use]
    pub fn new(url: Secret, timeout: Duration) -> Self {
        let link = link(url, "chatwright gateway: messages", timeout);
        Self { link, timeout, open: tokio::sync::Mutex::default(), hand: Mutex::default(), tags: AtomicU64::default() }
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().expect("no code panics while it holds the delivery")
    }

    async fn consume(&self) -> Result<(Connection, Consumer), AmqpError> {
        let (connection, channel) = self.link.connect().await?;
        answers(&channel).await?; // sets how many deliveries are under way, too
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
        *self.hand() = Hand { channel: Some(channel), delivery: None };
        Ok((connection, consumer))
    }

    /// The delivery as it is handed out; `None`: nobody can read it, and it went to the dead letters.
    async fn take(&self, delivery: Delivery) -> Option<Pending> {
        match read(&delivery.data) {
            Ok(message) => {
                let tag = self.tags.fetch_add(1, Ordering::Relaxed);
                self.hand().delivery = Some((tag, delivery.acker));
                Some(Pending { tag, message })
            }
            Err(problem) => {
                tracing::error!(%problem, "a message of the queue cannot be read; it goes to the dead letters");
                reject(&delivery.acker).await;
                None
            }
        }
    }
}

impl PersistFeed for RabbitmqFeed {
    fn next(&self) -> BoxFuture<'_, Pending> {
        Box::pin(async move {
            let mut open = self.open.lock().await;
            let mut pause = RETRY_MIN;
            loop {
                let Some((_, consumer)) = open.as_mut() else {
                    match self.consume().await {
                        Ok(consuming) => *open = Some(consuming),
                        Err(problem) => {
                            tracing::warn!(%problem, "the queue of messages to store is waited for");
                            tokio::time::sleep(pause).await;
                            pause = (pause * 2).min(RETRY_MAX);
                        }
                    }
                    continue;
                };
                match consumer.next().await {
                    Some(Ok(delivery)) => {
                        if let Some(pending) = self.take(delivery).await {
                            return pending;
                        }
                    }
                    Some(Err(_)) | None => {
                        *open = None;
                        *self.hand() = Hand::default();
                    }
                }
            }
        })
    }

    fn settle(&self, tag: u64, outcome: Settled) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let held = self.hand().delivery.take_if(|(held, _)| *held == tag);
            let Some((_, acker)) = held else { return };
            match outcome {
                Settled::Stored => {
                    // A lost acknowledgement makes it come again, which whoever stores recognises.
                    let _ = acker.ack(BasicAckOptions::default()).await;
                }
                Settled::Dead(reason) => {
                    tracing::error!(reason, "a message cannot be stored; it goes to the dead letters");
                    reject(&acker).await;
                }
            }
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), NotTaken>> {
        let channel = self.hand().channel.clone().filter(|channel| channel.status().connected());
        Box::pin(async move {
            let channel = channel.ok_or_else(|| NotTaken("the queue is not connected".to_owned()))?;
            let answer = tokio::time::timeout(self.timeout, answers(&channel)).await;
            answer.map_err(|_| NotTaken("no answer in time".to_owned()))?.map_err(not_taken)
        })
    }

    fn technology(&self) -> &'static str {
        TECHNOLOGY
    }
}

async fn reject(acker: &Acker) {
    let _ = acker.reject(BasicRejectOptions { requeue: false }).await;
}

fn not_taken(problem: AmqpError) -> NotTaken {
    NotTaken(problem.0)
}

/// `messages.` and the room with every byte escaped that has a meaning in keys or none in print.
fn routing_key(room: &RoomId) -> String {
    let mut key = "messages.".to_owned();
    for byte in room.as_str().bytes() {
        if key.len() > ROOM_BYTES_MAX {
            break;
        }
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => key.push(char::from(byte)),
            other => key.push_str(&format!("%{other:02X}")),
        }
    }
    key
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BodyJson {
    #[serde(rename = "_id")]
    id: String,
    room_id: String,
    user_id: String,
    username: String,
    text: String,
    timestamp: u64,
}

fn body(message: &Message) -> String {
    let json = BodyJson {
        id: message.id.to_string(),
        room_id: message.room.to_string(),
        user_id: message.sender.user.to_string(),
        username: message.sender.name.clone(),
        text: message.text.clone(),
        timestamp: message.sent_at_ms,
    };
    serde_json::to_string(&json).expect("strings and numbers always serialise")
}

fn read(body: &[u8]) -> Result<Message, serde_json::Error> {
    let json: BodyJson = serde_json::from_slice(body)?;
    Ok(Message {
        id: MessageId::from(json.id),
        room: RoomId::from(json.room_id),
        sender: Member { user: UserId::from(json.user_id), name: json.username },
        text: json.text,
        kind: MessageKind::Text,
        attachment: None,
        sent_at_ms: json.timestamp,
        sequence: 0,
        receiver: None,
        read_at_ms: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_room_makes_two_words_of_a_key_or_a_pattern_or_a_key_that_is_too_long() {
        assert_eq!(routing_key(&RoomId::from("general-1_a")), "messages.general-1_a");
        assert_eq!(routing_key(&RoomId::from("a.b*#%é")), "messages.a%2Eb%2A%23%25%C3%A9");
        let long = routing_key(&RoomId::from("🙂".repeat(128)));
        assert!(long.len() <= 255, "{}", long.len());
    }

    #[test]
    fn a_message_comes_back_as_it_was_published() {
        let message = Message {
            id: MessageId::from("507f1f77bcf86cd799439011"),
            room: RoomId::from("a.b"),
            sender: Member { user: UserId::from("u"), name: "Ü \"q\"".to_owned() },
            text: "two\nlines \u{0}".to_owned(),
            kind: MessageKind::Text,
            attachment: None,
            sent_at_ms: 7,
            sequence: 0,
            receiver: None,
            read_at_ms: None,
        };
        assert_eq!(read(body(&message).as_bytes()).expect("readable"), message);
        assert!(read(b"{}").is_err());
    }
}
