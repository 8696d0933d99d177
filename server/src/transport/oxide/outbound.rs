//! Frames to one client: queued in order, bounded in number by the engine and in bytes here.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use socketioxide::{SendError, SocketError, TransportType, extract::SocketRef};

use super::session::Session;
use crate::transport::{CannotTake, Frame, Sink};

/// What a frame costs on the wire beside name and arguments: packet types, brackets, quotes, and a WebSocket header. A little too little
/// on purpose: the count of what waits must not creep up.
const FRAME_OVERHEAD: u64 = 8;

/// The way to one client.
pub(super) struct OxideSink {
    socket: SocketRef,
    session: Arc<Session>,
    queued_bytes: AtomicU64,
    waiting_bytes_max: u64,
}

impl OxideSink {
    pub(super) fn new(socket: SocketRef, session: Arc<Session>, waiting_bytes_max: u64) -> Self {
        let queued_bytes = AtomicU64::new(session.drained_bytes());
        Self { socket, session, queued_bytes, waiting_bytes_max }
    }
}

impl Sink for OxideSink {
    fn send(&self, frame: &Frame) -> Result<(), CannotTake> {
        let bytes = frame.size() as u64 + FRAME_OVERHEAD;
        let queued = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // Pings and acknowledgements are drained and not queued here, so this errs on the generous side by a few bytes each.
        if queued.saturating_sub(self.session.drained_bytes()) > self.waiting_bytes_max {
            return Err(CannotTake::Full);
        }
        self.socket.emit(frame.name(), &frame.args()).map_err(|problem| cannot_take(&problem))
    }

    fn carrier(&self) -> &'static str {
        match self.socket.transport_type() {
            TransportType::Websocket => "websocket",
            TransportType::Polling => "polling",
        }
    }
}

pub(super) fn cannot_take(problem: &SendError) -> CannotTake {
    match problem {
        SendError::Socket(SocketError::InternalChannelFull) => CannotTake::Full,
        SendError::Socket(SocketError::Closed) | SendError::Serialize(_) => CannotTake::Closed,
    }
}
