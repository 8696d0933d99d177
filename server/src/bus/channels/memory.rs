//! The channels of instances that live in one process: the default (one instance), and the double in tests.

use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::{BoxFuture, ready};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{Channels, Heard, Hearing, Interest};
use crate::bus::{BusDown, DELIVERIES_WAITING_MAX};

/// What the instances of one process share. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct MemoryExchange {
    ends: Arc<Mutex<Vec<End>>>,
}

#[derive(Debug)]
struct End {
    interest: Interest,
    sender: mpsc::Sender<Heard>,
    /// Something was dropped: the next thing it hears is the gap.
    missed: bool,
}

impl MemoryExchange {
    /// The end of one more instance.
    #[must_use]
    pub fn end(&self, interest: Interest) -> (MemoryChannels, Hearing) {
        let (sender, hearing) = mpsc::channel(DELIVERIES_WAITING_MAX);
        self.ends().push(End { interest, sender, missed: false });
        (MemoryChannels { exchange: self.clone() }, hearing)
    }

    fn ends(&self) -> MutexGuard<'_, Vec<End>> {
        self.ends.lock().expect("no code panics while it holds the ends")
    }
}

/// One instance's end of a [`MemoryExchange`].
#[derive(Debug)]
pub struct MemoryChannels {
    exchange: MemoryExchange,
}

impl Channels for MemoryChannels {
    fn publish(&self, channel: String, text: String) -> Result<(), BusDown> {
        let mut ends = self.exchange.ends();
        ends.retain(|end| !end.sender.is_closed());
        for end in ends.iter_mut().filter(|end| end.interest.covers(&channel)) {
            if end.missed && end.sender.try_send(Heard::Gap).is_ok() {
                end.missed = false;
            }
            let heard = Heard::Text { channel: channel.clone(), text: text.clone() };
            if let Err(TrySendError::Full(_)) = end.sender.try_send(heard) {
                end.missed = true;
            }
        }
        Ok(())
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), BusDown>> {
        Box::pin(ready(Ok(())))
    }

    fn technology(&self) -> &'static str {
        "memory"
    }
}
