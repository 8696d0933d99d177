//! Bots for chat servers.

mod backoff;
mod config;
mod engine;
mod error;
mod socket;

pub use config::{Auth, Config, Direction, Reconnection, Tap, Transports};
pub use engine::Timings;
pub use error::{AckError, ConnectError, DisconnectReason, EmitError};
pub use socket::{AckId, Client, Emitter, Responder, Socket, SocketEvent};
