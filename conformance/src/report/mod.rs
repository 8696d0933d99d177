//! What a run says, in several forms: for the terminal, for programs (JSON), for CI (JUnit XML, TAP, annotations of GitHub, a badge, a
//! summary) and for people who look closely (HTML). All are pure functions of [`CheckReport`]: nothing here prints.

pub mod badge;
pub mod difference;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod self_test;
pub mod summary;
pub mod table;
pub mod tap;
pub mod terminal;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::outcome::{CaseReport, CheckReport, ClauseId, ClauseReport, Level, RunReport, Verdict};

pub use self::words::{filter_of, rerun_command, scripts, show_elapsed, transcript_line};

/// The counts of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Every expectation held.
    pub passed: usize,
    /// A MUST was broken, or a case passed that is listed as failing.
    pub failed: usize,
    /// Only a SHOULD was not kept.
    pub non_strict: usize,
    /// Done otherwise than by the reference, where only REF or MAY says anything.
    pub otherwise: usize,
    /// Failed as the target file says.
    pub known_failures: usize,
    /// Of the failed ones: passed although listed as failing.
    pub unexpected_passes: usize,
    /// Failed by time alone, while the judge was too late to say so.
    pub inconclusive: usize,
    /// Could not be played here.
    pub not_run: usize,
    /// Cases that no wrong server is known to fail.
    pub unproven: usize,
}

impl Summary {
    /// Counts a run.
    #[must_use]
    pub fn of(report: &RunReport) -> Self {
        let mut summary = Self::default();
        for case in &report.cases {
            match case.verdict {
                Verdict::Pass => summary.passed += 1,
                Verdict::Fail => summary.failed += 1,
                Verdict::NonStrict => summary.non_strict += 1,
                Verdict::Otherwise => summary.otherwise += 1,
                Verdict::KnownFailure => summary.known_failures += 1,
                Verdict::UnexpectedPass => {
                    summary.failed += 1;
                    summary.unexpected_passes += 1;
                }
                Verdict::Inconclusive => summary.inconclusive += 1,
                Verdict::NotRun => summary.not_run += 1,
            }
            summary.unproven += usize::from(!case.proven);
        }
        summary
    }

    /// Counts all runs of a check.
    #[must_use]
    pub fn total(report: &CheckReport) -> Self {
        report.runs.iter().map(Self::of).fold(Self::default(), |total, run| Self {
            passed: total.passed + run.passed,
            failed: total.failed + run.failed,
            non_strict: total.non_strict + run.non_strict,
            otherwise: total.otherwise + run.otherwise,
            known_failures: total.known_failures + run.known_failures,
            unexpected_passes: total.unexpected_passes + run.unexpected_passes,
            inconclusive: total.inconclusive + run.inconclusive,
            not_run: total.not_run + run.not_run,
            unproven: total.unproven + run.unproven,
        })
    }

    /// `N passed, N failed`, and `, N inconclusive`, `, N not run` where so: the last line of a run.
    #[must_use]
    pub fn last_line(&self) -> String {
        let inconclusive =
            if self.inconclusive > 0 { format!(", {} inconclusive", self.inconclusive) } else { String::new() };
        let not_run = if self.not_run > 0 { format!(", {} not run", self.not_run) } else { String::new() };
        format!("{} passed, {} failed{inconclusive}{not_run}", self.passed, self.failed)
    }
}

/// What a run says about one clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A step that states it failed.
    Broken,
    /// The same, where only a SHOULD or REF was not kept, or the failure is known.
    NotKept,
    /// A case that proves it passed.
    Held,
    /// Cases name it, none of them came so far.
    NotJudged,
    /// No case names it.
    Unnamed,
}

impl Standing {
    /// In one or two words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::NotKept => "not kept",
            Self::Held => "held",
            Self::NotJudged => "not judged",
            Self::Unnamed => "no case",
        }
    }
}

