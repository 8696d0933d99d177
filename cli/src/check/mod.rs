//! `chatwright check`: judges a server and says what it found.

mod explain;
mod reports;
mod sources;

use std::{collections::BTreeMap, time::Duration};

use chatwright_conformance::{
    case::{self, Case},
    outcome::{RunReport, Verdict},
    report::Summary,
    run::{RunConfig, run as judge},
    suite::Suite,
};

pub(crate) use self::{
    explain::cases,
    sources::{not_loopback, running},
};
use crate::{
    args::{CheckArgs, Global, Transport},
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
    let config = config(&suite, &args)?;
    tokio::select! {
        report = judge_all(&suite, &config, &args) => conclude(global, &args, &report?),
        _ = tokio::signal::ctrl_c() => Err(UseError::new("interrupted; what was started has been stopped")),
    }
}

fn conclude(global: &Global, args: &CheckArgs, report: &RunReport) -> Result<Outcome, UseError> {
    reports::write(global, args, report)?;
    Ok(if Summary::of(report).failed > 0 { Outcome::Fail } else { Outcome::Pass })
}

fn config(suite: &Suite, args: &CheckArgs) -> Result<RunConfig, UseError> {
    let cases = match &args.cases {
        Some(path) => Some(suite.load_cases(path).map_err(|problem| UseError::new(problem.to_string()))?),
        None => None,
    };
    let transport = match args.transport {
        Transport::Websocket => case::Transport::Websocket,
        Transport::Polling => case::Transport::Polling,
        Transport::Upgrade => case::Transport::Upgrade,
    };
    Ok(RunConfig {
        filter: args.filter.clone(),
        strict: args.strict,
        seed: seed::or_draw(args.seed),
        transports: vec![transport],
        parallel: args.jobs.unwrap_or(RunConfig::default().parallel),
        clock_budget: CLOCK_BUDGET,
        cases,
        ..RunConfig::default()
    })
}

/// Judges the target in each of its configurations: a later one plays only what the earlier ones could not.
async fn judge_all(suite: &Suite, config: &RunConfig, args: &CheckArgs) -> Result<RunReport, UseError> {
    let sources = sources::of(suite, args)?;
    let progress = progress::Cases::new();
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
        let target = source.start(&sources).await?;
        let judged = judge(suite, &config, &target, &progress).await;
        target.stop().await;
        let judged = judged.map_err(|problem| UseError::new(problem.to_string()))?;
        match &mut whole {
            None => whole = Some(judged),
            Some(report) => merge(report, judged),
        }
    }
    progress.close();
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
