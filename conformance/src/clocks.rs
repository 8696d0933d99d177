//! Clocks as distributions: what was measured of each clock of the target, with how much tolerance, and how late the judge was meanwhile. Pure.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::outcome::RunReport;

/// A judge that is later than this is not fit to say that something came too early: it plays again instead.
pub(crate) const EXCUSED_MAX: Duration = Duration::from_millis(60);

/// One time that a clock of the target was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// `ping_interval`, or a sum of clocks.
    pub clock: String,
    /// What the target file says.
    pub nominal: Duration,
    /// Earlier is too early.
    pub earliest: Duration,
    /// Later is too late; `None`: it never is.
    pub latest: Option<Duration>,
    /// What was measured. Where nothing came at all: how long was waited.
    pub measured: Duration,
    /// How late the judge itself was at worst until then: it widens both bounds, the earlier one by 60 ms at most.
    pub late: Duration,
    /// A case judges by it; else it was merely seen.
    pub judged: bool,
}

/// Whether a clock kept its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timeliness {
    /// Within the tolerance.
    OnTime,
    /// Before it.
    Early,
    /// After it.
    Late,
}

impl Timeliness {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnTime => "on time",
            Self::Early => "early",
            Self::Late => "late",
        }
    }
}

impl Reading {
    /// Early, on time, or late, as far as the judge could see.
    #[must_use]
    pub fn timeliness(&self) -> Timeliness {
        if self.measured + self.late.min(EXCUSED_MAX) < self.earliest {
            Timeliness::Early
        } else if self.latest.is_some_and(|latest| self.measured > latest + self.late) {
            Timeliness::Late
        } else {
            Timeliness::OnTime
        }
    }
}

/// Everything that a run has measured of one clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// `ping_interval`, or a sum of clocks.
    pub clock: String,
    /// What the target file says.
    pub nominal: Duration,
    /// The widest tolerance that a case gave.
    pub earliest: Duration,
    /// The same; `None`: it is never too late.
    pub latest: Option<Duration>,
    /// What was measured, in order of length; at least one.
    pub measured: Vec<Duration>,
    /// Of these, how many a case judged by.
    pub judged: usize,
    /// Of these, how many were too early.
    pub early: usize,
    /// Of these, how many were too late.
    pub late: usize,
}

impl Distribution {
    /// The shortest.
    #[must_use]
    pub fn min(&self) -> Duration {
        self.measured.first().copied().unwrap_or_default()
    }

    /// The middle one.
    #[must_use]
    pub fn median(&self) -> Duration {
        self.measured.get(self.measured.len() / 2).copied().unwrap_or_default()
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.measured.last().copied().unwrap_or_default()
    }

    /// The worst of all readings.
    #[must_use]
    pub fn timeliness(&self) -> Timeliness {
        match (self.early, self.late) {
            (0, 0) => Timeliness::OnTime,
            (0, _) => Timeliness::Late,
            (_, _) => Timeliness::Early,
        }
    }
}

/// The clocks of a run by name.
#[must_use]
pub fn distributions(report: &RunReport) -> Vec<Distribution> {
    let mut clocks: BTreeMap<(&str, Duration), Distribution> = BTreeMap::new();
    for reading in report.cases.iter().flat_map(|case| &case.clocks) {
        let clock = clocks.entry((&reading.clock, reading.nominal)).or_insert_with(|| Distribution {
            clock: reading.clock.clone(),
            nominal: reading.nominal,
            earliest: reading.earliest,
            latest: reading.latest,
            measured: Vec::new(),
            judged: 0,
            early: 0,
            late: 0,
        });
        clock.earliest = clock.earliest.min(reading.earliest);
        clock.latest = clock.latest.zip(reading.latest).map(|(one, other)| one.max(other));
        clock.measured.push(reading.measured);
        clock.judged += usize::from(reading.judged);
        match reading.timeliness() {
            Timeliness::OnTime => {}
            Timeliness::Early => clock.early += 1,
            Timeliness::Late => clock.late += 1,
        }
    }
    let mut clocks: Vec<_> = clocks.into_values().collect();
    clocks.iter_mut().for_each(|clock| clock.measured.sort_unstable());
    clocks
}

/// How late the judge was in a run, at worst, and what it did about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Calibration {
    /// Between the time at which a case wanted to look and the time at which it could.
    pub task_ms: u64,
    /// A round trip on the loopback interface, through the judge's own tasks.
    pub loopback_ms: u64,
    /// Cases that were played again, because they failed while the judge was late or the machine busy.
    pub repeated: usize,
}

/// The judge's own lateness in a run.
#[must_use]
pub fn calibration(report: &RunReport) -> Calibration {
    let worst = |of: fn(&crate::outcome::Lateness) -> Duration| {
        let worst = report.cases.iter().map(|case| of(&case.late)).max().unwrap_or_default();
        u64::try_from(worst.as_millis()).unwrap_or(u64::MAX)
    };
    Calibration {
        task_ms: worst(|late| late.task),
        loopback_ms: worst(|late| late.loopback),
        repeated: report.cases.iter().filter(|case| case.attempts > 1).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn reading(measured: u64, late: u64) -> Reading {
        Reading {
            clock: "ping_interval".to_owned(),
            nominal: ms(500),
            earliest: ms(400),
            latest: Some(ms(1500)),
            measured: ms(measured),
            late: ms(late),
            judged: true,
        }
    }

    #[test]
    fn a_reading_is_early_or_late_only_beyond_tolerance_and_the_judges_own_lateness() {
        for (measured, late, expected) in [
            (400, 0, Timeliness::OnTime),
            (399, 0, Timeliness::Early),
            (399, 1, Timeliness::OnTime),
            (300, 1000, Timeliness::Early),
            (1500, 0, Timeliness::OnTime),
            (1501, 0, Timeliness::Late),
            (1600, 100, Timeliness::OnTime),
            (1601, 100, Timeliness::Late),
        ] {
            assert_eq!(reading(measured, late).timeliness(), expected, "{measured} ms, judge {late} ms late");
        }
        let unbounded = Reading { latest: None, ..reading(1_000_000, 0) };
        assert_eq!(unbounded.timeliness(), Timeliness::OnTime);
    }

    #[test]
    fn readings_of_one_clock_become_one_distribution() {
        let mut report = crate::report::sample_run();
        let mut cases = report.cases.iter_mut();
        cases.next().expect("a case").clocks = vec![reading(510, 0), reading(300, 0)];
        cases.next().expect("another").clocks = vec![reading(505, 0), Reading { judged: false, ..reading(2000, 0) }];
        let [clock] = distributions(&report).try_into().expect("one clock");
        assert_eq!((clock.min(), clock.median(), clock.max()), (ms(300), ms(510), ms(2000)));
        assert_eq!((clock.measured.len(), clock.judged, clock.early, clock.late), (4, 3, 1, 1));
        assert_eq!(clock.timeliness(), Timeliness::Early);
    }
}
