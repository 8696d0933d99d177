//! Histories written for tests: one in which everything held, and one edit for each way to break a promise.

use chatwright_client_sdk::protocol::dialects::rooms;
use chatwright_conformance::target::{BackendName, RowOverrides};

use super::{Checked, check, coverage};
use crate::{
    facts::Facts,
    history::{Record, Source, What},
    plan::Plan,
    promises::Promises,
    schedule::{Fault, FaultKind, Place, Schedule},
};

/// Every message takes this long from one record to the next.
const STEP_US: u64 = 100;

/// A run of two instances that never ran.
pub(crate) struct Story {
    pub(crate) plan: Plan,
    pub(crate) schedule: Schedule,
    pub(crate) records: Vec<Record>,
}

impl Story {
    /// Everybody is there throughout, every message is confirmed and heard at once, and the end is as it should be. Without faults.
    pub(crate) fn good() -> Self {
        let mut schedule =
            Schedule::draw(1, 2, 6, &std::collections::BTreeSet::from([BackendName::Redis])).expect("in bounds");
        schedule.faults.clear();
        let promises = Promises::of(&rooms::DIALECT, &RowOverrides::default());
        let plan = Plan::draw(&schedule, 1_000, promises);
        let mut records = Vec::new();
        for bot in 0..plan.bots.len() {
            records.push(Record { at_us: 0, what: What::Online { bot } });
        }
        for (op, send) in plan.sends.iter().enumerate() {
            let mut at_us = send.at_ms * 1_000;
            let mut push = |what| {
                at_us += STEP_US;
                records.push(Record { at_us, what });
            };
            push(What::Invoked { op });
            let room = &plan.rooms[send.room];
            for bot in plan.members(send.room) {
                push(What::Delivered { bot, room: room.clone(), text: send.text.clone(), source: Source::Live });
            }
            push(What::Confirmed { op });
        }
        let mut story = Self { plan, schedule, records };
        story.append(What::Healed);
        story.end();
        story
    }

    fn end(&mut self) {
        for instance in 1..=self.schedule.instances {
            for room in 0..self.plan.rooms.len() {
                let mut users: Vec<String> =
                    self.plan.members(room).map(|bot| self.plan.bots[bot].user.clone()).collect();
                users.sort_unstable();
                let of_room = self.plan.sends.iter().filter(|send| send.room == room);
                let texts = of_room.map(|send| send.text.clone()).collect();
                self.append(What::Roster { instance, room, users });
                self.append(What::Stored { instance, room, texts });
            }
        }
    }

    pub(crate) fn check(&self) -> Vec<Checked> {
        check(&Facts::read(&self.plan, &self.schedule, &self.records))
    }

