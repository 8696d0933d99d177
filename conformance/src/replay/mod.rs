//! What shows one failure alone: the failing case cut to what is needed, and `curl` lines where it is nothing but HTTP.
//!
//! A cut is believed only when it has been played on the same server and fails in the same way; else the whole case is the script.

mod curl;
mod cut;

use std::time::{Duration, Instant};

use crate::{
    case::{Case, parse_case},
    outcome::{CaseReport, Failure, RunReport, Script, Verdict},
    report::filter_of,
    run::{NoObserver, RunConfig, run},
    suite::Suite,
    target::Target,
};

/// Failures that are cut; a server that fails everything is not helped by a thousand scripts.
const SCRIPTS_MAX: usize = 20;

/// All cuts together are tried for so long; what is left then keeps the whole case.
const TRIES_MAX: Duration = Duration::from_secs(60);

/// Gives each failure of a report its script. The target must still be there: what is cut is played on it again.
pub async fn scripts(suite: &Suite, config: &RunConfig, target: &Target, report: &mut RunReport) {
    let until = Instant::now() + TRIES_MAX;
    let tries = Tries { suite, config, target, until };
    let cases = config.cases.as_ref().unwrap_or(&suite.cases);
    let failed = report.cases.iter_mut().filter(|case| case.verdict == Verdict::Fail);
    for played in failed.take(SCRIPTS_MAX) {
        let Some(case) = cases.iter().find(|case| case.name == filter_of(&played.name)) else { continue };
        let Some(failure) = played.failure.clone() else { continue };
        let least = tries.least(case, &failure, played).await;
        let curl = curl::lines(&least, &failure, played);
        played.script = Some(Script { case: text(&least, played, config.seed), curl, folder: None });
    }
}

/// The text of a script: the case, and where it comes from.
fn text(case: &Case, played: &CaseReport, seed: u64) -> String {
    let printed = case.to_string();
    let (title, rest) = printed.split_once('\n').unwrap_or((printed.as_str(), ""));
    format!("{title}\n# What is needed of {} to see it fail; seen with seed {seed}.\n{rest}", played.name)
}

struct Tries<'a> {
    suite: &'a Suite,
    config: &'a RunConfig,
    target: &'a Target,
    until: Instant,
}

impl Tries<'_> {
    /// The least of the case that still fails in this way.
    async fn least(&self, case: &Case, failure: &Failure, played: &CaseReport) -> Case {
        let Some(mut least) = self.tried(cut::behind(case, failure), failure, played).await else {
            return case.clone();
        };
        for user in cut::users(&least) {
            let without = cut::without(&least, &user);
            if without != least
                && let Some(less) = self.tried(without, failure, played).await
            {
                least = less;
            }
        }
        least
    }

    /// The case as it is read from its text, if it fails in the same way.
    async fn tried(&self, case: Case, failure: &Failure, played: &CaseReport) -> Option<Case> {
        let left = self.until.saturating_duration_since(Instant::now());
        // A script is read from a file: what counts is how that is played.
        let case = parse_case(&case.name, &case.name, &case.to_string()).ok()?;
        let config = RunConfig {
            cases: Some(vec![case.clone()]),
            filter: Vec::new(),
            shared_with: None,
            seed: self.config.seed.wrapping_add(1),
            run_bound: left,
            ..self.config.clone()
        };
        let again = run(self.suite, &config, self.target, &NoObserver).await.ok()?;
        let same = again.cases.iter().find(|again| again.name == played.name)?;
        let found = same.failure.as_ref().filter(|_| same.verdict == Verdict::Fail)?;
        let alike = found.clause == failure.clause && found.phase == failure.phase && found.step == failure.step;
        alike.then_some(case)
    }
}
