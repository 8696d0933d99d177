//! Puts the services of `gateway` together: all in one process, or one of them, on memory or on the documented backends.

use std::{sync::Arc, time::Duration};

use axum::Router;
use chatwright_protocol::{dialects::gateway, vocabulary::MessageId};
use http::Uri;

use super::{Assembled, Foundation, SOCKET, StartError, away, redis_options};
use crate::{
    bus::{Bus, Deliveries, memory::MemoryHub, redis::RedisBus},
    chat::{
        Core,
        gateway::{Accounts, ConfirmedMessages, Histories, NewestMessages, Persister, Services, object_id},
        rooms::{Hub, Ports, Rules, Speaker},
    },
    config::{Config, RedisConfig, Role},
    events::{
        memory_queue::MemoryQueue,
        queue::{PersistFeed, PersistQueue},
        rabbitmq_queue::{RabbitmqFeed, RabbitmqQueue},
    },
    http::gateway::{Proxy, ProxyRules, Service, Upstream, chat_routes, message_routes, user_routes},
    redis_link::{RedisLink, RedisOptions},
    store::{
        InstanceId, MessageStore, RosterStore,
        away::AwayStore,
        gateway::{AccountStore, Archive, HistoryCache},
        memory::{MemoryMessages, Retention},
        memory_away::MemoryAway,
        memory_gateway::{MemoryAccounts, MemoryArchive, MemoryCache},
        memory_roster::MemoryRoster,
        mongodb::{MongoAccounts, MongoLink, MongoRoomMessages},
        redis::{RedisHistoryCache, RedisMessages, RedisRoster},
    },
    transport::Engine,
};

/// How long a cached list lives at most: the bound of staleness if the cache could not be told of a message.
const CACHE_TTL: Duration = Duration::from_secs(60);

/// How long, and how many of a room, live messages stay where instances catch up with each other: longer than any of them is away.
const RECENT_TTL: Duration = Duration::from_secs(3600);
const RECENT_MESSAGES_MAX: usize = 1000;

/// Put before the chat service's own keys and channels: the document's `chat:history:` is the cache's.
const LIVE_PREFIX: &str = "live:";

/// What the services share instead of backends.
#[derive(Clone)]
pub(super) struct Shared {
    accounts: Arc<dyn AccountStore>,
    archive: Arc<dyn Archive>,
    cache: Arc<dyn HistoryCache>,
    queue: MemoryQueue,
    recent: Arc<dyn MessageStore>,
    roster: Arc<dyn RosterStore>,
    bus: MemoryHub,
    away: Arc<dyn AwayStore>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            accounts: Arc::new(MemoryAccounts::default()),
            archive: Arc::new(MemoryArchive::default()),
            cache: Arc::new(MemoryCache::new(CACHE_TTL)),
            queue: MemoryQueue::default(),
            recent: Arc::new(MemoryMessages::new(RECENT)),
            roster: Arc::new(MemoryRoster::default()),
            bus: MemoryHub::default(),
            away: Arc::new(MemoryAway::default()),
        }
    }
}

const RECENT: Retention = Retention { history_messages_max: RECENT_MESSAGES_MAX, history_ttl: RECENT_TTL };

/// The stores of one process: the configured ones, else those in memory.
struct Stores {
    accounts: Arc<dyn AccountStore>,
    archive: Arc<dyn Archive>,
    cache: Arc<NewestMessages>,
    queue: Arc<dyn PersistQueue>,
    feed: Arc<dyn PersistFeed>,
}

pub(super) async fn assemble(foundation: &Foundation<'_>, shared: &Shared) -> Result<Assembled, StartError> {
    let Foundation { config, gate, doors, metrics, .. } = foundation;
    let role = config.role;
    let stores = stores(config, shared).await?;
    let chat = match role.plays(Role::Chat) {
        true => Some(chat(foundation, shared, &stores).await?),
        false => None,
    };
    let persister = role.plays(Role::Message).then(|| Persister {
        feed: Arc::clone(&stores.feed),
        archive: Arc::clone(&stores.archive),
        cache: Arc::clone(&stores.cache),
    });
    let core: Arc<dyn Core> = Services::start(chat, persister);
    let mut parts = Parts { user: None, message: None, chat: None, engine: None };
    if role.plays(Role::User) {
        let tokens = foundation.tokens.clone().ok_or(StartError::SigningSecret)?;
        let accounts = Arc::new(Accounts::new(Arc::clone(&stores.accounts), tokens));
        parts.user = Some(user_routes(accounts, config.rest_body_bytes_max));
    }
    if role.plays(Role::Message) {
        let (archive, cache) = (Arc::clone(&stores.archive), Arc::clone(&stores.cache));
        let histories = Histories { archive, cache, limits: config.limits, metrics: metrics.clone() };
        parts.message = Some(message_routes(Arc::new(histories), Arc::clone(&stores.feed), gate.clone()));
    }
    if role.plays(Role::Chat) {
        let redis = config.redis.as_ref().map(|redis| live_options(config, redis));
        let away = away(redis.as_ref(), &shared.away)?;
        let engine = foundation.recovering_engine(gateway::DIALECT.path, Arc::clone(&core), Some(away));
        let sockets = doors.engine(gateway::DIALECT.path, engine.service());
        parts.chat = Some((chat_routes(Arc::clone(&core)), sockets));
        parts.engine = Some(engine);
    }
    let routes = routes(foundation, &parts);
    Ok(Assembled { core, hub: None, engine: parts.engine, routes })
}

/// The routers of the services that are played here.
struct Parts {
    user: Option<Router>,
    message: Option<Router>,
    chat: Option<(Router, Router)>,
    engine: Option<Engine>,
}

