//! What waits for one client to read: frames in the order told, bounded in number and in bytes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::transport::{CannotTake, Frame, Sink};

/// What a frame costs beside its text.
const FRAME_OVERHEAD: u64 = 16;

/// The entrance.
pub(super) struct Entrance {
    sender: mpsc::Sender<Frame>,
    waiting_bytes: Arc<AtomicU64>,
    waiting_bytes_max: u64,
}

/// The exit, for whoever writes.
pub(super) struct Exit {
    receiver: mpsc::Receiver<Frame>,
    waiting_bytes: Arc<AtomicU64>,
}

/// A queue for at most so many frames and bytes.
pub(super) fn queue(frames_max: usize, waiting_bytes_max: u64) -> (Entrance, Exit) {
    let (sender, receiver) = mpsc::channel(frames_max);
    let waiting_bytes = Arc::new(AtomicU64::new(0));
    (
        Entrance { sender, waiting_bytes: Arc::clone(&waiting_bytes), waiting_bytes_max },
        Exit { receiver, waiting_bytes },
    )
}

fn cost(frame: &Frame) -> u64 {
    frame.size() as u64 + FRAME_OVERHEAD
}

impl Sink for Entrance {
    fn send(&self, frame: &Frame) -> Result<(), CannotTake> {
        let bytes = cost(frame);
        if self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.waiting_bytes_max {
            return Err(CannotTake::Full);
        }
        self.sender.try_send(frame.clone()).map_err(|problem| match problem {
            TrySendError::Full(_) => CannotTake::Full,
            TrySendError::Closed(_) => CannotTake::Closed,
        })
    }

    fn carrier(&self) -> &'static str {
        "websocket"
    }
}

impl Exit {
    /// The next frame; `None` when the connection is over for the core and all is taken. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        self.receiver.recv().await
    }

    /// The next frame, if one waits.
    pub(super) fn waiting(&mut self) -> Option<Frame> {
        self.receiver.try_recv().ok()
    }

    /// This frame is written.
    pub(super) fn written(&self, bytes: u64) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What a frame counts.
    pub(super) fn cost(frame: &Frame) -> u64 {
        cost(frame)
    }
}
