//! The reference chat server.
//!
//! # A message flows through the server as follows
//!
//! 1. *bytes*: [`listener`] accepts and watches the stream; [`transport`]'s engine (`oxide` or `lean`) keeps the limits, the heartbeat and each connection's order.
//! 2. *packet*: `chatwright_protocol::dialects::<dialect>::server::decode` makes a command of it, or a refusal in the dialect's own words.
//! 3. *command*: `connection::drive`, the driver of one connection, takes its commands one after the other.
//! 4. *core*: [`chat::Core::handle`] of `chat/<dialect>/` dispatches to a file per verb, which decides; a refusal is a value, not an error.
//! 5. *ports*: [`store::MessageStore`], [`store::RosterStore`], [`bus::Bus`], [`events::EventSink`], [`auth::Verifier`] promise order, atomicity, delivery, expiry.
//! 6. *adapters*: one file per technology beside its port; named only in `wiring/`.
//! 7. *back*: the core's reader of the bus or the verb -> its rooms -> [`transport::Frame::of`] (encoded once per room) -> [`transport::Sink::send`] -> bytes.
//! 8. *REST*: `http/<dialect>.rs` asks the same core.
//!
//! What it is not: a place for wire formats (they are in `chatwright_protocol`), for command lines or for the environment.

pub mod amqp_link;
pub mod auth;
mod bell;
pub mod bus;
mod chance;
pub mod chat;
pub mod clock;
pub mod config;
mod connection;
pub mod contract;
mod cuid;
pub mod echo;
pub mod events;
pub mod http;
pub mod listener;
pub mod metrics;
pub mod redis_link;
pub mod store;
pub mod transport;
mod wiring;

pub use config::Config;
pub use echo::{EchoConfig, EchoServer};
pub use wiring::{Addresses, Server, SharedMemory, StartError};
