//! Clusters under faults: N instances of a server on real backends, bots that talk, things that go wrong on purpose, and a judge that
//! looks at what everybody heard.
//!
//! # A run
//!
//! 1. [`Config::schedule`]: one seed draws what goes wrong and when ([`schedule`]), or a file replays it; [`plan`] draws who says what.
//! 2. [`backends::Backends::start`]: real backends in containers; the containers of dead runs are removed first.
//! 3. `Target::start` (of the crate `conformance`): N instances as child processes, from the same target file that `check` reads.
//! 4. `bots::Bot::connect`: bots over the client SDK join their rooms.
//! 5. `run::Cluster::live`: messages leave at their times, faults begin and end at theirs; everything goes into the [`history`].
//! 6. `run::Cluster::converge`: nothing fails any more, nobody sends: the cluster has to agree in bounded time.
//! 7. [`report::Report::judge`]: [`facts`] are read from the history, [`checkers`] look for breaches, `checkers::missed` for what the run did
//!    not meet. Pure: the same history gives the same verdict.
//! 8. [`report::Report`]: as text, as JSON, and as one HTML page with everything over time.
//!
//! What it is not: a model checker. A pass says that this run kept its promises, and that it met the faults that it was made for.

pub mod backends;
mod bots;
pub mod checkers;
mod config;
pub mod facts;
pub mod history;
mod latency;
pub mod plan;
mod probe;
pub mod promises;
pub mod report;
mod run;
pub mod schedule;
mod timeline;

use chatwright_conformance::target::TargetError;

pub use self::{
    backends::BackendError,
    config::{CONFIRM_WITHIN_DEFAULT, CONVERGE_WITHIN_DEFAULT, Config, Script},
    run::{Observer, Progress, run},
};

/// Why a run did not come about. Never a finding about the target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Correct what was asked for: the text names the file or value.
    #[error("{0}")]
    Use(String),
    /// Make the backend available.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Correct the target file, or look at the target's output.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The target runs and does not do what every run begins with.
    #[error("{0}")]
    SetUp(String),
}
