//! What goes wrong in a run, and when: drawn from one seed, kept as data, replayed from a file.

use std::{collections::BTreeSet, fmt, path::Path};

use chatwright_conformance::target::{Action, BackendName, Subject};
use rand::{
    Rng, SeedableRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use rand_chacha::ChaCha8Rng;
use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer as _, value},
};

use crate::Error;

/// Below this, three faults and the traffic around them do not fit.
pub const SECONDS_MIN: u64 = 6;
/// Above this, a history no longer fits in memory at the rates of [`crate::Config`].
pub const SECONDS_MAX: u64 = 3_600;
/// More instances than this do not fit on one machine.
pub const INSTANCES_MAX: usize = 16;
/// How long a backend stands still.
const BACKEND_PAUSE_MS: u64 = 2_000;
/// What each backend beside the first adds to the length of a run.
const SECONDS_PER_BACKEND: u64 = 3;
/// From this length on, with one backend or none, there is room for one more fault, which every other seed has.
const FURTHER_FAULT_SECONDS: u64 = 12;
/// A file with more faults than this is a mistake.
const FAULTS_MAX: usize = 1_000;
/// The generator of faults is this stream of the seed, so that other draws do not move them.
const FAULT_STREAM: u64 = 1;

/// Everything that a run is made from: the same schedule drives the same run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Draws the traffic, and drew the faults.
    pub seed: u64,
    /// How many server processes there are.
    pub instances: usize,
    /// How long the bots talk.
    pub seconds: u64,
    /// What goes wrong, in the order of its beginning.
    pub faults: Vec<Fault>,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When it begins, in milliseconds since the traffic began.
    pub at_ms: u64,
    /// What it is done to.
    pub target: Place,
    /// What is done.
    pub fault: FaultKind,
    /// How long it lasts, in milliseconds, until it is undone.
    pub for_ms: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} for {} ms", self.fault, self.target, self.for_ms)
    }
}

/// How long a run with so many backends takes, if nothing else is said: long enough for every fault.
#[must_use]
pub fn seconds_default(backends: usize) -> u64 {
    FURTHER_FAULT_SECONDS + more_seconds(backends)
}

/// What so many backends add to the length of a run.
fn more_seconds(backends: usize) -> u64 {
    SECONDS_PER_BACKEND * (backends as u64).saturating_sub(1)
}

/// What a fault is done to, written `instance 2`, `redis` or `mongodb`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// A server process; 1 is the first.
    Instance(usize),
    /// A backend behind all of them.
    Backend(BackendName),
}

impl Place {
    /// The same in the words of a [`chatwright_conformance::target::Control`].
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Instance(number) => Subject::Instance(*number),
            Self::Backend(name) => Subject::Backend(name.as_str().to_owned()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(number) => write!(f, "instance {number}"),
            Self::Backend(name) => f.write_str(name.as_str()),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Some(number) = text.strip_prefix("instance ").and_then(|number| number.parse().ok()) {
            return Ok(Self::Instance(number));
        }
        let name = BackendName::deserialize(text.as_str().into_deserializer());
        name.map(Self::Backend).map_err(|_: value::Error| {
            format!("unknown target `{text}`: write `instance 1`, or a backend such as `redis`")
        })
    }
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Dies at once, without a word (SIGKILL); starts again afterwards.
    Kill,
    /// Is asked to end (SIGTERM), drains, and starts again afterwards.
    Restart,
    /// Stands still with its connections open; goes on afterwards.
    Pause,
}

impl FaultKind {
    /// What begins it and what undoes it.
    #[must_use]
    pub fn actions(self) -> (Action, Action) {
        match self {
            Self::Kill => (Action::Kill, Action::Start),
            Self::Restart => (Action::Stop, Action::Start),
            Self::Pause => (Action::Pause, Action::Resume),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Pause => "pause",
        })
    }
}

