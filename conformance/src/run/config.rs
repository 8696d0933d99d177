//! How a run is done, and why there is none.

use std::{collections::BTreeSet, time::Duration};

use crate::case::{Case, Transport};

/// How a run is done.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// Globs of case names; none: all.
    pub filter: Vec<String>,
    /// SHOULD counts like MUST.
    pub strict: bool,
    /// Of every random choice; the same seed makes the same users and rooms.
    pub seed: u64,
    /// Cases that leave their transport open are played once for each of these.
    pub transports: Vec<Transport>,
    /// How many cases are played at once.
    pub parallel: usize,
    /// A case that sits out clocks of the target for longer than this is not run.
    pub clock_budget: Duration,
    /// What is not played by then is not run.
    pub run_bound: Duration,
    /// These cases instead of the suite's.
    pub cases: Option<Vec<Case>>,
    /// What must be played alone is left to another run, on another configuration of the target: here it is not run.
    pub leaves_alone: bool,
    /// Another dialect with the same carrier, whose run judges the protocols below: here only the dialect's own cases are
    /// played.
    pub shared_with: Option<String>,
    /// Which of all that is played.
    pub part: Part,
}

/// Which of the cases of a run are played here, where several runs share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    #[default]
    Whole,
    /// Those with instances to themselves that stand on no backend of the target: nothing of it has to run for them.
    Apart,
    /// All but these, by their names in reports.
    Without(BTreeSet<String>),
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            filter: Vec::new(),
            strict: false,
            seed: 0,
            transports: vec![Transport::Websocket],
            parallel: 16,
            clock_budget: Duration::from_secs(15),
            run_bound: Duration::from_secs(30 * 60),
            cases: None,
            leaves_alone: false,
            shared_with: None,
            part: Part::Whole,
        }
    }
}

/// Why there is no run: something to put right in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// No descriptor.
    #[error("the suite knows no dialect `{name}`; it knows {known}")]
    UnknownDialect {
        /// What the target claims to speak.
        name: String,
        /// What there is.
        known: String,
    },
    /// Two servers that cannot be compared.
    #[error("the one speaks `{first}`, the other `{second}`; only servers of one dialect can be compared")]
    OtherDialect {
        /// Of the one.
        first: String,
        /// Of the other.
        second: String,
    },
    /// Not a glob.
    #[error("{0}")]
    BadFilter(String),
    /// A filter that no case fits.
    #[error("no case fits the filter {filter}; list them with --list")]
    NothingToRun {
        /// As given.
        filter: String,
    },
    /// A known failure that means no case.
    #[error(
        "the target file lists `{pattern}` as known to fail, but there is no such case; take the line out or correct it"
    )]
    UnmatchedKnown {
        /// As written.
        pattern: String,
    },
}
