//! What options choose from.

use chatwright_conformance::case;
use clap::ValueEnum;

/// What the reference server stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backends {
    /// Everything in memory
    Memory,
    /// Real backends, each in a container of its own
    Containers,
}

/// How Socket.IO actors connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// WebSocket from the start
    Websocket,
    /// HTTP long polling
    Polling,
    /// Long polling, then upgraded to WebSocket
    Upgrade,
    /// Each of the three in turn; cases that choose their transport themselves are played once
    All,
}

impl Transport {
    /// Those over which cases are played that leave theirs open.
    pub(crate) fn each(self) -> Vec<case::Transport> {
        match self {
            Self::Websocket => vec![case::Transport::Websocket],
            Self::Polling => vec![case::Transport::Polling],
            Self::Upgrade => vec![case::Transport::Upgrade],
            Self::All => vec![case::Transport::Websocket, case::Transport::Polling, case::Transport::Upgrade],
        }
    }
}
