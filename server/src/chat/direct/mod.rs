//! The core of `direct`: conversations of two, whose messages and read state the store keeps. One file per verb; `handle` is the dispatcher.
//!
//! A user is *here* with the connections that have joined as him. There is nothing else to join: a message finds its receiver wherever
//! he is.

mod ask;
mod floor;
mod hear;
mod join;
mod lane;
mod read;
mod send;
mod signal;
mod upkeep;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use chatwright_protocol::{
    dialects::{Dialect, direct::conversation::id_of},
    vocabulary::{Audience, Command, Refusal, RoomId, UserId},
};
use futures_util::future::BoxFuture;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::{Identity, IdentityMode},
    bus::{
        channels::{Channels, Hearing},
        direct::{DirectNotice, Signal, said},
    },
    chat::{
        Clocks, Confirmation, ConnectRefusal, Connection, Core, Health, Limits, PortHealth,
        backlog::Backlog,
        refusing::{self, away},
        registry::Registry,
    },
    metrics::Metrics,
    store::{
        DeviceId, InstanceId, RosterStore, StoreError,
        direct::{DirectDraft, DirectStore, UserRecord},
    },
    transport::{EndReason, Sink},
};
use floor::Floor;

pub use ask::{Names, PageOf};

/// Users whose records are known to be saved; beyond it all are forgotten and saved once more.
const SAVED_MAX: usize = 10_000;

/// What the core needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// Messages and users.
    pub store: Arc<dyn DirectStore>,
    /// Who is here: each user has a room of his own in it, named like him.
    pub roster: Arc<dyn RosterStore>,
    /// The other instances and the main server.
    pub channels: Arc<dyn Channels>,
}

/// How the core behaves: plain data.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What is spoken.
    pub dialect: &'static Dialect,
    /// Whether `user_join` is obeyed.
    pub identity: IdentityMode,
    /// What clients may ask for.
    pub limits: Limits,
    /// How long the core waits.
    pub clocks: Clocks,
}

/// The chat core of one instance.
pub struct Hub {
    /// For the tasks that it starts.
    me: Weak<Self>,
    rules: Rules,
    instance: InstanceId,
    ports: Ports,
    metrics: Metrics,
    registry: Registry,
    floor: Mutex<Floor>,
    backlog: Backlog<DirectDraft>,
    saved: Mutex<HashMap<UserId, UserRecord>>,
    /// The cluster's roster may differ from what is true here: an answer was lost, or it was away.
    roster_differs: AtomicBool,
    /// Nobody is here any more.
    stopped: CancellationToken,
    tasks: TaskTracker,
}

/// What is going on, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Connections of this instance.
    pub connections: usize,
    /// Users with a connection here.
    pub users: usize,
    /// Conversations of theirs that this instance follows.
    pub conversations: usize,
}

impl Hub {
    /// Starts the core: from here on it hears the others and renews its lease, until [`stop`](Core::stop).
    #[must_use]
    pub fn start(rules: Rules, ports: Ports, hearing: Hearing, metrics: Metrics) -> Arc<Self> {
        let hub = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            rules,
            instance: InstanceId::fresh(),
            ports,
            metrics,
            registry: Registry::new(rules.limits.connections_max),
            floor: Mutex::new(Floor::new(rules.dialect)),
            backlog: Backlog::new(rules.limits.backlog_max),
            saved: Mutex::default(),
            roster_differs: AtomicBool::new(false),
            stopped: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        hub.tasks.spawn(hear::listen(Arc::clone(&hub), hearing));
        hub.tasks.spawn(upkeep::renew(Arc::clone(&hub)));
        hub.tasks.spawn(upkeep::sweep(Arc::clone(&hub)));
        hub.tasks.spawn(send::write_backlog(Arc::clone(&hub)));
        hub
    }

