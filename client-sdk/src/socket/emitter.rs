//! The sending handle of a namespace: what any task may call, turned into commands for the connection's one task.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chatwright_protocol::{
    engine_io::Frame,
    socket_io::{Arg, Body, Encoded, Packet},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};

use super::SocketEvent;
use crate::{
    config::Auth,
    error::{AckError, ConnectError, EmitError},
};

/// The bounds that a handle keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) events_max: usize,
    pub(super) send_queue_max: usize,
    pub(super) acks_max: usize,
    pub(super) message_bytes_max: usize,
    pub(super) connect_timeout: Duration,
}

/// Names an acknowledgement that was asked for with [`Emitter::emit_tracked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AckId(pub(super) u64);

/// What the connection's task is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Open { handle: Registration, auth: Auth, events: mpsc::Sender<SocketEvent>, ready: Ready },
    Emit(Emission),
    Forget { namespace: Arc<str>, id: u64 },
    Connect { namespace: Arc<str> },
    Disconnect { namespace: Arc<str> },
    Raw(Frame),
    Close,
}

pub(super) type Ready = oneshot::Sender<Result<(), ConnectError>>;

/// What the task keeps of a handle.
#[derive(Debug, Clone)]
pub(super) struct Registration {
    pub(super) namespace: Arc<str>,
    pub(super) shared: Arc<Shared>,
}

/// A packet to send.
#[derive(Debug)]
pub(super) struct Emission {
    pub(super) namespace: Arc<str>,
    pub(super) packet: Encoded,
    pub(super) ack: Option<(u64, AckSlot)>,
    pub(super) offline: Offline,
    pub(super) place: OwnedSemaphorePermit,
}

/// What happens to a packet while there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offline {
    /// It waits for the next one.
    Wait,
    /// It is dropped.
    Drop,
    /// It belongs to this connection (counted from 1) and to no other.
    Only(u64),
}

/// Who waits for an acknowledgement. Places are given back when the slot is dropped.
#[derive(Debug)]
pub(super) enum AckSlot {
    /// One caller.
    Caller(oneshot::Sender<Result<Vec<Arg>, AckError>>),
    /// The reader of the events.
    Events(OwnedSemaphorePermit),
}

/// What handles and the connection's task both see.
#[derive(Debug)]
pub(super) struct Shared {
    /// Places in the send queue.
    pub(super) queue: Arc<Semaphore>,
    acks: Arc<Semaphore>,
    next_ack: AtomicU64,
    pub(super) connected: AtomicBool,
    /// Counts connections; an answer to an event of an earlier one is not sent.
    pub(super) connections: AtomicU64,
}

/// Emits in one namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Emitter {
    commands: mpsc::UnboundedSender<Command>,
    namespace: Arc<str>,
    shared: Arc<Shared>,
    message_bytes_max: usize,
}

impl Emitter {
    pub(super) fn new(commands: mpsc::UnboundedSender<Command>, namespace: &str, limits: Limits) -> Self {
        let shared = Arc::new(Shared {
            queue: Arc::new(Semaphore::new(limits.send_queue_max)),
            acks: Arc::new(Semaphore::new(limits.acks_max)),
            next_ack: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            connections: AtomicU64::new(0),
        });
        Self { commands, namespace: namespace.into(), shared, message_bytes_max: limits.message_bytes_max }
    }

    pub(super) fn registration(&self) -> Registration {
        Registration { namespace: Arc::clone(&self.namespace), shared: Arc::clone(&self.shared) }
    }

    /// Emits an event. Offline it waits for the next connection; online it waits for a place in the send queue.
    ///
    /// # Errors
    /// [`EmitError`]: malformed, too large, queue full while offline, closed.
    pub async fn emit(&self, name: &str, args: Vec<Arg>) -> Result<(), EmitError> {
        self.send(event(name, args, None), None, Offline::Wait).await
    }

    /// Emits an event if there is a connection, else drops it: for what is worthless later.
    ///
    /// # Errors
    /// As [`Emitter::emit`].
    pub async fn emit_volatile(&self, name: &str, args: Vec<Arg>) -> Result<(), EmitError> {
        self.send(event(name, args, None), None, Offline::Drop).await
    }

