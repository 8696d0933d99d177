//! The core of `gateway`: its services, as many of them as this process plays. The chat service is the hub of `rooms` on other ports, since
//! a room, its order and the healing between instances are the same; accounts and histories are here.

mod accounts;
mod confirmed;
mod histories;
mod newest;
mod object_id;
mod persist;

use std::sync::Arc;

use chatwright_protocol::{
    dialects::{Dialect, gateway},
    vocabulary::{Command, Refusal, RoomId},
};
use futures_util::future::BoxFuture;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use accounts::{AccountRefusal, Accounts, Credentials, SignedIn};
pub use confirmed::ConfirmedMessages;
pub use histories::{Histories, Question};
pub use newest::NewestMessages;
pub use object_id::object_id;
pub use persist::Persister;

use super::{Confirmation, ConnectRefusal, Connection, Core, Health, PortHealth, Registry, rooms::Hub};
use crate::{
    auth::Identity,
    store::{DeviceId, Position},
    transport::{EndReason, Sink},
};

/// The services that one process plays.
pub struct Services {
    /// The chat service.
    chat: Option<Arc<Hub>>,
    /// Nobody's connections, where there is no chat service.
    nobody: Registry,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Services {
    /// Starts what works by itself. `chat` and `persister` are there where this process plays the chat and the message service.
    #[must_use]
    pub fn start(chat: Option<Arc<Hub>>, persister: Option<Persister>) -> Arc<Self> {
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        if let Some(persister) = persister {
            tasks.spawn(Arc::clone(&persister.cache).tend(stopping.clone()));
            tasks.spawn(persister.run(stopping.clone()));
        }
        Arc::new(Self { chat, nobody: Registry::new(0), stopping, tasks })
    }
}

impl Core for Services {
    fn dialect(&self) -> &'static Dialect {
        &gateway::DIALECT
    }

    fn registry(&self) -> &Registry {
        self.chat.as_ref().map_or(&self.nobody, |chat| chat.registry())
    }

    fn connect(
        &self,
        identity: Option<Identity>,
        id: DeviceId,
        sink: Arc<dyn Sink>,
    ) -> BoxFuture<'_, Result<Arc<Connection>, ConnectRefusal>> {
        match &self.chat {
            Some(chat) => chat.connect(identity, id, sink),
            None => Box::pin(std::future::ready(Err(ConnectRefusal::InstanceFull))),
        }
    }

    fn handle<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
        command: Command,
    ) -> BoxFuture<'a, Result<Confirmation, Refusal>> {
        match &self.chat {
            Some(chat) => chat.handle(connection, command),
            None => Box::pin(std::future::ready(Err(Refusal::Unavailable))),
        }
    }

    fn resume<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
        standing: &'a [(RoomId, Position)],
    ) -> BoxFuture<'a, bool> {
        match &self.chat {
            Some(chat) => chat.resume(connection, standing),
            None => Box::pin(std::future::ready(false)),
        }
    }

    fn disconnect<'a>(&'a self, connection: &'a Arc<Connection>, reason: EndReason) -> BoxFuture<'a, ()> {
        match &self.chat {
            Some(chat) => chat.disconnect(connection, reason),
            None => Box::pin(std::future::ready(())),
        }
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        let none = || PortHealth { technology: "none", problem: None };
        match &self.chat {
            Some(chat) => chat.health(),
            None => Box::pin(std::future::ready(Health { store: none(), bus: none(), backlog: 0 })),
        }
    }

    /// The chat service first: what it still hands to the queue may still be stored.
    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(chat) = &self.chat {
                chat.stop().await;
            }
            self.stopping.cancel();
            self.tasks.close();
            self.tasks.wait().await;
        })
    }
}
