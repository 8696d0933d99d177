//! The judge.

pub mod auth_stub;
pub mod case;
pub mod datum;
pub mod dialect;
pub mod fixtures;
pub mod outcome;
mod plan;
mod play;
pub mod report;
pub mod run;
pub mod spec;
pub mod suite;
pub mod target;
pub mod tokens;
pub mod verdict;
mod wire;
pub mod wrong;
