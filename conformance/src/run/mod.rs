//! Runs the suite against a target: in parallel what can be, alone what must be, and reports.

mod choice;
mod config;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};

pub use self::choice::{apart, chosen, unplayable};
use self::choice::{dialect_of, over, planned};
pub use self::config::{Part, RunConfig, RunError};
use crate::{
    case::Case,
    dialect::Dialect,
    lateness::{Doubt, Metronome},
    outcome::{CaseReport, ClauseId, ClauseReport, Failure, Lateness, Level, RunReport, Transcript, Verdict},
    plan::{Company, Planned},
    play::{Ending, Played, Stage, play},
    spec::Clause,
    suite::Suite,
    target::{Target, show_duration},
    verdict::{Ended, verdict},
};

pub use crate::observer::{NoObserver, Observer};

/// How often at most a case is played alone before its failure counts although the judge was late.
const ATTEMPTS_ALONE_MAX: u64 = 3;

/// A case that waits for clocks as long as this leaves its place to others meanwhile; so many of these are played at once beside the others.
const WAITS_MIN: Duration = Duration::from_secs(1);
const WAITING_MAX: usize = 32;
/// Where fewer than this are played at once, what waits is one of them: whoever asks for few means it.
const MANY: usize = 8;

/// So many cases with instances that share nothing are played at once, beside the others: they mostly wait.
const APART_MAX: usize = 8;

/// So many clients run at once: more of them would make each other late.
const CLIENTS_MAX: usize = 4;

/// Judges a target.
///
/// # Errors
/// [`RunError`] when the configuration does not fit the suite; what the target does wrong is in the report.
pub async fn run(
    suite: &Suite,
    config: &RunConfig,
    target: &Target,
    observer: &dyn Observer,
) -> Result<RunReport, RunError> {
    let began = Instant::now();
    let dialect = dialect_of(suite, target)?;
    let levels = suite.levels();
    let planned = planned(suite, config, target, &levels)?;
    if planned.is_empty() {
        return Err(RunError::NothingToRun { filter: config.filter.join(", ") });
    }
    observer.planned(planned.len());
    let metronome = Metronome::start();
    let judge = Judge { suite, config, target, observer, levels: &levels, dialect, metronome, began };
    let mut cases = judge.all(planned).await;
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(judge.report(cases))
}

/// Everything that judging a case needs.
struct Judge<'a> {
    suite: &'a Suite,
    config: &'a RunConfig,
    target: &'a Target,
    observer: &'a dyn Observer,
    levels: &'a BTreeMap<ClauseId, Level>,
    dialect: &'a Dialect,
    metronome: Metronome,
    began: Instant,
}

/// A case that is to be played again, and why.
struct Again<'c> {
    one: Planned<'c>,
    why: Option<String>,
}

/// A case that was played, and whether that says something.
struct Attempt<'c> {
    one: Planned<'c>,
    report: CaseReport,
    /// It failed, perhaps by the judge's fault.
    doubt: Option<Doubt>,
}

