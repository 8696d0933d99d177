//! Whether containers can be had here: if not, a test says loudly that it did not run, and fails where backends are required.

use chatwright_conformance::target::BackendName;
use chatwright_simulator::backends::{BackendError, Backends, Durability, Images};

/// The images to test with: `CHATWRIGHT_IMAGE_REDIS` and its like where they are set, else the official ones.
pub(crate) fn images() -> Images {
    Images::named_by(|variable| std::env::var(variable).ok())
}

/// Services of its own, or `None` where containers cannot be had: then the test was *not run*.
///
/// With `CHATWRIGHT_REQUIRE_BACKENDS=1` that is a failure.
pub(crate) async fn start(services: &[BackendName], durability: Durability) -> Option<Backends> {
    match Backends::start(&services.iter().copied().collect(), &images(), durability).await {
        Ok(backends) => Some(backends),
        Err(error @ (BackendError::NoEngine(_) | BackendError::Start { .. })) => {
            let required = std::env::var("CHATWRIGHT_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
            assert!(!required, "backends are required: {error}");
            say(&format!("NOT RUN: {error}"));
            None
        }
        Err(error @ BackendError::Act { .. }) => panic!("{error}"),
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so where people look")]
fn say(text: &str) {
    eprintln!("{text}");
}