    /// Emits an event and waits for its acknowledgement.
    ///
    /// # Errors
    /// [`AckError`]: not emitted, none in `timeout`, connection lost.
    pub async fn emit_with_ack(&self, name: &str, args: Vec<Arg>, timeout: Duration) -> Result<Vec<Arg>, AckError> {
        let (answer, answered) = oneshot::channel();
        let id = self.shared.next_ack.fetch_add(1, Ordering::Relaxed);
        let exchange = async {
            let _place = Arc::clone(&self.shared.acks).acquire_owned().await.map_err(|_| EmitError::Closed)?;
            self.send(event(name, args, Some(id)), Some((id, AckSlot::Caller(answer))), Offline::Wait).await?;
            answered.await.map_err(|_| AckError::Emit(EmitError::Closed))?
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // Closed meanwhile: then nobody remembers it anyway.
                let _ = self.commands.send(Command::Forget { namespace: Arc::clone(&self.namespace), id });
                Err(AckError::Timeout(timeout))
            }
        }
    }

    /// Emits an event if there is a connection; its acknowledgement comes as [`SocketEvent::Acknowledged`], in order with the events
    /// around it. Without a connection that is [`AckError::NotSent`]. Cancel safe: either it was emitted or it was not.
    ///
    /// # Errors
    /// As [`Emitter::emit`].
    pub async fn emit_tracked(&self, name: &str, args: Vec<Arg>) -> Result<AckId, EmitError> {
        let place = Arc::clone(&self.shared.acks).acquire_owned().await.map_err(|_| EmitError::Closed)?;
        let id = self.shared.next_ack.fetch_add(1, Ordering::Relaxed);
        self.send(event(name, args, Some(id)), Some((id, AckSlot::Events(place))), Offline::Drop).await?;
        Ok(AckId(id))
    }

    /// Gives up an acknowledgement: no [`SocketEvent::Acknowledged`] comes for it any more.
    pub fn forget(&self, id: AckId) {
        // Closed: then nobody remembers it anyway.
        let _ = self.commands.send(Command::Forget { namespace: Arc::clone(&self.namespace), id: id.0 });
    }

    /// Whether the namespace is connected now, as far as is known.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.connected.load(Ordering::Acquire)
    }

    pub(super) fn connect(&self) {
        // A closed client cannot connect; its events have ended, which says so.
        let _ = self.commands.send(Command::Connect { namespace: Arc::clone(&self.namespace) });
    }

    pub(super) fn disconnect(&self) {
        // Closed is more than disconnected.
        let _ = self.commands.send(Command::Disconnect { namespace: Arc::clone(&self.namespace) });
    }

    async fn send(&self, body: Body, ack: Option<(u64, AckSlot)>, offline: Offline) -> Result<(), EmitError> {
        let packet = Packet { namespace: self.namespace.to_string(), body }.encode()?;
        let got = packet.attachments.iter().map(bytes::Bytes::len).fold(packet.text.len() + 1, usize::max);
        if got > self.message_bytes_max {
            return Err(EmitError::TooLarge { got, max: self.message_bytes_max });
        }
        let place = self.place(offline).await?;
        let namespace = Arc::clone(&self.namespace);
        let emission = Emission { namespace, packet, ack, offline, place };
        self.commands.send(Command::Emit(emission)).map_err(|_| EmitError::Closed)
    }

    async fn place(&self, offline: Offline) -> Result<OwnedSemaphorePermit, EmitError> {
        let queue = Arc::clone(&self.shared.queue);
        if self.is_connected() || offline != Offline::Wait {
            return queue.acquire_owned().await.map_err(|_| EmitError::Closed);
        }
        queue.try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => EmitError::QueueFull,
            TryAcquireError::Closed => EmitError::Closed,
        })
    }
}

/// Answers one event of the server that asked for an acknowledgement.
#[derive(Debug)]
pub struct Responder {
    pub(super) emitter: Emitter,
    pub(super) id: u64,
    pub(super) connection: u64,
}

impl Responder {
    /// Sends the answer; dropped if the connection that asked is gone.
    ///
    /// # Errors
    /// As [`Emitter::emit`].
    pub async fn send(self, args: Vec<Arg>) -> Result<(), EmitError> {
        self.emitter.send(Body::Ack { id: self.id, args }, None, Offline::Only(self.connection)).await
    }
}

impl Shared {
    /// An emitter for a responder, made by the connection's task.
    pub(super) fn emitter(
        self: &Arc<Self>,
        commands: mpsc::UnboundedSender<Command>,
        namespace: &Arc<str>,
        message_bytes_max: usize,
    ) -> Emitter {
        Emitter { commands, namespace: Arc::clone(namespace), shared: Arc::clone(self), message_bytes_max }
    }
}

fn event(name: &str, args: Vec<Arg>, id: Option<u64>) -> Body {
    Body::Event { name: name.to_owned(), args, id }
}