    /// What is spoken, what is allowed, how long is waited.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What is going on.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let connections = self.registry.count(|_| true);
        let floor = self.floor();
        Stats { connections, users: floor.users(), conversations: floor.conversations() }
    }

    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().expect("no code panics while it holds the floor")
    }

    /// Tells the other instances and services.
    fn publish(&self, notice: &DirectNotice) {
        let (channel, text) = said(notice, &self.instance);
        if let Err(problem) = self.ports.channels.publish(channel, text) {
            tracing::debug!(%problem, "the other instances read the store");
        }
    }

    /// In whose name a connection speaks. Where it is verified, what a payload claims changes nothing; where it only said who it is, a payload
    /// that says otherwise is a mistake.
    fn speaker(&self, connection: &Connection, claimed: Option<&UserId>) -> Result<UserId, Refusal> {
        let user = connection.member().ok_or(Refusal::NotAuthenticated)?.user;
        let contradicts = !connection.is_verified() && claimed.is_some_and(|claimed| *claimed != user);
        if contradicts { Err(Refusal::IdentityFixed) } else { Ok(user) }
    }

    /// The conversation of a speaker with somebody else.
    fn conversation(&self, user: &UserId, peer: &UserId) -> Result<RoomId, Refusal> {
        check_id(peer.as_str(), "targetUserId", self.rules.limits.id_characters_max)?;
        if user == peer {
            return Err(Refusal::Invalid { field: "targetUserId", problem: "must be another user" });
        }
        Ok(id_of(user, peer))
    }

    fn roster_may_differ(&self, problem: &StoreError) {
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
            let connection = Arc::new(Connection::new(id, self.instance.clone(), identity, sink));
            self.registry.enter(&connection)?;
            if let Some(identity) = connection.identity() {
                self.remember(&identity).await;
                if self.come_in(&connection, &identity.user).await.is_err() {
                    self.registry.leave(connection.id());
                    return Err(ConnectRefusal::TooManyConnections);
                }
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
        Box::pin(async move {
            match command {
                Command::Authenticate { user, name: _ } => self.user_join(connection, user).await,
                Command::Send { to, text, kind, attachment, claimed, sent_at_ms: _ } => {
                    let user = self.speaker(connection, claimed.as_ref().map(|member| &member.user))?;
                    let words = send::Words { text, kind, attachment };
                    self.send(connection, user, only(&to)?, words).await
                }
                Command::Typing { to, active, claimed } => {
                    let user = self.speaker(connection, claimed.as_ref())?;
                    let signal = if active { Signal::Typing } else { Signal::StopTyping };
                    self.signal(&user, only(&to)?, signal)
                }
                Command::OpenChat { peer, claimed } => {
                    let user = self.speaker(connection, claimed.as_ref())?;
                    self.signal(&user, &peer, Signal::Started)
                }
                Command::CloseChat { peer, claimed } => {
                    let user = self.speaker(connection, claimed.as_ref())?;
                    self.signal(&user, &peer, Signal::Ended)
                }
                Command::LoadHistory { of, before: _, limit, claimed } => {
                    let user = self.speaker(connection, claimed.as_ref())?;
                    self.load_history(connection, &user, only(&of)?, limit).await
                }
                Command::MarkRead { room, messages } => {
                    let user = self.speaker(connection, None)?;
                    self.mark_as_read(&user, &room, &messages).await
                }
                Command::Join { .. } | Command::Leave { .. } | Command::Resume { .. } | Command::Quit => {
                    Err(Refusal::UnknownEvent)
                }
            }
        })
    }

    fn disconnect<'a>(&'a self, connection: &'a Arc<Connection>, reason: EndReason) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if self.registry.dismiss(connection, reason, &self.metrics) {
                self.go_out(connection).await;
            }
        })
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async move {
            let (store, bus) = tokio::join!(self.ports.store.ping(), self.ports.channels.ping());
            Health {
                store: PortHealth::of(self.ports.store.technology(), store),
                bus: PortHealth::of(self.ports.channels.technology(), bus),
                backlog: self.backlog.len(),
            }
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.registry.stop_accepting();
            self.stopped.cancel();
            self.backlog.close();
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

/// The one user of an audience; the dialect's decoder names no other kind.
fn only(audience: &Audience) -> Result<&UserId, Refusal> {
    match audience {
        Audience::Users(users) => users.first(),
        Audience::Room(_) | Audience::Here => None,
    }
    .ok_or(Refusal::Invalid { field: "targetUserId", problem: "must be a string" })
}

/// Ids of this dialect are more than blanks.
fn check_id(id: &str, field: &'static str, characters_max: usize) -> Result<(), Refusal> {
    let is_blank = id.trim().is_empty();
    refusing::check_id(if is_blank { "" } else { id }, field, characters_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_more_than_blanks_and_not_too_long() {
        for (id, is_good) in [("a", true), (" a ", true), ("abc", true), ("", false), (" \t", false), ("abcd", false)] {
            assert_eq!(check_id(id, "userId", 3).is_ok(), is_good, "{id:?}");
        }
    }
}
