//! The confidence interval of a percentile, by a bootstrap whose blocks are whole seconds: neighbouring deliveries share their second's
//! pauses, so single ones would promise too much.

use hdrhistogram::Histogram;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

/// Resamples: enough for a stable 95 % interval.
const RESAMPLES: usize = 400;
/// Fewer blocks say nothing about how seconds differ.
const BLOCKS_MIN: usize = 3;

/// The 95 % interval of a percentile; `None` if there are too few seconds.
pub(crate) fn interval<'a>(
    seconds: impl Iterator<Item = &'a Histogram<u64>>,
    percent: f64,
    random: &mut ChaCha8Rng,
) -> Option<(u64, u64)> {
    let blocks: Vec<Vec<(u64, u64)>> = seconds.map(counted).collect();
    if blocks.len() < BLOCKS_MIN {
        return None;
    }
    let mut values: Vec<u64> = blocks.iter().flatten().map(|(value, _)| *value).collect();
    values.sort_unstable();
    values.dedup();
    let place = |value: &u64| values.binary_search(value).unwrap_or_else(|place| place);
    let blocks: Vec<Vec<(usize, u64)>> =
        blocks.iter().map(|block| block.iter().map(|(value, count)| (place(value), *count)).collect()).collect();
    let mut drawn: Vec<u64> = (0..RESAMPLES).filter_map(|_| resample(&blocks, &values, percent, random)).collect();
    drawn.sort_unstable();
    let at = |share: usize| drawn.get(drawn.len() * share / 1000).copied();
    Some((at(25)?, at(975)?))
}

/// A percentile of as many blocks as there are, each drawn by lot.
fn resample(blocks: &[Vec<(usize, u64)>], values: &[u64], percent: f64, random: &mut ChaCha8Rng) -> Option<u64> {
    let mut weights = vec![0_u64; blocks.len()];
    for _ in 0..blocks.len() {
        weights[random.random_range(0..blocks.len())] += 1;
    }
    let mut counts = vec![0_u64; values.len()];
    for (block, weight) in blocks.iter().zip(weights).filter(|(_, weight)| *weight > 0) {
        for (place, count) in block {
            counts[*place] += weight * count;
        }
    }
    let total: u64 = counts.iter().sum();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts are far below 2^52"
    )]
    let rank = ((percent / 100.0 * total as f64).ceil() as u64).max(1);
    let mut sum = 0;
    values
        .iter()
        .zip(counts)
        .find(|(_, count)| {
            sum += count;
            sum >= rank
        })
        .map(|(value, _)| *value)
}

/// The values that occur, with how often.
fn counted(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::latency::histogram;

    fn second(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = histogram();
        values.into_iter().for_each(|value| histogram.saturating_record(value));
        histogram
    }

    fn judged(seconds: &[Histogram<u64>], percent: f64) -> Option<(u64, u64)> {
        interval(seconds.iter(), percent, &mut ChaCha8Rng::seed_from_u64(3))
    }

    #[test]
    fn equal_seconds_leave_no_doubt() {
        let seconds = vec![second(1..=100); 10];
        assert_eq!(judged(&seconds, 50.0), Some((50, 50)));
        assert_eq!(judged(&seconds, 99.0), Some((99, 99)));
        assert_eq!(judged(&seconds, 100.0), Some((100, 100)));
    }

    #[test]
    fn one_bad_second_widens_the_interval_to_both_answers() {
        let mut seconds = vec![second(1..=100); 9];
        seconds.push(second((1..=100).map(|value| value * 10)));
        let (low, high) = judged(&seconds, 99.0).expect("ten blocks");
        assert!(low <= 100 && high >= 900, "{low} to {high}");
    }

    #[test]
    fn two_seconds_say_nothing() {
        assert_eq!(judged(&[second([1]), second([2])], 50.0), None);
    }
}
