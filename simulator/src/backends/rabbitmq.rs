//! RabbitMQ.

use std::net::SocketAddr;

use chatwright_conformance::target::{BackendName, BoxFuture};
use lapin::{
    BasicProperties, Confirmation, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
    },
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use serde_json::json;

use super::{Durability, container::Service};

/// "Success" as AMQP says it.
const REPLY_SUCCESS: u16 = 200;

/// AMQP's number for a message that a broker writes to its disk.
const PERSISTENT: u8 = 2;

#[derive(Debug)]
pub(super) struct Rabbitmq;

impl Service for Rabbitmq {
    fn name(&self) -> BackendName {
        BackendName::Rabbitmq
    }

    fn port(&self) -> u16 {
        5672
    }

    fn command(&self, _: Durability) -> Vec<&'static str> {
        Vec::new()
    }

    /// Its data bears the name of its node, so the name must not change with the container's.
    fn environment(&self, _: Durability, _: SocketAddr) -> Vec<(&'static str, String)> {
        vec![("RABBITMQ_NODENAME", "rabbit@localhost".to_owned())]
    }

    fn place(&self, address: SocketAddr) -> (&'static str, String) {
        ("url", format!("amqp://guest:guest@{address}/%2f"))
    }

    fn probe(&self, address: SocketAddr) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { open(&self.place(address).1).await.map_err(|problem| problem.to_string()) })
    }

    fn ask<'a>(&'a self, address: SocketAddr, question: &'a str) -> BoxFuture<'a, Result<serde_json::Value, String>> {
        Box::pin(async move { answer(&self.place(address).1, question).await.map_err(|problem| problem.to_string()) })
    }
}

/// `queue NAME`: its messages that wait, its consumers, and whether it is durable, or null where it is not there; `first NAME`: the first message
/// of a queue, which stays there; `exchange KIND NAME`: whether it is there and durable; `publish EXCHANGE KEY BODY`: hands over a message,
/// and whether any queue took it.
async fn answer(url: &str, question: &str) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let words: Vec<&str> = question.splitn(4, ' ').collect();
    let answer = match words.as_slice() {
        ["queue", name] => queue(&connection, name).await?,
        ["first", name] => first(&connection, name).await?,
        ["exchange", kind, name] => exchange(&connection, kind, name).await?,
        ["publish", exchange, key, body] => publish(&connection, exchange, key, body).await?,
        _ => return Err("ask `queue NAME`, `first NAME`, `exchange KIND NAME` or `publish EXCHANGE KEY BODY`".into()),
    };
    connection.close(REPLY_SUCCESS, "asked".into()).await?;
    Ok(answer)
}

async fn queue(connection: &Connection, name: &str) -> lapin::Result<serde_json::Value> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let channel = connection.create_channel().await?;
    let queue = match channel.queue_declare(name.into(), passive, FieldTable::default()).await {
        Ok(queue) => queue,
        Err(problem) if is_absent(&problem) => return Ok(serde_json::Value::Null),
        Err(problem) => return Err(problem),
    };
    // It is there, so this makes none: a durable queue says that it is one.
    let transient = QueueDeclareOptions::default();
    let declared = channel.queue_declare(name.into(), transient, FieldTable::default()).await;
    let durable = is_other_durability(declared.err())?;
    Ok(json!({"messages": queue.message_count(), "consumers": queue.consumer_count(), "durable": durable}))
}

/// Whether the broker says that there is nothing of that name.
fn is_absent(problem: &lapin::Error) -> bool {
    let wanted = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
    matches!(problem.kind(), lapin::ErrorKind::ProtocolError(answer) if *answer.kind() == wanted)
}

async fn first(connection: &Connection, name: &str) -> lapin::Result<serde_json::Value> {
    let channel = connection.create_channel().await?;
    let got = channel.basic_get(name.into(), BasicGetOptions { no_ack: false }).await?;
    // Never acknowledged, so it goes back when the connection is closed.
    Ok(got.map_or(serde_json::Value::Null, |message| {
        json!({
            "body": String::from_utf8_lossy(&message.delivery.data),
            "persistent": message.delivery.properties.delivery_mode() == &Some(PERSISTENT),
            "exchange": message.delivery.exchange.as_str(),
            "key": message.delivery.routing_key.as_str(),
        })
    }))
}

async fn exchange(connection: &Connection, kind: &str, name: &str) -> lapin::Result<serde_json::Value> {
    let kind = match kind {
        "topic" => ExchangeKind::Topic,
        "direct" => ExchangeKind::Direct,
        "fanout" => ExchangeKind::Fanout,
        other => ExchangeKind::Custom(other.to_owned()),
    };
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let channel = connection.create_channel().await?;
    channel.exchange_declare(name.into(), kind.clone(), passive, FieldTable::default()).await?;
    let transient = ExchangeDeclareOptions::default();
    let declared = channel.exchange_declare(name.into(), kind, transient, FieldTable::default()).await;
    Ok(json!({"durable": is_other_durability(declared.err())?}))
}

/// What a broker says to who declares a thing as transient that is there: nothing, if it is; else in what they differ.
fn is_other_durability(refused: Option<lapin::Error>) -> lapin::Result<bool> {
    let Some(refused) = refused else { return Ok(false) };
    let words = refused.to_string();
    match words.contains("inequivalent arg") {
        true if words.contains("'type'") => Err(refused), // an exchange of another kind
        true => Ok(words.contains("'durable'")),          // compared before arguments
        false => Err(refused),
    }
}

async fn publish(connection: &Connection, exchange: &str, key: &str, body: &str) -> lapin::Result<serde_json::Value> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish(exchange.into(), key.into(), mandatory, body.as_bytes(), properties).await?;
    Ok(json!({"routed": matches!(confirm.await?, Confirmation::Ack(None))}))
}

async fn open(url: &str) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let _open = connection.create_channel().await?; // dropped earlier, it would close while the connection does
    connection.close(REPLY_SUCCESS, "ready".into()).await
}
