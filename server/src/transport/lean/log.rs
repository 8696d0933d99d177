//! What a connection was told lately, each event under its offset, so that whoever comes back reads what he missed, once and in order. Knows
//! no sockets; time is handed in.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::packet::Packet;
use crate::{
    chance,
    store::away::{Told, Trail},
};

/// What an entry costs beside its bytes.
const ENTRY_OVERHEAD: usize = size_of::<Entry>();

/// An event's place among all events of this process. A client says the last one that it has read, perhaps to another process: so they are
/// counted from a random number, and no two processes have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Offset(u64);

impl Offset {
    /// One that no other event has.
    pub(crate) fn next() -> Self {
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(chance::bits() as u64 >> 1));
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// As a client says it.
    pub(super) fn read(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 36).ok().map(Self)
    }
}

impl fmt::Display for Offset {
    /// In the letters that [`u64::from_str_radix`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = Vec::new();
        let mut left = self.0;
        loop {
            let digit = u32::try_from(left % 36).expect("below 36");
            digits.push(char::from_digit(digit, 36).expect("below 36"));
            left /= 36;
            if left == 0 {
                break;
            }
        }
        f.write_str(&digits.into_iter().rev().collect::<String>())
    }
}

/// An event under its offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) offset: Offset,
    /// With the offset behind its arguments.
    pub(crate) packet: Packet,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes_max: usize,
    pub(super) age_max: Duration,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    told: Numbered,
}

/// The log.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The last one that was forgotten: who has read it has missed nothing that is not here. `None`: nothing was forgotten.
    forgotten: Option<Offset>,
}

impl Log {
    /// Keeps what is told now, and forgets what is too old or too much.
    pub(super) fn push(&mut self, now: Instant, told: Numbered, bounds: Bounds) {
        self.bytes += cost(&told);
        self.entries.push_back(Entry { at: now, told });
        while let Some(first) = self.entries.front()
            && (self.bytes > bounds.bytes_max || now.duration_since(first.at) > bounds.age_max)
        {
            self.bytes -= cost(&first.told);
            self.forgotten = Some(first.told.offset);
            self.entries.pop_front();
        }
    }

    /// The log of a connection that was told this elsewhere. `None` if its offsets are not ours.
    pub(super) fn restored(trail: &Trail, now: Instant, bounds: Bounds) -> Option<Self> {
        let forgotten = trail.forgotten.as_deref();
        let first = trail.told.iter().position(|told| forgotten == Some(told.offset.as_str())).map_or(0, |at| at + 1);
        let mut log = Self {
            forgotten: forgotten.map(Offset::read).map_or(Some(None), |read| read.map(Some))?,
            ..Self::default()
        };
        let mut known = HashSet::new(); // what was added and not confirmed was added again
        for told in &trail.told[first..] {
            let offset = Offset::read(&told.offset)?;
            if known.insert(offset) {
                log.push(now, Numbered { offset, packet: Packet::of(&told.text) }, bounds);
            }
        }
        Some(log)
    }

    /// What was told behind this offset, for another process, and the last one of it. All that is known if the offset is forgotten.
    pub(super) fn told_behind(&self, offset: Option<Offset>) -> (Vec<Told>, Option<Offset>) {
        let known = offset.and_then(|offset| self.entries.iter().rposition(|entry| entry.told.offset == offset));
        let entries = self.entries.range(known.map_or(0, |at| at + 1)..);
        let told = entries.map(|entry| Told {
            offset: entry.told.offset.to_string(),
            text: String::from_utf8_lossy(entry.told.packet.text()).into_owned(),
        });
        (told.collect(), self.entries.back().map(|entry| entry.told.offset).or(offset))
    }

