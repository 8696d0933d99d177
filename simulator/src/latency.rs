//! Percentiles of what took time in a run.

use serde::Serialize;

/// Percentiles in microseconds; zeros where there was nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of them took at most this long.
    pub p50_us: u64,
    /// All but one in a hundred.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Latency {
    pub(crate) fn of(mut samples: Vec<u64>) -> Self {
        samples.sort_unstable();
        let at = |percent: usize| {
            samples.get((samples.len() * percent / 100).min(samples.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        Self { p50_us: at(50), p99_us: at(99), max_us: samples.last().copied().unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_that_were_seen() {
        assert_eq!(Latency::of((1..=100).collect()), Latency { p50_us: 51, p99_us: 100, max_us: 100 });
        assert_eq!(Latency::of(Vec::new()), Latency::default());
        assert_eq!(Latency::of(vec![7]), Latency { p50_us: 7, p99_us: 7, max_us: 7 });
    }
}
