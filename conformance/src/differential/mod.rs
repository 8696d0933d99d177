//! Two servers beside each other: the same cases are played on both, and where what can be observed of them differs is told clause by
//! clause, whether or not a case minds.
//!
//! `observe.rs` reads what a play showed, `shape.rs` takes from it what differs from play to play, `compare.rs` finds what is left. A
//! difference counts only when no play of one server looks like any play of the other: what a server does now so, now otherwise is no
//! difference between two. So a case in which they part is played again and again, until they have been seen alike or it has been
//! [`ROUNDS_MAX`] times.

mod compare;
mod observe;
mod shape;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde::Serialize;

use self::{
    observe::{Observation, observe},
    shape::Settings,
};
use crate::{
    case::Case,
    dialect::Dialect,
    outcome::{ClauseId, Level, RunReport},
    report::filter_of,
    run::{NoObserver, Observer, RunConfig, RunError, run},
    suite::Suite,
    target::Target,
};

/// How often a case is played on each server before a difference counts. Of what falls as a coin does, one in five hundred is taken for
/// a difference.
pub const ROUNDS_MAX: usize = 5;

/// How often, where one of them fails: that is not left to chance, and waits for deadlines each time.
const ROUNDS_OF_FAILURES: usize = 3;

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The target's own name.
    pub target: String,
    /// How it was reached.
    pub origin: String,
}

/// What a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// A case ends otherwise: one of the two does not do what a line asks, or both do something else there.
    Ending,
    /// Both do what the line asks, and each in its own way.
    Content,
    /// One sends something that no line asks for.
    Unasked,
}

/// Where a difference was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Seen {
    /// The case.
    pub case: String,
    /// Its line.
    pub line: u32,
    /// That line.
    pub step: String,
}

/// A way in which the two are not alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is.
    pub kind: DifferenceKind,
    /// The clause that the line states; none where it was in a preamble.
    pub clause: Option<ClauseId>,
    /// The level of the clause. A difference of content is nothing that it forbids.
    pub level: Option<Level>,
    /// The words of the clause, or which preamble it was.
    pub words: String,
    /// Which event or answer, and where inside it.
    pub what: String,
    /// What the first has there.
    pub first: String,
    /// What the second has there.
    pub second: String,
    /// Where it was seen, in name order.
    pub seen: Vec<Seen>,
}

/// A case that says nothing about the two, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The case.
    pub case: String,
    /// Why.
    pub reason: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The server that is looked at.
    pub first: Side,
    /// The one that it is held against.
    pub second: Side,
    /// What both speak.
    pub dialect: String,
    /// Of chatwright and its cases.
    pub version: String,
    /// Of every random choice.
    pub seed: u64,
    /// Cases that were played on both.
    pub compared: usize,
    /// Of these, those in which they are alike.
    pub alike: usize,
    /// Cases that could not be played on both.
    pub left_out: Vec<LeftOut>,
    /// Verdicts first, then by level and clause.
    pub differences: Vec<Difference>,
    /// Wall time.
    pub elapsed: Duration,
}

