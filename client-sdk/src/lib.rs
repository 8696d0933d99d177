//! Bots for chat servers, and the Socket.IO client below them.
//!
//! # From a verb to the wire and back
//!
//! 1. [`Bot::send`], [`Bot::post`], [`Bot::join`]: a question is noted in `bot::core`, which knows no IO.
//! 2. `Bot::step` sends it: the dialect's `client.encode` makes a packet of the command, [`Emitter::emit_tracked`] takes a place in the send queue.
//! 3. `socket::driver`: the one task of a connection; its `select!` hands the packet to the session and reads what comes.
//! 4. `engine::Engine::poll`: Engine.IO over WebSocket, polling, or on the way from one to the other; heartbeats are answered here.
//! 5. Bytes; and back: `protocol::engine_io` -> `protocol::socket_io::Decoder` -> `socket::namespace` -> the reader's queue.
//! 6. [`Socket::next`] -> the dialect's `client.decode` -> `bot::core::Core::hear`: echoes confirm, histories tell what was missed.
//! 7. [`Bot::next_event`], [`Bot::wait_for`].
//!
//! # A bot
//!
//! ```no_run
//! use chatwright_client_sdk::{Bot, BotEvent, Identity};
//! use chatwright_protocol::dialects::rooms;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut bot = Bot::connect(&rooms::DIALECT, "http://127.0.0.1:5004", Identity::open("parrot", "Polly")).await?;
//! let entered = bot.join("lobby").await?;
//! println!("{} are here", entered.members.len());
//! bot.send(&entered.room, "hello").await?; // returns once the message is confirmed
//! while let Some(event) = bot.next_event().await {
//!     if let BotEvent::Message { message, .. } = event {
//!         println!("{}: {}", message.sender.name, message.text);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/echo_bot.rs` is one that answers; the whole-system tests run it.
//!
//! # What is promised
//!
//! - Socket.IO delivers at most once, and so does [`Socket`]. [`Bot`] makes it once and in order for its rooms, as far as the dialect's
//!   history reaches back; where it does not, [`BotEvent::Reconnected`] names the room. A server that gives its messages neither ids
//!   nor sequences makes that a matter of positions in the history, which equal messages of one sender in one millisecond can deceive.
//! - A message that its server has taken and not stored yet is neither confirmed nor failed, until it is told (`pending_timeout` bounds it).
//! - Nothing is sent twice. A message whose confirmation was lost with the connection is looked for in the history, and declared
//!   [`AskError::Unknown`] if it is not there.
//! - Every queue is bounded, by [`Config`] and [`BotConfig`], which say what happens when it is full.
//!
//! What is deliberately absent: TLS (put a proxy before the server), other versions of the protocols, other parsers than JSON.

mod backoff;
mod bot;
mod config;
mod engine;
mod error;
mod raw;
mod socket;

pub use bot::{AskError, Bot, BotConfig, BotEvent, Entered, Identity, Ticket};
pub use config::{Auth, Config, Direction, Reconnection, Tap, Transports};
pub use engine::Timings;
pub use error::{AckError, ConnectError, DisconnectReason, EmitError};
pub use socket::{AckId, Client, Emitter, Responder, Socket, SocketEvent};

/// The dialects that bots speak and the words that they speak in, so that who writes a bot needs no other crate.
pub use chatwright_protocol as protocol;
