//! A target in each of its configurations: a later one plays what the earlier ones cannot, beside them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use chatwright_conformance::{
    case::Case,
    outcome::{RunReport, Verdict},
    replay,
    report::filter_of,
    run::{Part, RunConfig, RunError, apart, run as judge, unplayable},
    suite::Suite,
    target::Target,
};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use tokio::sync::{oneshot, watch};
use tracing::info;

use super::sources::{Running, Source, Sources};
use crate::{exit::UseError, progress};

/// What is judged, and by what.
pub(super) struct Judged<'a> {
    pub(super) suite: &'a Suite,
    pub(super) sources: &'a Sources,
    pub(super) progress: &'a progress::Cases,
    /// When it may start.
    pub(super) turns: &'a Turns,
    pub(super) turn: usize,
}

/// So many targets are started at once: a start keeps all cores busy, and so the first ones are being judged while the next ones start.
const STARTING_MAX: usize = 2;

/// Who starts next: as many as have started, and [`STARTING_MAX`] more.
#[derive(Debug, Default)]
pub(super) struct Turns(watch::Sender<usize>);

impl Turns {
    async fn wait(&self, turn: usize) {
        let mut started = self.0.subscribe();
        started.wait_for(|started| turn < started + STARTING_MAX).await.expect("its sender is here");
    }

    fn has_started(&self) {
        self.0.send_modify(|started| *started += 1);
    }
}

/// What an earlier configuration could not play although it looked as if it could; told when it has played everything.
type Late = oneshot::Receiver<Vec<Case>>;

