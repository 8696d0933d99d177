//! Puts a server of `conversations` together.

use std::sync::Arc;

use chatwright_protocol::dialects::conversations::{self, close_code, server};

use super::{Assembled, Foundation, SOCKET, StartError, redis_options};
use crate::{
    bus::{
        Bus, Deliveries,
        memory::MemoryHub,
        redis::{Channels, RedisBus},
    },
    chat::{
        Core,
        conversations::{Hub, Ports, Rules},
    },
    config::Config,
    events::{EventSink, conversations_wire, json_lines::JsonLines, kafka::KafkaEvents, several::SeveralSinks},
    http::conversations_routes,
    redis_link::RedisLink,
    store::{
        RosterStore,
        conversations::{ConversationStore, memory::MemoryConversations},
        memory_roster::MemoryRoster,
        postgres::{PostgresConversations, PostgresLink},
        redis::RedisRoster,
    },
    transport::websocket::{Opening, OpeningCodes, WebSocket},
};

/// What instances in one process share instead of backends.
#[derive(Clone)]
pub(super) struct Shared {
    conversations: Arc<dyn ConversationStore>,
    roster: Arc<dyn RosterStore>,
    bus: MemoryHub,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            conversations: Arc::new(MemoryConversations::default()),
            roster: Arc::new(MemoryRoster::default()),
            bus: MemoryHub::default(),
        }
    }
}

/// The documented topic.
const EVENTS_TOPIC: &str = "chat-events";

const OPENING: Opening = Opening {
    token: server::token,
    codes: OpeningCodes {
        unauthorized: close_code::UNAUTHORIZED,
        timeout: close_code::AUTH_TIMEOUT,
        too_many: close_code::TOO_MANY_CONNECTIONS,
    },
};

pub(super) async fn assemble(foundation: &Foundation<'_>, shared: &Shared) -> Result<Assembled, StartError> {
    let Foundation { config, gate, doors, metrics, .. } = foundation;
    let (roster, bus, deliveries) = cluster(config, shared)?;
    let events = events(config).await?;
    if events.is_none() {
        shared.conversations.expect_no_reader();
    }
    let ports = Ports { conversations: store(config, shared)?, roster, bus, events };
    let rules = Rules { limits: config.limits, clocks: config.clocks };
    let hub = Hub::start(rules, ports, deliveries, metrics.clone()).await;
    let core: Arc<dyn Core> = Arc::clone(&hub) as Arc<dyn Core>;
    let carrier = WebSocket::new(config.engine, OPENING, Arc::clone(&core), gate.clone(), metrics.clone());
    let sockets = doors.websocket(carrier.routes(conversations::DIALECT.path));
    let routes = doors.rest(conversations_routes(hub)).merge(sockets);
    Ok(Assembled { core, hub: None, engine: Some(carrier.engine()), routes: vec![(SOCKET, routes)] })
}

/// Who is connected, and the other instances.
type Cluster = (Arc<dyn RosterStore>, Arc<dyn Bus>, Deliveries);

fn cluster(config: &Config, shared: &Shared) -> Result<Cluster, StartError> {
    let Some(redis) = &config.redis else {
        let (bus, deliveries) = shared.bus.endpoint_for_all();
        return Ok((Arc::clone(&shared.roster), Arc::new(bus), deliveries));
    };
    let options = redis_options(config, redis);
    let (bus, deliveries) = RedisBus::on(&options, Channels::CONVERSATIONS)?;
    Ok((Arc::new(RedisRoster::new(RedisLink::new(&options)?)), Arc::new(bus), deliveries))
}

fn store(config: &Config, shared: &Shared) -> Result<Arc<dyn ConversationStore>, StartError> {
    let Some(url) = &config.postgres else { return Ok(Arc::clone(&shared.conversations)) };
    if config.redis.is_none() {
        tracing::warn!("PostgreSQL without Redis: this instance must be the only one");
    }
    let link = PostgresLink::new(url, config.clocks.backend_timeout)?;
    Ok(Arc::new(PostgresConversations::new(link, config.clocks.lease)))
}

async fn events(config: &Config) -> Result<Option<Arc<dyn EventSink>>, StartError> {
    let mut sinks: Vec<Arc<dyn EventSink>> = Vec::new();
    if let Some(path) = &config.events_file {
        let file = JsonLines::open(path, conversations_wire::to_json).await;
        sinks.push(Arc::new(file.map_err(|source| StartError::Events { path: path.clone(), source })?));
    }
    if !config.kafka_brokers.is_empty() {
        let (brokers, timeout) = (config.kafka_brokers.clone(), config.clocks.backend_timeout);
        sinks.push(Arc::new(KafkaEvents::new(brokers, EVENTS_TOPIC, timeout, conversations_wire::to_json)));
    }
    Ok(match sinks.len() {
        0 | 1 => sinks.pop(),
        _ => Some(Arc::new(SeveralSinks(sinks))),
    })
}
