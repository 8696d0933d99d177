//! What a run came to: the verdict and everything behind it. Judging is pure: the same evidence gives the same report.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{
    checkers::{self, Checked},
    facts::{Facts, Outcome},
    history::{RECORDS_MAX, Record, Source},
    plan::Plan,
    schedule::Schedule,
};

pub use crate::latency::Latency;

/// A message that is sent this much later than planned was held up by the machine, not by the server: the run did not happen as drawn.
const LAG_MAX: Duration = Duration::from_secs(1);

/// Where more than one message in a hundred is sent this much later than planned, processes wait so long for a processor that servers with
/// fast clocks take each other for dead: what such a run finds broken may be the machine's doing.
const STARVED_LAG: Duration = Duration::from_millis(250);

/// What a run says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every promise held, and the run really met what it was made for.
    Pass,
    /// A promise was broken.
    Fail,
    /// No promise was broken, but the run did not meet what it was made for.
    Inconclusive,
    /// The run did not happen as planned and says nothing.
    Invalid,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Invalid => "INVALID",
        })
    }
}

/// Everything that a run leaves behind, before it is judged.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The name of the system under test.
    pub target: String,
    /// What really ran behind it, such as `redis: redis:7.4`.
    pub backends: Vec<String>,
    /// The command that runs it again.
    pub replay: String,
    /// What went wrong.
    pub schedule: Schedule,
    /// What was said.
    pub plan: Plan,
    /// What happened.
    pub records: Vec<Record>,
    /// What the simulator itself could not do.
    pub trouble: Vec<String>,
    /// Wall time of everything.
    pub elapsed: Duration,
}

/// A run, judged.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What the run says.
    pub verdict: Verdict,
    /// Why it is neither a pass nor a fail.
    pub reasons: Vec<String>,
    /// The name of the system under test.
    pub target: String,
    /// What really ran behind it.
    pub backends: Vec<String>,
    /// The seed of every random choice.
    pub seed: u64,
    /// The command that runs it again.
    pub replay: String,
    /// Wall time of everything.
    pub elapsed_ms: u64,
    /// Numbers.
    pub totals: Totals,
    /// Each promise with its breaches.
    pub checks: Vec<Checked>,
    /// What went wrong on purpose.
    pub schedule: Schedule,
    /// Who talked, where and what.
    pub plan: Plan,
    /// What happened.
    pub history: Vec<Record>,
}

/// The numbers of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Messages sent.
    pub sent: usize,
    /// Of these, confirmed.
    pub confirmed: usize,
    /// Of these, answered with a no, or never sent.
    pub refused: usize,
    /// Of these, nobody knows.
    pub unknown: usize,
    /// Messages heard, over all bots.
    pub heard: usize,
    /// Of these, read from the history after a return.
    pub caught_up: usize,
    /// How often a bot came back.
    pub returns: usize,
    /// From sending to hearing, live.
    pub delivery: Latency,
    /// From sending to the confirmation.
    pub confirmation: Latency,
}

impl Report {
    /// Judges a run.
    #[must_use]
    pub fn judge(evidence: Evidence) -> Self {
        let facts = Facts::read(&evidence.plan, &evidence.schedule, &evidence.records);
        let checks = checkers::check(&facts);
        let totals = totals(&facts);
        let is_broken = checks.iter().any(|checked| checked.broken > 0);
        let mut trouble = evidence.trouble.clone();
        trouble.extend(unfit(&facts, evidence.records.len()));
        trouble.extend(starved(&facts).filter(|_| is_broken));
        let missed = checkers::missed(&facts);
        let (verdict, reasons) = if !trouble.is_empty() {
            (Verdict::Invalid, trouble)
        } else if is_broken {
            (Verdict::Fail, Vec::new())
        } else if !missed.is_empty() {
            (Verdict::Inconclusive, missed)
        } else {
            (Verdict::Pass, Vec::new())
        };
        Self {
            verdict,
            reasons,
            target: evidence.target,
            backends: evidence.backends,
            seed: evidence.schedule.seed,
            replay: evidence.replay,
            elapsed_ms: u64::try_from(evidence.elapsed.as_millis()).unwrap_or(u64::MAX),
            totals,
            checks,
            schedule: evidence.schedule,
            plan: evidence.plan,
            history: evidence.records,
        }
    }

    /// The report as JSON, the whole history included.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report has only numbers and texts")
    }

    /// The report as one self-contained HTML page with the timeline.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::timeline::page(self)
    }
}

