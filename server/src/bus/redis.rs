//! The bus on Redis Pub/Sub: the documented channel per room. Publishing and subscribing have connections of their own.
//!
//! The subscribing connection is looked after here and not by the client library, because somebody must know when something may have
//! been missed: after each new connection all wishes are subscribed again, and then the gap is announced.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chatwright_protocol::vocabulary::RoomId;
use futures_util::{StreamExt as _, future::BoxFuture};
use redis::{Client, Msg, Pipeline, aio::PubSubSink};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::{Bus, BusDown, DELIVERIES_WAITING_MAX, Deliveries, Delivery, Notice, conversations_wire, wire};
use crate::redis_link::{self, BadRedis, CONNECT_MAX, RedisLink, RedisOptions};

/// Notices that wait to be published; more is an outage, and the others catch up from the store.
const PUBLISH_WAITING_MAX: usize = 16 * 1024;

/// Notices published in one round trip.
const PUBLISH_BATCH_MAX: usize = 256;

/// Wishes that wait for the subscribing connection.
const WISHES_WAITING_MAX: usize = 4096;

/// Channels subscribed in one command after a reconnection.
const SUBSCRIBE_BATCH_MAX: usize = 512;

/// Between two attempts to publish or to connect.
const RETRY: Duration = Duration::from_millis(100);

/// How often the subscribing connection is asked whether it lives: a half-open one says nothing by itself.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How a dialect names its channels and what stands on them.
#[derive(Debug, Clone, Copy)]
pub struct Channels {
    /// Before the room's id.
    before: &'static str,
    /// One pattern subscription for all rooms, instead of one for each room that is asked for.
    all: bool,
    write: fn(&Notice) -> String,
    read: fn(&[u8], &RoomId) -> Result<Notice, serde_json::Error>,
}

impl Channels {
    /// `chat:room:{roomId}`, each asked for.
    pub const ROOMS: Self = Self { before: "chat:room:", all: false, write: wire::to_json, read: wire::from_json };

    /// `chat:{conversationId}`, all of them by the pattern `chat:*`.
    pub const CONVERSATIONS: Self =
        Self { before: "chat:", all: true, write: conversations_wire::to_json, read: conversations_wire::from_json };

    fn of(&self, link: &RedisLink, room: &RoomId) -> String {
        link.key(self.before, room.as_str(), "")
    }

    /// The pattern for all channels; a prefix may hold characters that a pattern would take for more than themselves.
    fn pattern(&self, link: &RedisLink) -> String {
        let mut pattern = String::new();
        for character in link.prefix().chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '^' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        format!("{pattern}{}*", self.before)
    }
}

/// An instance's end of the bus.
#[derive(Debug)]
pub struct RedisBus {
    link: RedisLink,
    wishes: mpsc::Sender<Wish>,
    outgoing: mpsc::Sender<Notice>,
    subscribed: Arc<AtomicBool>,
    /// The last attempt to connect failed, or its connection is lost.
    away: Arc<AtomicBool>,
    timeout: Duration,
}

#[derive(Debug)]
enum Wish {
    Subscribe(RoomId, oneshot::Sender<Result<(), BusDown>>),
    Unsubscribe(RoomId),
}

impl RedisBus {
    /// A bus over this Redis with a channel for each room, and its reading end. Its tasks end when the bus is dropped.
    ///
    /// # Errors
    /// [`BadRedis`]. That nobody answers there is no error: the bus waits for him.
    pub fn new(options: &RedisOptions) -> Result<(Self, Deliveries), BadRedis> {
        Self::on(options, Channels::ROOMS)
    }

    /// The same with channels of another name: this, and then the room's id.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn on_channels(options: &RedisOptions, before_room: &'static str) -> Result<(Self, Deliveries), BadRedis> {
        Self::on(options, Channels { before: before_room, ..Channels::ROOMS })
    }

    /// The same with other channels and notices.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn on(options: &RedisOptions, channels: Channels) -> Result<(Self, Deliveries), BadRedis> {
        let link = RedisLink::new(options)?;
        let client = redis_link::client(options)?;
        let (wishes, wished) = mpsc::channel(WISHES_WAITING_MAX);
        let (outgoing, to_publish) = mpsc::channel(PUBLISH_WAITING_MAX);
        let (deliveries, receiver) = mpsc::channel(DELIVERIES_WAITING_MAX);
        let (subscribed, away) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let subscriber = Subscriber {
            client,
            channels,
            link: link.clone(),
            timeout: options.timeout,
            rooms: HashMap::new(),
            inlet: Inlet { deliveries, missed: false },
            subscribed: Arc::clone(&subscribed),
            away: Arc::clone(&away),
        };
        tokio::spawn(subscriber.run(wished));
        tokio::spawn(publish_all(link.clone(), channels, to_publish, options.timeout));
        Ok((Self { link, wishes, outgoing, subscribed, away, timeout: options.timeout }, receiver))
    }
}

