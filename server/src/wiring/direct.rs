//! Puts a server of `direct` together: sockets, `/health` and `/stats` on one listener, REST on another.

use std::sync::Arc;

use chatwright_protocol::dialects::direct;

use super::{Assembled, Foundation, SOCKET, StartError, redis_options};
use crate::{
    bus::{
        channels::{Channels, Hearing, memory::MemoryExchange, redis::RedisChannels},
        direct::INTEREST,
    },
    chat::{
        Core,
        direct::{Hub, Ports, Rules},
    },
    config::Config,
    http::{direct_rest_routes, direct_socket_routes},
    redis_link::RedisLink,
    store::{
        RosterStore,
        direct::DirectStore,
        memory_direct::MemoryDirect,
        memory_roster::MemoryRoster,
        mongodb::{MongoDirect, MongoLink},
        redis::RedisRoster,
    },
};

/// The name of the listener for REST.
const REST: &str = "rest";

/// What instances in one process share instead of backends.
#[derive(Clone)]
pub(super) struct Shared {
    store: Arc<dyn DirectStore>,
    roster: Arc<dyn RosterStore>,
    exchange: MemoryExchange,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            store: Arc::new(MemoryDirect::default()),
            roster: Arc::new(MemoryRoster::default()),
            exchange: MemoryExchange::default(),
        }
    }
}

pub(super) async fn assemble(foundation: &Foundation<'_>, shared: &Shared) -> Result<Assembled, StartError> {
    let Foundation { config, gate, doors, metrics, .. } = foundation;
    let (ports, hearing) = ports(config, shared).await?;
    let dialect = &direct::DIALECT;
    let rules = Rules { dialect, identity: config.identity, limits: config.limits, clocks: config.clocks };
    let hub = Hub::start(rules, ports, hearing, metrics.clone());
    hub.renew().await; // known to the cluster before the first client comes
    let core: Arc<dyn Core> = Arc::clone(&hub) as Arc<dyn Core>;
    let engine = foundation.engine(dialect.path, Arc::clone(&core));
    let socket = doors.rest(direct_socket_routes(Arc::clone(&hub)));
    let socket = socket.merge(doors.engine(dialect.path, engine.service()));
    let rest = doors.rest(direct_rest_routes(hub, gate));
    Ok(Assembled { core, hub: None, engine: Some(engine), routes: vec![(SOCKET, socket), (REST, rest)] })
}

async fn ports(config: &Config, shared: &Shared) -> Result<(Ports, Hearing), StartError> {
    let store: Arc<dyn DirectStore> = match &config.mongodb {
        Some(url) => Arc::new(MongoDirect::new(MongoLink::new(url, config.clocks.backend_timeout).await?)),
        None => Arc::clone(&shared.store),
    };
    let Some(redis) = &config.redis else {
        let (channels, hearing) = shared.exchange.end(INTEREST);
        let channels: Arc<dyn Channels> = Arc::new(channels);
        return Ok((Ports { store, roster: Arc::clone(&shared.roster), channels }, hearing));
    };
    let options = redis_options(config, redis);
    let (channels, hearing) = RedisChannels::new(&options, INTEREST)?;
    let roster = Arc::new(RedisRoster::new(RedisLink::new(&options)?));
    Ok((Ports { store, roster, channels: Arc::new(channels) }, hearing))
}
