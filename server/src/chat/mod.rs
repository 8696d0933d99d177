//! The chat core: decides what a command does, and tells those whom it concerns. One folder per dialect; what they share is here.
//!
//! A core knows no sockets and no HTTP: connections come in through [`Core::connect`] with a [`Sink`], and everything that outlives a connection
//! is behind a port.

mod backlog;
mod connection;
pub mod conversations;
pub mod direct;
mod expiries;
pub mod gateway;
mod health;
mod limits;
mod refusing;
mod registry;
pub mod rooms;
pub mod sessions;
mod upkeep;

use std::{fmt, sync::Arc};

use chatwright_protocol::{
    dialects::Dialect,
    vocabulary::{Command, Message, Refusal, RoomId},
};
use futures_util::future::BoxFuture;

pub use connection::Connection;
pub use health::{Health, PortHealth};
pub use limits::{Clocks, Limits};
pub use registry::Registry;

use crate::{
    auth::Identity,
    store::{DeviceId, Position},
    transport::{EndReason, Sink},
};

/// What carries out one dialect's commands on one instance.
pub trait Core: Send + Sync {
    /// What is spoken.
    fn dialect(&self) -> &'static Dialect;

    /// The connections of this instance.
    fn registry(&self) -> &Registry;

    /// Lets a connection in under its public id. `identity` is what was verified at the handshake; `None` where identity is open.
    ///
    /// # Errors
    /// [`ConnectRefusal`]; nothing was changed then.
    fn connect(
        &self,
        identity: Option<Identity>,
        id: DeviceId,
        sink: Arc<dyn Sink>,
    ) -> BoxFuture<'_, Result<Arc<Connection>, ConnectRefusal>>;

    /// Carries out a command. Commands of one connection come one after the other, in the order sent.
    ///
    /// # Errors
    /// A [`Refusal`]: nothing was stored, nobody else was told.
    fn handle<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
        command: Command,
    ) -> BoxFuture<'a, Result<Confirmation, Refusal>>;

    /// Goes on with a connection, which was let in a moment ago, where it stood on another instance: it is in these rooms, and was told what
    /// is there up to these positions. `false`: it cannot be gone on with, and must be disconnected; so says a core that has no such rooms.
    fn resume<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
        standing: &'a [(RoomId, Position)],
    ) -> BoxFuture<'a, bool> {
        let _ = (connection, standing);
        Box::pin(std::future::ready(false))
    }

    /// Takes a connection out of everything; tells those whom it concerns. Does nothing the second time.
    fn disconnect<'a>(&'a self, connection: &'a Arc<Connection>, reason: EndReason) -> BoxFuture<'a, ()>;

    /// How the ports are now.
    fn health(&self) -> BoxFuture<'_, Health>;

    /// Ends the core's own work: what waits for the store or for other services is written as far as they take it. Called when all
    /// connections are gone; the caller bounds it in time.
    fn stop(&self) -> BoxFuture<'_, ()>;
}

/// What a command has brought about, as far as the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it is handed on once and kept nowhere")]
pub enum Confirmation {
    /// It is known now who the connection is.
    Authenticated,
    /// It is in the room now.
    Joined,
    /// It is not in the room now.
    Left,
    /// The store has the message.
    Sent(Message),
    /// The store is away: the message was told to those who are here, and is written when it returns; its echo, or the
    /// event that confirms, comes then.
    Pending,
    /// The others are told.
    Typing,
    /// The past was told to the caller.
    History,
    /// What was read counts as read.
    Read,
    /// The conversation is open, and the other user told.
    Opened,
    /// The conversation is closed, and the other user told.
    Closed,
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
