//! A goose user is one connection: it joins its room, sends at its intended times, and accounts for what it hears.
//!
//! A user's one transaction lasts for the whole run, in bounded steps: goose launches the users and keeps its own sampled figures,
//! but when something is sent is decided by the [`Plan`](crate::plan::Plan), never by an answer.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chatwright_client_sdk::{
    Bot, BotConfig, BotEvent, Identity, Reconnection,
    protocol::{
        dialects::{Confirmation, Dialect},
        vocabulary::{Audience, Message, UserId},
    },
};
use goose::prelude::{GooseUser, TransactionResult};
use tokio::{sync::watch, time::Instant};

use crate::{
    latency::{Recorder, Series},
    ledger::{Delivery, Ledger, Stamp},
    plan::{ConnectionIndex, Plan},
    returns::Fates,
};

/// The longest wait of a user before it looks whether the run is over.
const STEP: Duration = Duration::from_millis(250);
/// Connections from one local address: it has some 28,000 ports, and others need some too.
const CONNECTIONS_PER_ADDRESS: u32 = 20_000;
/// How long a user waits for its connection and for its room.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// Makes the identity of a user, given its id.
pub(crate) type Identities = dyn Fn(&str) -> Identity + Send + Sync;

/// What all users of a run share.
pub(crate) struct Stage {
    pub(crate) dialect: &'static Dialect,
    /// What confirms a message.
    pub(crate) confirmation: Confirmation,
    pub(crate) plan: Plan,
    pub(crate) run: u32,
    /// Base URLs of the instances; connections take them in turn.
    pub(crate) urls: Vec<String>,
    /// Base URLs of the listeners that tell histories, in the same order; `None`: the same.
    pub(crate) rest_urls: Vec<Option<String>>,
    pub(crate) identities: Box<Identities>,
    pub(crate) message_bytes: usize,
    /// How long after the last send deliveries still count as late, not as lost.
    pub(crate) drain: Duration,
    pub(crate) recorder: Recorder,
    /// Users that stand or have failed.
    pub(crate) settled: AtomicU32,
    /// When the measurement begins; `None` until everybody has settled.
    pub(crate) start: watch::Receiver<Option<Instant>>,
    pub(crate) accounts: Mutex<Vec<Account>>,
    /// Connections are cut, and come back by themselves.
    pub(crate) cuts: bool,
    /// What its sender cannot know to be taken, by its number; as many as messages at most.
    pub(crate) unconfirmed: Mutex<BTreeSet<(ConnectionIndex, u32)>>,
}

/// What became of one connection.
pub(crate) struct Account {
    pub(crate) connection: ConnectionIndex,
    pub(crate) sent: u32,
    pub(crate) ledger: Ledger,
    /// What became of what it sent, where connections are cut.
    pub(crate) fates: Fates,
    /// The first thing that went wrong with it, if anything.
    pub(crate) trouble: Option<String>,
    /// Whether it stood when the measurement began.
    pub(crate) connected: bool,
}

/// The one transaction of a user.
pub(crate) async fn live(user: &mut GooseUser, stage: Arc<Stage>) -> TransactionResult {
    let connection = ConnectionIndex(u32::try_from(user.weighted_users_index).unwrap_or(u32::MAX));
    if stage.is_closed(connection) {
        // The engine calls again until the run is over.
        tokio::time::sleep(STEP).await;
        return Ok(());
    }
    let mut account = stage.open_account(connection);
    let entered = stage.enter(connection).await;
    stage.settled.fetch_add(1, Ordering::AcqRel);
    match entered {
        Ok((bot, room)) => {
            account.connected = true;
            let mut seat = Seat { stage: &stage, bot, room, account: &mut account, heard: false };
            seat.sit(user).await?;
        }
        Err(trouble) => account.trouble = Some(trouble),
    }
    stage.accounts.lock().unwrap_or_else(PoisonError::into_inner).push(account);
    Ok(())
}

impl Stage {
    /// How many accounts are closed.
    pub(crate) fn closed(&self) -> usize {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What its sender cannot know to be taken.
    pub(crate) fn unconfirmed(&self) -> MutexGuard<'_, BTreeSet<(ConnectionIndex, u32)>> {
        self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self, connection: ConnectionIndex) -> bool {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.iter().any(|account| account.connection == connection)
    }

    fn open_account(&self, connection: ConnectionIndex) -> Account {
        let members = self.plan.members_of(self.plan.room_of(connection));
        // Who is not confirmed by it need not hear what he said himself.
        let heard = |sender: &ConnectionIndex| *sender != connection || self.confirmation == Confirmation::Echo;
        let senders = members.map(ConnectionIndex).filter(heard).map(|sender| (sender, self.plan.sends_of(sender)));
        let ledger = Ledger::new(self.run, senders);
        Account { connection, sent: 0, ledger, fates: Fates::default(), trouble: None, connected: false }
    }

    fn user(&self, connection: ConnectionIndex) -> String {
        format!("load-{:08x}-{}", self.run, connection.0)
    }