/// The standing of each clause of a report, by citation.
#[must_use]
pub fn standings(report: &RunReport) -> BTreeMap<&ClauseId, Standing> {
    let mut worst: BTreeMap<&ClauseId, Standing> = BTreeMap::new();
    let mut note = |clause, standing| {
        worst.entry(clause).and_modify(|known: &mut Standing| *known = (*known).min(standing)).or_insert(standing);
    };
    for case in &report.cases {
        if let Some(failure) = &case.failure {
            let standing = match case.verdict {
                Verdict::Fail => Standing::Broken,
                Verdict::Inconclusive => continue,
                Verdict::Pass
                | Verdict::NonStrict
                | Verdict::Otherwise
                | Verdict::KnownFailure
                | Verdict::UnexpectedPass
                | Verdict::NotRun => Standing::NotKept,
            };
            note(&failure.clause, standing);
        }
        if matches!(case.verdict, Verdict::Pass | Verdict::UnexpectedPass) {
            case.clauses.iter().for_each(|clause| note(clause, Standing::Held));
        }
    }
    for clause in &report.clauses {
        let rest = if clause.cases.is_empty() { Standing::Unnamed } else { Standing::NotJudged };
        worst.entry(&clause.id).or_insert(rest);
    }
    worst
}

/// How much of one kind of clause a run covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// Clauses of the kind.
    pub clauses: usize,
    /// Those that at least one case names.
    pub named: usize,
    /// Those that held.
    pub held: usize,
    /// Those that are broken or not kept.
    pub broken: usize,
}

impl Coverage {
    /// Counts the clauses that satisfy `which`.
    #[must_use]
    pub fn of(report: &RunReport, which: impl Fn(&ClauseReport) -> bool) -> Self {
        let standings = standings(report);
        let mut coverage = Self::default();
        for clause in report.clauses.iter().filter(|clause| which(clause)) {
            coverage.clauses += 1;
            coverage.named += usize::from(!clause.cases.is_empty());
            match standings.get(&clause.id) {
                Some(Standing::Held) => coverage.held += 1,
                Some(Standing::Broken | Standing::NotKept) => coverage.broken += 1,
                Some(Standing::NotJudged | Standing::Unnamed) | None => {}
            }
        }
        coverage
    }

    /// Counts over all runs of a check; a protocol that two of them judge counts twice.
    #[must_use]
    pub fn total(report: &CheckReport, of: impl Fn(&RunReport) -> Self) -> Self {
        report.runs.iter().map(of).fold(Self::default(), |total, run| Self {
            clauses: total.clauses + run.clauses,
            named: total.named + run.named,
            held: total.held + run.held,
            broken: total.broken + run.broken,
        })
    }

    /// Of the MUST clauses that cases judge.
    #[must_use]
    pub fn wire_must(report: &RunReport) -> Self {
        Self::of(report, |clause| clause.wire && clause.level == Level::Must)
    }

    /// Of the MUST clauses that probes judge.
    #[must_use]
    pub fn deployment_must(report: &RunReport) -> Self {
        Self::of(report, |clause| !clause.wire && clause.level == Level::Must)
    }

    /// Of the clauses that probes judge, whatever their level.
    #[must_use]
    pub fn deployment(report: &RunReport) -> Self {
        Self::of(report, |clause| !clause.wire)
    }

    /// Named clauses in per cent, rounded down so that 100 means all; 100 of none.
    #[must_use]
    pub fn percent(&self) -> usize {
        (self.named * 100).checked_div(self.clauses).unwrap_or(100)
    }
}

/// The clause of a citation, with its words.
fn clause<'a>(report: &'a RunReport, id: &ClauseId) -> Option<&'a ClauseReport> {
    report.clauses.iter().find(|clause| clause.id == *id)
}

/// Where the protocols below a dialect were judged, if not in its own run.
fn shared_line(report: &RunReport) -> Option<String> {
    report
        .shared_with
        .as_ref()
        .map(|other| format!("the protocols below it are judged with `{other}`: the same carrier"))
}

/// The names of cases without their transports, each once.
fn names<'a>(cases: impl IntoIterator<Item = &'a CaseReport>) -> BTreeSet<&'a str> {
    cases.into_iter().map(|case| filter_of(&case.name)).collect()
}

#[cfg(test)]
pub(crate) use sample::report as sample_run;

#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