/// What each listener serves. A process that plays one service has one listener.
fn routes(foundation: &Foundation<'_>, parts: &Parts) -> Vec<(&'static str, Router)> {
    let Foundation { config, doors, .. } = foundation;
    let user = parts.user.clone().map(|routes| doors.rest(routes));
    let message = parts.message.clone().map(|routes| doors.rest(routes));
    let chat = parts.chat.clone().map(|(rest, sockets)| doors.rest(rest).merge(sockets));
    let front = config.role.plays(Role::Gateway).then(|| front(foundation, parts));
    match config.role {
        Role::User => user.map(|routes| (SOCKET, routes)).into_iter().collect(),
        Role::Message => message.map(|routes| (SOCKET, routes)).into_iter().collect(),
        Role::Chat => chat.map(|routes| (SOCKET, routes)).into_iter().collect(),
        Role::Gateway => front.map_or_else(Vec::new, |routes| vec![(SOCKET, routes.clone()), ("web", routes)]),
        Role::All => {
            let named =
                [("user", user), ("message", message), (SOCKET, chat), ("gateway", front.clone()), ("web", front)];
            named.into_iter().filter_map(|(name, routes)| Some((name, routes?))).collect()
        }
    }
}

/// The API gateway before the services: those of this process, unless addresses are configured.
fn front(foundation: &Foundation<'_>, parts: &Parts) -> Router {
    let Foundation { config, doors, .. } = foundation;
    let instances = |addresses: &[Uri], local: Option<Router>| match (addresses, local) {
        ([], Some(local)) => vec![Upstream::Local(local)],
        (addresses, _) => addresses.iter().cloned().map(Upstream::at).collect(),
    };
    let upstreams = &config.upstreams;
    let chat = parts.chat.clone().map(|(rest, sockets)| rest.merge(sockets));
    let proxy = Proxy::new(ProxyRules {
        user: Service::new("user-service", "/health", instances(&upstreams.user, parts.user.clone())),
        message: Service::new("message-service", "/health", instances(&upstreams.message, parts.message.clone())),
        chat: Service::new("chat-service", "/health", instances(&upstreams.chat, chat)),
        body_bytes_max: config.rest_body_bytes_max.max(config.engine.packet_bytes_max),
    });
    doors.rest(proxy.rest()).merge(doors.engine(gateway::DIALECT.path, proxy.sockets()))
}

async fn stores(config: &Config, shared: &Shared) -> Result<Stores, StartError> {
    let cache: Arc<dyn HistoryCache> = match &config.redis {
        Some(redis) => Arc::new(RedisHistoryCache::new(RedisLink::new(&redis_options(config, redis))?, CACHE_TTL)),
        None => Arc::clone(&shared.cache),
    };
    let (accounts, archive): (Arc<dyn AccountStore>, Arc<dyn Archive>) = match &config.mongodb {
        Some(mongodb) => {
            let link = MongoLink::new(mongodb, config.clocks.backend_timeout).await?;
            (Arc::new(MongoAccounts::new(link.clone())), Arc::new(MongoRoomMessages::new(link)))
        }
        None => (Arc::clone(&shared.accounts), Arc::clone(&shared.archive)),
    };
    // Neither end connects before it is used: a service that publishes nothing is no publisher.
    let (queue, feed): (Arc<dyn PersistQueue>, Arc<dyn PersistFeed>) = match &config.rabbitmq {
        Some(url) => {
            let timeout = config.clocks.backend_timeout;
            (Arc::new(RabbitmqQueue::new(url.clone(), timeout)), Arc::new(RabbitmqFeed::new(url.clone(), timeout)))
        }
        None => (Arc::new(shared.queue.clone()), Arc::new(shared.queue.feed())),
    };
    Ok(Stores { accounts, archive, cache: Arc::new(NewestMessages::new(cache)), queue, feed })
}

async fn chat(foundation: &Foundation<'_>, shared: &Shared, stores: &Stores) -> Result<Arc<Hub>, StartError> {
    let Foundation { config, metrics, .. } = foundation;
    let rules = Rules {
        dialect: &gateway::DIALECT,
        identity: config.identity,
        speaker: Speaker::Payload,
        text_field: "text",
        message_id: || MessageId::from(object_id()),
        limits: config.limits,
        clocks: config.clocks,
    };
    let (recent, roster, bus, deliveries) = live(config, shared)?;
    let messages = Arc::new(ConfirmedMessages::new(Arc::clone(&stores.queue), recent));
    let ports = Ports { messages, roster, bus, events: None };
    let hub = Hub::start(rules, InstanceId::fresh(), ports, deliveries, metrics.clone());
    hub.renew().await; // known to the cluster before the first client comes
    Ok(hub)
}

type Live = (Arc<dyn MessageStore>, Arc<dyn RosterStore>, Arc<dyn Bus>, Deliveries);

/// What chat instances share.
fn live(config: &Config, shared: &Shared) -> Result<Live, StartError> {
    let Some(redis) = &config.redis else {
        let (bus, deliveries) = shared.bus.endpoint();
        return Ok((Arc::clone(&shared.recent), Arc::clone(&shared.roster), Arc::new(bus), deliveries));
    };
    let options = live_options(config, redis);
    let link = RedisLink::new(&options)?;
    let (bus, deliveries) = RedisBus::new(&options)?;
    let recent = Arc::new(RedisMessages::new(link.clone(), RECENT));
    Ok((recent, Arc::new(RedisRoster::new(link)), Arc::new(bus), deliveries))
}

fn live_options(config: &Config, redis: &RedisConfig) -> RedisOptions {
    let prefix = format!("{}{LIVE_PREFIX}", redis.prefix);
    redis_options(config, &RedisConfig { prefix, ..redis.clone() })
}
