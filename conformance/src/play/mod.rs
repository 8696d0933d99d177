//! Plays one case against a target: each actor has its own stream, each line its deadline, and everything that came is accounted for.

mod actor;
mod answers;
mod connect;
mod end;
mod expect;
mod forbidden;
mod got;
mod names;
mod own;
mod probe;
mod sending;
mod serve;
mod steps;
mod transcript;
mod want;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use self::{actor::Actor, names::Names, transcript::Recorder};
use crate::{
    case::{Amount, Bindings, Case, Span, Tail, Transport},
    clocks::{EXCUSED_MAX, Reading},
    dialect::Dialect,
    outcome::{ClauseId, Failure, Level, Phase, Transcript},
    target::{Subject, Target, Timing},
    wire::Beats,
};

/// How often the judge looks whether it is late.
const TICK: Duration = Duration::from_millis(20);

/// Where the judge was late, it waits at most so much longer: beyond that it is not fit to judge time at all.
const ALLOWANCE_MAX: Duration = Duration::from_secs(2);

/// Readings that one case may leave.
const READINGS_MAX: usize = 400;

/// A ping that is merely seen passing by is too early or too late beyond these.
const SEEN_EARLY: Duration = Duration::from_millis(100);
const SEEN_LATE: Duration = Duration::from_secs(2);

/// The clock of the heartbeat.
const PING_INTERVAL: &str = "ping_interval";

/// Where a case is played.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) target: &'a Target,
    pub(crate) dialect: &'a Dialect,
    /// For connections that name none.
    pub(crate) transport: Transport,
    pub(crate) seed: u64,
    /// The level of each clause.
    pub(crate) levels: &'a BTreeMap<ClauseId, Level>,
    /// The target runs as its document says, so that its clocks and limits are the dialect's.
    pub(crate) documented: bool,
}

impl<'a> Stage<'a> {
    /// A clock: the target's own, else the dialect's.
    pub(crate) fn clock(&self, name: &str) -> Option<Duration> {
        let own = if self.documented { None } else { self.target.timing.get(name) };
        own.or_else(|| self.dialect.timing.get(name).copied())
    }

    /// A limit: the target's own, else the dialect's.
    pub(crate) fn limit(&self, name: &str) -> Option<u64> {
        let own = if self.documented { None } else { self.target.limits.get(name) };
        own.or_else(|| self.dialect.limits.get(name).copied())
    }

    /// How long an expectation waits that says nothing else.
    pub(crate) fn deadline(&self) -> Duration {
        const DEADLINE: &str = "deadline";
        let own = self.target.timing.get(DEADLINE).or_else(|| self.dialect.timing.get(DEADLINE).copied());
        own.unwrap_or(Timing::DEADLINE_DEFAULT)
    }

    /// The stage of a case that has an instance of its own, with that instance or before it is there.
    pub(crate) fn of_own<'b>(self, target: &'b Target) -> Stage<'b>
    where
        'a: 'b,
    {
        Stage { target, documented: true, ..self }
    }

    fn level(&self, clause: &ClauseId) -> Level {
        self.levels.get(clause).copied().unwrap_or(Level::Must)
    }
}

/// What came of a case.
pub(crate) struct Played {
    pub(crate) transcript: Transcript,
    pub(crate) elapsed: Duration,
    /// How late the judge itself was at worst: where clocks matter, a late judge sees things that are not there.
    pub(crate) lag: Duration,
    /// What was measured of the target's clocks.
    pub(crate) clocks: Vec<Reading>,
    pub(crate) end: Ending,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Held,
    Failed(Box<Failure>),
    /// It could not be played here.
    Unplayable(String),
}

/// Why the playing stops before the end.
enum Stop {
    Failed(Box<Failure>),
    Unplayable(String),
    /// A connection ended whose end answers for all that has not come.
    EndedInstead,
}

type Go<T = ()> = Result<T, Stop>;

