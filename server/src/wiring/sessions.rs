//! Puts a server of `sessions` together.

use std::sync::Arc;

use chatwright_protocol::dialects::sessions::DIALECT;

use super::{Assembled, Foundation, SOCKET, StartError};
use crate::{
    bus::memory::MemoryHub,
    chat::{
        Core,
        sessions::{Hub, Ports, Rules},
    },
    http::sessions_routes,
    store::{
        InstanceId,
        sessions::{SessionStore, memory::MemorySessions},
    },
    transport::oxide::Oxide,
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
    let Foundation { config, gate, doors, metrics, .. } = foundation;
    let (bus, deliveries) = shared.bus.endpoint();
    let ports = Ports { sessions: Arc::clone(&shared.sessions), bus: Arc::new(bus) };
    let rules = Rules { identity: config.identity, limits: config.limits, clocks: config.clocks, grace: config.grace };
    let hub = Hub::start(rules, InstanceId::fresh(), ports, deliveries, metrics.clone()).await;
    let core: Arc<dyn Core> = Arc::clone(&hub) as Arc<dyn Core>;
    let engine = Oxide::new(DIALECT.path, config.engine, core, gate.clone(), metrics.clone());
    let routes = doors.rest(sessions_routes(Arc::clone(&hub))).merge(doors.engine(DIALECT.path, engine.service()));
    Ok(Assembled { core: hub, hub: None, engine: Some(engine), routes: vec![(SOCKET, routes)] })
}
