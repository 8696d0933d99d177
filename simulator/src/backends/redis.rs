//! Redis.

use std::net::SocketAddr;

use chatwright_conformance::target::{BackendName, BoxFuture, Published};
use futures_util::StreamExt as _;
use redis::{Client, TlsCertificates};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{BackendError, Durability, container::Service, redis_ask, tls::Identity};

/// Texts that wait for a listener; what is published meanwhile waits at Redis.
const PUBLISHED_WAITING_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Redis {
    /// It speaks TLS only.
    tls: Option<Identity>,
}

impl Redis {
    /// One that speaks TLS only, with a certificate of its own authority.
    pub(super) fn with_tls() -> Result<Self, BackendError> {
        let made =
            Identity::make().map_err(|problem| BackendError::act("make a certificate for", "redis", &problem))?;
        Ok(Self { tls: Some(made) })
    }

    fn client(&self, address: SocketAddr) -> redis::RedisResult<Client> {
        let url = self.place(address).1;
        let Some(identity) = &self.tls else { return Client::open(url) };
        // Several libraries of this process bring a provider of their own; the first choice counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root_cert = Some(identity.authority_pem().as_bytes().to_vec());
        Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert })
    }
}

/// Without a plain port, and asking clients for no certificate.
const TLS_ONLY: &[&str] = &[
    "--port",
    "0",
    "--tls-port",
    "6379",
    "--tls-cert-file",
    CERTIFICATE,
    "--tls-key-file",
    KEY,
    "--tls-auth-clients",
    "no",
];
const CERTIFICATE: &str = "/tls/certificate.pem";
const KEY: &str = "/tls/key.pem";

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
        let speaks = if self.tls.is_some() { TLS_ONLY } else { &[] };
        // Each command is kept for a while, so that what a server says to it can be seen from outside: `SLOWLOG GET 1024`.
        let shown = ["--slowlog-log-slower-than", "0", "--slowlog-max-len", "1024"];
        [&["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"], &shown[..], keeps, speaks].concat()
    }

    fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let shown = |tls: &Identity| vec![(CERTIFICATE, tls.certificate_pem().into()), (KEY, tls.key_pem().into())];
        self.tls.as_ref().map(shown).unwrap_or_default()
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        self.tls.iter().map(|tls| ("ca", tls.authority_file().display().to_string())).collect()
    }

    fn environment(&self, _: Durability, _: SocketAddr) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn place(&self, address: SocketAddr) -> (&'static str, String) {
        ("url", format!("{}://{address}", if self.tls.is_some() { "rediss" } else { "redis" }))
    }

    fn probe(&self, address: SocketAddr) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { ping(self.client(address)).await.map_err(|problem| problem.to_string()) })
    }

    fn ask<'a>(&'a self, address: SocketAddr, question: &'a str) -> BoxFuture<'a, Result<Value, String>> {
        Box::pin(async move {
            redis_ask::answer(self.client(address), question).await.map_err(|problem| problem.to_string())
        })
    }

    fn listen<'a>(&'a self, address: SocketAddr, channel: &'a str) -> Option<BoxFuture<'a, Result<Published, String>>> {
        Some(Box::pin(
            async move { published(self.client(address), channel).await.map_err(|problem| problem.to_string()) },
        ))
    }
}

/// What is published on the channels that a glob of Redis means, until nobody listens or Redis ends.
async fn published(client: redis::RedisResult<Client>, channels: &str) -> redis::RedisResult<Published> {
    let mut subscription = client?.get_async_pubsub().await?;
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

async fn ping(client: redis::RedisResult<Client>) -> redis::RedisResult<()> {
    let mut connection = client?.get_multiplexed_async_connection().await?;
    redis::cmd("PING").query_async::<String>(&mut connection).await.map(|_| ())
}
