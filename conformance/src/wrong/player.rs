//! The usual way to play cases on a wrong server.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::judging::Round;
use crate::{
    outcome::RunReport,
    run::{NoObserver, RunConfig, run},
    suite::Suite,
    target::Target,
};

/// Plays the cases of a suite on a wrong server, for [`judge_wrong_servers`](super::judge_wrong_servers), and kills it. Each run has a thread
/// of its own: together they keep all cores busy, and what ends with a target blocks nobody else. Needs a runtime of several threads.
pub fn player(suite: Arc<Suite>, seed: u64) -> impl Fn(Target, Round) -> BoxFuture<'static, Result<RunReport, String>> {
    move |target, round| {
        let suite = Arc::clone(&suite);
        let played = tokio::task::spawn_blocking(move || {
            let usual = RunConfig::default();
            let parallel = if round.one_by_one { 1 } else { usual.parallel };
            let clock_budget = round.clock_budget.unwrap_or(usual.clock_budget);
            let config = RunConfig { filter: round.cases, seed, parallel, clock_budget, ..usual };
            let report = Handle::current().block_on(run(&suite, &config, &target, &NoObserver));
            // Killed: how a wrong server ends when it is asked to is for the cases that ask.
            drop(target);
            report.map_err(|problem| problem.to_string())
        });
        Box::pin(async move { played.await.map_err(|problem| problem.to_string())? })
    }
}
