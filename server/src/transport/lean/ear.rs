//! What a client says, in the order said, from polls or from a WebSocket. While nobody asks, nothing is read.

use std::{future::poll_fn, sync::Arc, task::Poll};

use super::{
    over::{Over, Parting},
    session::{Said, Session, Taken},
    wire::{Look, Wire},
    ws::{self, Heard, Opcode},
};
use crate::transport::EndReason;

/// A client whose answer to a ping is overdue is read on, because the answer may wait among the rest; after this many reads without it, it
/// is gone all the same.
const OVERDUE_READS_MAX: u32 = 1024;

/// What WebSocket's own frames mean to the layer above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    /// A pong answers our ping.
    pub(super) is_pong_counted: bool,
    /// What it is that a client closes.
    pub(super) close_means: EndReason,
}

impl Manners {
    /// Socket.IO has a heartbeat and a good-bye of its own.
    pub(super) const SOCKET_IO: Self = Self { is_pong_counted: false, close_means: EndReason::TransportClosed };
    /// Without a layer above they are all there is.
    pub(super) const RAW: Self = Self { is_pong_counted: true, close_means: EndReason::ClientLeft };
}

/// The ear.
pub(super) struct Ear {
    session: Arc<Session>,
    wire: Option<Wire>,
    manners: Manners,
    overdue_reads: u32,
}

impl Ear {
    pub(super) fn new(session: Arc<Session>, wire: Option<Wire>, manners: Manners) -> Self {
        Self { session, wire, manners, overdue_reads: 0 }
    }

    /// Our ping is answered.
    pub(super) fn answered(&mut self) {
        self.overdue_reads = 0;
        self.session.pong();
    }

    /// What the client says next, or why it says nothing more. Dropping the future loses nothing.
    pub(super) async fn said(&mut self) -> Result<Said, Over> {
        loop {
            if let Some(said) = self.waiting()? {
                return Ok(said);
            }
            if let Some(reason) = self.session.stopped() {
                return Err(Over::by_us(reason));
            }
            match self.wire.as_mut().map_or(Look::NothingYet, Wire::look) {
                Look::Bytes if self.session.is_overdue() && self.overdue_reads >= OVERDUE_READS_MAX => {
                    return Err(Over::by_us(EndReason::HeartbeatTimeout));
                }
                Look::Bytes => {
                    self.overdue_reads += u32::from(self.session.is_overdue());
                    continue;
                }
                Look::End => return Err(Over::gone()),
                Look::NothingYet if self.session.is_overdue() && !self.session.is_posting() => {
                    return Err(Over::by_us(EndReason::HeartbeatTimeout)); // all that was sent is read
                }
                Look::NothingYet => {}
            }
            match &self.wire {
                None => self.session.bell.rung().await,
                Some(wire) => {
                    poll_fn(|context| match self.session.bell.poll(context) {
                        Poll::Ready(()) => Poll::Ready(()),
                        Poll::Pending => wire.stream.poll_readable(context),
                    })
                    .await;
                }
            }
        }
    }

    /// The next packet that is here already.
    fn waiting(&mut self) -> Result<Option<Said>, Over> {
        if self.wire.is_none() {
            match self.session.take() {
                Taken::Said(said) => return Ok(Some(said)),
                Taken::Wire(wire) => self.wire = Some(wire),
                Taken::Nothing => return Ok(None),
            }
        }
        let Some(wire) = &mut self.wire else { return Ok(None) };
        loop {
            match wire.reader.next() {
                Ok(None) => return Ok(None),
                Ok(Some(Heard::Text(text))) => return Ok(Some(Said::Text(text))),
                Ok(Some(Heard::Binary(bytes))) => return Ok(Some(Said::Binary(bytes))),
                Ok(Some(Heard::Pong)) if self.manners.is_pong_counted => {
                    self.overdue_reads = 0;
                    self.session.pong();
                }
                Ok(Some(Heard::Pong)) => {}
                Ok(Some(Heard::Ping(payload))) => {
                    let is_new = self.session.out().pong(ws::frame(Opcode::Pong, &payload));
                    self.session.mark_if(is_new);
                }
                Ok(Some(Heard::Close(code))) => {
                    return Err(Over { reason: self.manners.close_means, parting: Parting::Close(code) });
                }
                Err(broken) => return Err(Over::closed(EndReason::ProtocolViolation, broken.code())),
            }
        }
    }

    /// The WebSocket, for whoever ends it.
    pub(super) fn take_wire(&mut self) -> Option<Wire> {
        self.wire.take()
    }
}
