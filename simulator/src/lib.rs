//! Clusters under faults.

pub mod backends;
pub mod checkers;
pub mod facts;
pub mod history;
pub mod plan;
pub mod report;
pub mod schedule;
mod timeline;

/// Why a run did not come about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong use: a bad value or file; the text names it and says what to do.
    #[error("{0}")]
    Use(String),
}