impl Judge<'_> {
    /// Plays everything: what shares nothing beside the rest; of the rest together what can be, then alone what must be; at last alone
    /// again what failed while the judge was late.
    async fn all(&self, planned: Vec<Planned<'_>>) -> Vec<CaseReport> {
        let (hindered, playable): (Vec<_>, Vec<_>) = planned.into_iter().partition(|one| one.hindrance.is_some());
        let mut reports: Vec<_> = hindered.iter().map(|one| self.not_run(one)).collect();
        let (apart, sharing): (Vec<_>, Vec<_>) = playable.into_iter().partition(|one| one.company == Company::Anybody);
        let (alone, together): (Vec<_>, Vec<_>) = sharing.into_iter().partition(|one| one.company == Company::Nobody);
        let counts = (together.len(), alone.len(), apart.len());
        let ((more, doubtful_apart), (rest, doubtful)) = tokio::join!(
            async {
                let played = self.together(apart, APART_MAX).await;
                self.tell("played what shares nothing", counts.2);
                played
            },
            async {
                let parallel = self.at_once();
                let (waiting, busy): (Vec<_>, Vec<_>) =
                    together.into_iter().partition(|one| parallel >= MANY && one.waits >= WAITS_MIN);
                let ((mut reports, mut doubtful), (more, too)) =
                    tokio::join!(self.together(waiting, WAITING_MAX), self.together(busy, parallel));
                reports.extend(more);
                doubtful.extend(too);
                self.tell("played together what can be", counts.0);
                let first_time = |one| Again { one, why: None };
                reports.extend(self.one_by_one(alone.into_iter().map(first_time)).await);
                self.tell("played alone what must be", counts.1);
                (reports, doubtful)
            }
        );
        reports.extend(more);
        reports.extend(rest);
        let again: Vec<_> = doubtful.into_iter().chain(doubtful_apart).collect();
        let count = again.len();
        reports.extend(self.one_by_one(again).await);
        self.tell("played again what failed while the judge was late", count);
        reports
    }

    /// How many cases are played together. Each has a client of its own, where one is judged: programs that start.
    fn at_once(&self) -> usize {
        let wanted = self.config.parallel.max(1);
        if self.target.is_client() { wanted.min(CLIENTS_MAX) } else { wanted }
    }

    /// Where the time goes, for who asks.
    fn tell(&self, what: &str, cases: usize) {
        if cases > 0 {
            tracing::info!(target = self.target.name, cases, at_ms = self.began.elapsed().as_millis(), "{what}");
        }
    }

    /// Plays so many at once; what says nothing, because the judge was late, is given back.
    async fn together<'c>(&self, mut cases: Vec<Planned<'c>>, at_once: usize) -> (Vec<CaseReport>, Vec<Again<'c>>) {
        let (mut reports, mut doubtful) = (Vec::with_capacity(cases.len()), Vec::new());
        // The longest first: they would otherwise be alone at the end.
        cases.sort_by_key(|one| std::cmp::Reverse(one.bound));
        let mut attempts = stream::iter(cases).map(|one| self.attempt(one, 0)).buffer_unordered(at_once);
        while let Some(attempt) = attempts.next().await {
            match attempt.doubt {
                None => reports.push(self.finished(attempt.report)),
                Some(doubt) => {
                    doubtful.push(Again { why: Some(doubt.story(attempt.report.failure.as_ref())), one: attempt.one })
                }
            }
        }
        (reports, doubtful)
    }

    /// Plays them alone. What fails while the judge is late is played again; if it is late each time, a failure by time alone says nothing.
    async fn one_by_one<'c>(&self, cases: impl IntoIterator<Item = Again<'c>>) -> Vec<CaseReport> {
        let mut reports = Vec::new();
        for Again { one, mut why } in cases {
            let before = u32::from(why.is_some());
            let (mut attempt, mut attempts) = (self.attempt(one, 1).await, before + 1);
            for number in 2..=ATTEMPTS_ALONE_MAX {
                let Some(doubt) = attempt.doubt.filter(|_| attempt.report.verdict == Verdict::Fail) else { break };
                why.get_or_insert_with(|| doubt.story(attempt.report.failure.as_ref()));
                attempt = self.attempt(attempt.one, number).await;
                attempts += 1;
            }
            let Attempt { mut report, doubt, .. } = attempt;
            report.attempts = attempts;
            let timed = report.failure.as_ref().is_some_and(|failure| failure.timed);
            match (report.verdict, doubt, why) {
                (Verdict::Fail | Verdict::NonStrict | Verdict::Otherwise, Some(Doubt::Late(late)), _) if timed => {
                    report.verdict = Verdict::Inconclusive;
                    report.reason = Some(format!(
                        "played {attempts} times, and the judge was late each time, at last by {}",
                        show_duration(late)
                    ));
                }
                (Verdict::Pass, _, Some(why)) => {
                    report.reason = Some(format!("passed when it was played again alone; before, {why}"));
                }
                (_, _, _) => {}
            }
            reports.push(self.finished(report));
        }
        reports
    }

    fn finished(&self, report: CaseReport) -> CaseReport {
        self.observer.finished(&report);
        report
    }

    async fn attempt<'c>(&self, one: Planned<'c>, number: u64) -> Attempt<'c> {
        let left = self.config.run_bound.saturating_sub(self.began.elapsed());
        if left.is_zero() {
            let hindrance = Some("the time of the run was over".to_owned());
            let report = self.not_run_report(&Planned { hindrance, name: one.name.clone(), ..one });
            return Attempt { one, report, doubt: None };
        }
        if number <= 1 {
            self.observer.started(&one.name);
        }
        let stage = Stage {
            target: self.target,
            dialect: self.dialect,
            transport: one.transport,
            // Played again, it must not meet the users and rooms of the time before.
            seed: self.config.seed.wrapping_add(number << 32),
            levels: self.levels,
            documented: false,
        };
        let began = tokio::time::Instant::now();
        let played = play(one.case, &stage, one.bound.min(left)).await;
        let late = Lateness { task: played.lag, loopback: self.metronome.worst_since(began) };
        let report = self.judged(&one, played, late);
        let counts = report.verdict == Verdict::Fail || report.verdict == Verdict::NonStrict;
        // What is only recorded is not worth the time, unless time is all there is to it.
        let doubtful = |failure: &&Failure| counts || (report.verdict == Verdict::Otherwise && failure.timed);
        let doubt = report.failure.as_ref().filter(doubtful).and_then(|failure| Doubt::of(failure, late, number == 0));
        Attempt { one, report, doubt }
    }

    fn judged(&self, one: &Planned, played: Played, late: Lateness) -> CaseReport {
        let known = self.target.known_failing.iter().find(|known| known.matches(&over(one, one.transport)));
        let ended = match &played.end {
            Ending::Held => Ended::Held,
            Ending::Failed(failure) => Ended::Failed(failure),
            Ending::Unplayable(why) => Ended::Unplayable(why),
        };
        let (verdict, reason) = verdict(ended, known.map(|known| known.reason.as_str()), self.config.strict);
        let failure = if let Ending::Failed(failure) = played.end { Some(*failure) } else { None };
        let report = self.case_report(one, verdict, reason, failure, (played.transcript, played.elapsed));
        CaseReport { late, clocks: played.clocks, ..report }
    }

    fn not_run(&self, one: &Planned) -> CaseReport {
        self.finished(self.not_run_report(one))
    }

    fn not_run_report(&self, one: &Planned) -> CaseReport {
        let why = one.hindrance.clone().unwrap_or_default();
        let (verdict, reason) = verdict(Ended::Unplayable(&why), None, self.config.strict);
        self.case_report(one, verdict, reason, None, (Transcript::default(), Duration::ZERO))
    }

    fn case_report(
        &self,
        one: &Planned,
        verdict: Verdict,
        reason: Option<String>,
        failure: Option<Failure>,
        (transcript, elapsed): (Transcript, Duration),
    ) -> CaseReport {
        CaseReport {
            name: one.name.clone(),
            title: one.case.title.clone(),
            source: one.case.source.clone(),
            clauses: one.case.clauses.clone(),
            verdict,
            reason,
            failure,
            transcript,
            elapsed,
            late: Lateness::default(),
            attempts: 1,
            clocks: Vec::new(),
            proven: self.suite.is_proven(&one.case.name),
            script: None,
        }
    }

    fn report(&self, cases: Vec<CaseReport>) -> RunReport {
        let mut specs = self.suite.specs_of(self.dialect);
        specs.retain(|spec| self.config.shared_with.is_none() || spec.name == self.dialect.name);
        let all = self.suite.list(self.dialect);
        let named = |cases: &[&Case], id: &ClauseId| cases.iter().any(|case| case.clauses.contains(id));
        let whole: Vec<&Case> = self.suite.cases.iter().collect();
        // A protocol's clause that only the cases of another dialect name is judged with that one.
        let is_judged_here = |clause: &&Clause| named(&all, &clause.id) || !named(&whole, &clause.id);
        let clauses = specs.iter().flat_map(|spec| &spec.clauses).filter(is_judged_here).map(|clause| ClauseReport {
            id: clause.id.clone(),
            level: clause.level,
            wire: clause.wire,
            text: clause.text.clone(),
            cases: all.iter().filter(|case| case.clauses.contains(&clause.id)).map(|case| case.name.clone()).collect(),
        });
        RunReport {
            target: self.target.name.clone(),
            origin: self.target.origin.clone(),
            about: self.target.about.clone(),
            adapted: self.target.adapt.lines(),
            dialect: self.dialect.name.clone(),
            shared_with: self.config.shared_with.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cases_digest: crate::digest::digest(&cases),
            seed: self.config.seed,
            strict: self.config.strict,
            elapsed: self.began.elapsed(),
            clauses: clauses.collect(),
            not_judged: specs.iter().flat_map(|spec| spec.not_judged.clone()).collect(),
            cases,
        }
    }
}
