//! The verdict of a run: it judges itself first, then its requirements. Pure: figures in, verdict out.

use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::{
    bootstrap,
    latency::{Measured, Series},
    ledger::Counts,
    requirement::{Figure, Requirement},
    returns::Returns,
};

/// Share of failed connections above which latencies describe another load than the planned one.
const CONNECT_FAILURES_MAX: f64 = 0.01;
/// A run that takes this many times its planned length measured something else.
const ELAPSED_FACTOR_MAX: f64 = 1.5;
/// Share of the machine's processors that the generator may use before it measures itself.
const GENERATOR_CPU_MAX: f64 = 0.90;
/// Send lag (99th percentile) that a run may have when no percentile requirement gives a tighter bound.
const SEND_LAG_MAX: Duration = Duration::from_millis(100);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every requirement holds.
    Pass,
    /// A requirement does not hold.
    Fail,
    /// A requirement's confidence interval straddles its bound.
    Inconclusive,
    /// The run did not measure what it should have.
    Invalid,
}

/// What was measured, as far as a verdict needs it.
#[derive(Debug)]
pub struct Figures<'a> {
    /// Latencies.
    pub measured: &'a Measured,
    /// The sum of all accounts.
    pub counts: Counts,
    /// Messages sent.
    pub sent: u64,
    /// Connections asked for.
    pub connections_planned: u32,
    /// Connections that stood when the measurement began.
    pub connections_made: u32,
    /// Planned length of the measurement.
    pub planned: Duration,
    /// Its real length, from the first intended to the last actual send.
    pub elapsed: Duration,
    /// Share of all processors that this process used, 0 to 1, where it could be read.
    pub generator_cpu: Option<f64>,
    /// What became of sends and connections, where these were cut: what matters then is that everything arrives, not how soon.
    pub returns: Option<Returns>,
}

/// One requirement, judged.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Judged {
    /// As written.
    pub requirement: String,
    /// The figure, in the requirement's unit (microseconds, a count, percent, per second).
    pub value: f64,
    /// The 95 % confidence interval, for percentiles.
    pub interval: Option<(f64, f64)>,
    /// `pass`, `fail` or `inconclusive`.
    pub verdict: Verdict,
}

/// The verdict with its reasons.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Judgement {
    /// Over everything.
    pub verdict: Verdict,
    /// Why the run is invalid; empty if it is not.
    pub invalid: Vec<String>,
    /// Each requirement.
    pub requirements: Vec<Judged>,
}

/// Judges a run. `seed` drives the bootstrap.
#[must_use]
pub fn judge(figures: &Figures<'_>, requirements: &[Requirement], seed: u64) -> Judgement {
    let invalid = unfit(figures, requirements);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let requirements: Vec<Judged> =
        requirements.iter().map(|requirement| hold(figures, requirement, &mut random)).collect();
    let has = |verdict| requirements.iter().any(|judged| judged.verdict == verdict);
    let verdict = if !invalid.is_empty() {
        Verdict::Invalid
    } else if has(Verdict::Fail) {
        Verdict::Fail
    } else if has(Verdict::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    };
    Judgement { verdict, invalid, requirements }
}

