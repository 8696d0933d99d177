//! The history of a run: what was asked, what was answered, what was heard, what was done to the cluster. Only ever appended to.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

/// A run that records more than this is not judged: about 300 MiB. An hour of the default traffic stays below.
pub const RECORDS_MAX: usize = 2_000_000;

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Microseconds since the traffic began.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen. Bots, rooms and operations are indexes into the [`crate::plan::Plan`], instances count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A bot sends: from here on it may have taken effect.
    Invoked {
        /// Which message.
        op: usize,
    },
    /// The server confirmed it.
    Confirmed {
        /// Which message.
        op: usize,
    },
    /// The server said no, or it was never sent. A server whose store is away may take its no back: then a confirmation follows.
    Refused {
        /// Which message.
        op: usize,
        /// Why.
        reason: String,
    },
    /// Nobody knows whether it took effect.
    Unknown {
        /// Which message.
        op: usize,
        /// Why.
        reason: String,
    },
    /// A bot heard a message.
    Delivered {
        /// Who heard it.
        bot: usize,
        /// In which room the server says it was sent.
        room: String,
        /// What it says.
        text: String,
        /// Live, or read after a return.
        source: Source,
    },
    /// A bot is connected and a member of its rooms.
    Online {
        /// Who.
        bot: usize,
    },
    /// A bot is about to be so again, and could not read all that it had missed.
    Unread {
        /// Who.
        bot: usize,
        /// In which rooms, in the server's words.
        rooms: Vec<String>,
    },
    /// A bot lost its connection.
    Offline {
        /// Who.
        bot: usize,
        /// Why, in the words of its client.
        reason: String,
    },
    /// A fault begins: from here on it may have taken effect.
    FaultBegan {
        /// By index into the schedule.
        fault: usize,
    },
    /// A fault is undone.
    FaultEnded {
        /// By index into the schedule.
        fault: usize,
    },
    /// What the control says that it has done for a fault.
    Done {
        /// By index into the schedule.
        fault: usize,
        /// In its words.
        note: String,
    },
    /// Everything is up again and nobody sends any more: from here on the cluster has to converge.
    Healed,
    /// Who is in a room, as one instance says.
    Roster {
        /// Which instance.
        instance: usize,
        /// Which room.
        room: usize,
        /// User ids, sorted.
        users: Vec<String>,
    },
    /// What stands in the history of a room, as one instance says, oldest first.
    Stored {
        /// Which instance.
        instance: usize,
        /// Which room.
        room: usize,
        /// The texts.
        texts: Vec<String>,
    },
}

/// How a message reached a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// When it was sent.
    Live,
    /// From the history, when the bot came back.
    CatchUp,
}

/// Takes records from many tasks at once and stamps them.
#[derive(Debug, Default)]
pub struct Recorder {
    zero: OnceLock<Instant>,
    /// In order of time: stamped under the lock.
    records: Mutex<Vec<Record>>,
}

impl Recorder {
    /// An empty history. What is recorded before [`Recorder::begin`] happened at time zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Time begins now; later calls change nothing. Returns when it began.
    pub fn begin(&self) -> Instant {
        *self.zero.get_or_init(Instant::now)
    }

    /// Appends. What comes after [`RECORDS_MAX`] is dropped, and the run will be invalid.
    pub fn record(&self, what: What) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() <= RECORDS_MAX {
            let at_us = self.zero.get().map_or(0, |zero| micros(zero.elapsed()));
            records.push(Record { at_us, what });
        }
    }

    /// A copy of everything so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A duration as whole microseconds.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_their_order_and_their_times_never_go_back() {
        let recorder = Recorder::new();
        recorder.record(What::Online { bot: 0 });
        recorder.begin();
        let said: Vec<What> = (0..100).map(|op| What::Invoked { op }).collect();
        said.iter().cloned().for_each(|what| recorder.record(what));
        let records = recorder.records();
        assert_eq!(records[0], Record { at_us: 0, what: What::Online { bot: 0 } });
        assert!(records.is_sorted_by_key(|record| record.at_us));
        assert_eq!(records[1..].iter().map(|record| record.what.clone()).collect::<Vec<_>>(), said);
    }

    #[test]
    fn a_record_is_one_flat_object_of_json() {
        let record = Record { at_us: 5, what: What::Refused { op: 3, reason: "full".to_owned() } };
        assert_eq!(
            serde_json::to_string(&record).expect("plain data"),
            r#"{"at_us":5,"what":"refused","op":3,"reason":"full"}"#
        );
    }
}