    /// Names of the promises that are broken.
    pub(crate) fn broken(&self) -> Vec<&'static str> {
        self.check().into_iter().filter(|checked| checked.broken > 0).map(|checked| checked.name).collect()
    }

    pub(crate) fn missed(&self) -> Vec<String> {
        coverage::missed(&Facts::read(&self.plan, &self.schedule, &self.records))
    }

    pub(crate) fn append(&mut self, what: What) {
        let at_us = self.records.last().map_or(0, |record| record.at_us) + STEP_US;
        self.records.push(Record { at_us, what });
    }

    /// The `nth` member of the room of a message hears nothing of it.
    pub(crate) fn forget_delivery(&mut self, op: usize, nth: usize) {
        let index = self.delivery(op, nth);
        self.records.remove(index);
    }

    /// A bot hears nothing at all.
    pub(crate) fn deafen(&mut self, deaf: usize) {
        self.records.retain(|record| !matches!(record.what, What::Delivered { bot, .. } if bot == deaf));
    }

    pub(crate) fn unconfirm(&mut self, unconfirmed: usize) {
        for record in &mut self.records {
            if record.what == (What::Confirmed { op: unconfirmed }) {
                record.what = What::Unknown { op: unconfirmed, reason: "no answer".to_owned() };
            }
        }
    }

    /// A bot is off-line while these messages are sent, and hears them when it is back in this way, or never.
    pub(crate) fn away(&mut self, bot: usize, first: usize, last: usize, caught_up: Option<Source>) {
        let is_missed = |what: &What| {
            (first..=last).any(|op| matches!(what, What::Delivered { bot: heard, text, .. } if *heard == bot && *text == self.plan.sends[op].text))
        };
        let (missed, mut kept): (Vec<Record>, Vec<Record>) =
            self.records.drain(..).partition(|record| is_missed(&record.what));
        assert!(!missed.is_empty(), "bot {bot} is a member of none of these rooms");
        let begin = position(&kept, &What::Invoked { op: first });
        let at_us = kept[begin].at_us;
        kept.insert(begin, Record { at_us, what: What::Offline { bot, reason: "transport closed".to_owned() } });
        let end = position(&kept, &What::Confirmed { op: last });
        let at_us = kept[end].at_us;
        let mut back = vec![Record { at_us, what: What::Online { bot } }];
        if let Some(way) = caught_up {
            back.extend(missed.into_iter().map(|mut record| {
                if let What::Delivered { source, .. } = &mut record.what {
                    *source = way;
                }
                Record { at_us, ..record }
            }));
        }
        kept.splice(end + 1..end + 1, back);
        self.records = kept;
    }

    /// When this bot came back, it could not read what it had missed.
    pub(crate) fn could_not_read(&mut self, bot: usize) {
        let back = self.records.iter().rposition(|record| record.what == (What::Online { bot })).expect("it came back");
        let at_us = self.records[back].at_us;
        self.records.insert(back, Record { at_us, what: What::Unread { bot, rooms: vec!["somewhere".to_owned()] } });
    }

    /// Instance 1 is killed while these messages are sent.
    pub(crate) fn fault_during(&mut self, first: usize, last: usize) {
        self.add_fault(first, last, Place::Instance(1), FaultKind::Kill);
    }

    /// Redis stands still while these messages are sent.
    pub(crate) fn store_fails_during(&mut self, first: usize, last: usize) {
        self.add_fault(first, last, Place::Backend(BackendName::Redis), FaultKind::Pause);
    }

    fn add_fault(&mut self, first: usize, last: usize, target: Place, kind: FaultKind) {
        let fault = self.schedule.faults.len();
        let from = position(&self.records, &What::Invoked { op: first });
        let from_us = self.records[from].at_us;
        self.records.insert(from, Record { at_us: from_us, what: What::FaultBegan { fault } });
        let to = position(&self.records, &What::Confirmed { op: last });
        let to_us = self.records[to].at_us;
        self.records.insert(to + 1, Record { at_us: to_us, what: What::FaultEnded { fault } });
        let (at_ms, for_ms) = (from_us / 1_000, (to_us - from_us) / 1_000);
        self.schedule.faults.push(Fault { at_ms, target, fault: kind, for_ms });
    }

    pub(crate) fn fault_after_the_traffic(&mut self) {
        self.append(What::FaultBegan { fault: 0 });
        self.append(What::FaultEnded { fault: 0 });
        self.schedule.faults.push(Fault {
            at_ms: 5_999,
            target: Place::Instance(1),
            fault: FaultKind::Kill,
            for_ms: 0,
        });
    }

    pub(crate) fn hear_again(&mut self, op: usize, bot: usize, source: Source) {
        let send = &self.plan.sends[op];
        let heard = What::Delivered { bot, room: self.plan.rooms[send.room].clone(), text: send.text.clone(), source };
        self.append(heard);
    }

    /// The first delivery of a message happens at the very beginning.
    pub(crate) fn hear_early(&mut self, op: usize) {
        let index = self.delivery(op, 0);
        let mut record = self.records.remove(index);
        record.at_us = 0;
        self.records.insert(self.plan.bots.len(), record);
    }

    pub(crate) fn rename_room_of_delivery(&mut self, op: usize) {
        let index = self.delivery(op, 0);
        if let What::Delivered { room, .. } = &mut self.records[index].what {
            *room = "elsewhere".to_owned();
        }
    }

    pub(crate) fn outsider_of(&self, op: usize) -> usize {
        let room = self.plan.sends[op].room;
        (0..self.plan.bots.len())
            .find(|bot| self.plan.members(room).all(|member| member != *bot))
            .expect("each room has outsiders")
    }

    /// The first two messages of one sender in one room.
    pub(crate) fn two_of_one_sender(&self) -> (usize, usize) {
        self.two(|first, second| first == second)
    }

    /// The first two messages of two senders in one room that follow each other there.
    pub(crate) fn two_of_two_senders(&self) -> (usize, usize) {
        let (first, second) = self.two(|first, second| first != second);
        let between = (first + 1..second).find(|op| self.plan.sends[*op].room == self.plan.sends[first].room);
        assert_eq!(between, None, "the two stand side by side");
        (first, second)
    }

    fn two(&self, wanted: impl Fn(usize, usize) -> bool) -> (usize, usize) {
        let sends = &self.plan.sends;
        let pairs = (0..sends.len()).flat_map(|second| (0..second).rev().map(move |first| (first, second)));
        let mut fitting = pairs.filter(|(first, second)| {
            sends[*first].room == sends[*second].room && wanted(sends[*first].bot, sends[*second].bot)
        });
        fitting.next().expect("the plan has such a pair")
    }

    /// The `nth` member hears two messages of a room the other way round.
    pub(crate) fn swap_deliveries(&mut self, first: usize, second: usize, nth: usize) {
        let (earlier, later) = (self.delivery(first, nth), self.delivery(second, nth));
        let mut record = self.records.remove(earlier);
        record.at_us = self.records[later - 1].at_us;
        self.records.insert(later, record);
    }

    pub(crate) fn edit_histories(&mut self, edit: impl Fn(usize, &mut Vec<String>)) {
        for record in &mut self.records {
            if let What::Stored { instance, texts, .. } = &mut record.what {
                edit(*instance, texts);
            }
        }
    }

    pub(crate) fn edit_rosters(&mut self, edit: impl Fn(usize, &mut Vec<String>)) {
        for record in &mut self.records {
            if let What::Roster { instance, users, .. } = &mut record.what {
                edit(*instance, users);
            }
        }
    }

    /// A bot goes for good when everything has been said.
    pub(crate) fn quits(&mut self, bot: usize) {
        self.plan.bots[bot].quits_ms = Some(self.schedule.seconds * 1_000);
        self.append(What::Offline { bot, reason: "quits".to_owned() });
    }

    pub(crate) fn silence_instance(&mut self, silent: usize) {
        self.records.retain(|record| !matches!(record.what, What::Roster { instance, .. } | What::Stored { instance, .. } if instance == silent));
    }

    /// Index of the record by which the `nth` member hears a message.
    fn delivery(&self, op: usize, nth: usize) -> usize {
        let member = self.plan.members(self.plan.sends[op].room).nth(nth).expect("the room has more members");
        let wanted = &self.plan.sends[op].text;
        let is_it = |record: &Record| matches!(&record.what, What::Delivered { bot, text, .. } if *bot == member && text == wanted);
        self.records.iter().position(is_it).expect("it was delivered")
    }
}

fn position(records: &[Record], what: &What) -> usize {
    records.iter().position(|record| record.what == *what).expect("the history has it")
}

impl Story {
    /// The run as it is handed to the judge.
    pub(crate) fn evidence(self, trouble: &[&str]) -> crate::report::Evidence {
        crate::report::Evidence {
            target: "a story".to_owned(),
            backends: vec!["redis: none".to_owned()],
            replay: "chatwright sim --seed 1".to_owned(),
            schedule: self.schedule,
            plan: self.plan,
            records: self.records,
            trouble: trouble.iter().map(|&reason| reason.to_owned()).collect(),
            elapsed: std::time::Duration::from_secs(6),
        }
    }
}
