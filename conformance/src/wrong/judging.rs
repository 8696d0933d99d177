//! Playing cases on wrong servers and on what they are made of, so that the kill rule has something to weigh.
//!
//! Everything is begun at once and waits for its turn: first each base, then the servers that are made of it, as soon as it was played.
//! Who is not caught in that crowd is judged again alone, its cases one after another: neighbours make clocks late, and hear each other on a
//! server that tells too many.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::{
    Bases, WrongServer,
    kill::{KillRow, KillTable, KillVerdict, clones, empty_run, passed, unproven, weigh},
    provide::Provider,
    sample::{base_key, base_name, instances, sample, spread},
};
use crate::{
    outcome::{RunReport, Verdict},
    report::filter_of,
    target::{StartOptions, Target},
};

/// On a busy machine a preamble breaks down now and then: so often at most one is tried, after the first time alone.
const ATTEMPTS_MAX: u32 = 3;

/// Cases of other clauses beside those that are meant for a server. A server that broke more than its clause would break some of a dozen that
/// are spread over all the others; `None` in [`Judging`] plays each of them.
pub const OTHERS_MAX: usize = 12;

/// So many times as many others are played where the first sample did not suffice: of a dozen, half may break by chance where a defect
/// breaks a fifth of all.
const WIDER: usize = 8;

/// How wrong servers are judged.
#[derive(Debug, Clone)]
pub struct Judging {
    /// What each of them is started with; so many instances at least as its `needs` say.
    pub start: StartOptions,
    /// How many are tried at the same time.
    pub at_once: usize,
    /// Beside the cases meant for a wrong server, so many others are played on it, spread over those that pass on its base; `None`:
    /// all of them. A sample shows that the rest still works; clones are looked for only where all are played.
    pub others_max: Option<usize>,
    /// Starts the backends of those that need some; without it they are *not tried*.
    pub provider: Option<Arc<dyn Provider>>,
}

impl Default for Judging {
    fn default() -> Self {
        Self { start: StartOptions::default(), at_once: 2, others_max: None, provider: None }
    }
}

/// Is told how the judging goes.
pub trait Watcher: Send + Sync {
    /// So many bases and wrong servers will be played.
    fn planned(&self, bases: usize, servers: usize);
    /// A base was played, in this time; or the reason why it could not be.
    fn base(&self, name: &str, played: Result<Duration, &str>);
    /// What became of a wrong server. One that is not caught may be tried again and told of again.
    fn judged(&self, row: &KillRow);
}

/// A watcher that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWatcher;

impl Watcher for NoWatcher {
    fn planned(&self, _: usize, _: usize) {}
    fn base(&self, _: &str, _: Result<Duration, &str>) {}
    fn judged(&self, _: &KillRow) {}
}

/// What is played on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Globs of cases; none: all.
    pub cases: Vec<String>,
    /// One after another, and not several at a time: a server that tells everybody everything spoils its own cases for each other.
    pub one_by_one: bool,
    /// How long a case may sit out clocks, where that is more than usual.
    pub clock_budget: Option<Duration>,
}

impl Round {
    fn of(server: &WrongServer, cases: Vec<String>, one_by_one: bool) -> Self {
        Self { cases, one_by_one, clock_budget: server.clock_budget }
    }
}

/// Plays cases on each wrong server, and on their bases. `play` gets a target and what to play on it; it plays and stops
/// the target (see [`player`](super::player)). What cannot be started is *not tried*.
pub async fn judge_wrong_servers<P, F>(
    servers: &[WrongServer],
    bases: &Bases,
    judging: &Judging,
    watcher: &dyn Watcher,
    play: P,
) -> KillTable
where
    P: Fn(Target, Round) -> F,
    F: Future<Output = Result<RunReport, String>>,
{
    let places = places(servers);
    watcher.planned(places.len(), servers.len());
    let judge = Judge { bases, judging, watcher, play, turns: Semaphore::new(judging.at_once.max(1)), places };
    let (_, mut rows) = tokio::join!(
        join_all(judge.places.values().map(|place| judge.base(place))),
        join_all(servers.iter().map(|server| judge.in_the_crowd(server))),
    );
    for (server, row) in servers.iter().zip(&mut rows) {
        judge.alone(server, row).await;
    }
    let runs = judge.places.values().filter_map(|place| place.run.get()?.as_ref().ok());
    let played = runs.flat_map(|run| &run.report.cases).filter(|case| case.verdict != Verdict::NotRun);
    let played: BTreeSet<&str> = played.map(|case| filter_of(&case.name)).collect();
    let clones = if judging.others_max.is_none() { clones(&rows) } else { Vec::new() };
    KillTable { clones, unproven: unproven(&rows, &played), rows }
}

