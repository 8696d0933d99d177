//! Redis.

use std::net::SocketAddr;

use chatwright_conformance::target::{BackendName, BoxFuture, Published};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Durability, container::Service, redis_ask};

/// Texts that wait for a listener; what is published meanwhile waits at Redis.
const PUBLISHED_WAITING_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Redis;

impl Service for Redis {
    fn name(&self) -> BackendName {
        BackendName::Redis
    }

    fn port(&self) -> u16 {
        6379
    }

    fn command(&self, durability: Durability) -> Vec<&'static str> {
        let keeps: &[&str] = match durability {
            Durability::Volatile => &["--save", "", "--appendonly", "no"],
            Durability::Durable => &["--appendonly", "yes", "--appendfsync", "always"],
        };
        [&["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"], keeps].concat()
    }

    fn environment(&self, _: Durability, _: SocketAddr) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn place(&self, address: SocketAddr) -> (&'static str, String) {
        ("url", format!("redis://{address}"))
    }

    fn probe(&self, address: SocketAddr) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { ping(address).await.map_err(|problem| problem.to_string()) })
    }

    fn ask<'a>(&'a self, address: SocketAddr, question: &'a str) -> BoxFuture<'a, Result<Value, String>> {
        Box::pin(async move { redis_ask::answer(address, question).await.map_err(|problem| problem.to_string()) })
    }

    fn listen<'a>(&'a self, address: SocketAddr, channel: &'a str) -> Option<BoxFuture<'a, Result<Published, String>>> {
        Some(Box::pin(async move { published(address, channel).await.map_err(|problem| problem.to_string()) }))
    }
}

/// What is published on the channels that a glob of Redis means, until nobody listens or Redis ends.
async fn published(address: SocketAddr, channels: &str) -> redis::RedisResult<Published> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut subscription = client.get_async_pubsub().await?;
    subscription.psubscribe(channels).await?;
    let (sender, receiver) = mpsc::channel(PUBLISHED_WAITING_MAX);
    tokio::spawn(async move {
        let mut messages = subscription.into_on_message();
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = sender.closed() => return,
            };
            let Some(message) = message else { return };
            let text = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
            if sender.send(json!({"channel": message.get_channel_name(), "text": text})).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

async fn ping(address: SocketAddr) -> redis::RedisResult<()> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("PING").query_async::<String>(&mut connection).await.map(|_| ())
}