/// Why a run says nothing, seen from its own record.
fn unfit(facts: &Facts<'_>, records: usize) -> Vec<String> {
    let mut reasons = Vec::new();
    if records > RECORDS_MAX {
        reasons.push(format!("the history has more than {RECORDS_MAX} records: run shorter"));
    }
    if let Some(lag_us) = lags(facts).max().filter(|lag_us| u128::from(*lag_us) > LAG_MAX.as_micros()) {
        reasons.push(format!("a message was sent {} ms later than planned: this machine is too busy", lag_us / 1_000));
    }
    if facts.ops.iter().all(|op| op.invoked_us.is_none()) {
        reasons.push("nothing was sent".to_owned());
    }
    reasons
}

/// Why breaches of a run need not be the target's: the machine had no time for it.
fn starved(facts: &Facts<'_>) -> Option<String> {
    let lag_us = Latency::of(lags(facts).collect()).p99_us;
    (u128::from(lag_us) > STARVED_LAG.as_micros()).then(|| {
        format!(
            "promises were broken while messages were sent {} ms later than planned (p99): this machine is too busy to tell whose fault that is",
            lag_us / 1_000
        )
    })
}

/// How much later than planned each message was sent.
fn lags(facts: &Facts<'_>) -> impl Iterator<Item = u64> {
    let sends = facts.plan.sends.iter().zip(&facts.ops);
    sends.filter_map(|(send, op)| Some(op.invoked_us?.saturating_sub(send.at_ms * 1_000)))
}

fn totals(facts: &Facts<'_>) -> Totals {
    let sent: Vec<_> = facts.ops.iter().filter(|op| op.invoked_us.is_some()).collect();
    let count = |wanted: fn(Outcome) -> bool| sent.iter().filter(|op| wanted(op.outcome)).count();
    let heard: Vec<_> = facts.heard.iter().flatten().collect();
    let confirmation = sent.iter().filter_map(|op| match op.outcome {
        Outcome::Confirmed(at_us) => Some(at_us.saturating_sub(op.invoked_us?)),
        Outcome::Refused | Outcome::Unknown => None,
    });
    let live = heard.iter().filter(|message| message.source == Source::Live);
    let delivery = live.filter_map(|message| Some(message.at_us.saturating_sub(facts.ops[message.op?].invoked_us?)));
    Totals {
        sent: sent.len(),
        confirmed: count(|outcome| matches!(outcome, Outcome::Confirmed(_))),
        refused: count(|outcome| outcome == Outcome::Refused),
        unknown: count(|outcome| outcome == Outcome::Unknown),
        heard: heard.len(),
        caught_up: heard.iter().filter(|message| message.source == Source::CatchUp).count(),
        returns: facts.spans.iter().map(|spans| spans.len().saturating_sub(1)).sum(),
        delivery: Latency::of(delivery.collect()),
        confirmation: Latency::of(confirmation.collect()),
    }
}

impl fmt::Display for Report {
    /// The report as a reader of a terminal wants it: what went wrong on purpose, what held, the verdict, the way to see it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        let (instances, target) = (self.schedule.instances, &self.target);
        let plural = if instances == 1 { "" } else { "s" };
        let backends = self.backends.iter().map(|backend| format!("; {backend}")).collect::<String>();
        writeln!(f, "{instances} instance{plural} of {target}{backends}")?;
        for fault in &self.schedule.faults {
            writeln!(f, "  at {:>6} ms  {fault}", fault.at_ms)?;
        }
        writeln!(
            f,
            "{} messages sent: {} confirmed, {} refused, {} without an answer; heard {} times, {} of them after one of {} returns",
            totals.sent,
            totals.confirmed,
            totals.refused,
            totals.unknown,
            totals.heard,
            totals.caught_up,
            totals.returns
        )?;
        writeln!(
            f,
            "delivery p50 {}, p99 {}, max {}",
            millis(totals.delivery.p50_us),
            millis(totals.delivery.p99_us),
            millis(totals.delivery.max_us)
        )?;
        for checked in &self.checks {
            match (checked.promised, checked.broken) {
                (false, _) => writeln!(f, "  -       not promised by this dialect: {}", checked.promise)?,
                (true, 0) => writeln!(f, "  held    {}", checked.promise)?,
                (true, _) => writeln!(f, "  BROKEN  {}", checked.promise)?,
            }
            for finding in &checked.findings {
                writeln!(f, "            {}", finding.text)?;
            }
            if checked.broken > checked.findings.len() {
                writeln!(f, "            and {} more", checked.broken - checked.findings.len())?;
            }
        }
        for reason in &self.reasons {
            writeln!(f, "  {reason}")?;
        }
        writeln!(f, "seed {}; again: {}", self.seed, self.replay)?;
        write!(f, "{}", self.verdict)
    }
}