    pub(super) fn forgotten(&self) -> Option<Offset> {
        self.forgotten
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What was told behind this offset, or since the beginning; `None` if nobody knows any more.
    pub(super) fn behind(&self, offset: Option<Offset>) -> Option<impl Iterator<Item = &Packet>> {
        let read = match offset {
            offset if offset == self.forgotten => 0,
            None => return None,
            Some(offset) => self.entries.iter().rposition(|entry| entry.told.offset == offset)? + 1,
        };
        Some(self.entries.range(read..).map(|entry| &entry.told.packet))
    }
}

fn cost(told: &Numbered) -> usize {
    told.packet.frame().len() + ENTRY_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Bounds = Bounds { bytes_max: 100_000, age_max: Duration::from_secs(60) };

    fn told(number: u64) -> Numbered {
        Numbered { offset: Offset(number), packet: Packet::of(&number.to_string()) }
    }

    fn filled(count: u64, now: Instant, bounds: Bounds) -> Log {
        let mut log = Log::default();
        (1..=count).for_each(|number| log.push(now, told(number), bounds));
        log
    }

    fn missed(log: &Log, offset: Option<u64>) -> Option<Vec<String>> {
        let text = |packet: &Packet| String::from_utf8(packet.text().to_vec()).expect("a number");
        Some(log.behind(offset.map(Offset))?.map(text).collect())
    }

    #[test]
    fn what_stands_behind_an_offset_is_missed_and_an_unknown_one_is_nobodys() {
        let log = filled(3, Instant::now(), ROOMY);
        assert_eq!(missed(&log, Some(1)), Some(vec!["2".to_owned(), "3".to_owned()]));
        assert_eq!(missed(&log, Some(3)), Some(Vec::new()));
        assert_eq!(missed(&log, None).map(|all| all.len()), Some(3), "who has read nothing has missed everything");
        assert_eq!((missed(&log, Some(4)), missed(&log, Some(0))), (None, None));
        assert_eq!(missed(&Log::default(), None), Some(Vec::new()));
    }

    #[test]
    fn what_is_too_much_is_forgotten_and_whoever_needs_it_begins_anew() {
        let each = cost(&told(1));
        let log = filled(9, Instant::now(), Bounds { bytes_max: 3 * each, ..ROOMY });
        assert_eq!(missed(&log, Some(6)), Some(vec!["7".to_owned(), "8".to_owned(), "9".to_owned()]));
        assert_eq!((missed(&log, Some(5)), missed(&log, None)), (None, None));
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let start = Instant::now();
        let mut log = filled(2, start, ROOMY);
        log.push(start + Duration::from_secs(61), told(3), ROOMY);
        assert_eq!(missed(&log, Some(2)), Some(vec!["3".to_owned()]));
        assert_eq!(missed(&log, Some(1)), None);
    }

    #[test]
    fn another_process_goes_on_with_what_this_one_has_told() {
        let each = cost(&told(1));
        let log = filled(9, Instant::now(), Bounds { bytes_max: 5 * each, ..ROOMY });
        let (all, last) = log.told_behind(None);
        assert_eq!((all.len(), last), (5, Some(Offset(9))));
        let (some, last) = log.told_behind(Some(Offset(7)));
        assert_eq!((some.len(), last), (2, Some(Offset(9))));
        let forgotten = log.forgotten().map(|offset| offset.to_string());
        let all = [&[Told { offset: "4".to_owned(), text: "4".to_owned() }], &all[..], &some[..]].concat();
        let trail = Trail { standing: Vec::new(), forgotten, told: all };
        let there = Log::restored(&trail, Instant::now(), ROOMY).expect("a log");
        let missed_behind = |offset| missed(&there, Some(offset)).map(|texts| texts.concat());
        assert_eq!(missed_behind(4), Some("56789".to_owned()), "the one that was forgotten");
        assert_eq!((missed_behind(7), missed_behind(9)), (Some("89".to_owned()), Some(String::new())));
        assert_eq!((missed_behind(3), missed(&there, None)), (None, None));
        let odd = Trail { forgotten: Some("?".to_owned()), ..trail };
        assert!(Log::restored(&odd, Instant::now(), ROOMY).is_none());
    }

    #[test]
    fn an_offset_is_read_as_it_is_written() {
        for number in [0, 35, 36, 12_345, u64::MAX] {
            assert_eq!(Offset::read(&Offset(number).to_string()), Some(Offset(number)));
        }
        assert_eq!((Offset::read(""), Offset::read("never mind")), (None, None));
    }
}
