//! RabbitMQ.

use std::net::SocketAddr;

use chatwright_conformance::target::{BackendName, BoxFuture};
use lapin::{Connection, ConnectionProperties};

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
}

async fn open(url: &str) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    connection.create_channel().await?;
    connection.close(REPLY_SUCCESS, "ready".into()).await
}
