//! `chatwright check`: judges a server and says what it found.

mod against;
mod configurations;
mod explain;
mod reports;
mod self_test;
mod sources;
mod table;

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chatwright_conformance::{
    case::Case,
    outcome::{CheckReport, RunReport},
    report::Summary,
    run::{RunConfig, chosen},
    suite::Suite,
};
use tokio::{runtime::Handle, sync::watch, task::JoinSet};

use self::{
    configurations::{Judged, Turns},
    sources::Sources,
};
pub(crate) use self::{
    explain::cases,
    sources::{not_loopback, running},
    table::table,
};
use crate::{
    args::{CheckArgs, Global},
    exit::{Outcome, UseError},
    fixtures, progress, seed,
};

/// Cases that wait longer for a target's clocks are not run.
const CLOCK_BUDGET: Duration = Duration::from_secs(20);

pub(crate) async fn run(global: &Global, args: CheckArgs) -> Result<Outcome, UseError> {
    let suite = fixtures::suite(global)?;
    if let Some(case) = &args.explain {
        return explain::explain(global, &suite, case);
    }
    if args.list {
        return explain::list(global, &suite, &args);
    }
    if args.self_test {
        return tokio::select! {
            outcome = self_test::self_test(global, &suite, &args) => outcome,
            _ = tokio::signal::ctrl_c() => Err(interrupted()),
        };
    }
    let config = config(&suite, &args)?;
    if let Some(peer) = &args.against {
        return tokio::select! {
            outcome = against::run(global, &suite, &config, (&args, peer)) => outcome,
            _ = tokio::signal::ctrl_c() => Err(interrupted()),
        };
    }
    let report = judge_all(Arc::new(suite), &config, &args).await?;
    conclude(global, &args, report)
}

fn interrupted() -> UseError {
    UseError::new("interrupted; what was started has been stopped")
}

fn conclude(global: &Global, args: &CheckArgs, mut report: CheckReport) -> Result<Outcome, UseError> {
    if !args.no_report {
        let cases = report.runs.iter_mut().flat_map(|run| &mut run.cases);
        for script in cases.filter_map(|case| case.script.as_mut()) {
            script.folder = Some(args.report.display().to_string());
        }
    }
    reports::write(global, args, &report)?;
    let summary = Summary::total(&report);
    Ok(match (summary.failed, summary.inconclusive) {
        (0, 0) => Outcome::Pass,
        (0, _) => Outcome::Inconclusive,
        (_, _) => Outcome::Fail,
    })
}

fn config(suite: &Suite, args: &CheckArgs) -> Result<RunConfig, UseError> {
    let cases = match &args.cases {
        Some(path) => Some(suite.load_cases(path).map_err(|problem| UseError::new(problem.to_string()))?),
        None => None,
    };
    Ok(RunConfig {
        filter: args.filter.clone(),
        strict: args.strict,
        seed: seed::or_draw(args.seed),
        transports: args.transport.each(),
        parallel: args.jobs.unwrap_or(RunConfig::default().parallel),
        clock_budget: args.clock_budget.map_or(CLOCK_BUDGET, Duration::from_secs),
        cases,
        ..RunConfig::default()
    })
}

/// Judges each dialect, all at once; each has a target of its own, and a thread: the judge of one is not late because of another.
async fn judge_all(suite: Arc<Suite>, config: &RunConfig, args: &CheckArgs) -> Result<CheckReport, UseError> {
    let began = Instant::now();
    let mut jobs = Vec::new();
    let mut nothing = None;
    for sources in sources::of(&suite, args)? {
        let config = config_for(&suite, config, &sources)?;
        match chosen(cases_of(&suite, &config, &sources)?, &config.filter) {
            Ok(_) => jobs.push((sources, config)),
            Err(problem) => nothing = Some(UseError::new(problem.to_string())),
        }
    }
    if jobs.is_empty() {
        return Err(nothing.unwrap_or_else(|| UseError::new("there is nothing to judge")));
    }
    let progress = Arc::new(progress::Cases::new());
    let (stop, stopping) = watch::channel(());
    let (runtime, turns) = (Handle::current(), Arc::new(Turns::default()));
    // Those with the most backends take longest, so they start first.
    let mut jobs: Vec<_> = jobs.into_iter().enumerate().collect();
    jobs.sort_by_key(|(_, (sources, _))| Reverse(sources.weight()));
    let mut dialects = JoinSet::new();
    for (turn, (at, (sources, config))) in jobs.into_iter().enumerate() {
        let (suite, progress) = (Arc::clone(&suite), Arc::clone(&progress));
        let (runtime, turns, mut stopping) = (runtime.clone(), Arc::clone(&turns), stopping.clone());
        dialects.spawn_blocking(move || {
            let judged = Judged { suite: &suite, sources: &sources, progress: progress.as_ref(), turns: &turns, turn };
            let run = runtime.block_on(async {
                tokio::select! {
                    run = judged.in_each_configuration(config) => run,
                    _ = stopping.changed() => Err(interrupted()),
                }
            });
            (at, run)
        });
    }
    let runs = tokio::select! {
        runs = ended(&mut dialects) => runs,
        _ = tokio::signal::ctrl_c() => Err(interrupted()),
    };
    // What was started is stopped before anything is said.
    drop(stop);
    while dialects.join_next().await.is_some() {}
    progress.close();
    Ok(CheckReport { runs: runs?, elapsed: began.elapsed() })
}

/// What came of them, in the order in which they were asked for; the first that could not be judged ends it.
async fn ended(dialects: &mut JoinSet<(usize, Result<RunReport, UseError>)>) -> Result<Vec<RunReport>, UseError> {
    let mut runs = BTreeMap::new();
    while let Some(ended) = dialects.join_next().await {
        let (at, run) = ended.expect("the judge does not panic");
        runs.insert(at, run?);
    }
    Ok(runs.into_values().collect())
}

/// Cases of one's own are played with the dialect whose clauses they name, where several are judged.
fn config_for(suite: &Suite, config: &RunConfig, sources: &Sources) -> Result<RunConfig, UseError> {
    let mut config = RunConfig { shared_with: sources.shared_with.clone(), ..config.clone() };
    if let Some(cases) = config.cases.as_mut().filter(|_| sources.among_others) {
        let specs = suite.specs_of(fixtures::dialect(suite, &sources.dialect)?);
        cases.retain(|case| {
            let spec = case.clauses.first().and_then(|clause| clause.0.split_once('/'));
            spec.is_some_and(|(spec, _)| specs.iter().any(|known| known.name == spec))
        });
        // They are judged by what they say, not by where their file lies.
        config.shared_with = None;
    }
    Ok(config)
}

fn cases_of<'c>(suite: &'c Suite, config: &'c RunConfig, sources: &Sources) -> Result<Vec<&'c Case>, UseError> {
    let cases = match &config.cases {
        Some(cases) => cases.iter().collect(),
        None => suite.list(fixtures::dialect(suite, &sources.dialect)?),
    };
    let own = format!("{}/", sources.dialect);
    Ok(cases.into_iter().filter(|case| config.shared_with.is_none() || case.name.starts_with(&own)).collect())
}
