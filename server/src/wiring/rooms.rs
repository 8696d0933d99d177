//! Puts a server of `rooms` together.

use std::sync::Arc;

use chatwright_protocol::{dialects::rooms, vocabulary::MessageId};

use super::{Assembled, Foundation, SOCKET, StartError, away, redis_options};
use crate::{
    amqp_link::{AmqpLink, Topology},
    bus::{Bus, Deliveries, memory::MemoryHub, redis::RedisBus},
    chance,
    chat::{
        Core,
        rooms::{Hub, Ports, Rules, Speaker},
    },
    config::Config,
    events::{EventSink, json_lines::JsonLines, rabbitmq::RabbitmqEvents, several::SeveralSinks, wire},
    http::rooms_routes,
    redis_link::RedisLink,
    store::{
        InstanceId, MessageStore, RosterStore,
        archived::ArchivedMessages,
        away::AwayStore,
        memory::{MemoryMessages, Retention},
        memory_away::MemoryAway,
        memory_roster::MemoryRoster,
        mongodb::{MongoArchive, MongoLink},
        redis::{RedisMessages, RedisRoster},
    },
};

/// What instances in one process share instead of Redis.
#[derive(Clone)]
pub(super) struct Shared {
    messages: Arc<dyn MessageStore>,
    roster: Arc<dyn RosterStore>,
    bus: MemoryHub,
    away: Arc<dyn AwayStore>,
}

impl Shared {
    pub(super) fn new(config: &Config) -> Self {
        let messages = Arc::new(MemoryMessages::new(retention(config)));
        let roster = Arc::new(MemoryRoster::default());
        Self { messages, roster, bus: MemoryHub::default(), away: Arc::new(MemoryAway::default()) }
    }
}

pub(super) async fn assemble(foundation: &Foundation<'_>, shared: &Shared) -> Result<Assembled, StartError> {
    let Foundation { config, gate, doors, metrics, .. } = foundation;
    let (ports, deliveries) = ports(config, shared, events(config).await?).await?;
    let rules = Rules {
        dialect: &rooms::DIALECT,
        identity: config.identity,
        speaker: Speaker::Connection,
        text_field: "message",
        message_id: || {
            MessageId::from(&*chance::timed_uuid().hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))
        },
        limits: config.limits,
        clocks: config.clocks,
    };
    let hub = Hub::start(rules, InstanceId::fresh(), ports, deliveries, metrics.clone());
    hub.renew().await; // known to the cluster before the first client comes
    let core: Arc<dyn Core> = Arc::clone(&hub) as Arc<dyn Core>;
    let redis = config.redis.as_ref().map(|redis| redis_options(config, redis));
    let away = away(redis.as_ref(), &shared.away)?;
    let engine = foundation.recovering_engine(rooms::DIALECT.path, Arc::clone(&core), Some(away));
    let rest = doors.rest(rooms_routes(Arc::clone(&hub), gate.clone(), config.rest_body_bytes_max));
    let routes = rest.merge(doors.engine(rooms::DIALECT.path, engine.service()));
    Ok(Assembled { core, hub: Some(hub), engine: Some(engine), routes: vec![(SOCKET, routes)] })
}

async fn events(config: &Config) -> Result<Option<Arc<dyn EventSink>>, StartError> {
    let mut sinks: Vec<Arc<dyn EventSink>> = Vec::new();
    if let Some(path) = &config.events_file {
        let file = JsonLines::open(path, wire::to_json).await;
        sinks.push(Arc::new(file.map_err(|source| StartError::Events { path: path.clone(), source })?));
    }
    if let Some(url) = &config.rabbitmq {
        let topology = Topology {
            exchange: None,
            queue: config.rabbitmq_queue.clone(),
            dead_letters: None,
            single_consumer: false,
        };
        let link = AmqpLink::new(url.clone(), "chatwright rooms", topology, config.clocks.backend_timeout);
        sinks.push(Arc::new(RabbitmqEvents::new(link, wire::to_json)));
    }
    Ok(SeveralSinks::of(sinks))
}

async fn ports(
    config: &Config,
    shared: &Shared,
    events: Option<Arc<dyn EventSink>>,
) -> Result<(Ports, Deliveries), StartError> {
    let Some(redis) = &config.redis else {
        let (bus, deliveries) = shared.bus.endpoint();
        let (messages, roster) = (Arc::clone(&shared.messages), Arc::clone(&shared.roster));
        return Ok((Ports { messages, roster, bus: Arc::new(bus) as Arc<dyn Bus>, events }, deliveries));
    };
    let options = redis_options(config, redis);
    let link = RedisLink::new(&options)?;
    let (bus, deliveries) = RedisBus::new(&options)?;
    let front = RedisMessages::new(link.clone(), retention(config));
    let roster = Arc::new(RedisRoster::new(link));
    let Some(mongodb) = &config.mongodb else {
        return Ok((Ports { messages: Arc::new(front), roster, bus: Arc::new(bus), events }, deliveries));
    };
    // The archive tells other services itself, of what it has: a message's event outlives this process.
    let link = MongoLink::new(mongodb, config.clocks.backend_timeout).await?;
    let archive = Arc::new(MongoArchive::new(link, events.is_some()));
    let messages = Arc::new(ArchivedMessages::start(front, archive, events));
    Ok((Ports { messages, roster, bus: Arc::new(bus), events: None }, deliveries))
}

fn retention(config: &Config) -> Retention {
    Retention { history_messages_max: config.limits.history_max, history_ttl: config.history_ttl }
}
