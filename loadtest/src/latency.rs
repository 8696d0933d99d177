//! Latency as histograms: merged, never averaged. Kept per second, so that a requirement can be judged with a confidence interval.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

/// Longest latency told apart, in microseconds: above one minute everything is one minute.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Significant decimal digits: 3 keeps each value within 0.1 %.
const DIGITS: u8 = 3;
/// Recorders are spread over this many locks, so that connections rarely wait for each other.
const SHARDS: usize = 16;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// From the intended send to the receipt by a member.
    Deliver,
    /// From the intended send to the actual one: shows a saturated generator.
    SendLag,
    /// Until the TCP connection stands.
    Tcp,
    /// Until the WebSocket handshake is answered; the TCP connection included.
    Http,
    /// Until the Engine.IO session is open; what comes before included.
    Open,
    /// Until the answered CONNECT; what comes before included.
    Connect,
    /// From the join to its answer.
    Join,
    /// From the start of the measurement to the first message that a connection hears.
    FirstMessage,
    /// From a lost connection to being back, with everything told that was missed.
    Return,
    /// From the intended send to the receipt by a member who was away and read it on return.
    CatchUp,
}

impl Series {
    /// Each series with its name, in the order of reports.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Deliver, "delivery"),
        (Self::SendLag, "send lag"),
        (Self::Tcp, "TCP stands"),
        (Self::Http, "... WebSocket answered"),
        (Self::Open, "... Engine.IO open"),
        (Self::Connect, "... CONNECT answered"),
        (Self::Join, "join"),
        (Self::FirstMessage, "start to first message"),
        (Self::Return, "cut to being back"),
        (Self::CatchUp, "caught up on return"),
    ];
}

/// An empty histogram of the shape used everywhere.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS).expect("constant bounds that the library accepts")
}

/// Where connections enter what they measured.
#[derive(Debug)]
pub struct Recorder {
    shards: Vec<Mutex<Shard>>,
    seconds_max: u64,
}

/// Histograms per series and second.
type Shard = BTreeMap<(Series, u64), Histogram<u64>>;

impl Recorder {
    /// A recorder for a run of at most this length; what comes later counts for its last second.
    #[must_use]
    pub fn new(length_max: Duration) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), seconds_max: length_max.as_secs() }
    }

    /// Enters a value, measured at `at` after the start of the measurement, by connection number `connection`.
    pub fn record(&self, connection: u32, series: Series, at: Duration, value: Duration) {
        let second = at.as_secs().min(self.seconds_max);
        let micros = u64::try_from(value.as_micros()).unwrap_or(LATENCY_US_MAX);
        let shard = &self.shards[connection as usize % SHARDS];
        shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((series, second))
            .or_insert_with(histogram)
            .saturating_record(micros.max(1));
    }

    /// All that was entered.
    #[must_use]
    pub fn collect(&self) -> Measured {
        let mut seconds: BTreeMap<(Series, u64), Histogram<u64>> = BTreeMap::new();
        for shard in &self.shards {
            for (key, part) in shard.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                seconds.entry(*key).or_insert_with(histogram).add(part).expect("histograms of one shape always add");
            }
        }
        Measured { seconds }
    }
}

/// What a run measured.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    seconds: BTreeMap<(Series, u64), Histogram<u64>>,
}

impl Measured {
    /// The whole run's histogram of a series; empty if nothing was entered.
    #[must_use]
    pub fn total(&self, series: Series) -> Histogram<u64> {
        let mut total = histogram();
        for (_, part) in self.per_second(series) {
            total.add(part).expect("histograms of one shape always add");
        }
        total
    }

    /// The histograms of a series, second by second.
    pub fn per_second(&self, series: Series) -> impl Iterator<Item = (u64, &Histogram<u64>)> {
        self.seconds.iter().filter(move |((of, _), _)| *of == series).map(|((_, second), part)| (*second, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_different_connections_and_seconds_add_up() {
        let recorder = Recorder::new(Duration::from_secs(10));
        for connection in 0..40 {
            let at = Duration::from_millis(u64::from(connection) * 100);
            recorder.record(connection, Series::Deliver, at, Duration::from_millis(5));
        }
        let measured = recorder.collect();
        assert_eq!(measured.total(Series::Deliver).len(), 40);
        assert_eq!(measured.per_second(Series::Deliver).count(), 4);
        assert_eq!(measured.total(Series::SendLag).len(), 0);
    }

    #[test]
    fn a_value_beyond_the_bound_counts_as_the_bound() {
        let recorder = Recorder::new(Duration::from_secs(1));
        recorder.record(0, Series::Deliver, Duration::from_secs(99), Duration::from_secs(600));
        let total = recorder.collect().total(Series::Deliver);
        assert_eq!(total.len(), 1);
        assert!(total.max() >= LATENCY_US_MAX);
    }
}
