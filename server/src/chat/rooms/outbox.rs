//! What other services shall learn, on its way there: never in the way of a message.

use std::{sync::Arc, time::Duration};

use chatwright_protocol::vocabulary::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    events::{EventSink, MessageSent},
    store::MessageStore,
};

/// Events that wait for their sink; beyond it the newest are dropped with an error in the log.
const EVENTS_WAITING_MAX: usize = 10_000;

/// How long the sink is left alone after it did not take an event.
const RETRY: Duration = Duration::from_millis(500);

/// The entrance of the outbox.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Message>,
    closed: CancellationToken,
}

impl Outbox {
    /// An outbox, and the task that empties it.
    pub(super) fn new(
        events: Arc<dyn EventSink>,
        messages: Arc<dyn MessageStore>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, waiting) = mpsc::channel(EVENTS_WAITING_MAX);
        let closed = CancellationToken::new();
        (Self { queue, closed: closed.clone() }, empty(waiting, closed, events, messages))
    }

    pub(super) fn put(&self, message: &Message) {
        if self.queue.try_send(message.clone()).is_err() {
            tracing::error!(message = %message.id, "an event is dropped: too many wait");
        }
    }

    /// No more will come: the task ends when it has handed over what there is.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

async fn empty(
    mut waiting: mpsc::Receiver<Message>,
    closed: CancellationToken,
    events: Arc<dyn EventSink>,
    messages: Arc<dyn MessageStore>,
) {
    loop {
        let message = match closed.run_until_cancelled(waiting.recv()).await {
            Some(message) => message,
            None => waiting.try_recv().ok(),
        };
        let Some(message) = message else { return };
        let record = messages.room(&message.room).await.ok().flatten();
        let event = MessageSent::of(&message, record.as_ref());
        while let Err(problem) = events.offer(&event).await {
            tracing::warn!(%problem, "an event waits");
            if closed.is_cancelled() {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
