//! The core of `conversations`: messages between exact sets of users, told to every connection of each of them. One file per verb;
//! [`Hub::handle`](Core::handle) is the dispatcher.

mod census;
mod desk;
mod heal;
mod history;
mod line;
mod outbox;
mod send;
mod typing;

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use chatwright_protocol::{
    dialects::{Dialect, conversations},
    vocabulary::{Audience, Command, Event, Member, Refusal, RoomId, UserId},
};
use futures_util::future::{BoxFuture, ready};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::Identity,
    bus::{Bus, Deliveries, Notice, NoticeBody},
    chat::{
        Clocks, Confirmation, ConnectRefusal, Connection, Core, Health, Limits, PortHealth,
        refusing::{away, check_id},
        registry::Registry,
    },
    events::EventSink,
    metrics::Metrics,
    store::{
        Admission, DeviceId, InstanceId, RosterStore, StoreError,
        conversations::{ConversationStore, Head},
    },
    transport::{EndReason, Frame, Sink},
};
use census::Census;
use desk::Desk;

/// Conversations of one user that an instance looks at when he connects or resumes: those with the newest messages.
const CONVERSATIONS_PER_USER_MAX: usize = 1000;

/// What the core needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// Conversations and messages.
    pub conversations: Arc<dyn ConversationStore>,
    /// Who is connected, in the whole cluster.
    pub roster: Arc<dyn RosterStore>,
    /// The other instances; one end that hears all conversations.
    pub bus: Arc<dyn Bus>,
    /// Other services; `None`: nobody wants to know.
    pub events: Option<Arc<dyn EventSink>>,
}

/// How the core behaves: plain data.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
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
    registry: Registry,
    census: Census,
    desk: Desk,
    /// Something was put into the outbox.
    posted: Arc<Notify>,
    /// Why events wait, if they do.
    problem_of_events: Mutex<Option<String>>,
    /// Nobody is here any more.
    stopped: CancellationToken,
    tasks: TaskTracker,
}

impl Hub {
    /// Starts the core: from here on it listens to the bus, counts its connections in the cluster, looks after its conversations and
    /// empties the outbox, until [`stop`](Core::stop). It is known to the cluster when this returns.
    pub async fn start(rules: Rules, ports: Ports, deliveries: Deliveries, metrics: Metrics) -> Arc<Self> {
        let instance = InstanceId::fresh();
        let hub = Arc::new(Self {
            rules,
            census: Census::new(Arc::clone(&ports.roster), instance.clone(), rules.clocks.lease),
            instance,
            ports,
            registry: Registry::new(rules.limits.connections_max),
            desk: Desk::new(metrics.clone()),
            metrics,
            posted: Arc::new(Notify::new()),
            problem_of_events: Mutex::default(),
            stopped: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        hub.census.renew(&hub.registry).await;
        hub.keep(heal::listen(Arc::clone(&hub), deliveries));
        hub.keep(heal::sweep(Arc::clone(&hub)));
        hub.keep(census::renew(Arc::clone(&hub)));
        hub.keep(outbox::empty(Arc::clone(&hub)));
        hub
    }

    /// How the sink for events is, if there is one.
    #[must_use]
    pub fn health_of_events(&self) -> Option<PortHealth> {
        let technology = self.ports.events.as_ref()?.technology();
        let problem = self.problem_of_events.lock().expect("no code panics while it holds the words").clone();
        Some(PortHealth { technology, problem })
    }

    fn keep(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Lets a counted connection in: its conversations are known before it is told that it may speak, so that nothing is missing behind
    /// that and nothing old comes as if it were new.
    async fn seat(&self, connection: &Arc<Connection>, member: Member) {
        self.desk.announce(&member.user);
        if let Err(problem) = self.read_conversations(&member.user).await {
            tracing::warn!(%problem, "a user's conversations are not known yet");
        }
        let user = member.user.clone();
        let welcome = Frame::of(&conversations::DIALECT, &Event::Authenticated { member });
        self.desk.seat(&user, connection, welcome.as_ref());
    }

    /// Reads which conversations a user has, and where they stand.
    async fn read_conversations(&self, user: &UserId) -> Result<(), StoreError> {
        let users = std::slice::from_ref(user);
        let heads = self.ports.conversations.heads(users, 0, CONVERSATIONS_PER_USER_MAX).await?;
        self.desk.know(&heads, user, heads.len() < CONVERSATIONS_PER_USER_MAX);
        Ok(())
    }

    fn tell(&self, connection: &Connection, event: &Event) {
        if let Some(frame) = Frame::of(&conversations::DIALECT, event) {
            connection.tell(&frame);
        }
    }

    /// Tells the other instances.
    async fn publish(&self, room: &RoomId, audience: &[UserId], body: impl FnOnce() -> NoticeBody) {
        if self.ports.bus.is_alone() {
            return;
        }
        let body = body();
        let (origin, room, audience) = (self.instance.clone(), room.clone(), audience.to_vec());
        match self.ports.bus.publish(Notice { origin, room, audience, body }).await {
            Ok(()) => self.metrics.bus_published(),
            Err(problem) => tracing::debug!(%problem, "the other instances catch up from the store"),
        }
    }

    /// A conversation in which this user takes part. That of others is as unknown to him as one that never was.
    async fn conversation_of(&self, user: &UserId, conversation: &RoomId) -> Result<Head, Refusal> {
        check_id(conversation.as_str(), "conversationId", self.rules.limits.id_characters_max)?;
        let head = self.ports.conversations.conversation(conversation).await.map_err(|problem| away(&problem))?;
        head.filter(|head| head.participants.contains(user)).ok_or(Refusal::NotFound { what: "conversation" })
    }
}

impl Core for Hub {
    fn dialect(&self) -> &'static Dialect {
        &conversations::DIALECT
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
            let member = identity.as_ref().map(Identity::member);
            let connection = Arc::new(Connection::new(id, self.instance.clone(), identity, sink));
            self.registry.enter(&connection)?;
            if let Some(member) = member {
                let max = self.rules.limits.connections_per_user_max;
                if self.census.admit(&self.registry, &connection, &member, max).await == Admission::Full {
                    self.registry.leave(connection.id());
                    return Err(ConnectRefusal::TooManyConnections);
                }
                self.metrics.session_opened();
                tracing::info!(connection = %connection.id(), user = %member.user, "client connected");
                self.seat(&connection, member).await;
            } else {
                self.metrics.session_opened();
            }
            Ok(connection)
        })
    }