impl Schedule {
    /// Draws a schedule: one instance killed, another one restarted, and each backend paused for two seconds, in an order and at times that the
    /// seed decides; in longer runs, every other seed also kills a backend or freezes an instance. The times lie in slots of their own, so that
    /// each fault meets traffic; what follows a fault (return, catch-up) may well meet the next one.
    ///
    /// # Errors
    /// When the run is too short, too long, or has no or too many instances.
    pub fn draw(seed: u64, instances: usize, seconds: u64, backends: &BTreeSet<BackendName>) -> Result<Self, Error> {
        let mut schedule = Self { seed, instances, seconds, faults: Vec::new() };
        schedule.check()?;
        let more_seconds = more_seconds(backends.len());
        if seconds < SECONDS_MIN + more_seconds {
            let faults = backends.len() + 2;
            let reason = format!("{seconds} seconds: {faults} faults need {}", SECONDS_MIN + more_seconds);
            return Err(Error::Use(reason));
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(FAULT_STREAM);
        let mut victims: Vec<usize> = (1..=instances).collect();
        victims.shuffle(&mut random);
        let mut drawn = vec![
            (Place::Instance(victims[0]), FaultKind::Kill, random.random_range(300..=1_500)),
            (Place::Instance(victims[victims.len() - 1]), FaultKind::Restart, random.random_range(0..=500)),
        ];
        let backends: Vec<BackendName> = backends.iter().copied().collect();
        drawn.extend(backends.iter().map(|name| (Place::Backend(*name), FaultKind::Pause, BACKEND_PAUSE_MS)));
        if seconds >= FURTHER_FAULT_SECONDS + more_seconds && random.random_bool(0.5) {
            drawn.push(match backends.choose(&mut random).filter(|_| random.random_bool(0.5)) {
                Some(name) => (Place::Backend(*name), FaultKind::Kill, random.random_range(200..=1_000)),
                None => {
                    let instance = random.random_range(1..=instances);
                    (Place::Instance(instance), FaultKind::Pause, random.random_range(500..=2_000))
                }
            });
        }
        drawn.shuffle(&mut random);
        // The first and the last tenth of the traffic stay quiet: before, everything works; after, the last fault still meets traffic.
        let slot_ms = seconds * 1_000 * 8 / 10 / drawn.len() as u64;
        let mut begin_ms = seconds * 100;
        for (target, fault, for_ms) in drawn {
            let slack_ms = slot_ms.saturating_sub(for_ms);
            let at_ms = begin_ms + random.random_range(0..=slack_ms);
            schedule.faults.push(Fault { at_ms, target, fault, for_ms });
            begin_ms = (begin_ms + slot_ms).max(at_ms + for_ms + 1);
        }
        Ok(schedule)
    }

    /// The same with pauses instead of deaths of instances.
    #[must_use]
    pub fn without_deaths(mut self) -> Self {
        for fault in &mut self.faults {
            if matches!(fault.target, Place::Instance(_)) {
                fault.fault = FaultKind::Pause;
            }
        }
        self
    }

    /// Reads a schedule that an earlier run wrote.
    ///
    /// # Errors
    /// When the file cannot be read, is no schedule, or cannot be played.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let refused = |reason: String| Error::Use(format!("{}: {reason}", path.display()));
        let text = std::fs::read_to_string(path)
            .map_err(|error| refused(format!("failed to read the schedule: {error}; check the path")))?;
        let schedule: Self =
            serde_json::from_str(&text).map_err(|error| refused(format!("no schedule of a run: {error}")))?;
        schedule.check().map_err(|error| refused(error.to_string()))?;
        Ok(schedule)
    }

