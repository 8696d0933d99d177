//! The chat core: decides what a command does, and tells those whom it concerns. One file per verb; [`Hub::handle`] is the dispatcher.
//!
//! It knows no sockets and no HTTP: connections come in through [`Hub::connect`] with a [`Sink`](crate::transport::Sink), and everything that outlives
//! a connection is behind a port.

mod authenticate;
mod backlog;
mod connection;
mod heal;
mod join;
mod leave;
mod limits;
mod outbox;
mod room;
mod roster;
mod send;
mod typing;
mod upkeep;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chatwright_protocol::{
    dialects::Dialect,
    vocabulary::{Command, Member, Message, MessageKind, Refusal, RoomId, UserId},
};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use connection::Connection;
pub use limits::{Clocks, Limits};

use crate::{
    auth::{Identity, IdentityMode},
    bus::{Bus, Deliveries},
    events::EventSink,
    metrics::Metrics,
    store::{Admission, DeviceId, History, InstanceId, MessageStore, RosterStore},
    transport::{EndReason, Sink},
};
use backlog::Backlog;
use roster::Roster;

/// How often a drain looks whether all connections have ended.
const ENDED_LOOK: Duration = Duration::from_millis(5);

/// What the core needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// Messages and rooms.
    pub messages: Arc<dyn MessageStore>,
    /// Who is where.
    pub roster: Arc<dyn RosterStore>,
    /// The other instances.
    pub bus: Arc<dyn Bus>,
    /// Other services; `None`: nobody wants to know.
    pub events: Option<Arc<dyn EventSink>>,
}

/// How the core behaves: plain data.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What is spoken.
    pub dialect: &'static Dialect,
    /// Whether `authenticate` is obeyed.
    pub identity: IdentityMode,
    /// What clients may ask for.
    pub limits: Limits,
    /// How long the core waits.
    pub clocks: Clocks,
}

/// The chat core of one instance.
pub struct Hub {
    rules: Rules,
    instance: InstanceId,
    ports: Ports,
    metrics: Metrics,
    connections: Mutex<HashMap<DeviceId, Arc<Connection>>>,
    roster: Roster,
    backlog: Backlog,
    outbox: Option<outbox::Outbox>,
    /// The cluster's roster may differ from what is true here: an answer was lost, or it was away.
    roster_differs: AtomicBool,
    /// Since when every renewal of the lease has succeeded.
    renewing_since: Mutex<Option<Instant>>,
    /// Nobody is let in any more.
    stopping: CancellationToken,
    /// Nobody is here any more.
    stopped: CancellationToken,
    tasks: TaskTracker,
}

/// What a command has brought about, as far as the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// It is known now who the connection is.
    Authenticated,
    /// It is in the room now.
    Joined,
    /// It is not in the room now.
    Left,
    /// The store has the message.
    Sent(Message),
    /// The store is away: the message was told to those who are here, and is written when it returns; its echo will confirm it.
    Pending,
    /// The others are told.
    Typing,
}

/// Why a connection was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectRefusal {
    /// The user has as many connections as allowed.
    TooManyConnections,
    /// This instance has as many connections as allowed.
    InstanceFull,
    /// This instance stops.
    Stopping,
}

impl fmt::Display for ConnectRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyConnections => "Too many connections",
            Self::InstanceFull => "Server is full",
            Self::Stopping => "Server is stopping",
        })
    }
}

/// What somebody says by REST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Where.
    pub room: RoomId,
    /// The text.
    pub text: String,
    /// What kind of content the text is.
    pub kind: MessageKind,
}

/// How the ports are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The store's technology, and what is wrong with it.
    pub store: PortHealth,
    /// The bus's technology, and what is wrong with it.
    pub bus: PortHealth,
    /// Messages that wait for the store.
    pub backlog: usize,
}

/// How one port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortHealth {
    /// E.g. `memory` or `redis`.
    pub technology: &'static str,
    /// Why it does not work now; `None`: it does.
    pub problem: Option<String>,
}