/// Plays a case to its end, its first failure, or its time bound; on an instance of its own where it asks for one.
pub(crate) async fn play(case: &Case, stage: &Stage<'_>, bound: Duration) -> Played {
    match &case.own {
        Some(own) => own::play(case, own, stage, bound).await,
        None => play_on(case, stage, bound).await,
    }
}

async fn play_on(case: &Case, stage: &Stage<'_>, bound: Duration) -> Played {
    let seed = seed_of(stage.seed, &case.name, stage.transport);
    let mut player = Player::new(case, stage, seed);
    let late = Arc::clone(&player.late);
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(bound, player.run()) => outcome,
        never = watch_clock(&late) => match never {},
    };
    player.restore_world().await;
    player.drain();
    player.note_client_lines();
    let end = match outcome {
        Ok(Ok(())) => Ending::Held,
        Ok(Err(Stop::Failed(failure))) => Ending::Failed(failure),
        Ok(Err(Stop::Unplayable(why))) => Ending::Unplayable(why),
        Ok(Err(Stop::EndedInstead)) => Ending::Held,
        Err(_) => Ending::Failed(Box::new(player.out_of_time(bound))),
    };
    let elapsed = player.recorder.elapsed();
    let lag = player.lateness();
    player.heed_beats();
    let names = player.names.known();
    Played { clocks: player.readings, transcript: player.recorder.finish(names), elapsed, lag, end }
}