/// What happened on a server without the defect.
struct BaseRun {
    report: RunReport,
    /// Cases that do not pass there either, twice.
    weak: Mutex<BTreeSet<String>>,
}

impl BaseRun {
    fn weak(&self) -> BTreeSet<String> {
        self.weak.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A base: something right, of which the wrong servers of a group are made.
struct Place<'a> {
    group: Vec<&'a WrongServer>,
    /// Of those that only differ in their setting, the one of which most are made.
    largest: String,
    run: OnceCell<Result<BaseRun, String>>,
}

fn places(servers: &[WrongServer]) -> BTreeMap<String, Place<'_>> {
    let mut groups: BTreeMap<String, Vec<&WrongServer>> = BTreeMap::new();
    for server in servers {
        groups.entry(base_key(server)).or_default().push(server);
    }
    let mut largest: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (key, group) in &groups {
        let place = largest.entry(base_name(group[0])).or_default();
        if group.len() > place.0 {
            *place = (group.len(), key.clone());
        }
    }
    let place = |(key, group): (String, Vec<_>)| {
        let largest = largest[&base_name(group[0])].1.clone();
        (key, Place { group, largest, run: OnceCell::new() })
    };
    groups.into_iter().map(place).collect()
}

struct Judge<'a, P> {
    bases: &'a Bases,
    judging: &'a Judging,
    watcher: &'a dyn Watcher,
    play: P,
    /// Given in the order in which they were asked for.
    turns: Semaphore,
    places: BTreeMap<String, Place<'a>>,
}

