//! Every message x member is accounted for, in bounded memory: one bit per expected delivery.

use std::{collections::BTreeMap, time::Duration};

use crate::plan::ConnectionIndex;

/// A delivery that takes longer is late, whatever the requirements say: people have looked away.
const LATE_AFTER: Duration = Duration::from_secs(1);

/// What a load message says in its text, so that a receiver can account for it without knowing anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The run; messages of another run are not ours.
    pub run: u32,
    /// Who sent it.
    pub sender: ConnectionIndex,
    /// Its number among the sender's, from 0.
    pub number: u32,
    /// When it was meant to be sent, in microseconds after the start of the measurement.
    pub intended_us: u64,
}

impl Stamp {
    /// The text of the message, padded with dots to `bytes` (longer if the stamp needs it).
    #[must_use]
    pub fn to_text(self, bytes: usize) -> String {
        let mut text = format!("cw {:08x} {} {} {} ", self.run, self.sender.0, self.number, self.intended_us);
        while text.len() < bytes {
            text.push('.');
        }
        text
    }

    /// Reads the text of a message; `None` if it is no load message.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("cw ")?.split(' ');
        Some(Self {
            run: u32::from_str_radix(words.next()?, 16).ok()?,
            sender: ConnectionIndex(words.next()?.parse().ok()?),
            number: words.next()?.parse().ok()?,
            intended_us: words.next()?.parse().ok()?,
        })
    }
}

/// What a delivery was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The first time, after everything that its sender sent before and that arrived at all.
    First,
    /// The first time, but a later message of the same sender was here before.
    OutOfOrder,
    /// Again.
    Duplicate,
    /// For somebody else: its sender is not in this connection's room.
    Leaked,
    /// Not of this run.
    Foreign,
}

/// The account of one receiving connection.
#[derive(Debug, Clone)]
pub struct Ledger {
    run: u32,
    /// The sender's numbers that arrived, a bit each.
    seen: BTreeMap<ConnectionIndex, Seen>,
    counts: Counts,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    bits: Vec<u64>,
    expected: u32,
    highest: Option<u32>,
}

/// Sums of deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Message x member pairs that should have arrived. Filled in at the end.
    pub expected: u64,
    /// Arrived, each counted once.
    pub delivered: u64,
    /// Of those, arrived later than anybody waits: a second after the intended send.
    pub late: u64,
    /// Arrived once more.
    pub duplicated: u64,
    /// Arrived after a later one of the same sender.
    pub out_of_order: u64,
    /// Arrived, although their sender never learned that they were taken. Only where connections are cut.
    pub unconfirmed: u64,
    /// Arrived at somebody outside the room.
    pub leaked: u64,
    /// Expected and never arrived. Filled in at the end.
    pub lost: u64,
}

impl Counts {
    /// Adds another connection's account.
    pub fn add(&mut self, other: Self) {
        self.expected += other.expected;
        self.delivered += other.delivered;
        self.late += other.late;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.unconfirmed += other.unconfirmed;
        self.leaked += other.leaked;
        self.lost += other.lost;
    }
}

impl Ledger {
    /// An account for a connection that shares its room with these senders (itself among them, where the dialect echoes); each sends at most
    /// the number beside it.
    pub fn new(run: u32, senders: impl IntoIterator<Item = (ConnectionIndex, u32)>) -> Self {
        let seen = senders
            .into_iter()
            .map(|(sender, expected)| {
                (sender, Seen { bits: vec![0; expected.div_ceil(64) as usize], expected, highest: None })
            })
            .collect();
        Self { run, seen, counts: Counts::default() }
    }

    /// Enters a delivery.
    pub fn enter(&mut self, stamp: Stamp) -> Delivery {
        if stamp.run != self.run {
            return Delivery::Foreign;
        }
        let Some(seen) = self.seen.get_mut(&stamp.sender).filter(|seen| stamp.number < seen.expected) else {
            self.counts.leaked += 1;
            return Delivery::Leaked;
        };
        let (word, bit) = ((stamp.number / 64) as usize, 1_u64 << (stamp.number % 64));
        if seen.bits[word] & bit != 0 {
            self.counts.duplicated += 1;
            return Delivery::Duplicate;
        }
        seen.bits[word] |= bit;
        self.counts.delivered += 1;
        if seen.highest.is_some_and(|highest| stamp.number < highest) {
            self.counts.out_of_order += 1;
            return Delivery::OutOfOrder;
        }
        seen.highest = Some(stamp.number);
        Delivery::First
    }

    /// Whether everything that can be expected has arrived, given what need not arrive.
    pub fn is_complete_but(&self, excused: impl IntoIterator<Item = (ConnectionIndex, u32)>) -> bool {
        let expected: u64 = self.seen.values().map(|seen| u64::from(seen.expected)).sum();
        let absent =
            |(sender, number)| self.seen.get(&sender).is_some_and(|seen| number < seen.expected && !seen.holds(number));
        let missing = expected.saturating_sub(self.counts.delivered);
        missing == 0 || excused.into_iter().filter(|message| absent(*message)).count() as u64 >= missing
    }

