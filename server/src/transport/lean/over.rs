//! Why and how a session is over.

use super::{
    packet::Packet,
    ws::{self, code},
};
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

impl Parting {
    /// The close frame with this code; one that asks to come again says why.
    pub(super) fn frame(code: Option<u16>, reason: EndReason) -> Packet {
        let words = if reason == EndReason::SlowConsumer { reason.as_str() } else { "" };
        Packet::control(ws::close_saying(code, words))
    }
}

/// Why a client is cut that did not take its last words in time.
pub(super) fn unheard(reason: EndReason) -> CutReason {
    if reason == EndReason::SlowConsumer { CutReason::QueueFull } else { CutReason::Shutdown }
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

    /// How the server ends a session for this reason. A slow consumer is told so behind what waits for him, if he takes that in the time for
    /// last words: he may come back at once and catch up.
    pub(super) fn by_us(reason: EndReason) -> Self {
        match reason {
            EndReason::SlowConsumer => Self::closed(reason, code::AGAIN),
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
