//! Puts a server of `sessions` together.

use std::sync::Arc;

use chatwright_protocol::dialects::sessions::DIALECT;

use super::{Assembled, Foundation, SOCKET, StartError, redis_options};
use crate::{
    bus::{Deliveries, memory::MemoryHub, redis::RedisBus},
    chat::{
        Core,
        sessions::{Hub, Ports, Rules},
    },
    config::Config,
    http::sessions_routes,
    redis_link::RedisLink,
    store::{
        InstanceId,
        sessions::{SessionStore, failover::Failover, memory::MemorySessions, redis::RedisSessions},
    },
};

/// What instances in one process share instead of Redis.
#[derive(Clone)]
pub(super) struct Shared {
    sessions: Arc<dyn SessionStore>,
    bus: MemoryHub,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self { sessions: Arc::new(MemorySessions::default()), bus: MemoryHub::default() }
    }
}

pub(super) async fn assemble(foundation: &Foundation<'_>, shared: &Shared) -> Result<Assembled, StartError> {
    let Foundation { config, doors, metrics, .. } = foundation;
    let (ports, deliveries) = ports(config, shared)?;
    let rules = Rules { identity: config.identity, limits: config.limits, clocks: config.clocks, grace: config.grace };
    let hub = Hub::start(rules, InstanceId::fresh(), ports, deliveries, metrics.clone()).await;
    let core: Arc<dyn Core> = Arc::clone(&hub) as Arc<dyn Core>;
    let engine = foundation.engine(DIALECT.path, core);
    let routes = doors.rest(sessions_routes(Arc::clone(&hub))).merge(doors.engine(DIALECT.path, engine.service()));
    Ok(Assembled { core: hub, hub: None, engine: Some(engine), routes: vec![(SOCKET, routes)] })
}

/// Before the room in the name of the channel on which instances tell each other. The document names none; no documented key begins like this.
const CHANNEL: &str = "chatwright:session:";

fn ports(config: &Config, shared: &Shared) -> Result<(Ports, Deliveries), StartError> {
    let Some(redis) = &config.redis else {
        let (bus, deliveries) = shared.bus.endpoint();
        return Ok((Ports { sessions: Arc::clone(&shared.sessions), bus: Arc::new(bus) }, deliveries));
    };
    let options = redis_options(config, redis);
    let (bus, deliveries) = RedisBus::on_channels(&options, CHANNEL)?;
    let sessions = Failover::new(Arc::new(RedisSessions::new(RedisLink::new(&options)?)));
    Ok((Ports { sessions: Arc::new(sessions), bus: Arc::new(bus) }, deliveries))
}
