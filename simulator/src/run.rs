//! One run: start everything, talk while things go wrong, heal, wait for agreement, stop everything, hand over the evidence.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use chatwright_client_sdk::protocol::{
    dialects::Addressing,
    vocabulary::{RoomId, UserId},
};
use chatwright_conformance::{
    target::{Action, Control, StartOptions, Target},
    tokens::User,
};
use tokio::task::JoinSet;

use crate::{
    Error,
    backends::{Backends, Durability},
    bots::{Bot, Seat},
    checkers,
    config::Config,
    facts::Facts,
    history::{Recorder, What},
    plan::Plan,
    probe::{Probe, Question},
    report::{Evidence, Report},
    schedule::{Fault, FaultKind, Place, Schedule},
};

/// How often the cluster is asked whether it agrees.
const PROBE_EVERY: Duration = Duration::from_millis(300);
/// How many times the time to agree a cluster may take in all that comes nearer to it all the while: a queue that is worked off on a busy
/// machine is not a queue that stands still.
const CONVERGE_FACTOR_MAX: u32 = 4;
/// The bots of a cluster that cannot take them in this time are a broken set-up, not a finding.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// As many messages as the dialect's document keeps of a room, where the target file does not say otherwise.
const HISTORY_KEPT_DEFAULT: usize = 1_000;
/// A bot may notice that its time is over a little late.
const SETTLE_SLACK: Duration = Duration::from_secs(1);
/// The user that asks over REST: a member of no room.
const OBSERVER: &str = "observer";

/// Hears how a run goes on, for a progress line.
pub trait Observer: Send + Sync {
    /// The run has come this far.
    fn progress(&self, progress: &Progress);
}

/// How far a run has come. Its text is a line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Containers are being started.
    Backends,
    /// Instances are being started.
    Instances(usize),
    /// Bots are being connected.
    Bots(usize),
    /// Bots talk, and the faults begin.
    Traffic {
        /// For how long.
        seconds: u64,
        /// What will go wrong.
        faults: usize,
    },
    /// A fault took effect.
    Began(Fault),
    /// A fault is undone.
    Ended(Fault),
    /// Everything is up again, and the cluster has to agree.
    Healed,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backends => f.write_str("starting backends"),
            Self::Instances(count) => write!(f, "starting {count} instances"),
            Self::Bots(count) => write!(f, "connecting {count} bots"),
            Self::Traffic { seconds, faults } => write!(f, "talking for {seconds} s, {faults} faults ahead"),
            Self::Began(fault) => write!(f, "{fault}"),
            Self::Ended(fault) => write!(f, "{} is over", fault.target),
            Self::Healed => f.write_str("healed; waiting for agreement"),
        }
    }
}

/// Makes a run and judges it. Everything that it starts is stopped again, also when the future is dropped.
///
/// # Errors
/// Wrong use, or a set-up that did not come about; never a finding about the target.
pub async fn run(config: Config, observer: Arc<dyn Observer>) -> Result<Report, Error> {
    let began = Instant::now();
    let (schedule, promises) = (config.schedule()?, config.promises()?);
    observer.progress(&Progress::Backends);
    let backends =
        Backends::start_secured(&config.target.needs, &config.target.tls, &config.images, durability(&schedule))
            .await?;
    observer.progress(&Progress::Instances(schedule.instances));
    let options =
        StartOptions { instances: schedule.instances, backends: backends.values(), control: Some(backends.control()) };
    let target = Target::start(&config.target, options).await?;
    let images = backends.images();
    let kept = target.limits.get("history").and_then(|kept| usize::try_from(kept).ok()).unwrap_or(HISTORY_KEPT_DEFAULT);
    let plan = Plan::draw(&schedule, kept, promises);
    let mut cluster = Cluster { plan, schedule, config, target, recorder: Arc::new(Recorder::new()), observer };
    let trouble = cluster.live().await;
    let evidence = cluster.evidence(images, trouble?, began);
    // The control holds the containers: the target goes first.
    cluster.target.stop().await;
    backends.stop().await;
    Ok(Report::judge(evidence))
}

/// Only what is killed has to keep anything.
fn durability(schedule: &Schedule) -> Durability {
    let killed = |fault: &Fault| {
        matches!((&fault.target, fault.fault), (Place::Backend(_), FaultKind::Kill | FaultKind::Restart))
    };
    if schedule.faults.iter().any(killed) { Durability::Durable } else { Durability::Volatile }
}

struct Cluster {
    plan: Plan,
    schedule: Schedule,
    config: Config,
    target: Target,
    recorder: Arc<Recorder>,
    observer: Arc<dyn Observer>,
}

