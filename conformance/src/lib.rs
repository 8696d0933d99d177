//! Placeholder.

pub mod auth_stub;
pub mod outcome;
pub mod target;
pub mod tokens;
