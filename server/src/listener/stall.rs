//! When is a reader too slow? A pure judgement over two numbers of a connection; the watcher asks it a few times per deadline.

use std::time::{Duration, Instant};

use super::CutReason;

/// When a peer that reads too slowly is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StallRules {
    /// A write that makes no progress for this long is the end.
    pub write_deadline: Duration,
    /// A peer that kept writes waiting for a whole window of `write_deadline` must have taken at least this many bytes per second of it.
    pub bytes_per_second_min: u64,
}

impl Default for StallRules {
    fn default() -> Self {
        Self { write_deadline: Duration::from_secs(5), bytes_per_second_min: 1024 }
    }
}

impl StallRules {
    /// How often to look: a cut comes at most this much later than its deadline.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        (self.write_deadline / 8).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

/// What a connection shows of its writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Writing {
    /// Bytes that the kernel took, ever.
    pub(super) bytes_out: u64,
    /// Since when the last write has been waiting for the peer; `None`: nothing waits.
    pub(super) blocked_since: Option<Instant>,
}

/// What is remembered of a connection between two looks.
///
/// A peer that takes a few bytes now and then resets every "no progress" clock for ever. So a second clock runs: a *congested window*
/// begins when a look finds a waiting write, lasts while the following looks find one too, and is judged by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Judge {
    /// When the congested window began, and the bytes written before it.
    window: Option<(Instant, u64)>,
}

impl Judge {
    /// One look at `now`; a reason to cut the connection, if there is one.
    pub(super) fn look(&mut self, rules: &StallRules, writing: Writing, now: Instant) -> Option<CutReason> {
        let Some(blocked_since) = writing.blocked_since else {
            self.window = None;
            return None;
        };
        if now.saturating_duration_since(blocked_since) >= rules.write_deadline {
            return Some(CutReason::StoppedReading);
        }
        let (began, bytes_before) = *self.window.get_or_insert((blocked_since, writing.bytes_out));
        let window = now.saturating_duration_since(began);
        if window < rules.write_deadline {
            return None;
        }
        let taken = writing.bytes_out.saturating_sub(bytes_before);
        self.window = Some((now, writing.bytes_out));
        let wanted = u128::from(rules.bytes_per_second_min) * window.as_millis() / 1000;
        (u128::from(taken) < wanted).then_some(CutReason::ReadsTooSlowly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: StallRules = StallRules { write_deadline: Duration::from_secs(5), bytes_per_second_min: 1000 };

    /// Looks once per second; `script[i]` is what second `i` shows: bytes taken since the last look, and whether a write waits.
    fn verdict(script: &[(u64, bool)]) -> Option<(usize, CutReason)> {
        let start = Instant::now();
        let mut judge = Judge::default();
        let (mut bytes_out, mut blocked_since) = (0, None);
        for (second, &(taken, waits)) in script.iter().enumerate() {
            let now = start + Duration::from_secs(second as u64);
            bytes_out += taken;
            blocked_since = match (waits, blocked_since) {
                (false, _) => None,
                (true, Some(since)) if taken == 0 => Some(since),
                (true, _) => Some(now),
            };
            if let Some(reason) = judge.look(&RULES, Writing { bytes_out, blocked_since }, now) {
                return Some((second, reason));
            }
        }
        None
    }

    #[test]
    fn a_peer_that_stops_reading_is_cut_after_the_deadline() {
        assert_eq!(verdict(&[(0, true); 10]), Some((5, CutReason::StoppedReading)));
    }

    #[test]
    fn a_trickle_resets_the_first_clock_and_is_cut_by_the_second() {
        assert_eq!(verdict(&[(10, true); 20]), Some((5, CutReason::ReadsTooSlowly)));
    }

    #[test]
    fn a_slow_but_honest_reader_stays() {
        assert_eq!(verdict(&[(2000, true); 60]), None);
    }

    #[test]
    fn a_reader_who_catches_up_begins_anew() {
        let mut script = Vec::new();
        for _ in 0..10 {
            script.extend([(0, true), (0, true), (0, true), (0, true), (10, false)]);
        }
        assert_eq!(verdict(&script), None);
    }

    #[test]
    fn a_silent_connection_is_nobodys_business() {
        assert_eq!(verdict(&[(0, false); 100]), None);
    }
}