/// Why this run says nothing about its target.
fn unfit(figures: &Figures<'_>, requirements: &[Requirement]) -> Vec<String> {
    let mut reasons = Vec::new();
    let failed = figures.connections_planned.saturating_sub(figures.connections_made);
    let connected_judged = requirements.iter().any(|requirement| requirement.figure == Figure::Connected);
    if f64::from(failed) > f64::from(figures.connections_planned) * CONNECT_FAILURES_MAX && !connected_judged {
        reasons.push(format!(
            "{failed} of {} connections failed: the load was not the planned one (require connected>=N% to judge that instead)",
            figures.connections_planned
        ));
    }
    if figures.sent == 0 {
        reasons.push("nothing was sent".to_owned());
    }
    if figures.counts.delivered > figures.counts.expected {
        reasons.push(format!(
            "{} deliveries of {} expected: the account is wrong",
            figures.counts.delivered, figures.counts.expected
        ));
    }
    if figures.elapsed > figures.planned.mul_f64(ELAPSED_FACTOR_MAX) {
        reasons.push(format!("the run took {:.1?} instead of {:.1?}", figures.elapsed, figures.planned));
    }
    if let Some(returns) = figures.returns.filter(|returns| returns.not_back > 0) {
        reasons.push(format!(
            "{} connections were not back when the run ended: nobody knows what they would have heard",
            returns.not_back
        ));
    }
    let latencies =
        |requirement: &Requirement| matches!(requirement.figure, Figure::Percentile(_) | Figure::Max | Figure::Late);
    if figures.returns.is_some() && !requirements.iter().any(latencies) {
        return reasons;
    }
    if let Some(cpu) = figures.generator_cpu.filter(|cpu| *cpu > GENERATOR_CPU_MAX) {
        reasons.push(format!("the generator used {:.0} % of all processors: it measured itself", cpu * 100.0));
    }
    let lag = figures.measured.total(Series::SendLag).value_at_percentile(99.0);
    let lag_max = requirements
        .iter()
        .filter(|requirement| matches!(requirement.figure, Figure::Percentile(_)))
        .map(|requirement| requirement.bound)
        .fold(SEND_LAG_MAX.as_secs_f64() * 1e6, f64::min);
    if to_f64(lag) > lag_max {
        reasons.push(format!(
            "messages left {:.1} ms late (p99): the generator could not keep the rate",
            to_f64(lag) / 1e3
        ));
    }
    reasons
}

fn hold(figures: &Figures<'_>, requirement: &Requirement, random: &mut ChaCha8Rng) -> Judged {
    let exact = |value: f64| (value, None);
    let (value, interval) = match requirement.figure {
        Figure::Percentile(percent) => percentile(figures.measured, percent, random),
        Figure::Max => exact(to_f64(figures.measured.total(Series::Deliver).max())),
        Figure::Lost => exact(to_f64(figures.counts.lost)),
        Figure::Late => exact(to_f64(figures.counts.late)),
        Figure::Duplicated => exact(to_f64(figures.counts.duplicated)),
        Figure::OutOfOrder => exact(to_f64(figures.counts.out_of_order)),
        Figure::Leaked => exact(to_f64(figures.counts.leaked)),
        Figure::Connected => {
            exact(100.0 * f64::from(figures.connections_made) / f64::from(figures.connections_planned))
        }
        Figure::Deliveries => exact(to_f64(figures.counts.delivered) / figures.elapsed.as_secs_f64().max(0.001)),
    };
    let holds = |value| requirement.relation.holds(value, requirement.bound);
    let straddles = interval.is_some_and(|(low, high)| holds(low) != holds(high));
    let verdict = match (straddles, holds(value)) {
        (true, _) => Verdict::Inconclusive,
        (false, true) => Verdict::Pass,
        (false, false) => Verdict::Fail,
    };
    Judged { requirement: requirement.to_string(), value, interval, verdict }
}

/// A percentile of delivery latency with its 95 % interval.
fn percentile(measured: &Measured, percent: f64, random: &mut ChaCha8Rng) -> (f64, Option<(f64, f64)>) {
    let value = to_f64(measured.total(Series::Deliver).value_at_percentile(percent));
    let seconds = measured.per_second(Series::Deliver).map(|(_, part)| part);
    let interval = bootstrap::interval(seconds, percent, random);
    (value, interval.map(|(low, high)| (to_f64(low), to_f64(high))))
}

