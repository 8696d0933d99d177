//! What a run with cuts accounts for beside deliveries: what became of each send, and how everybody came back.

use std::collections::BTreeMap;

use chatwright_client_sdk::{AskError, Ticket};
use tokio::time::Instant;

/// Sums over all connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Returns {
    /// How often all connections were cut.
    pub cuts: u32,
    /// Connections that died of it.
    pub connections_cut: u64,
    /// How often somebody came back, and read what was missed.
    pub returns: u64,
    /// Connections that were not back when the run ended: what they did not hear is not counted as lost.
    pub not_back: u64,
    /// Of the returns, how often the history did not reach back far enough.
    pub gaps: u64,
    /// Messages read after a return, over all connections.
    pub caught_up: u64,
    /// Messages sent that were confirmed, live or by the history after a return: each has to reach every member.
    pub confirmed: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Messages whose connection died before their confirmation and that no history showed: nobody knows, so nobody has to hear them.
    pub unknown: u64,
}

impl Returns {
    /// Adds another connection's sums.
    pub(crate) fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.connections_cut += other.connections_cut;
        self.returns += other.returns;
        self.not_back += other.not_back;
        self.gaps += other.gaps;
        self.caught_up += other.caught_up;
        self.confirmed += other.confirmed;
        self.refused += other.refused;
        self.unknown += other.unknown;
    }
}

/// One connection's sends until their fate is known. Bounded by what its bot takes on at once.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    open: BTreeMap<Ticket, u32>,
    /// Since when the connection is gone.
    pub(crate) away_since: Option<Instant>,
    pub(crate) sums: Returns,
}

impl Fates {
    /// The message of this number is on its way.
    pub(crate) fn sent(&mut self, ticket: Ticket, number: u32) {
        self.open.insert(ticket, number);
    }

    /// It was confirmed.
    pub(crate) fn confirmed(&mut self, ticket: Ticket) {
        self.sums.confirmed += u64::from(self.open.remove(&ticket).is_some());
    }

    /// It was not; returns its number.
    pub(crate) fn failed(&mut self, ticket: Ticket, error: &AskError) -> Option<u32> {
        let number = self.open.remove(&ticket)?;
        match error {
            AskError::Unknown | AskError::Timeout(_) | AskError::Stranded | AskError::Emit(_) => self.sums.unknown += 1,
            AskError::Refused(_) | AskError::NotEntered(_) | AskError::TooMany { .. } | AskError::Unspeakable => {
                self.sums.refused += 1;
            }
        }
        Some(number)
    }

    /// Whether nothing is open any more.
    pub(crate) fn are_known(&self) -> bool {
        self.open.is_empty()
    }

    /// Whose fate nobody knows when all is over.
    pub(crate) fn give_up(&mut self) -> Vec<u32> {
        self.sums.not_back += u64::from(self.away_since.is_some());
        self.sums.unknown += self.open.len() as u64;
        std::mem::take(&mut self.open).into_values().collect()
    }
}
