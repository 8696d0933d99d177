//! Load with honest latency and a verdict.
//!
//! A run, hop by hop:
//!
//! 1. [`Config`] -> [`plan::Plan`]: who sits in which room, who sends when (open loop: times are fixed before the first send).
//! 2. `scenario.rs`: a goose user is one connection over the SDK; it joins, sends at its *intended* times, reads what arrives.
//! 3. [`ledger::Ledger`]: every message x member is accounted for: delivered, lost, duplicated, out of order, leaked.
//! 4. [`latency::Recorder`]: latency = received - intended; histograms per second and per kind, merged, never averaged.
//! 5. [`verdict::judge`]: the run judges itself first (invalid?), then the requirements (pass, fail, inconclusive).
//! 6. [`report`]: JSON, and one HTML page that works offline.
//!
//! With [`Config::cut_every`] the connections go over a `wire.rs` that is cut again and again: users come back, read what they missed, and
//! [`returns::Returns`] says what became of each send; what was confirmed has to reach everybody once and in order all the same.
//!
//! goose launches and paces the users and keeps its own sampled figures; the truth is in our histograms, because recording each delivery
//! through goose would cost more than the delivery.

mod bootstrap;
pub mod latency;
pub mod ledger;
pub mod plan;
pub mod report;
pub mod requirement;
pub mod returns;
mod run;
mod scenario;
pub mod usage;
pub mod verdict;
mod wire;

pub use run::{Config, Error, Observer, Progress, run};