    fn handle<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
        command: Command,
    ) -> BoxFuture<'a, Result<Confirmation, Refusal>> {
        let Some(user) = connection.user() else {
            return Box::pin(ready(Err(Refusal::NotAuthenticated)));
        };
        // Each verb waits by itself, or a message would take the memory of the longest of them.
        match command {
            Command::Send { to: Audience::Users(users), text, .. } => {
                Box::pin(self.send(connection, user, users, text))
            }
            Command::Typing { to: Audience::Room(room), active, .. } => Box::pin(self.typing(user, room, active)),
            Command::LoadHistory { of: Audience::Room(room), before, limit, .. } => {
                Box::pin(self.load_history(connection, user, room, before, limit))
            }
            Command::Resume { seen } => Box::pin(self.resume(connection, user, seen)),
            Command::Send { to: Audience::Room(_) | Audience::Here, .. }
            | Command::Typing { to: Audience::Users(_) | Audience::Here, .. }
            | Command::LoadHistory { of: Audience::Users(_) | Audience::Here, .. }
            | Command::Authenticate { .. }
            | Command::Join { .. }
            | Command::Leave { .. }
            | Command::Quit
            | Command::MarkRead { .. }
            | Command::OpenChat { .. }
            | Command::CloseChat { .. } => Box::pin(ready(Err(Refusal::UnknownEvent))),
        }
    }

    fn disconnect<'a>(&'a self, connection: &'a Arc<Connection>, reason: EndReason) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if !self.registry.leave(connection.id()) {
                return;
            }
            connection.end(reason);
            self.metrics.session_closed();
            let Some(member) = connection.member() else { return };
            tracing::info!(connection = %connection.id(), user = %member.user, %reason, "client disconnected");
            self.desk.leave(&member.user, connection.id());
            self.census.dismiss(connection, member).await;
        })
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async move {
            let (store, bus) = tokio::join!(self.ports.conversations.ping(), self.ports.bus.ping());
            Health {
                store: PortHealth::of(self.ports.conversations.technology(), store),
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
            self.census.resign().await;
        })
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("instance", &self.instance).field("rules", &self.rules).finish_non_exhaustive()
    }
}
