//! The one place where a seed is drawn when nobody gave one. It is printed, so that the run can be repeated.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Seeds stay short enough to be read out.
const SEEDS: u64 = 1_000_000;

/// The seed given, or a new one.
pub(crate) fn or_draw(given: Option<u64>) -> u64 {
    given.unwrap_or_else(|| RandomState::new().build_hasher().finish() % SEEDS)
}
