//! Redis.

use std::net::SocketAddr;

use chatwright_conformance::target::{BackendName, BoxFuture};

use super::{Durability, container::Service};

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
}

async fn ping(address: SocketAddr) -> redis::RedisResult<()> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("PING").query_async::<String>(&mut connection).await.map(|_| ())
}
