//! The history, read once: what became of each message, what each bot heard, what each instance says at the end. Checkers look here only.

use std::collections::BTreeMap;

use crate::{
    history::{Record, Source, What},
    plan::Plan,
    schedule::{Place, Schedule},
};

/// What a server hears as a store that fails may last this much longer than the fault: an operation that began before its end has to time
/// out first.
const STORE_SETTLES_US: u64 = 2_000_000;

/// A run to be judged.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The traffic.
    pub plan: &'a Plan,
    /// The faults.
    pub schedule: &'a Schedule,
    /// What became of each message, by number of the operation.
    pub ops: Vec<Op>,
    /// The rooms of conversations whose ids the server makes: that of the first message that was heard in each.
    conversations: BTreeMap<&'a str, &'a str>,
    /// What each bot heard, in the order of hearing.
    pub heard: Vec<Vec<Heard<'a>>>,
    /// When each bot was connected, in the order of time.
    pub spans: Vec<Vec<Span>>,
    /// When each bot came back and could not read all that it had missed.
    unread_us: Vec<Vec<u64>>,
    /// When each fault was in effect, by index into the schedule.
    pub faults: Vec<Span>,
    /// The last word of each instance about each room's history.
    pub stored: BTreeMap<(usize, usize), &'a [String]>,
    /// The last word of each instance about who is in each room.
    pub rosters: BTreeMap<(usize, usize), &'a [String]>,
}

/// One message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Op {
    /// When it was sent; `None`: never.
    pub invoked_us: Option<u64>,
    /// What its sender knows.
    pub outcome: Outcome,
}

/// What the sender of a message knows about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing, because nothing came back, or because it was not even sent.
    #[default]
    Unknown,
    /// It is done, since this time.
    Confirmed(u64),
    /// The server said no.
    Refused,
}

/// A message as a bot heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard<'a> {
    /// When.
    pub at_us: u64,
    /// In which room, as the server says.
    pub room: &'a str,
    /// What.
    pub text: &'a str,
    /// The operation that sent this text; `None`: nobody did.
    pub op: Option<usize>,
    /// How.
    pub source: Source,
}

/// A stretch of time; without an end while it lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// When it began; `None`: never.
    pub from_us: Option<u64>,
    /// When it ended; `None`: not in this run.
    pub to_us: Option<u64>,
}

impl Span {
    /// Whether this time lies in it.
    #[must_use]
    pub fn holds(&self, at_us: u64) -> bool {
        self.meets(at_us, at_us)
    }

    /// Whether it shares a moment with the time between these two.
    #[must_use]
    pub fn meets(&self, from_us: u64, to_us: u64) -> bool {
        self.from_us.is_some_and(|from| from <= to_us) && self.to_us.is_none_or(|to| from_us <= to)
    }
}

impl<'a> Facts<'a> {
    /// Reads a history.
    #[must_use]
    pub fn read(plan: &'a Plan, schedule: &'a Schedule, records: &'a [Record]) -> Self {
        let by_text = plan.sends.iter().enumerate().map(|(op, send)| (send.text.as_str(), op)).collect();
        let mut facts = Self {
            plan,
            schedule,
            ops: vec![Op::default(); plan.sends.len()],
            conversations: BTreeMap::new(),
            heard: vec![Vec::new(); plan.bots.len()],
            spans: vec![Vec::new(); plan.bots.len()],
            unread_us: vec![Vec::new(); plan.bots.len()],
            faults: vec![Span::default(); schedule.faults.len()],
            stored: BTreeMap::new(),
            rosters: BTreeMap::new(),
        };
        for record in records {
            facts.add(record, &by_text);
        }
        facts
    }

    fn add(&mut self, record: &'a Record, by_text: &BTreeMap<&'a str, usize>) {
        let at_us = record.at_us;
        match &record.what {
            What::Invoked { op } => self.ops[*op].invoked_us = Some(at_us),
            What::Confirmed { op } => self.ops[*op].outcome = Outcome::Confirmed(at_us),
            What::Refused { op, .. } => self.ops[*op].outcome = Outcome::Refused,
            What::Unknown { op, .. } => self.ops[*op].outcome = Outcome::Unknown,
            What::Delivered { bot, room, text, source } => {
                let op = by_text.get(text.as_str()).copied();
                let room = self.named(room, op);
                self.heard[*bot].push(Heard { at_us, room, text, op, source: *source });
            }
            What::Online { bot } => self.spans[*bot].push(Span { from_us: Some(at_us), to_us: None }),
            What::Unread { bot, .. } => self.unread_us[*bot].push(at_us),
            What::Offline { bot, .. } => {
                if let Some(span) = self.spans[*bot].last_mut().filter(|span| span.to_us.is_none()) {
                    span.to_us = Some(at_us);
                }
            }
            What::FaultBegan { fault } => self.faults[*fault].from_us = Some(at_us),
            What::FaultEnded { fault } => self.faults[*fault].to_us = Some(at_us),
            What::Healed | What::Done { .. } => {}
            What::Roster { instance, room, users } => {
                self.rosters.insert((*instance, *room), users);
            }
            What::Stored { instance, room, texts } => {
                self.stored.insert((*instance, *room), texts);
            }
        }
    }

