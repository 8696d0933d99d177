//! The kill rule: a wrong server is caught when the cases meant for it fail at a step that states its clause, while cases of
//! other clauses still pass. Everything else that can happen has a name of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use super::{Bases, Defect, WrongServer, server::Misbehaviour};
use crate::{
    outcome::{CaseReport, ClauseId, Phase, RunReport, Verdict},
    report::filter_of,
    target::{StartOptions, Target},
};

/// What became of a wrong server.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillVerdict {
    /// Each case that is meant for it killed it.
    Caught,
    /// Nothing failed that does not fail on its base too.
    Missed,
    /// Something failed, but not each case that is meant for it at its clause.
    CaughtElsewhere,
    /// So much failed that it proves nothing.
    BreaksEverything,
    /// It could not be tried here; the text says why.
    NotTried(String),
}

/// A case that failed at a step, and the clause of that step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Kill {
    /// The case, with its transport.
    pub case: String,
    /// The clause of the step that failed.
    pub clause: ClauseId,
    /// The line of that step.
    pub line: u32,
}

/// What happened to one wrong server.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KillRow {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub title: String,
    /// The clause that it breaks.
    pub clause: ClauseId,
    /// The cases meant for it.
    pub caught_by: Vec<String>,
    /// The verdict.
    pub verdict: KillVerdict,
    /// Of `caught_by`, those that did not kill it.
    pub survived: Vec<String>,
    /// Failures at steps that state its clause.
    pub kills: Vec<Kill>,
    /// Failures at steps that state other clauses.
    pub elsewhere: Vec<Kill>,
    /// Cases that broke down in a preamble or without a step: they say nothing.
    pub broke_down: Vec<String>,
    /// Cases of other clauses that passed, of those that were played.
    pub others_passed: (usize, usize),
    /// Rules of its proxy that nothing ever matched, counted from 1.
    pub unused_rules: Vec<usize>,
}

/// What happened to all wrong servers.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct KillTable {
    /// One row for each, in name order.
    pub rows: Vec<KillRow>,
    /// Wrong servers with the same kills.
    pub clones: Vec<Vec<String>>,
    /// Cases that were played and killed nothing.
    pub unproven: Vec<String>,
}

/// The cases that are meant for a wrong server, by name without transport: what a report calls *proven*. That the declaration is
/// true is shown by [`judge_wrong_servers`].
#[must_use]
pub fn proven_cases(servers: &[WrongServer]) -> BTreeSet<String> {
    servers.iter().flat_map(|server| server.caught_by.iter().cloned()).collect()
}

/// Weighs the run against one wrong server. `weak` holds the cases that do not pass on its base either.
#[must_use]
pub fn weigh(server: &WrongServer, report: &RunReport, weak: &BTreeSet<String>) -> KillRow {
    let mut row = KillRow {
        name: server.name.clone(),
        title: server.title.clone(),
        clause: server.clause.clone(),
        caught_by: server.caught_by.clone(),
        verdict: KillVerdict::Missed,
        survived: Vec::new(),
        kills: Vec::new(),
        elsewhere: Vec::new(),
        broke_down: Vec::new(),
        others_passed: (0, 0),
        unused_rules: Vec::new(),
    };
    for case in report.cases.iter().filter(|case| case.verdict != Verdict::NotRun && !weak.contains(&case.name)) {
        if !case.clauses.contains(&server.clause) {
            row.others_passed.1 += 1;
            row.others_passed.0 += usize::from(passed(case));
        }
        if passed(case) {
            continue;
        }
        match &case.failure {
            Some(failure) if failure.phase != Phase::Preamble => {
                let kill = Kill { case: case.name.clone(), clause: failure.clause.clone(), line: failure.line };
                if kill.clause == server.clause { row.kills.push(kill) } else { row.elsewhere.push(kill) }
            }
            Some(_) | None => row.broke_down.push(case.name.clone()),
        }
    }
    let killed: BTreeSet<&str> = row.kills.iter().map(|kill| filter_of(&kill.case)).collect();
    row.survived = server.caught_by.iter().filter(|case| !killed.contains(case.as_str())).cloned().collect();
    let (others, of) = row.others_passed;
    row.verdict = if row.kills.is_empty() && row.elsewhere.is_empty() && row.broke_down.is_empty() {
        KillVerdict::Missed
    } else if others * 2 <= of {
        KillVerdict::BreaksEverything
    } else if row.survived.is_empty() {
        KillVerdict::Caught
    } else {
        KillVerdict::CaughtElsewhere
    };
    row
}

