//! RabbitMQ.

use std::net::SocketAddr;

use chatwright_conformance::target::{BackendName, BoxFuture};
use lapin::{
    Connection, ConnectionProperties, ExchangeKind,
    options::{BasicGetOptions, ExchangeDeclareOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use serde_json::json;

use super::{Durability, container::Service};

/// "Success" as AMQP says it.
const REPLY_SUCCESS: u16 = 200;

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

/// `queue NAME`: its messages and consumers, or null where it is not there; `first NAME`: the first message of a queue, which stays there;
/// `exchange KIND NAME`: whether it is there, of this kind and durable.
async fn answer(url: &str, question: &str) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let words: Vec<&str> = question.split_whitespace().collect();
    let answer = match words.as_slice() {
        ["queue", name] => {
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            match channel.queue_declare((*name).into(), options, FieldTable::default()).await {
                Ok(queue) => json!({"messages": queue.message_count(), "consumers": queue.consumer_count()}),
                Err(problem) if is_absent(&problem) => serde_json::Value::Null,
                Err(problem) => return Err(problem.into()),
            }
        }
        ["first", name] => match channel.basic_get((*name).into(), BasicGetOptions { no_ack: false }).await? {
            // Never acknowledged, so it goes back when the connection is closed.
            Some(message) => json!({
                "body": String::from_utf8_lossy(&message.delivery.data),
                "persistent": message.delivery.properties.delivery_mode() == &Some(2),
            }),
            None => serde_json::Value::Null,
        },
        ["exchange", kind, name] => {
            let options = ExchangeDeclareOptions { passive: true, durable: true, ..ExchangeDeclareOptions::default() };
            let kind = match *kind {
                "topic" => ExchangeKind::Topic,
                "direct" => ExchangeKind::Direct,
                "fanout" => ExchangeKind::Fanout,
                other => ExchangeKind::Custom(other.to_owned()),
            };
            channel.exchange_declare((*name).into(), kind, options, FieldTable::default()).await?;
            json!({})
        }
        _ => return Err("ask `queue NAME`, `first NAME` or `exchange KIND NAME`".into()),
    };
    connection.close(REPLY_SUCCESS, "asked".into()).await?;
    Ok(answer)
}

/// Whether the broker says that there is nothing of that name.
fn is_absent(problem: &lapin::Error) -> bool {
    let wanted = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
    matches!(problem.kind(), lapin::ErrorKind::ProtocolError(answer) if *answer.kind() == wanted)
}

async fn open(url: &str) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let _open = connection.create_channel().await?; // dropped earlier, it would close while the connection does
    connection.close(REPLY_SUCCESS, "ready".into()).await
}