/// Microseconds as milliseconds for people.
pub(crate) fn millis(us: u64) -> String {
    format!("{}.{} ms", us / 1_000, us / 100 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkers::Story, history::What};

    fn judge(story: Story, trouble: &[&str]) -> Report {
        Report::judge(story.evidence(trouble))
    }

    fn with_faults() -> Story {
        let mut story = Story::good();
        story.fault_during(5, 8);
        story.away(1, 5, 8, Some(Source::CatchUp));
        story
    }

    #[test]
    fn a_run_that_met_its_faults_and_held_passes() {
        let report = judge(with_faults(), &[]);
        assert_eq!((report.verdict, report.reasons.as_slice()), (Verdict::Pass, &[] as &[String]));
        assert_eq!((report.totals.sent, report.totals.confirmed, report.totals.returns), (180, 180, 1));
        assert!(report.totals.caught_up > 0 && report.totals.delivery.p50_us > 0);
    }

    #[test]
    fn a_broken_promise_is_a_fail_even_when_something_was_not_met() {
        let mut story = Story::good();
        story.forget_delivery(7, 1);
        story.fault_after_the_traffic();
        assert_eq!(judge(story, &[]).verdict, Verdict::Fail);
    }

    #[test]
    fn a_run_that_did_not_meet_its_faults_is_inconclusive_and_says_why() {
        let mut story = Story::good();
        story.fault_after_the_traffic();
        let report = judge(story, &[]);
        assert_eq!(report.verdict, Verdict::Inconclusive);
        assert!(!report.reasons.is_empty());
    }

    #[test]
    fn trouble_of_the_simulator_makes_a_run_invalid_whatever_it_found() {
        let mut story = Story::good();
        story.forget_delivery(7, 1);
        let report = judge(story, &["failed to kill instance 1: no such process"]);
        assert_eq!(report.verdict, Verdict::Invalid);
        assert!(report.reasons[0].contains("instance 1"));
    }

    #[test]
    fn a_run_whose_messages_left_much_too_late_is_invalid() {
        let mut story = with_faults();
        for record in &mut story.records {
            if matches!(record.what, What::Invoked { op: 10 }) {
                record.at_us += 1_500_000;
            }
        }
        let report = judge(story, &[]);
        assert_eq!(report.verdict, Verdict::Invalid);
        assert!(report.reasons[0].contains("later than planned"), "{:?}", report.reasons);
    }

    #[test]
    fn what_is_broken_on_a_machine_without_time_is_not_the_targets_fault_and_what_held_has_held() {
        let starved = || {
            let mut story = with_faults();
            for send in story.plan.sends.iter_mut().step_by(10) {
                send.at_ms = send.at_ms.saturating_sub(300);
            }
            story
        };
        assert_ne!(judge(starved(), &[]).verdict, Verdict::Invalid);
        let mut story = starved();
        story.forget_delivery(7, 1);
        let report = judge(story, &[]);
        assert_eq!(report.verdict, Verdict::Invalid);
        assert!(report.reasons[0].contains("too busy"), "{:?}", report.reasons);
    }

    #[test]
    fn the_text_names_faults_promises_seed_and_the_command_to_see_it_again() {
        let text = judge(with_faults(), &[]).to_string();
        for part in ["kill instance 1", "held    nobody outside a room hears it", "seed 1", "chatwright sim", "PASS"] {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
    }

    #[test]
    fn what_a_dialect_does_not_promise_is_not_said_to_have_held() {
        let mut story = with_faults();
        (story.plan.promises.room_order, story.plan.promises.stored) = (false, false);
        let text = judge(story, &[]).to_string();
        assert!(
            text.contains("-       not promised by this dialect: one order of a room for all its members"),
            "{text}"
        );
        assert!(
            text.contains("-       not promised by this dialect: a history that an instance tells over HTTP"),
            "{text}"
        );
        assert!(!text.contains("held    every confirmed message stands in the history"), "{text}");
    }
}