impl Judged<'_> {
    /// Judges the target in each configuration. What one cannot play is known as soon as it is there, so the next one begins with it then.
    pub(super) async fn in_each_configuration(&self, config: RunConfig) -> Result<RunReport, UseError> {
        let began = Instant::now();
        let apart = self.apart(&config)?;
        let (names, are_all) = apart.as_ref().map(|(_, names, are_all)| (names.clone(), *are_all)).unwrap_or_default();
        let rest = RunConfig { part: Part::Without(names), ..config.clone() };
        let (_, nothing_late) = oneshot::channel();
        let rest = async {
            if are_all {
                self.turns.has_started();
                return Ok(Vec::new());
            }
            self.from(0, (began, None), rest, nothing_late).await
        };
        let (apart, reports) = tokio::try_join!(self.judged_apart(apart, config), rest)?;
        let whole = match (reports.into_iter().reduce(merge), apart) {
            (Some(mut whole), Some(apart)) => {
                whole.cases.extend(apart.cases);
                whole.cases.sort_by(|a, b| a.name.cmp(&b.name));
                whole
            }
            (whole, apart) => whole.or(apart).ok_or_else(|| UseError::new("there is nothing to judge"))?,
        };
        Ok(RunReport { elapsed: began.elapsed(), ..whole })
    }

    /// What can be judged before the backends of the first configuration are there, since it stands on none; and whether that is all.
    fn apart(&self, config: &RunConfig) -> Result<Option<(Target, BTreeSet<String>, bool)>, UseError> {
        let Some(target) = self.sources.first()?.vacant() else { return Ok(None) };
        let (names, are_all) = apart(self.suite, config, &target).map_err(told)?;
        Ok((!names.is_empty()).then_some((target, names, are_all)))
    }

    async fn judged_apart(
        &self,
        apart: Option<(Target, BTreeSet<String>, bool)>,
        config: RunConfig,
    ) -> Result<Option<RunReport>, UseError> {
        let Some((target, _, _)) = apart else { return Ok(None) };
        let config = RunConfig { part: Part::Apart, ..config };
        let mut report = judge(self.suite, &config, &target, self.progress).await.map_err(told)?;
        replay::scripts(self.suite, &config, &target, &mut report).await;
        target.stop().await;
        Ok(Some(report))
    }

    /// Judges a configuration and those behind it; one report for each that had something to play.
    fn from(
        &self,
        at: usize,
        (began, started): (Instant, Option<Running>),
        config: RunConfig,
        late: Late,
    ) -> LocalBoxFuture<'_, Result<Vec<RunReport>, UseError>> {
        async move {
            let Some(source) = self.sources.configurations.get(at) else { return Ok(Vec::new()) };
            let (config, late) = if config.cases.as_ref().is_some_and(|cases| at > 0 && cases.is_empty()) {
                let left = late.await.unwrap_or_default();
                if left.is_empty() {
                    return Ok(Vec::new());
                }
                (of_left_over(&config, left), oneshot::channel().1)
            } else {
                (config, late)
            };
            if at == 0 {
                self.turns.wait(self.turn).await;
            }
            let starting = async {
                match started {
                    Some(running) => Ok((running, None)),
                    None => self.started(source, self.sources.configurations.get(at + 1), &config).await,
                }
            };
            let started = starting.await;
            if at == 0 {
                self.turns.has_started();
            }
            let (running, next) = started?;
            let config = RunConfig { leaves_alone: source.leaves_alone, ..config };
            let name = running.target.name.clone();
            let at_ms = |began: Instant| began.elapsed().as_millis();
            info!(target = name, at_ms = at_ms(began), "ready");
            let left: Vec<Case> =
                unplayable(self.suite, &config, &running.target).map_err(told)?.into_iter().cloned().collect();
            let (tell, told_late) = oneshot::channel();
            let next = self.from(at + 1, (began, next), of_left_over(&config, left.clone()), told_late);
            let here = async {
                let mut judged = self.judged(&config, &running, late).await;
                if let Ok(report) = &mut judged {
                    replay::scripts(self.suite, &config, &running.target, report).await;
                }
                info!(target = name, at_ms = at_ms(began), "judged");
                if let Ok(report) = &judged {
                    let known = |case: &Case| left.iter().any(|known| known.name == case.name);
                    let late = left_over(self.suite, &config, report).into_iter().filter(|case| !known(case));
                    // Nobody listens where there is no further configuration.
                    let _heard = tell.send(late.collect());
                }
                running.stop().await;
                info!(target = name, at_ms = at_ms(began), "stopped");
                judged
            };
            let (judged, further) = tokio::join!(here, next);
            let mut reports = vec![judged?];
            reports.extend(further?);
            Ok(reports)
        }
        .boxed_local()
    }

    /// Starts a configuration, and with it the one behind it where that has something to play for sure: what must be played alone.
    async fn started(
        &self,
        source: &Source,
        next: Option<&Source>,
        config: &RunConfig,
    ) -> Result<(Running, Option<Running>), UseError> {
        match next.filter(|_| source.leaves_alone && config.filter.is_empty() && config.cases.is_none()) {
            Some(next) => {
                let (first, next) = tokio::try_join!(source.start(self.sources), next.start(self.sources))?;
                Ok((first, Some(next)))
            }
            None => Ok((source.start(self.sources).await?, None)),
        }
    }

    /// Judges what was meant for this configuration from the beginning, then what others could not play in the end.
    async fn judged(&self, config: &RunConfig, running: &Running, late: Late) -> Result<RunReport, UseError> {
        let first = judge(self.suite, config, &running.target, self.progress).await.map_err(told)?;
        let more = late.await.unwrap_or_default();
        if more.is_empty() {
            return Ok(first);
        }
        let second = judge(self.suite, &of_left_over(config, more), &running.target, self.progress).await;
        let mut whole = first;
        whole.cases.extend(second.map_err(told)?.cases);
        Ok(whole)
    }
}

fn told(problem: RunError) -> UseError {
    UseError::new(problem.to_string())
}

/// The same run of these cases only.
fn of_left_over(config: &RunConfig, cases: Vec<Case>) -> RunConfig {
    RunConfig { cases: Some(cases), filter: Vec::new(), ..config.clone() }
}

/// The cases that were not run.
fn left_over(suite: &Suite, config: &RunConfig, report: &RunReport) -> Vec<Case> {
    let not_run = |case: &&Case| {
        report.cases.iter().any(|played| played.verdict == Verdict::NotRun && filter_of(&played.name) == case.name)
    };
    config.cases.as_ref().unwrap_or(&suite.cases).iter().filter(not_run).cloned().collect()
}

/// Puts what a further configuration could play in the place of what could not be played before.
fn merge(mut whole: RunReport, further: RunReport) -> RunReport {
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
    whole
}
