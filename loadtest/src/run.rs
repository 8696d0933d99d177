//! A run from its configuration to its report: launches goose, gives the start, collects the accounts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chatwright_client_sdk::{
    Identity,
    protocol::dialects::{self, Addressing, CatchUp, Confirmation, Dialect},
};
use chatwright_conformance::{
    target::{self, Instance, Target},
    tokens::User,
};
use goose::{
    GooseAttack,
    client::GooseClientBuilder,
    config::GooseConfiguration,
    goose::{Scenario, Transaction, TransactionFunction},
};
use nix::sys::resource::{UsageWho, getrusage};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::{sync::watch, time::Instant};

use crate::{
    latency::Recorder,
    ledger::Counts,
    plan::Plan,
    report::Report,
    requirement::Requirement,
    returns::Returns,
    scenario::{Account, Identities, Stage, live},
    usage::{self, Usage},
    verdict::{Figures, judge},
    wire::{Cuts, Wire},
};

/// Connections opened a second: fast, and still no stampede that the accept queue of a small server would refuse.
const LAUNCH_RATE: usize = 250;
/// After this a run begins with those who stand, beyond what launching itself takes.
const SETTLE_WITHIN: Duration = Duration::from_secs(25);
/// From the signal to the first intended send: everybody has heard it by then.
const START_DELAY: Duration = Duration::from_millis(200);
/// How long after the last send deliveries still count.
const DRAIN: Duration = Duration::from_secs(5);
/// The same where connections are cut: who lost his just before may wait for seconds before he tries again, and a history may lag.
const DRAIN_AFTER_CUTS: Duration = Duration::from_secs(30);
/// What a run may take beyond all that is planned.
const SLACK: Duration = Duration::from_secs(60);
/// How often the waiting coordinator looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A run to be made.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who sits where and who sends when.
    pub plan: Plan,
    /// Bytes of each message's text.
    pub message_bytes: usize,
    /// What must hold.
    pub requirements: Vec<Requirement>,
    /// Of every random choice.
    pub seed: u64,
    /// The command that makes this run again.
    pub replay: String,
    /// How often all connections are cut; they come back by themselves and read what they missed.
    pub cut_every: Option<Duration>,
}

/// How far a run has come. Its text is a line for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many connections have settled.
    Connecting {
        /// Stand or failed.
        settled: u32,
        /// All.
        of: u32,
    },
    /// Messages are being sent.
    Measuring {
        /// For how long.
        seconds: u64,
    },
    /// What is on its way is waited for.
    Draining,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connecting { settled, of } => write!(f, "connecting: {settled} of {of}"),
            Self::Measuring { seconds } => write!(f, "measuring for {seconds} s"),
            Self::Draining => f.write_str("waiting for what is on its way"),
        }
    }
}

/// Hears how a run goes on.
pub trait Observer: Send + Sync {
    /// The run has come this far.
    fn progress(&self, progress: &Progress);
}

/// Why a run did not come about. Never a finding about the target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Correct what was asked for.
    #[error("{0}")]
    Use(String),
    /// The load engine did not do its part: report it.
    #[error("the load engine failed: {0}")]
    Engine(String),
}

