//! What must hold in every run: one file and one line of [`CHECKERS`] per promise. Pure: a history in, findings out.

mod coverage;
mod delivery;
mod isolation;
mod order;
mod presence;
mod stored;
#[cfg(test)]
mod story;

use serde::Serialize;

pub use self::coverage::missed;
#[cfg(test)]
pub(crate) use self::story::Story;
use crate::{facts::Facts, promises::Promises};

/// A report lists at most this many findings of one promise, and says how many more there are: one cause breaks hundreds of deliveries.
const FINDINGS_MAX: usize = 20;

/// One promise and what looks after it.
pub struct Checker {
    /// Short, for a table.
    pub name: &'static str,
    /// What this target promises of it.
    pub promise: fn(&Promises) -> Promise,
    check: fn(&Facts<'_>) -> Vec<Finding>,
}

/// What a target promises, in the words of its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// This, as a sentence.
    Made(&'static str),
    /// Nothing of this kind; what others promise, as a noun.
    NotMade(&'static str),
}

/// All promises.
pub const CHECKERS: [Checker; 8] = [
    Checker { name: "nothing lost", promise: delivery::promise, check: delivery::lost },
    Checker {
        name: "nothing twice",
        promise: |_| Promise::Made("nobody hears a message twice"),
        check: delivery::twice,
    },
    Checker {
        name: "nothing invented",
        promise: |_| Promise::Made("nobody hears what nobody sent"),
        check: delivery::invented,
    },
    Checker {
        name: "sender order",
        promise: |_| Promise::Made("one sender's messages are heard in the order sent"),
        check: order::per_sender,
    },
    Checker { name: "room order", promise: order::promise, check: order::per_room },
    Checker {
        name: "nobody outside",
        promise: |_| Promise::Made("nobody outside a room hears it"),
        check: isolation::outsiders,
    },
    Checker { name: "stored", promise: stored::promise, check: stored::history },
    Checker { name: "presence", promise: presence::promise, check: presence::converged },
];

/// A promise that was broken, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What happened, as a sentence with names and times.
    pub text: String,
    /// The message that it is about.
    pub op: Option<usize>,
    /// The bot that it is about.
    pub bot: Option<usize>,
}

/// What one checker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The checker's name.
    pub name: &'static str,
    /// What is promised, or what is not, as [`Promise`] has it.
    pub promise: &'static str,
    /// Whether this target promises it. What it does not promise is not looked at.
    pub promised: bool,
    /// The first breaches, in the order of time.
    pub findings: Vec<Finding>,
    /// How many breaches there are in all.
    pub broken: usize,
}

/// Judges a run by every promise.
#[must_use]
pub fn check(facts: &Facts<'_>) -> Vec<Checked> {
    CHECKERS
        .iter()
        .map(|checker| {
            let (promise, promised) = match (checker.promise)(&facts.plan.promises) {
                Promise::Made(promise) => (promise, true),
                Promise::NotMade(promise) => (promise, false),
            };
            let mut findings = if promised { (checker.check)(facts) } else { Vec::new() };
            let broken = findings.len();
            findings.truncate(FINDINGS_MAX);
            Checked { name: checker.name, promise, promised, findings, broken }
        })
        .collect()
}

/// A time in the words of a finding.
fn seconds(at_us: u64) -> String {
    format!("{}.{:03} s", at_us / 1_000_000, at_us / 1_000 % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_everything_held_has_no_finding() {
        let broken: Vec<Checked> = Story::good().check().into_iter().filter(|checked| checked.broken > 0).collect();
        assert_eq!(broken, []);
    }

    #[test]
    fn many_breaches_are_counted_and_a_bounded_number_is_listed() {
        let mut story = Story::good();
        story.deafen(1);
        let lost = story.check().remove(0);
        assert_eq!(lost.name, "nothing lost");
        assert!(lost.broken > FINDINGS_MAX, "{}", lost.broken);
        assert_eq!(lost.findings.len(), FINDINGS_MAX);
    }
}