    /// Notes that the delivery entered last took this long.
    pub fn took(&mut self, latency: Duration) {
        self.counts.late += u64::from(latency > LATE_AFTER);
    }

    /// Closes the account, given how many messages each sender really sent, and of which of them it never learned that they were taken:
    /// these need not have arrived, and are counted apart if they have.
    #[must_use]
    pub fn close(
        mut self,
        sent: impl Fn(ConnectionIndex) -> u32,
        unconfirmed: impl Fn(ConnectionIndex, u32) -> bool,
    ) -> Counts {
        for (sender, seen) in &self.seen {
            for number in 0..sent(*sender).min(seen.expected) {
                match (unconfirmed(*sender, number), seen.holds(number)) {
                    (false, arrived) => {
                        self.counts.expected += 1;
                        self.counts.lost += u64::from(!arrived);
                    }
                    (true, true) => {
                        self.counts.delivered -= 1;
                        self.counts.unconfirmed += 1;
                    }
                    (true, false) => {}
                }
            }
        }
        self.counts
    }
}

impl Seen {
    /// Whether this number, which is below what is expected, has arrived.
    fn holds(&self, number: u32) -> bool {
        self.bits[(number / 64) as usize] & (1 << (number % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sender: u32, number: u32) -> Stamp {
        Stamp { run: 7, sender: ConnectionIndex(sender), number, intended_us: 0 }
    }

    fn ledger() -> Ledger {
        Ledger::new(7, [(ConnectionIndex(0), 100), (ConnectionIndex(1), 100)])
    }

    #[test]
    fn a_stamp_survives_its_text() {
        let stamp = Stamp { run: 0xdead_beef, sender: ConnectionIndex(42), number: 3, intended_us: 1_234_567 };
        let text = stamp.to_text(100);
        assert_eq!(text.len(), 100);
        assert_eq!(Stamp::of_text(&text), Some(stamp));
        assert_eq!(Stamp::of_text("hello"), None);
        assert_eq!(Stamp::of_text("cw 1 2"), None);
    }

    #[test]
    fn each_kind_of_delivery_is_told_apart() {
        let mut ledger = ledger();
        assert_eq!(ledger.enter(stamp(0, 0)), Delivery::First);
        assert_eq!(ledger.enter(stamp(0, 2)), Delivery::First);
        assert_eq!(ledger.enter(stamp(0, 1)), Delivery::OutOfOrder);
        assert_eq!(ledger.enter(stamp(0, 1)), Delivery::Duplicate);
        assert_eq!(ledger.enter(stamp(5, 0)), Delivery::Leaked);
        assert_eq!(ledger.enter(Stamp { run: 8, ..stamp(0, 3) }), Delivery::Foreign);
    }

    #[test]
    fn a_delivery_after_more_than_a_second_is_late_and_delivered() {
        let mut ledger = ledger();
        for (number, millis) in [(0, 1000), (1, 1001)] {
            assert_eq!(ledger.enter(stamp(0, number)), Delivery::First);
            ledger.took(Duration::from_millis(millis));
        }
        let counts = ledger.close(|sender| if sender.0 == 0 { 2 } else { 0 }, |_, _| false);
        assert_eq!((counts.delivered, counts.late, counts.lost), (2, 1, 0));
    }

    #[test]
    fn what_was_sent_and_did_not_arrive_is_lost() {
        let mut ledger = ledger();
        for number in [0, 1, 3, 70] {
            ledger.enter(stamp(0, number));
        }
        let counts = ledger.close(|sender| if sender.0 == 0 { 72 } else { 5 }, |_, _| false);
        assert_eq!(counts.expected, 77);
        assert_eq!(counts.delivered, 4);
        assert_eq!(counts.lost, 73);
    }

    #[test]
    fn what_its_sender_cannot_know_of_need_not_arrive_and_is_counted_apart_if_it_does() {
        let mut ledger = Ledger::new(7, [(ConnectionIndex(0), 4)]);
        for number in [0, 1, 3] {
            ledger.enter(stamp(0, number));
        }
        assert!(!ledger.is_complete_but([]));
        assert!(
            !ledger.is_complete_but([(ConnectionIndex(0), 1), (ConnectionIndex(5), 2)]),
            "that is not what is missing"
        );
        assert!(ledger.is_complete_but([(ConnectionIndex(0), 2)]));
        let counts = ledger.close(|_| 4, |_, number| number == 1 || number == 2);
        assert_eq!((counts.expected, counts.delivered, counts.lost, counts.unconfirmed), (2, 2, 0, 1));
    }
}
