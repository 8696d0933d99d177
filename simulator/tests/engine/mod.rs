//! Whether containers can be had here: if not, a test says loudly that it did not run, and fails where backends are required.

use std::collections::BTreeSet;

use chatwright_conformance::target::BackendName;
use chatwright_simulator::backends::{BackendError, Backends, Durability, Images};

/// The images to test with: `CHATWRIGHT_IMAGE_REDIS` where it is set, else the official one.
pub(crate) fn images() -> Images {
    let default = Images::default();
    Images { redis: std::env::var("CHATWRIGHT_IMAGE_REDIS").unwrap_or(default.redis) }
}

/// A Redis of its own, or `None` where containers cannot be had: then the test was *not run*.
///
/// With `CHATWRIGHT_REQUIRE_BACKENDS=1` that is a failure.
pub(crate) async fn redis(durability: Durability) -> Option<Backends> {
    match Backends::start(&BTreeSet::from([BackendName::Redis]), &images(), durability).await {
        Ok(backends) => Some(backends),
        Err(error @ (BackendError::NoEngine(_) | BackendError::Start { .. })) => {
            let required = std::env::var("CHATWRIGHT_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
            assert!(!required, "backends are required: {error}");
            say(&format!("NOT RUN: {error}"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so where people look")]
fn say(text: &str) {
    eprintln!("{text}");
}
