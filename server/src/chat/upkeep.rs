//! The clock by which a core looks after its own.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Now and then once a `period`; what came late moves what follows.
pub(super) fn ticking(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now(), period.max(Duration::from_millis(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
