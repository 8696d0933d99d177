//! JSON frames over one WebSocket, for dialects without Socket.IO: opened, proved, kept alive and restored by one task.

mod driver;
mod wire;

use std::fmt;

use chatwright_protocol::dialects::AppPacket;
use serde_json::Value;
use tokio::sync::mpsc;

use self::{driver::Driver, wire::Wire};
use crate::{
    config::Config,
    engine::{Timings, endpoint::Endpoint},
    error::{ConnectError, DisconnectReason, EmitError},
};

/// What a connection that proves identity by its first frame needs to know of the dialect.
pub(crate) struct Proof {
    /// Makes the first frame, with a token made anew for each connection.
    pub(crate) frame: Box<dyn Fn() -> Option<AppPacket> + Send + Sync>,
    /// What a server's frame says about it.
    pub(crate) judge: Box<dyn Fn(&Value) -> Judgement + Send + Sync>,
}

impl fmt::Debug for Proof {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}

/// What a server's frame says about a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is good.
    Accepted,
    /// It is not, in the server's words.
    Refused(String),
    /// It is about something else.
    Silent,
}

/// What happens to the connection.
#[derive(Debug, PartialEq)]
pub(crate) enum RawEvent {
    /// It stands again, proved. (The first one is what [`RawSocket::open`] waits for.)
    Connected,
    /// A frame came; text that is no JSON comes as a string.
    Frame(Value),
    /// The server refused the proof. No further attempt is made until [`RawSocket::connect`].
    Refused { message: String },
    /// It is gone.
    Disconnected { reason: DisconnectReason, reconnecting: bool },
    /// All attempts that the configuration allows have failed.
    GaveUp { attempts: u32 },
}

/// What the task is asked to do.
#[derive(Debug)]
enum Order {
    Frame(String),
    Connect,
}

/// The handle of a connection. Drop it to end the connection.
#[derive(Debug)]
pub(crate) struct RawSocket {
    orders: mpsc::Sender<Order>,
    events: mpsc::Receiver<RawEvent>,
    message_bytes_max: usize,
    pub(crate) timings: Timings,
}

impl RawSocket {
    /// Opens a connection and proves it. Later losses are mended as configured; a first failure is returned.
    pub(crate) async fn open(config: Config, proof: Option<Proof>) -> Result<Self, ConnectError> {
        let endpoint = Endpoint::new(&config)?;
        let first = Wire::open(&endpoint, &config, proof.as_ref()).await?;
        let (orders, inbox) = mpsc::channel(config.send_queue_max);
        let (events_in, events) = mpsc::channel(config.events_max);
        let (message_bytes_max, timings) = (config.message_bytes_max, first.timings);
        tokio::spawn(Driver::new(config, endpoint, proof, inbox, events_in).run(first));
        Ok(Self { orders, events, message_bytes_max, timings })
    }

    /// The next thing that happens; `None` once the connection's task is gone. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<RawEvent> {
        self.events.recv().await
    }

    /// Sends a frame; while there is no connection it is dropped. Waits for a place in the queue. Cancel safe.
    pub(crate) async fn send(&self, frame: &Value) -> Result<(), EmitError> {
        let text = frame.to_string();
        if text.len() > self.message_bytes_max {
            return Err(EmitError::TooLarge { got: text.len(), max: self.message_bytes_max });
        }
        self.orders.send(Order::Frame(text)).await.map_err(|_| EmitError::Closed)
    }

    /// Connects again after the server refused or ended it. Does nothing while it stands.
    pub(crate) fn connect(&self) {
        // A full queue belongs to a connection that stands; a closed one has ended, which its events say.
        let _ = self.orders.try_send(Order::Connect);
    }
}
