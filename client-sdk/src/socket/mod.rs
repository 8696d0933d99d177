//! The Socket.IO client: one connection, several namespaces, handles that any task may hold.

mod driver;
mod emitter;
mod mailbox;
mod namespace;
mod offline;

use chatwright_protocol::{
    engine_io::Frame,
    socket_io::{Arg, MAIN_NAMESPACE},
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

pub use emitter::{AckId, Emitter, Responder};

use self::{driver::Driver, emitter::Command};
use crate::{
    config::{Auth, Config},
    engine::{Engine, Timings, endpoint::Endpoint},
    error::{AckError, ConnectError, DisconnectReason},
};

/// A connection to a server. Cheap to clone; when the last handle (client, socket, emitter, responder) is gone, it is closed.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
    limits: emitter::Limits,
    timings: Timings,
}

/// One namespace of a connection: emits, and receives its events in the order in which they came.
#[derive(Debug)]
pub struct Socket {
    emitter: Emitter,
    events: mpsc::Receiver<SocketEvent>,
}

/// What happens to a namespace.
#[derive(Debug)]
pub enum SocketEvent {
    /// It is connected again. (The first connection is what [`Client::namespace`] waits for.)
    Connected {
        /// The server's id for it: new with each connection.
        sid: String,
    },
    /// The server emitted an event.
    Event {
        /// Its name.
        name: String,
        /// Its arguments.
        args: Vec<Arg>,
        /// Present if the server asks for an acknowledgement.
        respond: Option<Responder>,
    },
    /// The answer to [`Emitter::emit_tracked`], in order with the events around it.
    Acknowledged {
        /// What `emit_tracked` returned.
        id: AckId,
        /// The answer's arguments.
        result: Result<Vec<Arg>, AckError>,
    },
    /// The server refused to connect it again. No further attempt is made for it until [`Socket::connect`].
    Refused {
        /// Its words.
        message: String,
        /// Its data for programs.
        data: Option<Value>,
    },
    /// It is disconnected.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
        /// Whether the client tries to reconnect by itself.
        reconnecting: bool,
    },
    /// All attempts to reconnect that the configuration allows have failed.
    GaveUp {
        /// How many.
        attempts: u32,
    },
}

impl Client {
    /// Opens a connection, without any namespace yet. Later losses are mended as configured; a first failure is returned.
    ///
    /// # Errors
    /// [`ConnectError`]: unusable address, nobody there, no session, too late.
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        let endpoint = Endpoint::new(&config)?;
        let engine = Engine::open(&endpoint, &config).await?;
        let (commands, inbox) = mpsc::unbounded_channel();
        let limits = emitter::Limits {
            events_max: config.events_max,
            send_queue_max: config.send_queue_max,
            acks_max: config.acks_max,
            message_bytes_max: config.message_bytes_max,
            connect_timeout: config.connect_timeout,
        };
        let timings = engine.timings;
        let driver = Driver::new(config, endpoint, inbox, commands.downgrade());
        tokio::spawn(driver.run(engine));
        Ok(Self { commands, limits, timings })
    }

    /// Opens a namespace and waits until the server has let it in.
    ///
    /// # Errors
    /// [`ConnectError::Refused`] with the server's words; lost, closed or too late otherwise.
    pub async fn namespace(&self, name: &str, auth: Auth) -> Result<Socket, ConnectError> {
        let (ready, outcome) = oneshot::channel();
        let (events_in, events) = mpsc::channel(self.limits.events_max);
        let emitter = Emitter::new(self.commands.clone(), name, self.limits);
        let open = Command::Open { handle: emitter.registration(), auth, events: events_in, ready };
        self.commands.send(open).map_err(|_| ConnectError::Closed)?;
        let limit = self.limits.connect_timeout;
        match tokio::time::timeout(limit, outcome).await {
            Ok(Ok(Ok(()))) => Ok(Socket { emitter, events }),
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(ConnectError::Closed),
            Err(_) => {
                emitter.disconnect();
                Err(ConnectError::Timeout(limit))
            }
        }
    }

    /// Sends one Engine.IO frame as it is, with its type digit. Nothing checks it: the server may close the connection.
    /// Lost while offline.
    pub fn send_raw(&self, frame: Frame) {
        // A client that is closed has nowhere to send to, as one that is offline.
        let _ = self.commands.send(Command::Raw(frame));
    }

    /// Ends the connection in good order: each namespace is disconnected, what waits is written.
    pub fn close(&self) {
        // Closed already: nothing to do.
        let _ = self.commands.send(Command::Close);
    }

    /// How long the steps of the first connection took.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings
    }
}

impl Socket {
    /// A connection with the main namespace, in one step.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::namespace`].
    pub async fn open(config: Config, auth: Auth) -> Result<Self, ConnectError> {
        Client::connect(config).await?.namespace(MAIN_NAMESPACE, auth).await
    }

    /// The next thing that happens; `None` once the client is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<SocketEvent> {
        self.events.recv().await
    }

    /// What has happened already, without waiting.
    pub fn try_next(&mut self) -> Option<SocketEvent> {
        self.events.try_recv().ok()
    }

    /// A handle that emits and that any task may hold.
    #[must_use]
    pub fn emitter(&self) -> &Emitter {
        &self.emitter
    }

    /// Connects again after the server disconnected or refused it. Does nothing while it is connected.
    pub fn connect(&self) {
        self.emitter.connect();
    }

    /// Leaves the namespace; with the last one the connection ends.
    pub fn disconnect(&self) {
        self.emitter.disconnect();
    }

    /// Apart: the handle that emits, and the events.
    #[must_use]
    pub fn split(self) -> (Emitter, mpsc::Receiver<SocketEvent>) {
        (self.emitter, self.events)
    }
}
