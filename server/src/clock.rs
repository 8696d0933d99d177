//! The one place that reads the wall clock: message times, token expiry and presence are dates for people and other services.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch. Never used for order: order comes from the store's sequence.
#[must_use]
pub fn unix_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a date is really meant here: what people and tokens call now")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
