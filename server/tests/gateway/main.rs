//! `gateway`: the contracts of its ports in memory and on Redis, and its services in one process and apart.
#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

#[path = "../support/mod.rs"]
mod support;

mod apart;
mod cache;
mod http;
mod persist;
mod ports;
mod tokens;