impl Hub {
    /// Starts the core: from here on it listens to the bus, renews its lease and looks after its rooms, until [`stop`](Self::stop).
    #[must_use]
    pub fn start(
        rules: Rules,
        instance: InstanceId,
        ports: Ports,
        deliveries: Deliveries,
        metrics: Metrics,
    ) -> Arc<Self> {
        let tasks = TaskTracker::new();
        let outbox = ports.events.clone().map(|events| {
            let (outbox, run) = outbox::Outbox::new(events, Arc::clone(&ports.messages));
            tasks.spawn(run);
            outbox
        });
        let hub = Arc::new(Self {
            rules,
            instance,
            ports,
            metrics,
            connections: Mutex::default(),
            roster: Roster::default(),
            backlog: Backlog::new(rules.limits.backlog_max),
            outbox,
            roster_differs: AtomicBool::new(false),
            renewing_since: Mutex::default(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            tasks,
        });
        hub.keep(heal::listen(Arc::clone(&hub), deliveries));
        hub.keep(upkeep::renew(Arc::clone(&hub)));
        hub.keep(upkeep::sweep(Arc::clone(&hub)));
        hub.keep(upkeep::refresh(Arc::clone(&hub)));
        hub.keep(backlog::write(Arc::clone(&hub)));
        hub
    }

    /// Lets a connection in under its public id. `identity` is what was verified at the handshake; `None` where identity is open.
    ///
    /// # Errors
    /// [`ConnectRefusal`]; nothing was changed then.
    pub async fn connect(
        &self,
        identity: Option<Identity>,
        id: DeviceId,
        sink: Arc<dyn Sink>,
    ) -> Result<Arc<Connection>, ConnectRefusal> {
        if self.stopping.is_cancelled() {
            return Err(ConnectRefusal::Stopping);
        }
        let member = identity.as_ref().map(Identity::member);
        let connection = Arc::new(Connection::new(id, self.instance.clone(), identity, sink));
        {
            let mut connections = self.connections();
            if connections.len() >= self.rules.limits.connections_max {
                return Err(ConnectRefusal::InstanceFull);
            }
            connections.insert(connection.id().clone(), Arc::clone(&connection));
        }
        if let Some(member) = member
            && self.admit(&connection, member).await == Admission::Full
        {
            self.connections().remove(connection.id());
            return Err(ConnectRefusal::TooManyConnections);
        }
        self.metrics.session_opened();
        let user = connection.member().map_or_else(|| "-".to_owned(), |member| member.user.to_string());
        tracing::info!("Client connected: {} User: {user}", connection.id());
        Ok(connection)
    }

    /// Carries out a command. Commands of one connection come one after the other, in the order sent.
    ///
    /// # Errors
    /// A [`Refusal`]: nothing was stored, nobody else was told.
    pub async fn handle(&self, connection: &Arc<Connection>, command: Command) -> Result<Confirmation, Refusal> {
        match command {
            Command::Authenticate { user, name } => self.authenticate(connection, Member { user, name }).await,
            Command::Join { room, kind, participants } => self.join(connection, room, kind, participants).await,
            Command::Leave { room } => self.leave(connection, room).await,
            Command::Send { room, text, kind } => self.send(connection, room, text, kind).await,
            Command::Typing { room, active } => self.typing(connection, room, active).await,
        }
    }

    /// Takes a connection out of everything; tells those whom it concerns. Does nothing the second time.
    pub async fn disconnect(&self, connection: &Arc<Connection>, reason: EndReason) {
        if self.connections().remove(connection.id()).is_none() {
            return;
        }
        connection.end(reason);
        tracing::info!("Client disconnected: {} Reason: {reason}", connection.id());
        self.metrics.session_closed();
        self.forget_member(connection).await;
    }

    /// The newest messages of a room, oldest first; `limit` is taken for the nearest number that is allowed.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] while the store is away, [`Refusal::Invalid`] for an id beyond the limits.
    pub async fn history(&self, room: &RoomId, limit: Option<usize>) -> Result<Vec<Message>, Refusal> {
        self.check_room(room)?;
        let limit = limit.unwrap_or(self.rules.limits.history_default).clamp(1, self.rules.limits.history_max);
        let history: History = self.ports.messages.history(room, limit).await.map_err(|problem| away(&problem))?;
        Ok(history.messages.into_iter().map(|stored| stored.message).collect())
    }

    /// The users in a room, in the whole cluster, each once.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for an id beyond the limits.
    pub async fn room_users(&self, room: &RoomId) -> Result<Vec<UserId>, Refusal> {
        self.check_room(room)?;
        Ok(self.members_of(room).await)
    }

    /// The connections of this instance.
    #[must_use]
    pub fn all_connections(&self) -> Vec<Arc<Connection>> {
        let mut connections: Vec<_> = self.connections().values().cloned().collect();
        connections.sort_by(|one, other| one.id().cmp(other.id()));
        connections
    }

    /// How the ports are now.
    pub async fn health(&self) -> Health {
        let (store, bus) = tokio::join!(self.ports.messages.ping(), self.ports.bus.ping());
        let problem_of_store = store.err().map(|problem| problem.to_string());
        let problem_of_bus = bus.err().map(|problem| problem.to_string());
        Health {
            store: PortHealth { technology: self.ports.messages.technology(), problem: problem_of_store },
            bus: PortHealth { technology: self.ports.bus.technology(), problem: problem_of_bus },
            backlog: self.backlog.len(),
        }
    }

    /// What is spoken, what is allowed, how long is waited.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Lets nobody in any more. Those who are in stay.
    pub fn stop_accepting(&self) {
        self.stopping.cancel();
    }

    /// Asks all connections to end and waits until they have.
    pub async fn end_all(&self, reason: EndReason) {
        for connection in self.all_connections() {
            connection.end(reason);
        }
        while !self.connections().is_empty() {
            tokio::time::sleep(ENDED_LOOK).await;
        }
    }

    /// Ends the core's own work: what waits for the store or for other services is written as far as they take it. Call it when all
    /// connections are gone; the caller bounds it in time.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.stopped.cancel();
        self.backlog.close();
        if let Some(outbox) = &self.outbox {
            outbox.close();
        }
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(problem) = self.ports.roster.resign(&self.instance).await {
            tracing::warn!(%problem, "the lease was not given back: it runs out by itself");
        }
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<Connection>>> {
        self.connections.lock().expect("no code panics while it holds the registry")
    }

    fn keep(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    fn check_room(&self, room: &RoomId) -> Result<(), Refusal> {
        check_id(room.as_str(), "roomId", self.rules.limits.id_characters_max)
    }

    fn roster_may_differ(&self, problem: &crate::store::StoreError) {
        if !self.roster_differs.swap(true, Ordering::Relaxed) {
            tracing::warn!(%problem, "the cluster's roster is out of step; it is put right when the store answers");
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("instance", &self.instance).field("rules", &self.rules).finish_non_exhaustive()
    }
}

fn check_id(id: &str, field: &'static str, characters_max: usize) -> Result<(), Refusal> {
    if id.is_empty() {
        return Err(Refusal::Invalid { field, problem: "must not be empty" });
    }
    if id.chars().nth(characters_max).is_some() {
        return Err(Refusal::Invalid { field, problem: "is too long" });
    }
    Ok(())
}

fn away(problem: &crate::store::StoreError) -> Refusal {
    tracing::warn!(%problem, "a request was refused for want of the store");
    Refusal::Unavailable
}