/// Makes a run and judges it. One at a time in a process: the engine's stop switch is global.
///
/// # Errors
/// [`Error`].
pub async fn run(mut config: Config, target: &Target, observer: Arc<dyn Observer>) -> Result<Report, Error> {
    let dialect = dialects::by_name(&target.dialect)
        .ok_or_else(|| Error::Use(format!("bots speak no dialect `{}`", target.dialect)))?;
    let (begin, start) = watch::channel(None);
    if dialect.capabilities.addressing == Addressing::OneUser {
        // A conversation has two ends.
        config.plan.room_size = config.plan.room_size.min(2);
    }
    let mut urls: Vec<String> = target.instances().iter().map(|instance| instance.main().to_owned()).collect();
    let wires = match config.cut_every {
        None => Vec::new(),
        Some(_) if !catches_up(dialect, target) => {
            return Err(Error::Use(format!("{}: nobody catches up with what he missed: no cuts", target.origin)));
        }
        Some(_) => Wire::before(&mut urls, config.plan.connections)
            .await
            .map_err(|problem| Error::Use(format!("{}: {problem}", target.origin)))?,
    };
    let plan = config.plan;
    let drain = if wires.is_empty() { DRAIN } else { DRAIN_AFTER_CUTS };
    let stage = Arc::new(Stage {
        dialect,
        confirmation: confirmation(dialect, target),
        plan,
        run: ChaCha8Rng::seed_from_u64(config.seed).random(),
        urls,
        rest_urls: target.instances().iter().map(|instance| history_url(dialect, instance)).collect(),
        identities: identities(target)?,
        message_bytes: config.message_bytes,
        drain,
        recorder: Recorder::new(plan.duration + drain),
        settled: AtomicU32::new(0),
        start,
        accounts: Mutex::default(),
        cuts: config.cut_every.is_some(),
        unconfirmed: Mutex::default(),
    });
    let groups = target.process_groups();
    let cuts = Cuts::new(config.cut_every, wires);
    let coordinator = tokio::spawn(coordinate(Arc::clone(&stage), begin, observer, groups, cuts));
    if let Err(problem) = launch(&stage)?.execute().await {
        coordinator.abort();
        return Err(Error::Engine(format!("{problem}: {problem:?}")));
    }
    let timing = coordinator.await.map_err(|problem| Error::Engine(problem.to_string()))?;
    let accounts = std::mem::take(&mut *stage.accounts.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(conclude(config, target, &stage, accounts, timing))
}

/// What confirms a message.
fn confirmation(dialect: &Dialect, target: &Target) -> Confirmation {
    match target.behaviour.confirm {
        None => dialect.capabilities.confirmation,
        Some(target::Confirm::Echo) => Confirmation::Echo,
        Some(target::Confirm::Event) => Confirmation::Event,
        Some(target::Confirm::Ack) => Confirmation::Ack,
        Some(target::Confirm::None) => Confirmation::None,
    }
}

/// Whether who was away can read what he missed.
fn catches_up(dialect: &Dialect, target: &Target) -> bool {
    match target.behaviour.catch_up {
        None => dialect.capabilities.catch_up == CatchUp::History,
        Some(target::CatchUp::History | target::CatchUp::Extension) => true,
        Some(target::CatchUp::LiveOnly) => false,
    }
}

/// Where this instance tells histories, if it is another address than that of its sockets.
fn history_url(dialect: &Dialect, instance: &Instance) -> Option<String> {
    dialect.client.history.and_then(|route| instance.listener(route.listener)).map(str::to_owned)
}

/// How users prove who they are.
fn identities(target: &Target) -> Result<Box<Identities>, Error> {
    match (&target.tokens, target.identity) {
        (Some(tokens), _) => {
            let tokens = tokens.clone();
            Ok(Box::new(move |id| Identity::token(id, tokens.valid(&User { id: id.to_owned(), name: id.to_owned() }))))
        }
        (None, target::Identity::Open) => Ok(Box::new(|id| Identity::open(id, id))),
        (None, target::Identity::Token) => Err(Error::Use(format!(
            "{}: nobody can make tokens for its users; give --secret, or [auth] in its target file",
            target.origin
        ))),
    }
}

fn launch(stage: &Arc<Stage>) -> Result<GooseAttack, Error> {
    let engine = |problem: goose::GooseError| Error::Engine(problem.to_string());
    let users = stage.plan.connections as usize;
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(stage.urls[0].clone());
    configuration.users = Some(users);
    configuration.increase_rate = Some(LAUNCH_RATE.min(users).to_string());
    // Longer than any run: the coordinator ends it once every account is closed.
    configuration.run_time = Some(bound(&stage.plan, stage.drain).as_secs().to_string());
    configuration.quiet = 2;
    configuration.no_print_metrics = true;
    configuration.no_telnet = true;
    let acted = Arc::clone(stage);
    let transaction: TransactionFunction = Arc::new(move |user| {
        let stage = Arc::clone(&acted);
        Box::pin(live(user, stage))
    });
    let scenario =
        Scenario::new(stage.dialect.name).register_transaction(Transaction::new(transaction).set_name("live"));
    // One HTTP client for all users: they speak WebSocket, and a client each would cost a hundred kilobytes.
    let client = GooseClientBuilder::new().without_cookies();
    let attack = GooseAttack::initialize_with_config(configuration)
        .and_then(|attack| attack.set_client_builder_without_cookies(client))
        .map_err(engine)?;
    Ok(attack.register_scenario(scenario))
}

/// Real times and use of a measurement.
#[derive(Debug, Clone, Copy, Default)]
struct Timing {
    elapsed: Duration,
    generator_cpu: Option<f64>,
    target_usage: Option<Usage>,
    cuts: Returns,
}

/// Gives the start once everybody has settled, and watches the time.
async fn coordinate(
    stage: Arc<Stage>,
    begin: watch::Sender<Option<Instant>>,
    observer: Arc<dyn Observer>,
    groups: Vec<i32>,
    mut cuts: Cuts,
) -> Timing {
    let idle = usage::sample(&groups);
    let of = stage.plan.connections;
    let patience = Instant::now() + SETTLE_WITHIN + launching(&stage.plan);
    loop {
        let settled = stage.settled.load(Ordering::Acquire);
        observer.progress(&Progress::Connecting { settled, of });
        if settled >= of || Instant::now() >= patience || goose::is_killswitch_triggered() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let start = Instant::now() + START_DELAY;
    begin.send_replace(Some(start));
    let (used, target_before) = (cpu_time(), usage::sample(&groups));
    observer.progress(&Progress::Measuring { seconds: stage.plan.duration.as_secs() });
    let end = start + stage.plan.duration;
    while Instant::now() < end && !goose::is_killswitch_triggered() {
        tokio::time::sleep_until((Instant::now() + LOOK_EVERY).min(end)).await;
        cuts.make_due(start, end);
    }
    observer.progress(&Progress::Draining);
    let elapsed = start.elapsed();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let generator_cpu = used.zip(cpu_time()).map(|(before, after)| {
        (after.saturating_sub(before)).as_secs_f64() / (elapsed.as_secs_f64() * processors as f64)
    });
    let target_usage = idle.zip(target_before).zip(usage::sample(&groups)).map(|((idle, before), after)| Usage {
        cpu_seconds: after.cpu.saturating_sub(before.cpu).as_secs_f64(),
        resident_bytes_before: idle.resident_bytes,
        resident_bytes: after.resident_bytes,
    });
    let given_up = Instant::now() + stage.drain + START_DELAY + START_DELAY;
    while stage.closed() < of as usize && Instant::now() < given_up && !goose::is_killswitch_triggered() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    goose::trigger_killswitch("the measurement is over");
    Timing { elapsed, generator_cpu, target_usage, cuts: cuts.made() }
}

/// The longest that a run can take.
fn bound(plan: &Plan, drain: Duration) -> Duration {
    launching(plan) + SETTLE_WITHIN + plan.duration + drain + SLACK
}

fn launching(plan: &Plan) -> Duration {
    Duration::from_secs_f64(f64::from(plan.connections) / LAUNCH_RATE as f64)
}

/// User and system time of this process so far.
fn cpu_time() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).ok().map(Duration::from_micros)
    };
    Some(micros(usage.user_time())? + micros(usage.system_time())?)
}