/// Plays the same cases on two servers and says where they differ.
///
/// # Errors
/// [`RunError`] when the configuration does not fit the suite, or the two speak different dialects.
pub async fn differ(
    suite: &Suite,
    config: &RunConfig,
    (first, second): (&Target, &Target),
    observer: &dyn Observer,
) -> Result<Comparison, RunError> {
    let began = Instant::now();
    if first.dialect != second.dialect {
        return Err(RunError::OtherDialect { first: first.dialect.clone(), second: second.dialect.clone() });
    }
    let mut plays = Plays::default();
    let (one, other) = tokio::join!(run(suite, config, first, observer), run(suite, config, second, &NoObserver));
    let (one, other) = (one?, other?);
    let cases: BTreeMap<&str, &Case> =
        config.cases.as_ref().unwrap_or(&suite.cases).iter().map(|case| (case.name.as_str(), case)).collect();
    let dialect = suite.dialects.get(&first.dialect);
    let settings = (settings(first, dialect), settings(second, dialect));
    plays.add(&one, &other, &cases, &settings);
    for round in 1..ROUNDS_MAX {
        let parted: BTreeSet<&str> = plays.doubtful(round).into_iter().map(filter_of).collect();
        if parted.is_empty() {
            break;
        }
        let again = parted.iter().filter_map(|name| cases.get(name)).map(|case| (*case).clone()).collect();
        let config = RunConfig {
            cases: Some(again),
            filter: Vec::new(),
            seed: config.seed.wrapping_add(round as u64),
            ..config.clone()
        };
        let (one, other) =
            tokio::join!(run(suite, &config, first, &NoObserver), run(suite, &config, second, &NoObserver));
        plays.add(&one?, &other?, &cases, &settings);
    }
    let found = compare::differences(&plays, &cases, &one.clauses);
    let parted = plays.parted().len();
    let compared = plays.both.len();
    Ok(Comparison {
        first: Side { target: one.target, origin: one.origin },
        second: Side { target: other.target, origin: other.origin },
        dialect: one.dialect,
        version: one.version,
        seed: config.seed,
        compared,
        alike: compared - parted,
        left_out: plays.left_out.into_iter().map(|(case, reason)| LeftOut { case, reason }).collect(),
        differences: found,
        elapsed: began.elapsed(),
    })
}

/// The plays of each case on both, by the name of the case with its transport.
#[derive(Default)]
struct Plays {
    both: BTreeMap<String, (Vec<Observation>, Vec<Observation>)>,
    left_out: BTreeMap<String, String>,
}

impl Plays {
    fn add(
        &mut self,
        one: &RunReport,
        other: &RunReport,
        cases: &BTreeMap<&str, &Case>,
        settings: &(Settings, Settings),
    ) {
        let others: BTreeMap<&str, _> = other.cases.iter().map(|case| (case.name.as_str(), case)).collect();
        let (first, second) = (&one.target, &other.target);
        for mine in &one.cases {
            let Some(theirs) = others.get(mine.name.as_str()) else { continue };
            let case = cases.get(filter_of(&mine.name)).copied();
            let (mine_seen, theirs_seen) = (observe(mine, case, &settings.0), observe(theirs, case, &settings.1));
            let not_run = [(&mine_seen, first), (&theirs_seen, second)].into_iter().find_map(|(seen, target)| {
                if let observe::Ending::NotRun(why) = &seen.ending { Some(format!("{target}: {why}")) } else { None }
            });
            if let Some(why) = not_run {
                self.both.remove(&mine.name);
                self.left_out.insert(mine.name.clone(), why);
            } else if !self.left_out.contains_key(&mine.name) {
                let plays = self.both.entry(mine.name.clone()).or_default();
                plays.0.push(mine_seen);
                plays.1.push(theirs_seen);
            }
        }
    }

    /// The cases in which they have not been seen alike, and may yet be.
    fn doubtful(&self, round: usize) -> Vec<&str> {
        let fails = |plays: &[Observation]| plays.iter().all(|play| play.ending.line().is_some());
        let settled = |name: &&str| {
            round >= ROUNDS_OF_FAILURES && self.both.get(*name).is_some_and(|(a, b)| fails(a) || fails(b))
        };
        self.parted().into_iter().filter(|name| !settled(name)).collect()
    }

    /// The cases in which they have not been seen alike.
    fn parted(&self) -> Vec<&str> {
        let parted = self.both.iter().filter(|(_, (first, second))| !compare::parts(first, second).is_empty());
        parted.map(|(name, _)| name.as_str()).collect()
    }
}

/// The clocks and limits of a target by the names that Engine.IO's open packet has for them.
fn settings(target: &Target, dialect: Option<&Dialect>) -> Settings {
    let mut settings = Settings::new();
    let usual = dialect.into_iter().flat_map(|dialect| &dialect.timing).map(|(name, length)| (name.as_str(), *length));
    for (name, length) in usual.chain(target.timing.iter()) {
        settings.insert(camel(name), u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
    }
    settings
}

/// `ping_interval` as `pingInterval`.
fn camel(name: &str) -> String {
    let mut camel = String::new();
    for (i, word) in name.split('_').enumerate() {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.push_str(&if i == 0 { first.to_owned() } else { first.to_uppercase() });
        camel.push_str(rest);
    }
    camel
}