impl Cluster {
    /// The life of a run, from the first connection to the last. What the simulator could not do is returned.
    async fn live(&mut self) -> Result<Vec<String>, Error> {
        self.observer.progress(&Progress::Bots(self.plan.bots.len()));
        let bots = self.connect().await?;
        let traffic = Progress::Traffic { seconds: self.schedule.seconds, faults: self.schedule.faults.len() };
        self.observer.progress(&traffic);
        let zero = self.recorder.begin();
        let faults = self.play_faults(zero);
        self.talk(zero, &bots).await;
        let trouble = faults.await;
        self.settle().await;
        self.recorder.record(What::Healed);
        self.observer.progress(&Progress::Healed);
        self.converge().await;
        drop(bots);
        Ok(trouble)
    }

    async fn connect(&self) -> Result<Vec<Bot>, Error> {
        let mut bots = Vec::new();
        for (index, plan) in self.plan.bots.iter().enumerate() {
            let Some(instance) = self.target.instance(plan.instance) else {
                return Err(Error::SetUp(format!("{} has no instance {}", self.target.name, plan.instance)));
            };
            let seat = Seat {
                bot: index,
                user: plan.user.clone(),
                url: instance.main().to_owned(),
                rest_url: self
                    .plan
                    .promises
                    .dialect
                    .client
                    .history
                    .and_then(|route| instance.listener(route.listener))
                    .map(str::to_owned),
                token: self.token(&plan.user),
                promises: self.plan.promises,
                places: plan.rooms.iter().map(|room| self.place(index, *room)).collect(),
                seed: self.schedule.seed.wrapping_add(index as u64),
                confirm_within: self.config.confirm_within,
            };
            let bot = Bot::connect(seat, Arc::clone(&self.recorder));
            match tokio::time::timeout(CONNECT_WITHIN, bot).await {
                Ok(Ok(bot)) => bots.push(bot),
                Ok(Err(reason)) => {
                    return Err(Error::SetUp(format!("{} could not join its rooms: {reason}", plan.user)));
                }
                Err(_) => {
                    return Err(Error::SetUp(format!(
                        "{} could not join its rooms in {} s",
                        plan.user,
                        CONNECT_WITHIN.as_secs()
                    )));
                }
            }
        }
        Ok(bots)
    }

    /// A room of a bot, and who else is in it.
    fn place(&self, bot: usize, room: usize) -> (String, Vec<UserId>) {
        let others = self.plan.members(room).filter(|member| *member != bot);
        let others = others.map(|member| UserId::from(self.plan.bots[member].user.as_str()));
        (self.plan.rooms[room].clone(), others.collect())
    }

    fn token(&self, user: &str) -> Option<String> {
        let user = User { id: user.to_owned(), name: user.to_owned() };
        self.target.tokens.as_ref().map(|tokens| tokens.valid(&user))
    }

    /// Sends each message at its time, whether earlier ones were confirmed or not. Who quits goes at his.
    async fn talk(&self, zero: Instant, bots: &[Bot]) {
        for (op, send) in self.plan.sends.iter().enumerate() {
            tokio::time::sleep_until((zero + Duration::from_millis(send.at_ms)).into()).await;
            let due = self
                .plan
                .bots
                .iter()
                .zip(bots)
                .filter(|(plan, _)| plan.quits_ms.is_some_and(|quits| quits <= send.at_ms));
            due.for_each(|(_, bot)| bot.quit());
            bots[send.bot].send(op, &self.plan.rooms[send.room], &send.text);
        }
        tokio::time::sleep_until((zero + Duration::from_secs(self.schedule.seconds)).into()).await;
    }