/// Measures in the case's own task how much later than asked the judge gets to do things, at worst.
async fn watch_clock(late: &AtomicU64) -> Infallible {
    loop {
        let due = Instant::now() + TICK;
        tokio::time::sleep_until(due).await;
        late.fetch_max(u64::try_from(due.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A seed of its own for each case and transport, so that one case alone replays as it did among others (FNV-1a).
fn seed_of(run: u64, case: &str, transport: Transport) -> u64 {
    let words = format!("{run}/{case}/{transport}");
    words.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A case while it is played.
struct Player<'a> {
    case: &'a Case,
    stage: &'a Stage<'a>,
    names: Names<'a>,
    actors: BTreeMap<String, Actor>,
    recorder: Recorder,
    /// The rounds of `repeat` that are being played, the outermost first.
    rounds: Bindings,
    rng: ChaCha8Rng,
    /// Who was brought in by which preamble with which arguments, in order.
    added: BTreeMap<String, Vec<String>>,
    /// What control has left stopped, killed or paused.
    disturbed: BTreeMap<Subject, crate::target::Action>,
    /// What was published where the case listens, by backend.
    heard: BTreeMap<String, probe::Heard>,
    /// The auth stub was told what to say to these; `None`: to everybody.
    scripted: BTreeSet<Option<String>>,
    /// The client that is judged, where it is one.
    served: Option<serve::Served>,
    /// The line that is being played.
    line: u32,
    /// How late the judge was so far, in milliseconds.
    late: Arc<AtomicU64>,
    readings: Vec<Reading>,
    beats: Beats,
}

/// Where in a case a step stands, for its failure.
#[derive(Debug, Clone)]
struct Site {
    phase: Phase,
    /// Of the `use` line inside a preamble.
    line: Option<u32>,
    /// Printed before the step.
    before: String,
}

impl Site {
    const CASE: Self = Self { phase: Phase::Step, line: None, before: String::new() };
}

/// What there is to say about a step that failed.
struct Blame<'s> {
    line: u32,
    step: &'s str,
    tail: &'s Tail,
    expected: String,
    got: String,
    /// It is about time alone.
    timed: bool,
    why: String,
}

impl<'a> Player<'a> {
    fn new(case: &'a Case, stage: &'a Stage<'a>, seed: u64) -> Self {
        let mut users = BTreeSet::new();
        steps::users(&case.steps, &mut users);
        let names = Names::new(stage, format!("{seed:016x}"), users);
        Self {
            case,
            stage,
            names,
            actors: BTreeMap::new(),
            recorder: Recorder::new(),
            rounds: Bindings::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            added: BTreeMap::new(),
            disturbed: BTreeMap::new(),
            heard: BTreeMap::new(),
            scripted: BTreeSet::new(),
            served: None,
            line: 1,
            late: Arc::default(),
            readings: Vec::new(),
            beats: Beats::default(),
        }
    }

    async fn run(&mut self) -> Go {
        let case = self.case;
        for (name, value) in &case.lets {
            let datum = crate::case::eval(value, &self.names).map_err(Stop::Unplayable)?;
            self.names.bind(name, datum);
        }
        self.stand(&case.steps);
        match self.steps(&case.steps, &Site::CASE).await {
            Ok(()) => self.fences().await?,
            Err(Stop::EndedInstead) => {}
            Err(stop) => return Err(stop),
        }
        self.end()
    }

    /// How late the judge was so far, as far as that excuses anything.
    fn lateness(&self) -> Duration {
        Duration::from_millis(self.late.load(Ordering::Relaxed)).min(ALLOWANCE_MAX)
    }

    /// Which clocks of the target a span is made of, and how long they are together; `None`: none.
    fn clocks_of(&self, span: &Span) -> Option<(String, Duration)> {
        let name = |amount: &Amount| match amount {
            Amount::Clock(name) => Some((name.clone(), self.stage.clock(name)?)),
            Amount::Millis(_) | Amount::Name(_) => None,
        };
        let clocks: Vec<_> = span.0.iter().filter(|term| !term.minus).filter_map(|term| name(&term.amount)).collect();
        let names: Vec<&str> = clocks.iter().map(|(name, _)| name.as_str()).collect();
        let length = clocks.iter().map(|(_, length)| *length).sum();
        (!clocks.is_empty()).then(|| (names.join(" + "), length))
    }

    /// Takes down what a step has measured that says how early a clock may come.
    fn read_clock(&mut self, tail: &Tail, measured: Duration) -> Go {
        let Some(after) = &tail.after else { return Ok(()) };
        let Some((clock, nominal)) = self.clocks_of(after) else { return Ok(()) };
        let latest = tail.within.as_ref().map(|within| self.span(within)).transpose()?;
        let (earliest, late) = (self.span(after)?, self.lateness());
        self.keep_reading(Reading { clock, nominal, earliest, latest, measured, late, judged: true });
        Ok(())
    }

    /// Takes down the pings that nobody asked for.
    fn heed_beats(&mut self) {
        let Some(nominal) = self.stage.clock(PING_INTERVAL) else { return };
        let late = self.lateness();
        if late > EXCUSED_MAX {
            return; // what a late judge sees passing by says more of the judge
        }
        for measured in self.beats.taken() {
            self.keep_reading(Reading {
                clock: PING_INTERVAL.to_owned(),
                nominal,
                earliest: nominal.saturating_sub(SEEN_EARLY),
                latest: Some(nominal + SEEN_LATE),
                measured,
                late,
                judged: false,
            });
        }
    }

    fn keep_reading(&mut self, reading: Reading) {
        if self.readings.len() < READINGS_MAX {
            self.readings.push(reading);
        }
    }

    fn failure(&self, site: &Site, blame: Blame) -> Stop {
        let clause = blame.tail.clause.clone().or_else(|| self.case.clauses.first().cloned());
        let clause = clause.unwrap_or_else(|| ClauseId(self.case.name.clone()));
        Stop::Failed(Box::new(Failure {
            phase: site.phase,
            line: site.line.unwrap_or(blame.line),
            step: format!("{}{}", site.before, blame.step),
            level: self.stage.level(&clause),
            clause,
            expected: blame.expected,
            got: blame.got,
            timed: blame.timed,
            why: blame.why,
        }))
    }

    fn out_of_time(&self, bound: Duration) -> Failure {
        let clause = self.case.clauses.first().cloned().unwrap_or_else(|| ClauseId(self.case.name.clone()));
        Failure {
            phase: Phase::Step,
            line: self.line,
            step: self.case.source.lines().nth(self.line as usize - 1).unwrap_or_default().trim().to_owned(),
            level: self.stage.level(&clause),
            clause,
            expected: format!("the end of the case within {bound:?}"),
            got: "it was still being played".to_owned(),
            timed: true,
            why: String::new(),
        }
    }
}
