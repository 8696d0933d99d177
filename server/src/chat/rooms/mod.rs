//! The core of `rooms`: named rooms whose history and order the store gives. One file per verb; [`Hub::handle`](Core::handle) is the dispatcher.

mod authenticate;
mod heal;
mod join;
mod leave;
mod outbox;
mod resume;
mod room;
mod roster;
mod send;
mod typing;
mod upkeep;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use chatwright_protocol::{
    dialects::Dialect,
    vocabulary::{Audience, Command, Member, Message, MessageId, MessageKind, Refusal, RoomId, UserId},
};
use futures_util::future::{BoxFuture, ready};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::{Identity, IdentityMode},
    bus::{Bus, Deliveries},
    chat::{
        Clocks, Confirmation, ConnectRefusal, Connection, Core, Health, Limits, PortHealth,
        backlog::Backlog,
        refusing::{away, check_id},
        registry::Registry,
    },
    events::EventSink,
    metrics::Metrics,
    store::{Admission, DeviceId, Draft, History, InstanceId, MessageStore, Position, RosterStore},
    transport::{EndReason, Sink},
};
use roster::Roster;

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

/// Whom a message is by where identity is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// Whoever the connection said it is; until then it may do nothing.
    Connection,
    /// Whoever the payload names; a connection need not say who it is.
    Payload,
}

/// How the core behaves: plain data.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What is spoken.
    pub dialect: &'static Dialect,
    /// Whether `authenticate` is obeyed.
    pub identity: IdentityMode,
    /// Who speaks where identity is open.
    pub speaker: Speaker,
    /// The dialect's name for the text of a message, for refusals.
    pub text_field: &'static str,
    /// Makes the id of a message, in the dialect's shape.
    pub message_id: fn() -> MessageId,
    /// What clients may ask for.
    pub limits: Limits,
    /// How long the core waits.
    pub clocks: Clocks,
}

impl Rules {
    /// Who a connection is that nobody has verified and that need not say who it is.
    fn nobody_in_particular(&self, id: &DeviceId) -> Option<Identity> {
        let is_anonymous = self.identity == IdentityMode::Open && self.speaker == Speaker::Payload;
        let user = UserId::from(id.as_str());
        is_anonymous.then(|| Identity { name: id.to_string(), user, email: None, expires_at_ms: None })
    }
}

/// The chat core of one instance.
pub struct Hub {
    rules: Rules,
    instance: InstanceId,
    ports: Ports,
    metrics: Metrics,
    registry: Registry,
    roster: Roster,
    backlog: Backlog<Draft>,
    outbox: Option<outbox::Outbox>,
    /// The cluster's roster may differ from what is true here: an answer was lost, or it was away.
    roster_differs: AtomicBool,
    /// Since when every renewal of the lease has succeeded.
    renewing_since: Mutex<Option<Instant>>,
    /// Nobody is here any more.
    stopped: CancellationToken,
    tasks: TaskTracker,
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
            registry: Registry::new(rules.limits.connections_max),
            roster: Roster::default(),
            backlog: Backlog::new(rules.limits.backlog_max),
            outbox,
            roster_differs: AtomicBool::new(false),
            renewing_since: Mutex::default(),
            stopped: CancellationToken::new(),
            tasks,
        });
        hub.keep(heal::listen(Arc::clone(&hub), deliveries));
        hub.keep(upkeep::renew(Arc::clone(&hub)));
        hub.keep(upkeep::sweep(Arc::clone(&hub)));
        hub.keep(upkeep::refresh(Arc::clone(&hub)));
        hub.keep(send::write_backlog(Arc::clone(&hub)));
        hub
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

    /// What is spoken, what is allowed, how long is waited.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// In whose name a connection speaks: its own, or where nobody is verified the one that it claims.
    fn speaker(&self, connection: &Connection, claimed: Option<Member>) -> Result<Member, Refusal> {
        let own = connection.member().ok_or(Refusal::NotAuthenticated)?;
        match claimed.filter(|_| self.rules.nobody_in_particular(connection.id()).is_some_and(|it| it.user == own.user))
        {
            None => Ok(own),
            Some(claimed) => {
                check_id(claimed.user.as_str(), "userId", self.rules.limits.id_characters_max)?;
                check_id(&claimed.name, "username", self.rules.limits.id_characters_max)?;
                Ok(claimed)
            }
        }
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

impl Core for Hub {
    fn dialect(&self) -> &'static Dialect {
        self.rules.dialect
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
        Box::pin(async move {
            let identity = identity.or_else(|| self.rules.nobody_in_particular(&id));
            let member = identity.as_ref().map(Identity::member);
            let connection = Arc::new(Connection::new(id, self.instance.clone(), identity, sink));
            self.registry.enter(&connection)?;
            if let Some(member) = member
                && self.admit(&connection, member).await == Admission::Full
            {
                self.registry.leave(connection.id());
                return Err(ConnectRefusal::TooManyConnections);
            }
            self.metrics.session_opened();
            let user = connection.member().map_or_else(|| "-".to_owned(), |member| member.user.to_string());
            tracing::info!("Client connected: {} User: {user}", connection.id());
            Ok(connection)
        })
    }

    fn handle<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
        command: Command,
    ) -> BoxFuture<'a, Result<Confirmation, Refusal>> {
        // Each verb waits by itself, or a message would take the memory of the longest of them.
        match command {
            Command::Authenticate { user, name } => Box::pin(self.authenticate(connection, Member { user, name })),
            Command::Join { room, kind, participants, claimed: _ } => {
                Box::pin(self.join(connection, room, kind, participants))
            }
            Command::Leave { room } => Box::pin(self.leave(connection, room)),
            Command::Send { to: Audience::Room(room), text, kind, claimed, .. } => {
                match self.speaker(connection, claimed) {
                    Ok(sender) => Box::pin(self.send(connection, sender, room, text, kind)),
                    Err(refusal) => Box::pin(ready(Err(refusal))),
                }
            }
            Command::Typing { to: Audience::Room(room), active, .. } => Box::pin(self.typing(connection, room, active)),
            Command::Send { to: Audience::Users(_) | Audience::Here, .. }
            | Command::Typing { to: Audience::Users(_) | Audience::Here, .. }
            | Command::Quit
            | Command::LoadHistory { .. }
            | Command::Resume { .. }
            | Command::MarkRead { .. }
            | Command::OpenChat { .. }
            | Command::CloseChat { .. } => Box::pin(ready(Err(Refusal::UnknownEvent))),
        }
    }

    fn resume<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
        standing: &'a [(RoomId, Position)],
    ) -> BoxFuture<'a, bool> {
        Box::pin(self.go_on(connection, standing))
    }

    fn disconnect<'a>(&'a self, connection: &'a Arc<Connection>, reason: EndReason) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if self.registry.dismiss(connection, reason, &self.metrics) {
                self.forget_member(connection).await;
            }
        })
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async move {
            let (store, bus) = tokio::join!(self.ports.messages.ping(), self.ports.bus.ping());
            Health {
                store: PortHealth::of(self.ports.messages.technology(), store),
                bus: PortHealth::of(self.ports.bus.technology(), bus),
                backlog: self.backlog.len(),
            }
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.registry.stop_accepting();
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
        })
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("instance", &self.instance).field("rules", &self.rules).finish_non_exhaustive()
    }
}