    async fn enter(&self, connection: ConnectionIndex) -> Result<(Bot, Audience), String> {
        let began = Instant::now();
        let instance = connection.0 as usize % self.urls.len();
        let url = &self.urls[instance];
        let mut config = BotConfig::new(self.dialect, url);
        config.rest_url.clone_from(&self.rest_urls[instance]);
        config.socket.connect_timeout = CONNECT_WITHIN;
        config.socket.local_address = local_address(url, connection);
        // Unless it is cut on purpose, a connection that is lost stays lost: what it misses is the finding.
        config.socket.reconnection = self.cuts.then(Reconnection::default);
        config.socket.seed = u64::from(self.run) << 32 | u64::from(connection.0);
        config.answer_timeout = CONNECT_WITHIN;
        config.confirmation = Some(self.confirmation);
        let identity = (self.identities)(&self.user(connection));
        let mut bot =
            Bot::connect_with(self.dialect, identity, config).await.map_err(|problem| format!("connect: {problem}"))?;
        let connected = Instant::now();
        let number = self.plan.room_of(connection);
        let others = self.plan.members_of(number).map(ConnectionIndex).filter(|other| *other != connection);
        let others: Vec<UserId> = others.map(|other| UserId::from(self.user(other))).collect();
        let room = format!("load-{:08x}-{number}", self.run);
        let room = bot.meet(room, &others).await.map_err(|problem| format!("join: {problem}"))?;
        let timings = bot.timings();
        for (series, took) in [
            (Series::Tcp, timings.tcp),
            (Series::Http, timings.http),
            (Series::Open, timings.open),
            (Series::Connect, connected - began),
        ] {
            self.recorder.record(connection.0, series, Duration::ZERO, took);
        }
        self.recorder.record(connection.0, Series::Join, Duration::ZERO, connected.elapsed());
        Ok((bot, room))
    }

    /// When the measurement begins; `None` when the run is given up before.
    async fn begin(&self) -> Option<Instant> {
        let mut start = self.start.clone();
        while !goose::is_killswitch_triggered() {
            if let Some(at) = *start.borrow_and_update() {
                return Some(at);
            }
            if let Ok(Err(_)) = tokio::time::timeout(STEP, start.changed()).await {
                return None;
            }
        }
        None
    }
}

/// Where the connection comes from: one loopback address has ports for so many connections only.
fn local_address(url: &str, connection: ConnectionIndex) -> Option<IpAddr> {
    let number = u8::try_from(connection.0 / CONNECTIONS_PER_ADDRESS).ok().filter(|number| *number > 0)?;
    let last = number.checked_add(1)?;
    url.contains("://127.").then(|| IpAddr::from([127, 0, 0, last]))
}

/// A user in its room.
struct Seat<'a> {
    stage: &'a Stage,
    bot: Bot,
    room: Audience,
    account: &'a mut Account,
    /// Whether it has heard a message.
    heard: bool,
}

