//! The core of `sessions`: rooms that exist while somebody is in them. Nothing is stored but who is where; a user who vanishes has a grace
//! period to come back. One file per concern; [`Hub::handle`](Core::handle) is the dispatcher.

mod cell;
mod join;
mod listen;
mod rooms;
mod send;
mod upkeep;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use chatwright_protocol::{
    dialects::{Dialect, sessions::DIALECT},
    vocabulary::{Audience, Command, Refusal},
};
use futures_util::future::BoxFuture;
use tokio::{sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::{Identity, IdentityMode},
    bus::{Bus, Deliveries},
    chat::{
        Clocks, Confirmation, ConnectRefusal, Connection, Core, Health, Limits, PortHealth, refusing::check_id,
        registry::Registry,
    },
    metrics::Metrics,
    store::{DeviceId, InstanceId, sessions::SessionStore},
    transport::{EndReason, Sink},
};
use rooms::Rooms;

/// What the core needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// Who is where.
    pub sessions: Arc<dyn SessionStore>,
    /// The other instances.
    pub bus: Arc<dyn Bus>,
}

/// How the core behaves: plain data.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Whether a join says who a connection is, or only a token.
    pub identity: IdentityMode,
    /// What clients may ask for.
    pub limits: Limits,
    /// How long the core waits.
    pub clocks: Clocks,
    /// How long a user may be away before the others are told.
    pub grace: Duration,
}

/// The chat core of one instance.
pub struct Hub {
    rules: Rules,
    instance: InstanceId,
    ports: Ports,
    metrics: Metrics,
    registry: Registry,
    rooms: Rooms,
    /// Numbers what is said here.
    said: AtomicU64,
    /// Somebody's grace period has begun.
    leaving: Notify,
    /// What listeners were told may differ from what is so: the bus or the store was away.
    differs: AtomicBool,
    /// Since when the lease has held without a break.
    holding_since: Mutex<Option<Instant>>,
    stopped: CancellationToken,
    tasks: TaskTracker,
}

impl Hub {
    /// Starts the core: from here on it listens to the bus, renews its lease and confirms departures, until [`stop`](Core::stop).
    pub async fn start(
        rules: Rules,
        instance: InstanceId,
        ports: Ports,
        deliveries: Deliveries,
        metrics: Metrics,
    ) -> Arc<Self> {
        let hub = Arc::new(Self {
            rules,
            instance,
            ports,
            metrics,
            registry: Registry::new(rules.limits.connections_max),
            rooms: Rooms::default(),
            said: AtomicU64::new(0),
            leaving: Notify::new(),
            differs: AtomicBool::new(false),
            holding_since: Mutex::default(),
            stopped: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        hub.renew().await; // known to the cluster before the first client comes
        hub.tasks.spawn(listen::listen(Arc::clone(&hub), deliveries));
        hub.tasks.spawn(upkeep::renew(Arc::clone(&hub)));
        hub.tasks.spawn(upkeep::confirm(Arc::clone(&hub)));
        hub.tasks.spawn(upkeep::compare(Arc::clone(&hub)));
        hub
    }

    /// What is allowed, how long is waited.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Why rooms are not shared with the other instances now; `None`: they are, or there are no others.
    #[must_use]
    pub fn alone(&self) -> Option<String> {
        self.ports.sessions.alone()
    }

    fn check_id(&self, id: &str, field: &'static str) -> Result<(), Refusal> {
        check_id(id, field, self.rules.limits.id_characters_max)
    }
}

impl Core for Hub {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn connect(
        &self,
        identity: Option<Identity>,
        id: DeviceId,
        sink: Arc<dyn Sink>,
    ) -> BoxFuture<'_, Result<Arc<Connection>, ConnectRefusal>> {
        let connection = Arc::new(Connection::new(id, self.instance.clone(), identity, sink));
        let entered = self.registry.enter(&connection).map(|()| {
            self.metrics.session_opened();
            tracing::info!("Client connected: {}", connection.id());
            connection
        });
        Box::pin(std::future::ready(entered))
    }

    fn handle<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
        command: Command,
    ) -> BoxFuture<'a, Result<Confirmation, Refusal>> {
        Box::pin(async move {
            match command {
                Command::Join { room, claimed: Some(claimed), .. } => self.join(connection, room, claimed).await,
                Command::Send { to: Audience::Here, text, sent_at_ms: Some(sent_at_ms), .. } => {
                    self.send(connection, text, sent_at_ms).await
                }
                Command::Quit => {
                    self.leave(connection).await;
                    connection.end(EndReason::EndAsked);
                    Ok(Confirmation::Left)
                }
                Command::Join { claimed: None, .. }
                | Command::Send { .. }
                | Command::Authenticate { .. }
                | Command::Leave { .. }
                | Command::Typing { .. }
                | Command::LoadHistory { .. }
                | Command::Resume { .. }
                | Command::MarkRead { .. }
                | Command::OpenChat { .. }
                | Command::CloseChat { .. } => Err(Refusal::UnknownEvent),
            }
        })
    }

    fn disconnect<'a>(&'a self, connection: &'a Arc<Connection>, reason: EndReason) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if self.registry.dismiss(connection, reason, &self.metrics) {
                self.leave(connection).await;
            }
        })
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async move {
            let bus = self.ports.bus.ping().await;
            Health {
                store: PortHealth { technology: self.ports.sessions.technology(), problem: self.alone() },
                bus: PortHealth::of(self.ports.bus.technology(), bus),
                backlog: 0,
            }
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.registry.stop_accepting();
            self.stopped.cancel();
            self.tasks.close();
            self.tasks.wait().await;
            if let Err(problem) = self.ports.sessions.resign(&self.instance).await {
                tracing::warn!(%problem, "the lease was not given back: it runs out by itself");
            }
        })
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("instance", &self.instance).field("rules", &self.rules).finish_non_exhaustive()
    }
}
