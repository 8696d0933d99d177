//! `chatwright check`: judges a server and says what it found.

mod against;
mod explain;
mod reports;
mod self_test;
mod sources;
mod table;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chatwright_conformance::{
    case::{self, Case},
    outcome::{CheckReport, RunReport, Verdict},
    replay,
    report::Summary,
    run::{RunConfig, chosen, run as judge},
    suite::Suite,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use self::sources::Sources;
pub(crate) use self::{
    explain::cases,
    sources::{not_loopback, running},
    table::table,
};
use crate::{
    args::{CheckArgs, Global, Transport},
    exit::{Outcome, UseError},
    fixtures, progress, seed,
};

/// So many dialects are judged at once: what takes long is waiting, for clocks and for containers.
const SIDE_BY_SIDE: usize = 5;

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
    tokio::select! {
        report = judge_all(&suite, &config, &args) => conclude(global, &args, report?),
        _ = tokio::signal::ctrl_c() => Err(interrupted()),
    }
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
    let transports = match args.transport {
        Transport::Websocket => vec![case::Transport::Websocket],
        Transport::Polling => vec![case::Transport::Polling],
        Transport::Upgrade => vec![case::Transport::Upgrade],
        Transport::All => vec![case::Transport::Websocket, case::Transport::Polling, case::Transport::Upgrade],
    };
    Ok(RunConfig {
        filter: args.filter.clone(),
        strict: args.strict,
        seed: seed::or_draw(args.seed),
        transports,
        parallel: args.jobs.unwrap_or(RunConfig::default().parallel),
        clock_budget: args.clock_budget.map_or(CLOCK_BUDGET, Duration::from_secs),
        cases,
        ..RunConfig::default()
    })
}

/// Judges each dialect, several at once; each has a target of its own.
async fn judge_all(suite: &Suite, config: &RunConfig, args: &CheckArgs) -> Result<CheckReport, UseError> {
    let began = Instant::now();
    let mut jobs = Vec::new();
    let mut nothing = None;
    for sources in sources::of(suite, args)? {
        let config = config_for(suite, config, &sources)?;
        match chosen(cases_of(suite, &config, &sources)?, &config.filter) {
            Ok(_) => jobs.push((sources, config)),
            Err(problem) => nothing = Some(UseError::new(problem.to_string())),
        }
    }
    if jobs.is_empty() {
        return Err(nothing.unwrap_or_else(|| UseError::new("there is nothing to judge")));
    }
    let progress = progress::Cases::new();
    let runs = stream::iter(&jobs)
        .map(|(sources, config)| judge_one(suite, config, sources, &progress))
        .buffered(SIDE_BY_SIDE)
        .try_collect()
        .await;
    progress.close();
    Ok(CheckReport { runs: runs?, elapsed: began.elapsed() })
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

/// Judges the target in each of its configurations: a later one plays only what the earlier ones could not.
async fn judge_one(
    suite: &Suite,
    config: &RunConfig,
    sources: &Sources,
    progress: &progress::Cases,
) -> Result<RunReport, UseError> {
    let mut whole: Option<RunReport> = None;
    for source in &sources.configurations {
        let mut config = config.clone();
        if let Some(report) = &whole {
            let left = left_over(suite, &config, report);
            if left.is_empty() {
                break;
            }
            config.cases = Some(left);
            config.filter = Vec::new();
        }
        let target = source.start(sources).await?;
        let mut judged = judge(suite, &config, &target, progress).await;
        if let Ok(report) = &mut judged {
            replay::scripts(suite, &config, &target, report).await;
        }
        target.stop().await;
        let judged = judged.map_err(|problem| UseError::new(problem.to_string()))?;
        match &mut whole {
            None => whole = Some(judged),
            Some(report) => merge(report, judged),
        }
    }
    whole.ok_or_else(|| UseError::new("there is nothing to judge"))
}

/// The cases that were not run so far.
fn left_over(suite: &Suite, config: &RunConfig, report: &RunReport) -> Vec<Case> {
    let not_run = |case: &&Case| {
        report.cases.iter().any(|played| {
            played.verdict == Verdict::NotRun && chatwright_conformance::report::filter_of(&played.name) == case.name
        })
    };
    config.cases.as_ref().unwrap_or(&suite.cases).iter().filter(not_run).cloned().collect()
}

/// Puts what a further configuration could play in the place of what could not be played before.
fn merge(whole: &mut RunReport, further: RunReport) {
    whole.elapsed += further.elapsed;
    let mut played: BTreeMap<_, _> = further
        .cases
        .into_iter()
        .filter(|case| case.verdict != Verdict::NotRun)
        .map(|case| (case.name.clone(), case))
        .collect();
    for case in &mut whole.cases {
        if case.verdict == Verdict::NotRun
            && let Some(now) = played.remove(&case.name)
        {
            *case = now;
        }
    }
}
