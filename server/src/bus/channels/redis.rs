//! The channels on Redis Pub/Sub. Publishing and listening have connections of their own; both come back by themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, future::BoxFuture};
use redis::{Client, Msg, Pipeline};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{Channels, Heard, Hearing, Interest};
use crate::{
    bus::{BusDown, DELIVERIES_WAITING_MAX},
    redis_link::{self, BadRedis, CONNECT_MAX, RedisLink, RedisOptions},
};

/// Texts that wait to be published; more is an outage, and what matters is read from the store.
const PUBLISH_WAITING_MAX: usize = 16 * 1024;

/// Texts published in one round trip.
const PUBLISH_BATCH_MAX: usize = 256;

/// Between two attempts to publish or to connect.
const RETRY: Duration = Duration::from_millis(100);

/// How often the listening connection is asked whether it lives: a half-open one says nothing by itself.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// An instance's end.
#[derive(Debug)]
pub struct RedisChannels {
    link: RedisLink,
    outgoing: mpsc::Sender<(String, String)>,
    listening: Arc<AtomicBool>,
}

impl RedisChannels {
    /// Channels over this Redis, and what is heard on them. Its tasks end when both ends are dropped.
    ///
    /// # Errors
    /// [`BadRedis`]. That nobody answers there is no error: he is waited for.
    pub fn new(options: &RedisOptions, interest: Interest) -> Result<(Self, Hearing), BadRedis> {
        let link = RedisLink::new(options)?;
        let client = redis_link::client(options)?;
        let (outgoing, to_publish) = mpsc::channel(PUBLISH_WAITING_MAX);
        let (heard, hearing) = mpsc::channel(DELIVERIES_WAITING_MAX);
        let listening = Arc::new(AtomicBool::new(false));
        let listener = Listener {
            client,
            prefix: link.prefix().to_owned(),
            timeout: options.timeout,
            interest,
            heard,
            missed: false,
            listening: Arc::clone(&listening),
        };
        tokio::spawn(listener.run());
        tokio::spawn(publish_all(link.clone(), to_publish, options.timeout));
        Ok((Self { link, outgoing, listening }, hearing))
    }
}

impl Channels for RedisChannels {
    fn publish(&self, channel: String, text: String) -> Result<(), BusDown> {
        let channel = self.link.key("", &channel, "");
        self.outgoing.try_send((channel, text)).map_err(|_| BusDown("too many texts wait".to_owned()))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), BusDown>> {
        Box::pin(async move {
            if !self.listening.load(Ordering::Relaxed) {
                return Err(BusDown("not subscribed".to_owned()));
            }
            let answer: Result<String, _> = self.link.read(&redis::cmd("PING")).await;
            answer.map(|_| ()).map_err(|problem| BusDown(problem.to_string()))
        })
    }

    fn technology(&self) -> &'static str {
        "redis"
    }
}

/// Publishes in the order queued; what cannot be published within the time limit is given up.
async fn publish_all(link: RedisLink, mut waiting: mpsc::Receiver<(String, String)>, patience: Duration) {
    let mut batch = Vec::with_capacity(PUBLISH_BATCH_MAX);
    while waiting.recv_many(&mut batch, PUBLISH_BATCH_MAX).await > 0 {
        let mut commands = Pipeline::with_capacity(batch.len());
        for (channel, text) in batch.drain(..) {
            commands.publish(channel, text).ignore();
        }
        let started = Instant::now();
        while let Err(problem) = link.run_all::<()>(&commands).await {
            if started.elapsed() >= patience {
                tracing::warn!(%problem, texts = commands.len(), "not published: the others read the store");
                break;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

struct Listener {
    client: Client,
    prefix: String,
    timeout: Duration,
    interest: Interest,
    heard: mpsc::Sender<Heard>,
    missed: bool,
    listening: Arc<AtomicBool>,
}

impl Listener {
    async fn run(mut self) {
        let mut connected_before = false;
        let mut is_told = false;
        while !self.heard.is_closed() {
            let problem = self.serve(&mut connected_before).await;
            let was_listening = self.listening.swap(false, Ordering::Relaxed);
            if !self.heard.is_closed() {
                // Once per outage: it is tried many times a second.
                if was_listening || !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(problem, "the channels have no subscriptions; they subscribe again");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// One connection's life; returns why it ended.
    async fn serve(&mut self, connected_before: &mut bool) -> String {
        let connecting = bounded(self.timeout.min(CONNECT_MAX), self.client.get_async_pubsub());
        let (mut sink, mut stream) = match connecting.await {
            Ok(connection) => connection.split(),
            Err(problem) => return problem,
        };
        for name in self.interest.named {
            if let Err(problem) = bounded(self.timeout, sink.subscribe(format!("{}{name}", self.prefix))).await {
                return problem;
            }
        }
        for start in self.interest.beginning {
            let pattern = format!("{}{}*", literal(&self.prefix), literal(start));
            if let Err(problem) = bounded(self.timeout, sink.psubscribe(pattern)).await {
                return problem;
            }
        }
        self.listening.store(true, Ordering::Relaxed);
        if std::mem::replace(connected_before, true) {
            self.put(Heard::Gap);
        }
        let mut asking = tokio::time::interval_at(tokio::time::Instant::now() + ASK_EVERY, ASK_EVERY);
        asking.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = stream.next() => match message {
                    Some(message) => self.deliver(&message),
                    None => return "the connection closed".to_owned(),
                },
                () = self.heard.closed() => return "nobody listens any more".to_owned(),
                _ = asking.tick() => {
                    if let Err(problem) = bounded(self.timeout, sink.ping::<redis::Value>()).await {
                        return problem;
                    }
                }
            }
        }
    }

    fn deliver(&mut self, message: &Msg) {
        let Some(channel) = message.get_channel_name().strip_prefix(&self.prefix) else { return };
        match String::from_utf8(message.get_payload_bytes().to_vec()) {
            Ok(text) => self.put(Heard::Text { channel: channel.to_owned(), text }),
            Err(_) => tracing::warn!("somebody publishes what is no text"),
        }
    }

    /// Bounded, and honest about what it dropped.
    fn put(&mut self, heard: Heard) {
        if self.missed {
            self.missed = self.heard.try_send(Heard::Gap).is_err();
        }
        if let Err(TrySendError::Full(_)) = self.heard.try_send(heard) {
            self.missed = true;
        }
    }
}

/// A text of which a pattern means each character.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

async fn bounded<T>(limit: Duration, answer: impl Future<Output = redis::RedisResult<T>>) -> Result<T, String> {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(problem)) => Err(problem.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
