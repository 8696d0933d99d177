//! Events for several receivers at once.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{EventSink, MessageSent, NotTaken};

/// Offers each event to all of them, in their order. One that does not take it makes the event be offered again to all: more than once is
/// allowed, not at all is not.
pub struct SeveralSinks(
    /// The receivers.
    pub Vec<Arc<dyn EventSink>>,
);

impl SeveralSinks {
    /// One sink for all of these; `None` for none, and a single one as it is.
    #[must_use]
    pub fn of(mut sinks: Vec<Arc<dyn EventSink>>) -> Option<Arc<dyn EventSink>> {
        match sinks.len() {
            0 | 1 => sinks.pop(),
            _ => Some(Arc::new(Self(sinks))),
        }
    }
}

impl fmt::Debug for SeveralSinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeveralSinks({})", self.0.len())
    }
}

impl EventSink for SeveralSinks {
    fn offer<'a>(&'a self, event: &'a MessageSent) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            for sink in &self.0 {
                sink.offer(event).await?;
            }
            Ok(())
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), NotTaken>> {
        Box::pin(async move {
            for sink in &self.0 {
                sink.ping().await?;
            }
            Ok(())
        })
    }

    /// That of the last one, which is the broker where there is one.
    fn technology(&self) -> &'static str {
        self.0.last().map_or("none", |sink| sink.technology())
    }
}