    /// The schedule as the text of a file that [`Schedule::load`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a schedule has only numbers and texts")
    }

    /// Whether it can be played.
    ///
    /// # Errors
    /// What is out of bounds, or which two faults are in each other's way.
    pub fn check(&self) -> Result<(), Error> {
        let refused = |reason: String| Err(Error::Use(reason));
        if !(1..=INSTANCES_MAX).contains(&self.instances) {
            return refused(format!("{} instances: a run has 1 to {INSTANCES_MAX}", self.instances));
        }
        if !(SECONDS_MIN..=SECONDS_MAX).contains(&self.seconds) {
            return refused(format!("{} seconds: a run takes {SECONDS_MIN} to {SECONDS_MAX}", self.seconds));
        }
        if self.faults.len() > FAULTS_MAX {
            return refused(format!("{} faults: at most {FAULTS_MAX}", self.faults.len()));
        }
        for (index, fault) in self.faults.iter().enumerate() {
            if fault.at_ms.saturating_add(fault.for_ms) > self.seconds * 1_000 {
                return refused(format!("{fault} at {} ms goes on when the traffic has ended", fault.at_ms));
            }
            if matches!(fault.target, Place::Instance(number) if !(1..=self.instances).contains(&number)) {
                return refused(format!("{fault}: there are {} instances, counted from 1", self.instances));
            }
            let clash = |other: &&Fault| {
                other.target == fault.target
                    && other.at_ms <= fault.at_ms.saturating_add(fault.for_ms)
                    && fault.at_ms <= other.at_ms.saturating_add(other.for_ms)
            };
            if let Some(other) = self.faults[index + 1..].iter().find(clash) {
                return refused(format!("{fault} at {} ms and {other} at {} ms overlap", fault.at_ms, other.at_ms));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis() -> BTreeSet<BackendName> {
        BTreeSet::from([BackendName::Redis])
    }

    #[test]
    fn the_same_seed_draws_the_same_schedule_and_another_seed_another_one() {
        let draw = |seed| Schedule::draw(seed, 3, 12, &redis()).expect("in bounds");
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7).faults, draw(8).faults);
    }

    #[test]
    fn every_seed_kills_one_instance_restarts_another_and_pauses_redis_for_two_seconds() {
        for seed in 0..500 {
            for seconds in [SECONDS_MIN, 12, 60] {
                let schedule = Schedule::draw(seed, 3, seconds, &redis()).expect("in bounds");
                schedule.check().unwrap_or_else(|error| panic!("seed {seed}, {seconds} s: {error}"));
                let of = |kind, redis| {
                    let fitting =
                        |fault: &&Fault| fault.fault == kind && matches!(fault.target, Place::Backend(_)) == redis;
                    schedule.faults.iter().find(fitting).unwrap_or_else(|| panic!("seed {seed}: no {kind}"))
                };
                assert_ne!(of(FaultKind::Kill, false).target, of(FaultKind::Restart, false).target);
                assert_eq!(of(FaultKind::Pause, true).for_ms, 2_000);
                assert!(schedule.faults.len() == 3 || seconds >= FURTHER_FAULT_SECONDS);
            }
        }
    }

    #[test]
    fn every_backend_is_paused_in_every_run_that_has_time_for_it() {
        let all = BTreeSet::from([BackendName::Redis, BackendName::Mongodb, BackendName::Rabbitmq]);
        for seed in 0..200 {
            for seconds in [SECONDS_MIN + 6, seconds_default(all.len()), 60] {
                let schedule = Schedule::draw(seed, 3, seconds, &all).expect("in bounds");
                schedule.check().unwrap_or_else(|error| panic!("seed {seed}, {seconds} s: {error}"));
                let paused: BTreeSet<Place> = (schedule.faults.iter())
                    .filter(|fault| fault.fault == FaultKind::Pause && matches!(fault.target, Place::Backend(_)))
                    .map(|fault| fault.target.clone())
                    .collect();
                assert_eq!(paused, all.iter().map(|name| Place::Backend(*name)).collect(), "seed {seed}");
            }
        }
        let short = Schedule::draw(1, 3, SECONDS_MIN, &all).expect_err("no time for five faults").to_string();
        assert!(short.contains("5 faults need 12"), "{short}");
    }

    #[test]
    fn some_seeds_of_a_longer_run_also_kill_redis_and_others_freeze_an_instance() {
        let schedules: Vec<Schedule> =
            (0..50).map(|seed| Schedule::draw(seed, 3, 12, &redis()).expect("in bounds")).collect();
        let count =
            |wanted: fn(&Fault) -> bool| schedules.iter().filter(|schedule| schedule.faults.iter().any(wanted)).count();
        assert!(count(|fault| matches!(fault.target, Place::Backend(_)) && fault.fault == FaultKind::Kill) > 5);
        assert!(count(|fault| matches!(fault.target, Place::Instance(_)) && fault.fault == FaultKind::Pause) > 5);
    }

    #[test]
    fn a_schedule_survives_its_file() {
        let schedule = Schedule::draw(3, 2, 20, &redis()).expect("in bounds");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("schedule.json");
        std::fs::write(&path, schedule.to_json()).expect("written");
        assert_eq!(Schedule::load(&path).expect("its own file"), schedule);
    }

    #[test]
    fn a_file_that_cannot_be_played_is_refused_with_its_name_and_the_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("schedule.json");
        let cases = [
            (
                r#"{"seed":1,"instances":2,"seconds":10,"faults":[{"at_ms":1,"target":"mango","fault":"kill","for_ms":1}]}"#,
                "mango",
            ),
            (
                r#"{"seed":1,"instances":2,"seconds":10,"faults":[{"at_ms":1,"target":"instance 3","fault":"kill","for_ms":1}]}"#,
                "2 instances",
            ),
            (
                r#"{"seed":1,"instances":2,"seconds":10,"faults":[{"at_ms":9000,"target":"redis","fault":"pause","for_ms":2000}]}"#,
                "ended",
            ),
            (r#"{"seed":1,"instances":0,"seconds":10,"faults":[]}"#, "0 instances"),
            (r#"{"seed":1,"instances":1,"seconds":10}"#, "faults"),
            (
                r#"{"seed":1,"instances":1,"seconds":10,"faults":[{"at_ms":1,"target":"redis","fault":"pause","for_ms":10},
                    {"at_ms":5,"target":"redis","fault":"kill","for_ms":10}]}"#,
                "overlap",
            ),
        ];
        for (text, reason) in cases {
            std::fs::write(&path, text).expect("written");
            let refusal = Schedule::load(&path).expect_err(text).to_string();
            assert!(refusal.contains("schedule.json") && refusal.contains(reason), "{refusal}");
        }
        let missing = Schedule::load(&folder.path().join("none.json")).expect_err("no file").to_string();
        assert!(missing.contains("none.json"), "{missing}");
    }
}