impl Bus for RedisBus {
    fn publish(&self, notice: Notice) -> BoxFuture<'_, Result<(), BusDown>> {
        let queued = self.outgoing.try_send(notice).map_err(|_| BusDown("too many notices wait".to_owned()));
        Box::pin(std::future::ready(queued))
    }

    fn subscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), BusDown>> {
        Box::pin(async move {
            let (done, answer) = oneshot::channel();
            let mut wish = Wish::Subscribe(room.clone(), done);
            if self.away.load(Ordering::Relaxed) {
                // The wish is kept; nobody waits for what is known to be away.
                match self.wishes.try_send(wish) {
                    Ok(()) => return Err(BusDown("Redis is away".to_owned())),
                    Err(TrySendError::Full(again) | TrySendError::Closed(again)) => wish = again,
                }
            }
            let slow = || BusDown("no answer in time".to_owned());
            let both = async {
                self.wishes.send(wish).await.map_err(|_| slow())?;
                answer.await.unwrap_or_else(|_| Err(slow()))
            };
            tokio::time::timeout(self.timeout, both).await.unwrap_or_else(|_| Err(slow()))
        })
    }

    fn unsubscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, ()> {
        // A wish that cannot be told now leaves a channel subscribed that nobody listens to: harmless, and gone with the last wish.
        let _ = self.wishes.try_send(Wish::Unsubscribe(room.clone()));
        Box::pin(std::future::ready(()))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), BusDown>> {
        Box::pin(async move {
            if !self.subscribed.load(Ordering::Relaxed) {
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
async fn publish_all(link: RedisLink, channels: Channels, mut waiting: mpsc::Receiver<Notice>, patience: Duration) {
    let mut batch = Vec::with_capacity(PUBLISH_BATCH_MAX);
    while waiting.recv_many(&mut batch, PUBLISH_BATCH_MAX).await > 0 {
        let mut commands = Pipeline::with_capacity(batch.len());
        for notice in batch.drain(..) {
            commands.publish(channels.of(&link, &notice.room), (channels.write)(&notice)).ignore();
        }
        let started = Instant::now();
        // A batch that was published and whose answer was lost is published again: messages carry positions, the rest is harmless twice.
        while let Err(problem) = link.run_all::<()>(&commands).await {
            if started.elapsed() >= patience {
                tracing::warn!(%problem, notices = commands.len(), "not published: the others catch up from the store");
                break;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

struct Subscriber {
    client: Client,
    channels: Channels,
    link: RedisLink,
    timeout: Duration,
    /// What is wished for, by channel.
    rooms: HashMap<String, RoomId>,
    inlet: Inlet,
    subscribed: Arc<AtomicBool>,
    away: Arc<AtomicBool>,
}

/// Where notices go; bounded, and honest about what it dropped.
struct Inlet {
    deliveries: mpsc::Sender<Delivery>,
    missed: bool,
}

impl Inlet {
    fn put(&mut self, delivery: Delivery) {
        if self.missed {
            self.missed = self.deliveries.try_send(Delivery::Gap).is_err();
        }
        if let Err(TrySendError::Full(_)) = self.deliveries.try_send(delivery) {
            self.missed = true;
        }
    }
}

/// Why a connection is given up.
enum Lost {
    /// Redis is away; try again.
    Connection(String),
    /// The bus was dropped.
    NobodyWishes,
}

impl Subscriber {
    async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) {
        let mut connected_before = false;
        let mut is_told = false;
        loop {
            let lost = self.serve(&mut wishes, &mut connected_before).await;
            let was_subscribed = self.subscribed.swap(false, Ordering::Relaxed);
            self.away.store(true, Ordering::Relaxed);
            match lost {
                Lost::NobodyWishes => return,
                Lost::Connection(problem) => {
                    // Once per outage: it is tried many times a second.
                    if was_subscribed || !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(problem, "the bus has no subscriptions; it subscribes again");
                    }
                }
            }
            if !self.wait(&mut wishes).await {
                return;
            }
        }
    }

    /// One connection's life.
    async fn serve(&mut self, wishes: &mut mpsc::Receiver<Wish>, connected_before: &mut bool) -> Lost {
        let connecting = tokio::time::timeout(self.timeout.min(CONNECT_MAX), self.client.get_async_pubsub());
        let (mut sink, mut stream) = match connecting.await {
            Ok(Ok(connection)) => connection.split(),
            Ok(Err(problem)) => return Lost::Connection(problem.to_string()),
            Err(_) => return Lost::Connection("no connection in time".to_owned()),
        };
        if let Err(problem) = self.subscribe_again(&mut sink).await {
            return Lost::Connection(problem);
        }
        self.subscribed.store(true, Ordering::Relaxed);
        self.away.store(false, Ordering::Relaxed);
        if std::mem::replace(connected_before, true) || self.channels.all || !self.rooms.is_empty() {
            self.inlet.put(Delivery::Gap);
        }
        let mut asking = tokio::time::interval_at(tokio::time::Instant::now() + ASK_EVERY, ASK_EVERY);
        asking.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let lost = tokio::select! {
                message = stream.next() => match message {
                    Some(message) => { self.deliver(&message); None }
                    None => Some("the connection closed".to_owned()),
                },
                wish = wishes.recv() => match wish {
                    Some(wish) => self.fulfil(&mut sink, wish).await.err(),
                    None => return Lost::NobodyWishes,
                },
                _ = asking.tick() => {
                    let answer = bounded(self.timeout, sink.ping::<redis::Value>()).await;
                    answer.err()
                }
            };
            if let Some(problem) = lost {
                return Lost::Connection(problem);
            }
        }
    }

    async fn subscribe_again(&self, sink: &mut PubSubSink) -> Result<(), String> {
        if self.channels.all {
            return bounded(self.timeout, sink.psubscribe(self.channels.pattern(&self.link))).await;
        }
        let channels: Vec<&String> = self.rooms.keys().collect();
        for batch in channels.chunks(SUBSCRIBE_BATCH_MAX) {
            bounded(self.timeout, sink.subscribe(batch)).await?;
        }
        Ok(())
    }

    async fn fulfil(&mut self, sink: &mut PubSubSink, wish: Wish) -> Result<(), String> {
        match wish {
            Wish::Subscribe(_, done) if self.channels.all => {
                let _ = done.send(Ok(())); // who asked may have given up
                Ok(())
            }
            Wish::Unsubscribe(_) if self.channels.all => Ok(()),
            Wish::Subscribe(room, done) => {
                let channel = self.channels.of(&self.link, &room);
                self.rooms.insert(channel.clone(), room);
                let outcome = bounded(self.timeout, sink.subscribe(&channel)).await;
                let given_up = done.send(outcome.clone().map_err(BusDown)).is_err();
                if given_up && outcome.is_ok() {
                    // Who asked believes that the room is not heard yet.
                    self.inlet.put(Delivery::Gap);
                }
                outcome
            }
            Wish::Unsubscribe(room) => {
                let channel = self.channels.of(&self.link, &room);
                self.rooms.remove(&channel);
                bounded(self.timeout, sink.unsubscribe(&channel)).await
            }
        }
    }

    fn deliver(&mut self, message: &Msg) {
        let of_all = self.channels.all.then(|| self.room_of(message.get_channel_name())).flatten();
        let Some(room) = of_all.as_ref().or_else(|| self.rooms.get(message.get_channel_name())) else { return };
        match (self.channels.read)(message.get_payload_bytes(), room) {
            Ok(notice) => self.inlet.put(Delivery::Notice(notice)),
            Err(problem) => tracing::warn!(%room, %problem, "somebody publishes what is no notice"),
        }
    }

    /// The room of a channel that the pattern brought.
    fn room_of(&self, channel: &str) -> Option<RoomId> {
        channel.strip_prefix(self.link.prefix())?.strip_prefix(self.channels.before).map(RoomId::from)
    }

    /// Takes wishes for a moment while there is no connection; `false` if nobody will wish any more.
    async fn wait(&mut self, wishes: &mut mpsc::Receiver<Wish>) -> bool {
        let pause = tokio::time::sleep(RETRY);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return true,
                wish = wishes.recv() => match wish {
                    None => return false,
                    Some(Wish::Subscribe(_, done)) if self.channels.all => {
                        let _ = done.send(Err(BusDown("Redis is away".to_owned())));
                    }
                    Some(Wish::Subscribe(room, done)) => {
                        self.rooms.insert(self.channels.of(&self.link, &room), room);
                        let _ = done.send(Err(BusDown("Redis is away".to_owned())));
                    }
                    Some(Wish::Unsubscribe(room)) => {
                        self.rooms.remove(&self.channels.of(&self.link, &room));
                    }
                },
            }
        }
    }
}

async fn bounded<T>(limit: Duration, answer: impl Future<Output = redis::RedisResult<T>>) -> Result<T, String> {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(problem)) => Err(problem.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