#[expect(clippy::cast_precision_loss, reason = "counts and microseconds are far below 2^52")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Recorder;

    /// Ten seconds of 100 deliveries each; in each second the slowest `slow_ms` is one of them.
    fn measured(slow_ms: impl Fn(u64) -> u64) -> Measured {
        let recorder = Recorder::new(Duration::from_secs(10));
        for second in 0..10 {
            for number in 0..100 {
                let at = Duration::from_millis(second * 1000 + number);
                let latency = if number < 5 { slow_ms(second) } else { 1 };
                recorder.record(0, Series::Deliver, at, Duration::from_millis(latency));
                recorder.record(0, Series::SendLag, at, Duration::from_micros(200));
            }
        }
        recorder.collect()
    }

    fn figures(measured: &Measured) -> Figures<'_> {
        Figures {
            measured,
            counts: Counts { expected: 1000, delivered: 1000, ..Counts::default() },
            sent: 100,
            connections_planned: 100,
            connections_made: 100,
            planned: Duration::from_secs(10),
            elapsed: Duration::from_secs(10),
            generator_cpu: Some(0.4),
            returns: None,
        }
    }

    fn require(text: &str) -> Vec<Requirement> {
        vec![text.parse().expect("a requirement")]
    }

    #[test]
    fn steady_latency_below_the_bound_passes_and_above_it_fails() {
        let measured = measured(|_| 20);
        assert_eq!(judge(&figures(&measured), &require("p99<50ms"), 1).verdict, Verdict::Pass);
        assert_eq!(judge(&figures(&measured), &require("p99<10ms"), 1).verdict, Verdict::Fail);
    }

    #[test]
    fn a_bound_inside_the_confidence_interval_is_inconclusive() {
        // One bad second of ten decides the 99th percentile: whether it is drawn or not changes the answer.
        let measured = measured(|second| if second == 3 { 200 } else { 1 });
        let judgement = judge(&figures(&measured), &require("p99.6<100ms"), 1);
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
    }

    #[test]
    fn counts_are_exact() {
        let measured = measured(|_| 2);
        let mut figures = figures(&measured);
        assert_eq!(judge(&figures, &require("lost=0"), 1).verdict, Verdict::Pass);
        figures.counts.lost = 1;
        assert_eq!(judge(&figures, &require("lost=0"), 1).verdict, Verdict::Fail);
    }

    #[test]
    fn a_run_that_measured_something_else_is_invalid() {
        let measured = measured(|_| 2);
        let spoilt: [fn(&mut Figures<'_>); 5] = [
            |f| f.sent = 0,
            |f| f.connections_made = 90,
            |f| f.counts.delivered = 2000,
            |f| f.elapsed = Duration::from_secs(16),
            |f| f.generator_cpu = Some(0.97),
        ];
        for spoil in spoilt {
            let mut figures = figures(&measured);
            spoil(&mut figures);
            let judgement = judge(&figures, &[], 1);
            assert_eq!(judgement.verdict, Verdict::Invalid);
            assert_eq!(judgement.invalid.len(), 1, "{judgement:?}");
        }
    }

    #[test]
    fn a_generator_that_lags_behind_the_requirement_is_invalid() {
        let recorder = Recorder::new(Duration::from_secs(1));
        recorder.record(0, Series::SendLag, Duration::ZERO, Duration::from_millis(30));
        let measured = recorder.collect();
        assert_eq!(judge(&figures(&measured), &require("p99<20ms"), 1).verdict, Verdict::Invalid);
        assert_ne!(judge(&figures(&measured), &require("p99<50ms"), 1).verdict, Verdict::Invalid);
    }

    #[test]
    fn where_connections_are_cut_a_generator_that_lags_spoils_latencies_and_nothing_else() {
        let recorder = Recorder::new(Duration::from_secs(1));
        recorder.record(0, Series::SendLag, Duration::ZERO, Duration::from_millis(300));
        let measured = recorder.collect();
        let figures = Figures { returns: Some(Returns::default()), generator_cpu: Some(0.99), ..figures(&measured) };
        assert_eq!(judge(&figures, &require("lost=0"), 1).verdict, Verdict::Pass);
        assert_eq!(judge(&figures, &require("p99<1s"), 1).verdict, Verdict::Invalid);
        let figures = Figures { returns: Some(Returns { not_back: 1, ..Returns::default() }), ..figures };
        assert_eq!(judge(&figures, &require("lost=0"), 1).verdict, Verdict::Invalid, "somebody is not back");
    }

    #[test]
    fn one_seed_gives_one_interval() {
        let measured = measured(|second| second + 1);
        let interval = |seed| judge(&figures(&measured), &require("p99<1s"), seed).requirements[0].interval;
        assert_eq!(interval(5), interval(5));
    }
}
