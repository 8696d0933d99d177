//! The judge.

pub mod auth_stub;
pub mod case;
pub mod datum;
pub mod outcome;
pub mod target;
pub mod tokens;
mod wire;
pub mod report;
