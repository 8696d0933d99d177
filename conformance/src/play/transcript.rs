//! Records what happened in a case, bounded.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::{
    case::recorded,
    outcome::{Entry, EntryKind, Exchange, Transcript},
};

/// More entries than this help nobody; the failing step is near the end, so the middle is left out.
const ENTRIES_MAX: usize = 3000;

/// So many requests are kept whole, and no longer bodies than fit on a command line.
const EXCHANGES_MAX: usize = 40;
const BODY_BYTES_MAX: usize = 16 << 10;

/// The record of one case while it is played.
pub(super) struct Recorder {
    started: Instant,
    entries: Vec<Entry>,
    exchanges: Vec<Exchange>,
    left_out: usize,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), entries: Vec::new(), exchanges: Vec::new(), left_out: 0 }
    }

    pub(super) fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    pub(super) fn sent(&mut self, actor: &str, text: &str, line: u32) {
        self.put(Instant::now(), actor, EntryKind::Sent, text, Some(line));
    }

    /// Keeps a request for who wants to ask it again; a case that asks more is none for a shell.
    pub(super) fn exchanged(&mut self, exchange: Exchange) {
        if self.exchanges.len() < EXCHANGES_MAX && exchange.body.len() <= BODY_BYTES_MAX {
            self.exchanges.push(exchange);
        }
    }

    pub(super) fn received(&mut self, at: Instant, actor: &str, text: &str) -> usize {
        self.put(at, actor, EntryKind::Received, text, None);
        self.entries.len() - 1
    }

    pub(super) fn note(&mut self, actor: &str, text: &str, line: Option<u32>) {
        self.put(Instant::now(), actor, EntryKind::Note, text, line);
    }

    /// Says which line of the case consumed the actor's last arrival.
    pub(super) fn consumed(&mut self, actor: &str, line: u32) {
        let last = self.entries.iter_mut().rev().find(|e| e.kind == EntryKind::Received && e.actor == actor);
        if let Some(entry) = last {
            entry.line = Some(line);
        }
    }

    fn put(&mut self, at: Instant, actor: &str, kind: EntryKind, text: &str, line: Option<u32>) {
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.remove(ENTRIES_MAX / 2);
            self.left_out += 1;
        }
        let at = at.saturating_duration_since(self.started);
        self.entries.push(Entry { at, actor: actor.to_owned(), kind, text: recorded(text), line });
    }

    /// The transcript in the order of time, with what the case calls the values in it.
    pub(super) fn finish(mut self, names: BTreeMap<String, String>) -> Transcript {
        self.entries.sort_by_key(|entry| entry.at);
        if self.left_out > 0 {
            let middle = self.entries.len() / 2;
            let at = self.entries[middle].at;
            let text = format!("… {} entries left out here", self.left_out);
            self.entries.insert(middle, Entry { at, actor: String::new(), kind: EntryKind::Note, text, line: None });
        }
        Transcript { entries: self.entries, names, exchanges: self.exchanges }
    }
}
