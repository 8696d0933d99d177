//! What is played of all that there is: by the filter, the target, and the part that is left to this run.

use std::collections::{BTreeMap, BTreeSet};

use super::{Part, RunConfig, RunError};
use crate::{
    case::{Case, Transport},
    dialect::{Carrier, Dialect},
    outcome::{ClauseId, Level},
    plan::{Company, Planned, filter, plan, wanted},
    play::Stage,
    suite::Suite,
    target::{KnownFailing, Target},
};

/// The cases of a run that this target cannot play, whatever it answers: it lacks what they need.
///
/// # Errors
/// As for [`run`].
pub fn unplayable<'c>(suite: &'c Suite, config: &'c RunConfig, target: &Target) -> Result<Vec<&'c Case>, RunError> {
    let levels = suite.levels();
    let mut cases: Vec<_> = planned(suite, config, target, &levels)?
        .into_iter()
        .filter(|one| one.hindrance.is_some())
        .map(|one| one.case)
        .collect();
    cases.dedup_by(|a, b| a.name == b.name);
    Ok(cases)
}

/// The names of the cases of a run that [`Part::Apart`] means on this target, and whether they are all that there is to play.
///
/// # Errors
/// As for [`run`].
pub fn apart(suite: &Suite, config: &RunConfig, target: &Target) -> Result<(BTreeSet<String>, bool), RunError> {
    let levels = suite.levels();
    let config = RunConfig { part: Part::Whole, ..config.clone() };
    let whole = planned(suite, &config, target, &levels)?;
    let apart: BTreeSet<_> = whole.iter().filter(|one| is_apart(one)).map(|one| one.name.clone()).collect();
    let are_all = apart.len() == whole.len();
    Ok((apart, are_all))
}

fn is_apart(one: &Planned) -> bool {
    one.company == Company::Anybody && one.hindrance.is_none()
}

/// What is to be played on a target, and how, in the order of the suite.
pub(super) fn planned<'c>(
    suite: &'c Suite,
    config: &'c RunConfig,
    target: &Target,
    levels: &BTreeMap<ClauseId, Level>,
) -> Result<Vec<Planned<'c>>, RunError> {
    let dialect = dialect_of(suite, target)?;
    // A dialect without Engine.IO knows one way to connect.
    let is_plain = config.transports.is_empty() || dialect.carrier == Carrier::WebSocket;
    let axis = if is_plain { &[Transport::Websocket][..] } else { &config.transports };
    // How a client upgrades is for cases that say so.
    let own: Vec<Transport> = axis.iter().copied().filter(|way| *way != Transport::Upgrade).collect();
    let axis = if dialect.carrier == Carrier::Client && !own.is_empty() { &own } else { axis };
    let stage = Stage { target, dialect, transport: axis[0], seed: config.seed, levels, documented: false };
    let all: Vec<&Case> = match &config.cases {
        Some(cases) => cases.iter().collect(),
        None => suite.list(dialect),
    };
    let mut planned: Vec<Planned> = all.iter().flat_map(|case| plan(case, axis, &stage, config.clock_budget)).collect();
    for one in planned.iter_mut().filter(|one| config.leaves_alone && one.company == Company::Nobody) {
        one.hindrance.get_or_insert_with(|| "must be played alone, which is left to another configuration".to_owned());
    }
    if config.cases.is_none() {
        known_failures_exist(target, &planned)?;
    }
    let chosen = filter(&config.filter).map_err(RunError::BadFilter)?;
    let is_judged = |one: &Planned| config.shared_with.is_none() || is_own(dialect, &one.name);
    let is_here = |one: &Planned| match &config.part {
        Part::Whole => true,
        Part::Apart => is_apart(one),
        Part::Without(names) => !names.contains(&one.name),
    };
    let is_meant = |one: &Planned| is_judged(one) && wanted(chosen.as_ref(), &one.name) && is_here(one);
    Ok(planned.into_iter().filter(is_meant).collect())
}

/// The cases that a filter means; no filter means all.
///
/// # Errors
/// A glob that is none, or that means no case.
pub fn chosen<'a>(cases: Vec<&'a Case>, globs: &[String]) -> Result<Vec<&'a Case>, RunError> {
    let filter = filter(globs).map_err(RunError::BadFilter)?;
    let chosen: Vec<_> = cases.into_iter().filter(|case| wanted(filter.as_ref(), &case.name)).collect();
    if chosen.is_empty() { Err(RunError::NothingToRun { filter: globs.join(", ") }) } else { Ok(chosen) }
}

/// Whether a case or clause of this name belongs to the dialect itself, and not to a protocol below it.
fn is_own(dialect: &Dialect, name: &str) -> bool {
    name.split_once('/').is_some_and(|(spec, _)| spec == dialect.name)
}

pub(super) fn dialect_of<'s>(suite: &'s Suite, target: &Target) -> Result<&'s Dialect, RunError> {
    suite.dialects.get(&target.dialect).ok_or_else(|| RunError::UnknownDialect {
        name: target.dialect.clone(),
        known: suite.dialects.keys().cloned().collect::<Vec<_>>().join(", "),
    })
}

fn known_failures_exist(target: &Target, planned: &[Planned]) -> Result<(), RunError> {
    let ways = [Transport::Websocket, Transport::Polling, Transport::Upgrade];
    let is_one =
        |known: &KnownFailing| planned.iter().any(|one| ways.iter().any(|way| known.matches(&over(one, *way))));
    let unmatched = target.known_failing.iter().find(|known| !is_one(known));
    unmatched.map_or(Ok(()), |known| Err(RunError::UnmatchedKnown { pattern: known.pattern.clone() }))
}

/// The name of a case with its transport, also where there is no other: what is known to fail may fail over one of them only.
pub(super) fn over(one: &Planned, transport: Transport) -> String {
    format!("{} [{transport}]", one.case.name)
}
