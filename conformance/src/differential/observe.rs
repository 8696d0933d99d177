//! What one play of a case showed: how it ended, and what came at each of its lines.

use std::collections::{BTreeMap, BTreeSet};

use super::shape::{Settings, Shape};
use crate::{
    case::{Act, Case, Step, StepAct},
    outcome::{CaseReport, ClauseId, EntryKind, Failure, Level, Verdict},
    suite::tails,
};

/// One play of one case.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    pub(super) ending: Ending,
    /// By line and actor.
    pub(super) places: BTreeMap<(u32, String), Vec<Shape>>,
    /// By actor: what came and no line wanted, each shape once.
    pub(super) unasked: BTreeMap<String, Vec<Shape>>,
}

/// How it ended.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    Held,
    Failed(Box<Failed>),
    NotRun(String),
}

/// Where it failed, and what came there.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) line: u32,
    pub(super) step: String,
    pub(super) clause: ClauseId,
    pub(super) level: Level,
    pub(super) got: Shape,
}

impl Ending {
    /// The line at which it failed; `None`: it held.
    pub(super) fn line(&self) -> Option<u32> {
        match self {
            Self::Failed(failed) => Some(failed.line),
            Self::Held | Self::NotRun(_) => None,
        }
    }
}

/// What a play of this case showed.
pub(super) fn observe(report: &CaseReport, case: Option<&Case>, settings: &Settings) -> Observation {
    let names = &report.transcript.names;
    let mut retried = BTreeSet::new();
    if let Some(case) = case {
        retried_lines(&case.steps, false, &mut retried);
    }
    let mut places: BTreeMap<(u32, String), Vec<Shape>> = BTreeMap::new();
    let mut unasked: BTreeMap<String, Vec<Shape>> = BTreeMap::new();
    for entry in report.transcript.entries.iter().filter(|entry| entry.kind == EntryKind::Received) {
        let shape = Shape::of(&entry.text, names, settings);
        match entry.line {
            Some(line) => {
                let there = places.entry((line, entry.actor.clone())).or_default();
                // How often something was tried is a matter of time; what came of it is not.
                if retried.contains(&line) {
                    there.clear();
                }
                there.push(shape);
            }
            None => {
                let there = unasked.entry(entry.actor.clone()).or_default();
                if !there.contains(&shape) {
                    there.push(shape);
                }
            }
        }
    }
    Observation { ending: ending(report, names, settings), places, unasked }
}

fn ending(report: &CaseReport, names: &BTreeMap<String, String>, settings: &Settings) -> Ending {
    match (&report.failure, report.verdict) {
        // Of what the judge was too late for, nothing is said.
        (_, Verdict::NotRun | Verdict::Inconclusive) => Ending::NotRun(report.reason.clone().unwrap_or_default()),
        (Some(failure), _) => Ending::Failed(Box::new(failed(failure, names, settings))),
        (None, _) => Ending::Held,
    }
}

fn failed(failure: &Failure, names: &BTreeMap<String, String>, settings: &Settings) -> Failed {
    Failed {
        line: failure.line,
        step: failure.step.clone(),
        clause: failure.clause.clone(),
        level: failure.level,
        got: Shape::of(&failure.got, names, settings),
    }
}

fn retried_lines(steps: &[Step], inside: bool, found: &mut BTreeSet<u32>) {
    for step in steps {
        if inside {
            found.insert(step.line);
        }
        match &step.act {
            StepAct::Retry { steps, .. } => retried_lines(steps, true, found),
            StepAct::Repeat { steps, .. } => retried_lines(steps, inside, found),
            StepAct::Use { .. }
            | StepAct::Actor { .. }
            | StepAct::Wait(_)
            | StepAct::Auth { .. }
            | StepAct::Target { .. }
            | StepAct::Listens { .. }
            | StepAct::Asks { .. }
            | StepAct::Backend { .. } => {}
        }
    }
}

/// What a line of a case is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// What it states.
    Clause(ClauseId),
    /// How the actors come in.
    Preamble(String),
    /// Nothing that a line says.
    Nothing,
}

/// What a line of a case is about: the clause that it states, or the preamble that it plays.
pub(super) fn about(case: &Case, line: u32) -> About {
    let first = || About::Clause(case.clauses.first().cloned().unwrap_or_else(|| ClauseId(case.name.clone())));
    stated(&case.steps, line).unwrap_or_else(first)
}

fn stated(steps: &[Step], line: u32) -> Option<About> {
    steps.iter().find_map(|step| match &step.act {
        StepAct::Repeat { steps, .. } | StepAct::Retry { steps, .. } => stated(steps, line),
        StepAct::Use { preamble, .. } if step.line == line => {
            Some(About::Preamble(preamble.as_ref().map_or_else(|| "connects".to_owned(), |(name, _)| name.clone())))
        }
        StepAct::Actor { does, .. } => {
            let tail = if let Act::Expects { group, .. } = does {
                group.iter().find(|one| one.line == line).map(|one| &one.tail)
            } else {
                tails(does).into_iter().next().filter(|_| step.line == line)
            };
            tail.and_then(|tail| tail.clause.clone()).map(About::Clause)
        }
        StepAct::Use { .. }
        | StepAct::Wait(_)
        | StepAct::Auth { .. }
        | StepAct::Target { .. }
        | StepAct::Listens { .. }
        | StepAct::Asks { .. }
        | StepAct::Backend { .. } => None,
    })
}