impl<P, F> Judge<'_, P>
where
    P: Fn(Target, Round) -> F,
    F: Future<Output = Result<RunReport, String>>,
{
    /// What happens on a base; played once.
    async fn base<'p>(&self, place: &'p Place<'_>) -> &'p Result<BaseRun, String> {
        let whole = self.places.get(&place.largest).filter(|whole| !std::ptr::eq(*whole, place));
        let names = match whole {
            Some(whole) => {
                // Boxed, for it is this function again; it does not go deeper, for the largest is its own.
                let sibling = Box::pin(whole.run.get_or_init(|| self.played(whole.group[0], Vec::new()))).await;
                self.of_interest(place, sibling)
            }
            None => Vec::new(),
        };
        place.run.get_or_init(|| self.played(place.group[0], names)).await
    }

    /// Of what only differs in its setting from a base that many servers are made of, just the cases are played that its few servers
    /// want, and a sample of those that pass on the other.
    fn of_interest(&self, place: &Place<'_>, sibling: &Result<BaseRun, String>) -> Vec<String> {
        let (Some(others_max), Ok(sibling)) = (self.judging.others_max, sibling) else { return Vec::new() };
        let mut names: BTreeSet<String> =
            place.group.iter().flat_map(|server| server.caught_by.iter().chain(&server.play).cloned()).collect();
        let passing = sibling.report.cases.iter().filter(|case| passed(case));
        names.extend(spread(passing, 2 * others_max));
        names.into_iter().collect()
    }

    /// What a server is started with, and what has to be kept for as long as it runs.
    async fn set_up(&self, server: &WrongServer) -> Result<(StartOptions, Option<Box<dyn Any + Send + Sync>>), String> {
        let start = self.judging.start.clone();
        let options = StartOptions { instances: start.instances.max(instances(server)), ..start };
        let backends = server.backends();
        if backends.is_empty() {
            return Ok((options, None));
        }
        let provider = self.judging.provider.as_ref().ok_or_else(|| format!("it needs {}", server.needs.join(", ")))?;
        let provided = provider.provide(&backends).await?;
        let options = StartOptions { backends: provided.values, control: Some(provided.control), ..options };
        Ok((options, Some(provided.keep)))
    }

    /// Who sits out long clocks needs no turn: it keeps no core busy, and would come last.
    async fn turn(&self, server: &WrongServer) -> Option<SemaphorePermit<'_>> {
        if server.clock_budget.is_some() { None } else { self.turns.acquire().await.ok() }
    }

    async fn played(&self, server: &WrongServer, cases: Vec<String>) -> Result<BaseRun, String> {
        let _turn = self.turn(server).await;
        let began = Instant::now();
        let run = self.played_now(server, cases).await;
        self.watcher.base(&base_name(server), run.as_ref().map(|_| began.elapsed()).map_err(String::as_str));
        run
    }

    async fn played_now(&self, server: &WrongServer, cases: Vec<String>) -> Result<BaseRun, String> {
        let report = self.played_right(server, cases).await?;
        let mut weak = failed(&report);
        if !weak.is_empty() {
            // A busy machine fails a case now and then; a kill must not be lost to that.
            let again: BTreeSet<String> = weak.iter().map(|name| filter_of(name).to_owned()).collect();
            let again = self.played_right(server, again.into_iter().collect()).await?;
            weak = weak.intersection(&failed(&again)).cloned().collect();
        }
        Ok(BaseRun { report, weak: Mutex::new(weak) })
    }

    /// A run on what a server is made of; that must not die.
    async fn played_right(&self, server: &WrongServer, cases: Vec<String>) -> Result<RunReport, String> {
        let (options, kept) = self.set_up(server).await?;
        let mut target = server.start_base(self.bases, options).await.map_err(|e| e.to_string())?;
        target.keep(kept);
        let deaths = target.deaths();
        let report = (self.play)(target, Round::of(server, cases, false)).await?;
        deaths.all().first().map_or(Ok(report), |death| Err(death.to_string()))
    }

    /// The first time, as soon as its base was played and it has its turn.
    async fn in_the_crowd(&self, server: &WrongServer) -> KillRow {
        let Some(place) = self.places.get(&base_key(server)) else {
            return not_tried(server, "its base was not played".to_owned());
        };
        let base = self.base(place).await;
        let _turn = self.turn(server).await;
        let row = match base {
            Ok(base) => self.row(server, base, 1).await,
            Err(why) => not_tried(server, format!("its base: {why}")),
        };
        self.watcher.judged(&row);
        row
    }

    /// Again, while nothing else is played, if it was not caught. A death needs no second look.
    async fn alone(&self, server: &WrongServer, row: &mut KillRow) {
        for attempt in 2..=ATTEMPTS_MAX {
            let is_known = matches!(row.verdict, KillVerdict::Died(_)) || row.is_caught();
            let base = self.places.get(&base_key(server)).and_then(|place| place.run.get());
            let (false, Some(Ok(base))) = (is_known, base) else { return };
            if !row.weak.is_empty() {
                self.look_again(server, base, &row.weak).await;
            }
            *row = self.row(server, base, attempt).await;
            self.watcher.judged(row);
        }
    }

    /// Cases that failed on a base in the crowd get another chance there, now that nothing else is played.
    async fn look_again(&self, server: &WrongServer, base: &BaseRun, cases: &[String]) {
        let Ok(again) = self.played_right(server, cases.to_vec()).await else { return };
        let passed = again.cases.iter().filter(|case| passed(case)).map(|case| case.name.as_str());
        let passed: BTreeSet<&str> = passed.collect();
        base.weak.lock().unwrap_or_else(PoisonError::into_inner).retain(|name| !passed.contains(name.as_str()));
    }

    async fn row(&self, server: &WrongServer, base: &BaseRun, attempt: u32) -> KillRow {
        let began = Instant::now();
        let tried = self.attempt(server, base, attempt).await;
        let row = tried.unwrap_or_else(|why| not_tried(server, why));
        KillRow { attempts: attempt, elapsed: began.elapsed(), ..row }
    }

    async fn attempt(&self, server: &WrongServer, base: &BaseRun, attempt: u32) -> Result<KillRow, String> {
        let globs = match self.judging.others_max {
            None => server.play.clone(),
            Some(others_max) if attempt > 1 => sample(server, &base.report, WIDER * others_max)?,
            Some(others_max) => sample(server, &base.report, others_max)?,
        };
        let (options, kept) = self.set_up(server).await?;
        let (mut target, planted) = server.start(self.bases, options).await.map_err(|e| e.to_string())?;
        target.keep(kept);
        let deaths = target.deaths();
        let report = (self.play)(target, Round::of(server, globs, attempt > 1)).await?;
        Ok(KillRow { unused_rules: planted.unused_rules(), ..weigh(server, &report, &base.weak(), &deaths.all()) })
    }
}

fn not_tried(server: &WrongServer, why: String) -> KillRow {
    KillRow { verdict: KillVerdict::NotTried(why), ..weigh(server, &empty_run(), &BTreeSet::new(), &[]) }
}

fn failed(report: &RunReport) -> BTreeSet<String> {
    let failed = report.cases.iter().filter(|case| !passed(case) && case.verdict != Verdict::NotRun);
    failed.map(|case| case.name.clone()).collect()
}
