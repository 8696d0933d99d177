//! Events on their way to their readers, in order. While one cannot be delivered, the connection is not read.

use std::collections::VecDeque;

use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::SocketEvent;

/// What was decoded and is not delivered yet: at most what one polling payload holds, and one disconnection per namespace.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: VecDeque<(Sender<SocketEvent>, SocketEvent)>,
}

impl Mailbox {
    /// Delivers the event, or keeps it if its reader has no room. A reader that is gone misses nothing.
    pub(super) fn post(&mut self, reader: &Sender<SocketEvent>, event: SocketEvent) {
        if !self.waiting.is_empty() {
            self.waiting.push_back((reader.clone(), event));
            return;
        }
        match reader.try_send(event) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(event)) => self.waiting.push_back((reader.clone(), event)),
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits until the first kept event is delivered; for ever if there is none. Cancel safe.
    pub(super) async fn deliver(&mut self) {
        let Some((reader, _)) = self.waiting.front() else { return std::future::pending().await };
        let reader = reader.clone();
        let room = reader.reserve().await;
        if let (Ok(room), Some((_, event))) = (room, self.waiting.pop_front()) {
            room.send(event);
        }
    }
}