fn conclude(config: Config, target: &Target, stage: &Stage, accounts: Vec<Account>, timing: Timing) -> Report {
    let sent_by: BTreeMap<_, _> = accounts.iter().map(|account| (account.connection, account.sent)).collect();
    let sent: u64 = sent_by.values().map(|sent| u64::from(*sent)).sum();
    let connections_made =
        u32::try_from(accounts.iter().filter(|account| account.connected).count()).unwrap_or(u32::MAX);
    let mut troubles: BTreeMap<String, u64> = BTreeMap::new();
    let (mut counts, mut returns) = (Counts::default(), timing.cuts);
    let unconfirmed = stage.unconfirmed();
    for account in accounts {
        returns.add(account.fates.sums);
        if let Some(trouble) = account.trouble {
            *troubles.entry(trouble).or_default() += 1;
        }
        if account.connected && account.fates.away_since.is_none() {
            let sent = |sender| sent_by.get(&sender).copied().unwrap_or(0);
            counts.add(account.ledger.close(sent, |sender, number| unconfirmed.contains(&(sender, number))));
        }
    }
    let measured = stage.recorder.collect();
    let plan = config.plan;
    let judgement = judge(
        &Figures {
            measured: &measured,
            counts,
            sent,
            connections_planned: plan.connections,
            connections_made,
            planned: plan.duration,
            elapsed: timing.elapsed,
            generator_cpu: timing.generator_cpu,
            returns: stage.cuts.then_some(returns),
        },
        &config.requirements,
        config.seed,
    );
    Report {
        target: target.name.clone(),
        dialect: target.dialect.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: config.seed,
        replay: config.replay,
        connections_planned: plan.connections,
        connections_made,
        room_size: plan.room_size,
        rate: plan.rate,
        sent,
        planned_seconds: plan.duration.as_secs_f64(),
        elapsed_seconds: timing.elapsed.as_secs_f64(),
        counts,
        measured,
        generator_cpu: timing.generator_cpu,
        target_usage: timing.target_usage,
        troubles,
        returns: stage.cuts.then_some(returns),
        requirements: config.requirements,
        judgement,
    }
}
