//! Kafka: one broker that is its own controller.

use std::{net::SocketAddr, time::Duration};

use chatwright_conformance::target::{BackendName, BoxFuture};
use rskafka::{
    BackoffConfig,
    client::{
        ClientBuilder,
        partition::{OffsetAt, UnknownTopicHandling},
    },
};

use super::{Durability, container::Service};

/// How long the client tries by itself before the prober tries anew.
const CLIENT_PATIENCE: Duration = Duration::from_secs(1);
/// A topic whose creation shows that the controller works and the broker is not fenced.
const PROBE_TOPIC: &str = "chatwright-ready";
/// What a probe reads of a partition: so many of the newest records, in pieces of so many bytes; how long the broker may wait for a first byte.
const RECORDS_MAX: i64 = 1000;
const FETCH_BYTES_MAX: i32 = 4_000_000;
const FETCH_WAIT_MS: i32 = 50;
/// What the client waits for the controller.
const CREATE_TIMEOUT_MS: i32 = 1_000;

#[derive(Debug)]
pub(super) struct Kafka;

impl Service for Kafka {
    fn name(&self) -> BackendName {
        BackendName::Kafka
    }

    fn port(&self) -> u16 {
        9092
    }

    fn command(&self, _: Durability) -> Vec<&'static str> {
        Vec::new()
    }

    /// The official image wants all of them as soon as it is given one; the image that is built here reads the first.
    fn environment(&self, _: Durability, address: SocketAddr) -> Vec<(&'static str, String)> {
        let settings = [
            ("KAFKA_NODE_ID", "1"),
            ("KAFKA_PROCESS_ROLES", "broker,controller"),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@127.0.0.1:9093"),
            ("KAFKA_LISTENERS", "PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093"),
            ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
            ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
            ("KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT"),
            ("KAFKA_NUM_PARTITIONS", "3"),
            ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
            ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
            ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
            ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
            ("KAFKA_BROKER_SESSION_TIMEOUT_MS", "2000"),
            ("KAFKA_BROKER_HEARTBEAT_INTERVAL_MS", "300"),
        ];
        let advertised = ("KAFKA_ADVERTISED_LISTENERS", format!("PLAINTEXT://{address}"));
        std::iter::once(advertised).chain(settings.map(|(variable, value)| (variable, value.to_owned()))).collect()
    }

    fn place(&self, address: SocketAddr) -> (&'static str, String) {
        ("broker", address.to_string())
    }

    fn probe(&self, address: SocketAddr) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { make_topic(address).await.map_err(|problem| problem.to_string()) })
    }

    fn ask<'a>(&'a self, address: SocketAddr, question: &'a str) -> BoxFuture<'a, Result<serde_json::Value, String>> {
        Box::pin(async move { answer(address, question).await.map_err(|problem| problem.to_string()) })
    }
}

/// `records TOPIC`: its newest records with key and value, partition by partition.
async fn answer(
    address: SocketAddr,
    question: &str,
) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let Some(name) = question.trim().strip_prefix("records ") else {
        return Err("ask `records TOPIC`".into());
    };
    let patience = BackoffConfig { deadline: Some(CLIENT_PATIENCE), ..BackoffConfig::default() };
    let client = ClientBuilder::new(vec![address.to_string()]).backoff_config(patience).build().await?;
    let topic = client.list_topics().await?.into_iter().find(|topic| topic.name == name.trim());
    let topic = topic.ok_or_else(|| format!("there is no topic `{}`", name.trim()))?;
    let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut all = Vec::new();
    for partition in topic.partitions {
        let reader = client.partition_client(&topic.name, partition, UnknownTopicHandling::Error).await?;
        let end = reader.get_offset(OffsetAt::Latest).await?;
        let mut next = reader.get_offset(OffsetAt::Earliest).await?.max(end - RECORDS_MAX);
        while next < end {
            let (records, _) = reader.fetch_records(next, 1..FETCH_BYTES_MAX, FETCH_WAIT_MS).await?;
            let Some(last) = records.last() else { break };
            next = last.offset + 1;
            all.extend(records.into_iter().map(|one| {
                serde_json::json!({"partition": partition, "key": text(one.record.key), "value": text(one.record.value)})
            }));
        }
    }
    Ok(all.into())
}

/// Makes the topic if it is not there, and finds the leader of its partition.
async fn make_topic(address: SocketAddr) -> rskafka::client::error::Result<()> {
    let patience = BackoffConfig { deadline: Some(CLIENT_PATIENCE), ..BackoffConfig::default() };
    let client = ClientBuilder::new(vec![address.to_string()]).backoff_config(patience).build().await?;
    if !client.list_topics().await?.iter().any(|topic| topic.name == PROBE_TOPIC) {
        client.controller_client()?.create_topic(PROBE_TOPIC, 1, 1, CREATE_TIMEOUT_MS).await?;
    }
    client.partition_client(PROBE_TOPIC, 0, UnknownTopicHandling::Error).await?;
    Ok(())
}