impl Seat<'_> {
    async fn sit(&mut self, user: &mut GooseUser) -> TransactionResult {
        let Some(start) = self.wait_for_start().await else { return Ok(()) };
        let end = start + self.stage.plan.duration;
        let close = end + self.stage.drain;
        let mut tick = Tick::default();
        while !goose::is_killswitch_triggered() && Instant::now() < close {
            let due = self.stage.plan.intended(self.account.connection, self.account.sent).map(|at| start + at);
            let wake = due.unwrap_or(close).min(Instant::now() + STEP).min(close);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(wake) => self.send_what_is_due(start, &mut tick),
                event = self.bot.next_event() => match event {
                    Some(event) => self.hear(&event, start, &mut tick),
                    None if self.stage.cuts => self.try_again().await,
                    None => {
                        self.account.trouble.get_or_insert_with(|| "the connection was lost".to_owned());
                        break;
                    }
                },
            }
            tick.report(user).await?;
            if due.is_none() && self.is_complete() {
                break;
            }
        }
        let connection = self.account.connection;
        let unknown = self.account.fates.give_up();
        self.stage.unconfirmed().extend(unknown.into_iter().map(|number| (connection, number)));
        // Whoever leaves first would be missed by the others as a member: nobody leaves before the end.
        self.stay_until(end).await;
        Ok(())
    }

    /// Whether nothing more can come of what was sent.
    fn is_complete(&self) -> bool {
        self.account.fates.are_known() && self.account.ledger.is_complete_but(self.stage.unconfirmed().iter().copied())
    }

    /// The server ended the connection or did not let it in again: some other time it may.
    async fn try_again(&mut self) {
        tokio::time::sleep(STEP).await;
        self.bot.reconnect();
    }

    async fn wait_for_start(&mut self) -> Option<Instant> {
        loop {
            tokio::select! {
                start = self.stage.begin() => return start,
                event = self.bot.next_event() => if event.is_none() {
                    self.account.trouble.get_or_insert_with(|| "the connection was lost before the start".to_owned());
                    self.account.connected = false;
                    return None;
                },
            }
        }
    }

    async fn stay_until(&mut self, end: Instant) {
        while !goose::is_killswitch_triggered() && Instant::now() < end {
            let wake = (Instant::now() + STEP).min(end);
            if let Ok(None) = tokio::time::timeout_at(wake, self.bot.next_event()).await {
                break;
            }
        }
    }

    /// Sends every message whose time has come: after a pause several, each with its own intended time.
    fn send_what_is_due(&mut self, start: Instant, tick: &mut Tick) {
        let connection = self.account.connection;
        while let Some(intended) = self.stage.plan.intended(connection, self.account.sent) {
            let now = Instant::now();
            if start + intended > now {
                break;
            }
            let intended_us = u64::try_from(intended.as_micros()).unwrap_or(u64::MAX);
            let stamp = Stamp { run: self.stage.run, sender: connection, number: self.account.sent, intended_us };
            match self.bot.post_to(&self.room, &stamp.to_text(self.stage.message_bytes)) {
                Ok(ticket) if self.stage.cuts => self.account.fates.sent(ticket, self.account.sent),
                Ok(_) => {}
                Err(problem) => {
                    self.account.trouble.get_or_insert_with(|| format!("send: {problem}"));
                    break;
                }
            }
            self.account.sent += 1;
            let lag = now - (start + intended);
            self.stage.recorder.record(connection.0, Series::SendLag, intended, lag);
            tick.send = Some(lag);
        }
    }

    fn hear_message(&mut self, message: &Message, missed: bool, start: Instant, tick: &mut Tick) {
        let Some(stamp) = Stamp::of_text(&message.text) else { return };
        if stamp.sender == self.account.connection && self.stage.confirmation != Confirmation::Echo {
            return;
        }
        let since = start.elapsed();
        match self.account.ledger.enter(stamp) {
            Delivery::First | Delivery::OutOfOrder => {
                let latency = since.saturating_sub(Duration::from_micros(stamp.intended_us));
                if missed {
                    self.account.fates.sums.caught_up += 1;
                    self.stage.recorder.record(self.account.connection.0, Series::CatchUp, since, latency);
                    return;
                }
                self.stage.recorder.record(self.account.connection.0, Series::Deliver, since, latency);
                self.account.ledger.took(latency);
                if !std::mem::replace(&mut self.heard, true) {
                    self.stage.recorder.record(self.account.connection.0, Series::FirstMessage, since, since);
                }
                tick.deliver = Some(latency);
            }
            Delivery::Duplicate | Delivery::Leaked | Delivery::Foreign => {}
        }
    }

    fn hear(&mut self, event: &BotEvent, start: Instant, tick: &mut Tick) {
        match event {
            BotEvent::Message { message, missed } => self.hear_message(message, *missed, start, tick),
            BotEvent::Confirmed { ticket, .. } => self.account.fates.confirmed(*ticket),
            BotEvent::Failed { ticket, error } if self.stage.cuts => {
                if let Some(number) = self.account.fates.failed(*ticket, error) {
                    self.stage.unconfirmed().insert((self.account.connection, number));
                }
            }
            BotEvent::Disconnected { .. } => self.account.fates.away_since = Some(Instant::now()),
            BotEvent::Reconnected { gaps, .. } => self.come_back(gaps.is_empty(), start),
            BotEvent::Failed { error, .. } => {
                self.account.trouble.get_or_insert_with(|| format!("send: {error}"));
            }
            BotEvent::Refused { reason } => {
                self.account.trouble.get_or_insert_with(|| format!("refused: {reason}"));
            }
            BotEvent::Stranded { reason } => {
                self.account.trouble.get_or_insert_with(|| format!("connection lost: {reason}"));
            }
            BotEvent::Entered(_)
            | BotEvent::NotEntered { .. }
            | BotEvent::Joined { .. }
            | BotEvent::Left { .. }
            | BotEvent::Typing { .. }
            | BotEvent::Returned { .. }
            | BotEvent::Members { .. }
            | BotEvent::Read { .. }
            | BotEvent::ChatOpened { .. }
            | BotEvent::ChatClosed { .. }
            | BotEvent::Presence { .. }
            | BotEvent::Stopping
            | BotEvent::Unreadable(_) => {}
        }
    }

    fn come_back(&mut self, whole: bool, start: Instant) {
        let fates = &mut self.account.fates;
        fates.sums.returns += 1;
        fates.sums.gaps += u64::from(!whole);
        if let Some(away) = fates.away_since.take() {
            self.stage.recorder.record(self.account.connection.0, Series::Return, start.elapsed(), away.elapsed());
        }
    }
}

/// What goose is told: a sample a tick, because telling it each delivery would cost more than the delivery.
#[derive(Default)]
struct Tick {
    told: Option<Instant>,
    send: Option<Duration>,
    deliver: Option<Duration>,
}

impl Tick {
    async fn report(&mut self, user: &mut GooseUser) -> TransactionResult {
        if self.told.is_some_and(|told| told.elapsed() < STEP) {
            return Ok(());
        }
        self.told = Some(Instant::now());
        for (name, sample) in [("send lag", self.send.take()), ("deliver (sampled)", self.deliver.take())] {
            if let Some(sample) = sample {
                user.record_custom_request_duration("WS", name, sample, true, None, None).await?;
            }
        }
        Ok(())
    }
}
