//! How long to wait before the next attempt: doubling, capped, jittered from a seed.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::config::Reconnection;

/// The delays of one client, in order. Equal seeds give equal delays.
#[derive(Debug)]
pub(crate) struct Backoff {
    rule: Reconnection,
    random: ChaCha12Rng,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(rule: Reconnection, seed: u64) -> Self {
        Self { rule, random: ChaCha12Rng::seed_from_u64(seed), attempts: 0 }
    }

    /// The number of the next attempt and the delay before it; `None` when all are used up.
    pub(crate) fn next(&mut self) -> Option<(u32, Duration)> {
        if self.rule.attempts_max.is_some_and(|max| self.attempts >= max) {
            return None;
        }
        let doubled = self.rule.delay_min.as_secs_f64() * 2_f64.powi(self.attempts.min(62) as i32);
        let spread: f64 = self.random.random_range(-1.0..=1.0);
        let jittered =
            doubled.min(self.rule.delay_max.as_secs_f64()) * (1.0 + spread * self.rule.jitter.clamp(0.0, 1.0));
        self.attempts += 1;
        Some((self.attempts, Duration::from_secs_f64(jittered).min(self.rule.delay_max)))
    }

    /// The connection stands: the next loss begins with the smallest delay.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_within_the_jitter_up_to_the_cap() {
        let mut backoff = Backoff::new(Reconnection::default(), 7);
        for (attempt, middle) in (1..).zip([1.0, 2.0, 4.0, 5.0, 5.0]) {
            let (number, delay) = backoff.next().expect("for ever");
            assert_eq!(number, attempt);
            let seconds = delay.as_secs_f64();
            assert!(seconds >= middle * 0.5 && seconds <= (middle * 1.5_f64).min(5.0), "{attempt}: {seconds}");
        }
        backoff.reset();
        assert!(backoff.next().expect("for ever").1 <= Duration::from_millis(1500));
    }

    #[test]
    fn equal_seeds_draw_equal_delays_and_others_do_not() {
        let draw = |seed| {
            let mut backoff = Backoff::new(Reconnection::default(), seed);
            (0..5).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn attempts_are_used_up() {
        let mut backoff = Backoff::new(Reconnection { attempts_max: Some(2), ..Reconnection::default() }, 0);
        assert!(backoff.next().is_some() && backoff.next().is_some());
        assert_eq!(backoff.next(), None);
    }
}