    /// Waits until the fate of each message is known, or cannot become known any more.
    async fn settle(&self) {
        let deadline = Instant::now() + self.config.confirm_within + SETTLE_SLACK;
        while Instant::now() < deadline {
            let mut open = BTreeSet::new();
            for record in self.recorder.records() {
                if let What::Invoked { op } = record.what {
                    open.insert(op);
                } else if let What::Confirmed { op } | What::Refused { op, .. } | What::Unknown { op, .. } = record.what
                {
                    open.remove(&op);
                }
            }
            if open.is_empty() {
                return;
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    /// The faults of each target in a task of their own, one after the other: a target that takes its time to come back meets its next fault
    /// later, never half-way. The future ends when all are undone, with what could not be done.
    fn play_faults(&self, zero: Instant) -> impl Future<Output = Vec<String>> + use<> {
        let mut by_target: BTreeMap<Place, Vec<FaultPlayer>> = BTreeMap::new();
        for (index, fault) in self.schedule.faults.iter().enumerate() {
            by_target.entry(fault.target.clone()).or_default().push(FaultPlayer {
                index,
                fault: fault.clone(),
                control: self.target.control.clone(),
                recorder: Arc::clone(&self.recorder),
                observer: Arc::clone(&self.observer),
                trouble: Vec::new(),
            });
        }
        let mut tasks = JoinSet::new();
        for mut players in by_target.into_values() {
            players.sort_by_key(|player| player.fault.at_ms);
            tasks.spawn(async move {
                let mut trouble = Vec::new();
                for player in players {
                    trouble.extend(player.play(zero).await);
                }
                trouble
            });
        }
        async move { tasks.join_all().await.concat() }
    }

    /// Asks all instances until what they say and what the bots heard keeps every promise, or until they come no nearer to it for as long as
    /// they may take. The last answers count.
    async fn converge(&self) {
        let probe = Probe::new(self.target.adapt.clone());
        let questions: Vec<Question> = (0..self.plan.rooms.len()).map(|room| self.question(room)).collect();
        let (patience, began) = (self.config.converge_within, Instant::now());
        let (mut fewest, mut nearer_since) = (usize::MAX, began);
        loop {
            let mut answers = Vec::new();
            for instance in self.target.instances() {
                answers.extend(probe.ask(instance, self.plan.promises, &questions).await);
            }
            let broken = self.broken(&answers);
            if broken < fewest {
                (fewest, nearer_since) = (broken, Instant::now());
            }
            if broken == 0 || nearer_since.elapsed() >= patience || began.elapsed() >= patience * CONVERGE_FACTOR_MAX {
                for answer in answers {
                    self.recorder.record(answer);
                }
                return;
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    /// What is asked about a room, and by whom: a conversation of two is told to one of the two, who names the other.
    fn question(&self, room: usize) -> Question {
        let mut members = self.plan.members(room).map(|bot| self.plan.bots[bot].user.as_str());
        let (asker, name) = match (self.plan.promises.addressing(), members.next(), members.next()) {
            (Addressing::OneUser, Some(one), Some(other)) => (one, other),
            (Addressing::OneUser | Addressing::Users | Addressing::Rooms | Addressing::OneRoom, _, _) => {
                (OBSERVER, self.plan.rooms[room].as_str())
            }
        };
        Question { room, name: RoomId::from(name), token: self.token(asker) }
    }

    /// How many breaches there would be if the run ended with these answers.
    fn broken(&self, answers: &[What]) -> usize {
        let mut records = self.recorder.records();
        records.extend(answers.iter().map(|what| crate::history::Record { at_us: u64::MAX, what: what.clone() }));
        let facts = Facts::read(&self.plan, &self.schedule, &records);
        checkers::check(&facts).iter().map(|checked| checked.broken).sum()
    }

    fn evidence(&self, backends: Vec<String>, trouble: Vec<String>, began: Instant) -> Evidence {
        Evidence {
            target: self.target.name.clone(),
            backends,
            replay: self.config.replay(),
            schedule: self.schedule.clone(),
            plan: self.plan.clone(),
            records: self.recorder.records(),
            trouble,
            elapsed: began.elapsed(),
        }
    }
}

/// Plays one fault: waits, does it, waits, undoes it.
struct FaultPlayer {
    index: usize,
    fault: Fault,
    control: Option<Arc<dyn Control>>,
    recorder: Arc<Recorder>,
    observer: Arc<dyn Observer>,
    trouble: Vec<String>,
}

impl FaultPlayer {
    async fn play(mut self, zero: Instant) -> Vec<String> {
        let (begin, end) = self.fault.fault.actions();
        tokio::time::sleep_until((zero + Duration::from_millis(self.fault.at_ms)).into()).await;
        self.recorder.record(What::FaultBegan { fault: self.index });
        self.observer.progress(&Progress::Began(self.fault.clone()));
        self.act(begin).await;
        tokio::time::sleep(Duration::from_millis(self.fault.for_ms)).await;
        self.act(end).await;
        self.recorder.record(What::FaultEnded { fault: self.index });
        self.observer.progress(&Progress::Ended(self.fault.clone()));
        self.trouble
    }

    async fn act(&mut self, action: Action) {
        let subject = self.fault.target.subject();
        let done = match &self.control {
            Some(control) => control.act(&subject, action).await.map_err(|error| error.to_string()),
            None => Err(format!("nothing here can {action} {subject}")),
        };
        match done {
            Ok(done) => self.recorder.record(What::Done { fault: self.index, note: done.note }),
            Err(reason) => self.trouble.push(reason),
        }
    }
}
