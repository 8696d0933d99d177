//! The summary for machines: who was judged, by which cases, with what result. A few lines, where the whole report has thousands.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Summary;
use crate::outcome::{About, CheckReport, ClauseId, Level, NotJudged, RunReport, Verdict};

/// Changes when a field changes its meaning or goes away; not when one is added.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Check<'a> {
    format: u32,
    chatwright: &'a str,
    seed: u64,
    strict: bool,
    elapsed_ms: u128,
    summary: Summary,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    implementation: Implementation<'a>,
    dialect: &'a str,
    cases: Cases<'a>,
    summary: Summary,
    /// By the contract that the cases belong to.
    specs: BTreeMap<&'a str, SpecSummary>,
    failed: Vec<Failed<'a>>,
    not_judged: &'a [NotJudged],
    elapsed_ms: u128,
}

#[derive(Serialize)]
struct Implementation<'a> {
    name: &'a str,
    origin: &'a str,
    #[serde(flatten)]
    about: &'a About,
    adapted: &'a [String],
}

#[derive(Serialize)]
struct Cases<'a> {
    count: usize,
    digest: &'a str,
}

/// The counts of one contract.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct SpecSummary {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) non_strict: usize,
    pub(super) otherwise: usize,
    pub(super) known_failures: usize,
    pub(super) inconclusive: usize,
    pub(super) not_run: usize,
}

impl SpecSummary {
    /// Those that were played.
    pub(super) fn played(self) -> usize {
        self.passed + self.failed + self.non_strict + self.otherwise + self.known_failures + self.inconclusive
    }
}

#[derive(Serialize)]
struct Failed<'a> {
    case: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    clause: Option<&'a ClauseId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<Level>,
}

/// The summary as indented JSON with a newline at its end.
#[must_use]
pub fn render(report: &CheckReport) -> String {
    let first = report.runs.first();
    let check = Check {
        format: FORMAT,
        chatwright: first.map_or("", |run| run.version.as_str()),
        seed: first.map_or(0, |run| run.seed),
        strict: first.is_some_and(|run| run.strict),
        elapsed_ms: report.elapsed.as_millis(),
        summary: Summary::total(report),
        runs: report.runs.iter().map(run).collect(),
    };
    let mut text = serde_json::to_string_pretty(&check).expect("strings, numbers and lists are always JSON");
    text.push('\n');
    text
}

fn run(report: &RunReport) -> Run<'_> {
    let failed = report.cases.iter().filter(|case| matches!(case.verdict, Verdict::Fail | Verdict::UnexpectedPass));
    Run {
        implementation: Implementation {
            name: &report.target,
            origin: &report.origin,
            about: &report.about,
            adapted: &report.adapted,
        },
        dialect: &report.dialect,
        cases: Cases { count: report.cases.len(), digest: &report.cases_digest },
        summary: Summary::of(report),
        specs: specs(report),
        failed: failed
            .map(|case| Failed {
                case: &case.name,
                clause: case.failure.as_ref().map(|failure| &failure.clause),
                level: case.failure.as_ref().map(|failure| failure.level),
            })
            .collect(),
        not_judged: &report.not_judged,
        elapsed_ms: report.elapsed.as_millis(),
    }
}

/// The counts by contract: a case belongs to that of its name.
pub(super) fn specs(report: &RunReport) -> BTreeMap<&str, SpecSummary> {
    let mut specs: BTreeMap<&str, SpecSummary> = BTreeMap::new();
    for case in &report.cases {
        let spec = specs.entry(case.name.split('/').next().unwrap_or_default()).or_default();
        match case.verdict {
            Verdict::Pass => spec.passed += 1,
            Verdict::Fail | Verdict::UnexpectedPass => spec.failed += 1,
            Verdict::NonStrict => spec.non_strict += 1,
            Verdict::Otherwise => spec.otherwise += 1,
            Verdict::KnownFailure => spec.known_failures += 1,
            Verdict::Inconclusive => spec.inconclusive += 1,
            Verdict::NotRun => spec.not_run += 1,
        }
    }
    specs
}