fn passed(case: &CaseReport) -> bool {
    matches!(case.verdict, Verdict::Pass | Verdict::UnexpectedPass)
}

/// Plays the cases on each wrong server, and on their bases, so many at a time. `play` gets a target, and globs of cases (none:
/// all); it plays and stops the target. What cannot be started is *not tried*.
pub async fn judge_wrong_servers<P, F>(
    servers: &[WrongServer],
    bases: &Bases,
    options: &StartOptions,
    at_once: usize,
    play: P,
) -> KillTable
where
    P: Fn(Target, Vec<String>) -> F,
    F: Future<Output = Result<RunReport, String>>,
{
    use futures_util::StreamExt as _;
    let mut base_runs = BTreeMap::new();
    for server in servers {
        let key = base_key(server);
        if !base_runs.contains_key(&key) {
            let run = match server.start_base(bases, options.clone()).await {
                Ok(target) => play(target, Vec::new()).await,
                Err(error) => Err(error.to_string()),
            };
            base_runs.insert(key, run);
        }
    }
    let rows = servers.iter().map(|server| row(server, bases, options, &base_runs, &play));
    let rows: Vec<KillRow> = futures_util::stream::iter(rows).buffered(at_once.max(1)).collect().await;
    let played = base_runs.values().flatten().flat_map(|run| &run.cases).filter(|case| case.verdict != Verdict::NotRun);
    let played: BTreeSet<&str> = played.map(|case| filter_of(&case.name)).collect();
    KillTable { clones: clones(&rows), unproven: unproven(&rows, &played), rows }
}

type BaseRuns = BTreeMap<String, Result<RunReport, String>>;

async fn row<P, F>(
    server: &WrongServer,
    bases: &Bases,
    options: &StartOptions,
    base_runs: &BaseRuns,
    play: &P,
) -> KillRow
where
    P: Fn(Target, Vec<String>) -> F,
    F: Future<Output = Result<RunReport, String>>,
{
    let not_tried = |why: String| {
        let empty = RunReport { cases: Vec::new(), ..empty_run() };
        KillRow { verdict: KillVerdict::NotTried(why), ..weigh(server, &empty, &BTreeSet::new()) }
    };
    let base = match base_runs.get(&base_key(server)) {
        Some(Ok(base)) => base,
        Some(Err(why)) => return not_tried(format!("its base: {why}")),
        None => return not_tried("its base was not played".to_owned()),
    };
    let (target, planted) = match server.start(bases, options.clone()).await {
        Ok(started) => started,
        Err(error) => return not_tried(error.to_string()),
    };
    // A case that was not run there may well run here: a wrong server can be an open one, or ask the auth service.
    let weak = base
        .cases
        .iter()
        .filter(|case| case.verdict != Verdict::NotRun && !passed(case))
        .map(|case| case.name.clone())
        .collect();
    match play(target, server.play.clone()).await {
        Ok(report) => KillRow { unused_rules: planted.unused_rules(), ..weigh(server, &report, &weak) },
        Err(why) => not_tried(why),
    }
}

fn empty_run() -> RunReport {
    RunReport {
        target: String::new(),
        origin: String::new(),
        adapted: Vec::new(),
        dialect: String::new(),
        version: String::new(),
        seed: 0,
        strict: false,
        elapsed: std::time::Duration::ZERO,
        cases: Vec::new(),
        clauses: Vec::new(),
    }
}

/// What is right about a wrong server: two with the same key share their base's run.
fn base_key(server: &WrongServer) -> String {
    match &server.defect {
        Defect::Patch { base, .. } => format!("patch:{base}"),
        Defect::Proxy { base, .. } => format!("proxy:{base}"),
        Defect::Server(_) => format!("server:{:?}", Misbehaviour::None),
    }
}

/// Groups with the same kills, at their own clauses and elsewhere.
fn clones(rows: &[KillRow]) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<BTreeSet<&str>, Vec<String>> = BTreeMap::new();
    for row in rows {
        let kills: BTreeSet<&str> = row.kills.iter().chain(&row.elsewhere).map(|kill| kill.case.as_str()).collect();
        if !kills.is_empty() {
            groups.entry(kills).or_default().push(row.name.clone());
        }
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

fn unproven(rows: &[KillRow], played: &BTreeSet<&str>) -> Vec<String> {
    let caught = rows.iter().filter(|row| row.verdict == KillVerdict::Caught);
    let proven: BTreeSet<&str> = caught.flat_map(|row| row.kills.iter().map(|kill| filter_of(&kill.case))).collect();
    played.difference(&proven).map(|case| (*case).to_owned()).collect()
}
