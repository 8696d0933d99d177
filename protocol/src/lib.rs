//! The wire and the words of chatwright, without any IO.
//!
//! Three layers, each usable alone:
//!
//! 1. [`engine_io`]: Engine.IO v4 packets and polling payloads, both sides.
//! 2. [`socket_io`]: Socket.IO v5 packets with attachments, both sides.
//! 3. [`dialects`]: what a chat service says in those packets, translated both ways to the [`vocabulary`]:
//!    packet -> [`vocabulary::Command`] -> (a server decides) -> [`vocabulary::Event`] -> packet. A server and a bot share this one
//!    reading of the contract.
//!
//! What is deliberately absent: sockets, tokio, clocks, random numbers. Time and ids come in as values.

pub mod dialects;
pub mod engine_io;
pub mod iso8601;
pub mod socket_io;
pub mod vocabulary;