    /// The plan's name of where something was heard.
    fn named(&mut self, room: &'a str, op: Option<usize>) -> &'a str {
        let plan = self.plan;
        match op {
            Some(op) if plan.promises.addresses_users() => {
                self.conversations.entry(room).or_insert(plan.rooms[plan.sends[op].room].as_str())
            }
            Some(_) | None => room,
        }
    }

    /// Whether a bot was connected from one time to another, without a gap.
    #[must_use]
    pub fn stayed(&self, bot: usize, from_us: u64, to_us: u64) -> bool {
        let covers =
            |span: &Span| span.from_us.is_some_and(|from| from <= from_us) && span.to_us.is_none_or(|to| to >= to_us);
        self.spans[bot].iter().any(covers)
    }

    /// Whether anything was wrong between these times, or shortly before.
    #[must_use]
    pub fn troubled(&self, from_us: u64, to_us: u64) -> bool {
        self.faults.iter().any(|span| settled(span).meets(from_us, to_us))
    }

    /// The confirmed messages with their numbers.
    pub fn confirmed(&self) -> impl Iterator<Item = usize> {
        self.ops.iter().enumerate().filter(|(_, op)| matches!(op.outcome, Outcome::Confirmed(_))).map(|(op, _)| op)
    }

    /// Whether a backend had failed by the first return of this bot behind this time: the return is complete when its history was read.
    #[must_use]
    pub fn backend_failed_before_return(&self, bot: usize, from_us: u64) -> bool {
        let returned_us = self.spans[bot].iter().filter_map(|span| span.from_us).find(|at_us| *at_us > from_us);
        let began = |span: &Span| span.from_us.is_some_and(|from| returned_us.is_none_or(|returned| from <= returned));
        self.of_backends().any(began)
    }

    /// Whether this bot, when it first returned behind this time, could not read what it had missed, because a backend failed meanwhile.
    #[must_use]
    pub fn could_not_read(&self, bot: usize, from_us: u64) -> bool {
        let returns = self.spans[bot].windows(2).map(|spans| (spans[0].to_us, spans[1].from_us));
        let Some((Some(left_us), Some(back_us))) =
            returns.into_iter().find(|(_, back)| back.is_some_and(|back| back > from_us))
        else {
            return false;
        };
        let unread = self.unread_us[bot].iter().any(|at_us| (left_us..=back_us).contains(at_us));
        unread && self.of_backends().any(|span| settled(span).meets(left_us, back_us))
    }

    /// When each fault of a backend was in effect.
    fn of_backends(&self) -> impl Iterator<Item = &Span> {
        let all = self.schedule.faults.iter().zip(&self.faults);
        all.filter(|(fault, _)| matches!(fault.target, Place::Backend(_))).map(|(_, span)| span)
    }

    /// Whether the store failed at this time, as far as a server could tell.
    #[must_use]
    pub fn store_failed(&self, at_us: u64) -> bool {
        self.of_backends().any(|span| settled(span).holds(at_us))
    }

    /// Whether a bot was there when the run ended: it stayed, or it came back.
    #[must_use]
    pub fn is_there_at_the_end(&self, bot: usize) -> bool {
        self.spans[bot].last().is_some_and(|span| span.to_us.is_none())
    }

    /// A bot in the words of a finding.
    #[must_use]
    pub fn name(&self, bot: usize) -> String {
        let plan = &self.plan.bots[bot];
        format!("{} (at instance {})", plan.user, plan.instance)
    }

    /// A message in the words of a finding.
    #[must_use]
    pub fn message(&self, op: usize) -> String {
        let send = &self.plan.sends[op];
        format!("`{}` in {}", send.text, self.plan.rooms[send.room])
    }
}

/// The span of a fault until a server has noticed that it is over.
fn settled(span: &Span) -> Span {
    Span { from_us: span.from_us, to_us: span.to_us.map(|to| to.saturating_add(STORE_SETTLES_US)) }
}
