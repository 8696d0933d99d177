//! The report for programs. Its own structs, so that the format changes only on purpose; durations are milliseconds.

use std::borrow::Cow;

use serde::Serialize;

use super::{
    Coverage, Standing, Summary, standings,
    words::{clipped, rerun_command},
};
use crate::clocks::{Calibration, Distribution, Timeliness, calibration, distributions};
use crate::outcome::{
    About, CaseReport, CheckReport, Entry, EntryKind, Failure, Level, NotJudged, Phase, RunReport, Script, Verdict,
};

/// Changes when a field changes its meaning or goes away; not when one is added.
const FORMAT: u32 = 2;

/// Longer texts in the transcript of a case that passed are cut: floods of long messages would make the file as large as they were.
const PASSED_TEXT_CHARS_MAX: usize = 400;

#[derive(Serialize)]
struct Check<'a> {
    format: u32,
    version: &'a str,
    seed: u64,
    strict: bool,
    elapsed_ms: u128,
    summary: Summary,
    coverage: Coverages,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    target: &'a str,
    origin: &'a str,
    about: &'a About,
    adapted: &'a [String],
    dialect: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_with: Option<&'a str>,
    elapsed_ms: u128,
    summary: Summary,
    coverage: Coverages,
    judge: Calibration,
    clocks: Vec<Clock>,
    cases_digest: &'a str,
    not_judged: &'a [NotJudged],
    cases: Vec<Case<'a>>,
    clauses: Vec<Clause<'a>>,
}

/// What was measured of one clock.
#[derive(Serialize)]
struct Clock {
    clock: String,
    nominal_ms: u128,
    earliest_ms: u128,
    latest_ms: Option<u128>,
    measured: usize,
    judged: usize,
    min_ms: u128,
    median_ms: u128,
    max_ms: u128,
    early: usize,
    late: usize,
    verdict: Timeliness,
}

#[derive(Serialize)]
struct Coverages {
    wire_must: Coverage,
    deployment: Coverage,
}

#[derive(Serialize)]
struct Case<'a> {
    name: &'a str,
    title: &'a str,
    verdict: Verdict,
    clauses: Vec<&'a str>,
    proven: bool,
    elapsed_ms: u128,
    /// How late the judge was at worst.
    late_ms: u128,
    /// How often it was played.
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<&'a Script>,
    transcript: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Failed<'a> {
    phase: Phase,
    line: u32,
    step: &'a str,
    clause: &'a str,
    level: Level,
    expected: &'a str,
    got: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    at_ms: u128,
    actor: &'a str,
    kind: EntryKind,
    text: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
struct Clause<'a> {
    id: &'a str,
    level: Level,
    kind: &'static str,
    text: &'a str,
    standing: Standing,
    cases: &'a [String],
}

/// The report as indented JSON with a newline at its end.
#[must_use]
pub fn render(report: &CheckReport) -> String {
    let first = report.runs.first();
    let check = Check {
        format: FORMAT,
        version: first.map_or("", |run| run.version.as_str()),
        seed: first.map_or(0, |run| run.seed),
        strict: first.is_some_and(|run| run.strict),
        elapsed_ms: report.elapsed.as_millis(),
        summary: Summary::total(report),
        coverage: Coverages {
            wire_must: Coverage::total(report, Coverage::wire_must),
            deployment: Coverage::total(report, Coverage::deployment),
        },
        runs: report.runs.iter().map(run).collect(),
    };
    let mut text = serde_json::to_string_pretty(&check).expect("strings, numbers and lists are always JSON");
    text.push('\n');
    text
}

fn run(report: &RunReport) -> Run<'_> {
    let standings = standings(report);
    let standing =
        |clause: &crate::outcome::ClauseReport| standings.get(&clause.id).copied().unwrap_or(Standing::Unnamed);
    Run {
        target: &report.target,
        origin: &report.origin,
        about: &report.about,
        adapted: &report.adapted,
        dialect: &report.dialect,
        shared_with: report.shared_with.as_deref(),
        elapsed_ms: report.elapsed.as_millis(),
        summary: Summary::of(report),
        coverage: Coverages { wire_must: Coverage::wire_must(report), deployment: Coverage::deployment(report) },
        judge: calibration(report),
        clocks: distributions(report).into_iter().map(clock).collect(),
        cases_digest: &report.cases_digest,
        not_judged: &report.not_judged,
        cases: report.cases.iter().map(|c| case(report, c)).collect(),
        clauses: report
            .clauses
            .iter()
            .map(|c| Clause {
                id: &c.id.0,
                level: c.level,
                kind: if c.wire { "wire" } else { "deployment" },
                text: &c.text,
                standing: standing(c),
                cases: &c.cases,
            })
            .collect(),
    }
}

fn clock(of: Distribution) -> Clock {
    let (min, median, max) = (of.min(), of.median(), of.max());
    Clock {
        verdict: of.timeliness(),
        clock: of.clock,
        nominal_ms: of.nominal.as_millis(),
        earliest_ms: of.earliest.as_millis(),
        latest_ms: of.latest.map(|latest| latest.as_millis()),
        measured: of.measured.len(),
        judged: of.judged,
        min_ms: min.as_millis(),
        median_ms: median.as_millis(),
        max_ms: max.as_millis(),
        early: of.early,
        late: of.late,
    }
}

fn case<'a>(report: &RunReport, case: &'a CaseReport) -> Case<'a> {
    Case {
        name: &case.name,
        title: &case.title,
        verdict: case.verdict,
        clauses: case.clauses.iter().map(|clause| clause.0.as_str()).collect(),
        proven: case.proven,
        elapsed_ms: case.elapsed.as_millis(),
        late_ms: case.late.worst().as_millis(),
        attempts: case.attempts,
        reason: case.reason.as_deref(),
        failure: case.failure.as_ref().map(failed),
        rerun: case.failure.is_some().then(|| rerun_command(report, &case.name)),
        script: case.script.as_ref(),
        transcript: case.transcript.entries.iter().map(|entry| line(entry, case.failure.is_some())).collect(),
    }
}

fn failed(failure: &Failure) -> Failed<'_> {
    Failed {
        phase: failure.phase,
        line: failure.line,
        step: &failure.step,
        clause: &failure.clause.0,
        level: failure.level,
        expected: &failure.expected,
        got: &failure.got,
        why: &failure.why,
    }
}

fn line(entry: &Entry, is_whole: bool) -> Line<'_> {
    let is_long = !is_whole && entry.text.len() > PASSED_TEXT_CHARS_MAX;
    let text = if is_long { clipped(&entry.text, PASSED_TEXT_CHARS_MAX).into() } else { entry.text.as_str().into() };
    Line { at_ms: entry.at.as_millis(), actor: &entry.actor, kind: entry.kind, text, line: entry.line }
}
