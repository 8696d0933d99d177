//! What the chat core allows and how long it waits: plain data, each figure with its reason.

use std::time::Duration;

/// Bounds of what a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unicode scalar values of one message's text.
    pub text_characters_max: usize,
    /// Unicode scalar values of a room or user id.
    pub id_characters_max: usize,
    /// Connections of one user in the whole cluster.
    pub connections_per_user_max: usize,
    /// Connections of this instance; beyond it a handshake is refused.
    pub connections_max: usize,
    /// Rooms that one connection may be in at once: each costs a subscription and a place in a roster.
    pub rooms_per_connection_max: usize,
    /// Participants that a room's record may name.
    pub participants_max: usize,
    /// Messages of a history for which nobody asked a number.
    pub history_default: usize,
    /// Messages that are kept of a room, and the most that a history returns.
    pub history_max: usize,
    /// Messages taken while the store is away, to be written when it returns; beyond it a send is refused.
    pub backlog_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_characters_max: 4096,
            id_characters_max: 128,
            connections_per_user_max: 5,
            connections_max: 50_000,
            rooms_per_connection_max: 100,
            participants_max: 1000,
            history_default: 50,
            history_max: 1000,
            backlog_max: 1000,
        }
    }
}

/// Clocks of the chat core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// One question to a store or bus; longer than a short pause of the backend, so that a hiccup is a delay and not a failure.
    pub backend_timeout: Duration,
    /// How long a silent instance counts as alive: its devices vanish from limits and rosters that long after its death.
    pub lease: Duration,
    /// How often an instance compares its rooms with the store, to notice a bus message that was lost without any that followed.
    pub sweep: Duration,
    /// How long a message that came before its predecessor waits for the bus before the store is asked.
    pub gap_patience: Duration,
    /// How often the store is tried again for the backlog.
    pub backlog_retry: Duration,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            backend_timeout: Duration::from_secs(3),
            lease: Duration::from_secs(15),
            sweep: Duration::from_secs(2),
            gap_patience: Duration::from_millis(25),
            backlog_retry: Duration::from_millis(250),
        }
    }
}
