//! A bell for the one task that waits at it: what tokio's `Notify` is for many, without its lock and its list, which each message would pay
//! for several times.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

/// The bell. Only the task that looked last is woken.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    is_rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    /// Whoever waits goes on; if nobody does, whoever waits next. Rung twice before he looks is rung once.
    pub(crate) fn ring(&self) {
        self.is_rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ready once per ring.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.take() {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        if self.take() { Poll::Ready(()) } else { Poll::Pending } // what was rung meanwhile found no waker
    }

    /// Waits until it is rung. Dropping the future loses nothing.
    pub(crate) async fn rung(&self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn take(&self) -> bool {
        self.is_rung.load(Ordering::Acquire) && self.is_rung.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_ring_is_heard_once_whether_somebody_waits_or_not() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        bell.rung().await;
        assert!(timeout(Duration::from_millis(5), bell.rung()).await.is_err(), "one ring too many");
        tokio::join!(bell.rung(), async { bell.ring() });
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_ring_is_missed_between_two_threads() {
        let (there, back) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        let (their_there, their_back) = (Arc::clone(&there), Arc::clone(&back));
        let other = tokio::spawn(async move {
            for _ in 0..10_000 {
                their_there.rung().await;
                their_back.ring();
            }
        });
        let played = timeout(Duration::from_secs(30), async {
            for _ in 0..10_000 {
                there.ring();
                back.rung().await;
            }
        });
        played.await.expect("no ring is lost");
        other.await.expect("the other heard all");
    }
}
