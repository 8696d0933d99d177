//! From what happened to what it means. Pure.

use crate::outcome::{Failure, Level, Verdict};

/// How a case ended, before anybody says what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended<'a> {
    /// Every expectation held.
    Held,
    /// One did not.
    Failed(&'a Failure),
    /// It could not be played, and why.
    Unplayable(&'a str),
}

/// What a case's end means. `known` is the reason why the target file lists it as failing.
#[must_use]
pub fn verdict(ended: Ended, known: Option<&str>, strict: bool) -> (Verdict, Option<String>) {
    match (ended, known) {
        (Ended::Unplayable(why), _) => (Verdict::NotRun, Some(why.to_owned())),
        (Ended::Held, None) => (Verdict::Pass, None),
        (Ended::Held, Some(reason)) => (Verdict::UnexpectedPass, Some(format!("listed as failing: {reason}"))),
        (Ended::Failed(_), Some(reason)) => (Verdict::KnownFailure, Some(reason.to_owned())),
        (Ended::Failed(failure), None) => (by_level(failure.level, strict), None),
    }
}

fn by_level(level: Level, strict: bool) -> Verdict {
    match level {
        Level::Must => Verdict::Fail,
        Level::Should if strict => Verdict::Fail,
        Level::Should => Verdict::NonStrict,
        Level::Ref | Level::May => Verdict::Otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{ClauseId, Phase};

    fn failure(level: Level) -> Failure {
        Failure {
            phase: Phase::Step,
            line: 1,
            step: String::new(),
            clause: ClauseId("rooms/5.1".to_owned()),
            level,
            expected: String::new(),
            got: String::new(),
            timed: false,
            why: String::new(),
        }
    }

    #[test]
    fn the_level_of_the_failing_step_decides() {
        let table = [
            (Level::Must, false, Verdict::Fail),
            (Level::Must, true, Verdict::Fail),
            (Level::Should, false, Verdict::NonStrict),
            (Level::Should, true, Verdict::Fail),
            (Level::Ref, true, Verdict::Otherwise),
            (Level::May, true, Verdict::Otherwise),
        ];
        for (level, strict, expected) in table {
            assert_eq!(
                verdict(Ended::Failed(&failure(level)), None, strict).0,
                expected,
                "{level:?}, strict: {strict}"
            );
        }
    }

    #[test]
    fn a_known_failure_that_passes_is_a_surprise_and_one_that_cannot_run_is_neither() {
        let must = failure(Level::Must);
        assert_eq!(verdict(Ended::Failed(&must), Some("slow"), true), (Verdict::KnownFailure, Some("slow".to_owned())));
        assert_eq!(verdict(Ended::Held, Some("slow"), false).0, Verdict::UnexpectedPass);
        assert_eq!(verdict(Ended::Held, None, true), (Verdict::Pass, None));
        let unplayable = verdict(Ended::Unplayable("no Redis"), Some("slow"), false);
        assert_eq!(unplayable, (Verdict::NotRun, Some("no Redis".to_owned())));
    }
}
