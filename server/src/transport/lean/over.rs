//! Why and how a session is over.

use super::ws::code;
use crate::{listener::CutReason, transport::EndReason};

/// How a session's WebSocket is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// It is broken already.
    Gone,
    /// By a close frame with this code.
    Close(Option<u16>),
    /// At once.
    Cut(CutReason),
}

/// Why and how a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) reason: EndReason,
    pub(super) parting: Parting,
}

impl Over {
    pub(super) fn gone() -> Self {
        Self { reason: EndReason::TransportClosed, parting: Parting::Gone }
    }

    pub(super) fn closed(reason: EndReason, code: u16) -> Self {
        Self { reason, parting: Parting::Close(Some(code)) }
    }

    /// How the server ends a session for this reason.
    pub(super) fn by_us(reason: EndReason) -> Self {
        match reason {
            EndReason::SlowConsumer => Self { reason, parting: Parting::Cut(CutReason::QueueFull) },
            EndReason::TooManyRequests => Self { reason, parting: Parting::Cut(CutReason::Flooding) },
            EndReason::ServerStopping => Self::closed(reason, code::AWAY),
            EndReason::ProtocolViolation => Self::closed(reason, code::PROTOCOL),
            EndReason::ClientLeft
            | EndReason::EndAsked
            | EndReason::TransportClosed
            | EndReason::HeartbeatTimeout
            | EndReason::TokenExpired => Self::closed(reason, code::NORMAL),
        }
    }
}
