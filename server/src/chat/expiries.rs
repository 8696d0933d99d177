//! When the proofs of identity of an instance's connections end. One clock for all of them: a timer for each would cost a connection that
//! never speaks more than the rest of it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use super::Connection;
use crate::{bell::Bell, clock, transport::EndReason};

/// The longest single sleep: tokens may be good for years, timers need not be, and the time of day may be set meanwhile.
const LOOK: Duration = Duration::from_secs(3600);

/// The connections whose proof ends some day, by that day.
#[derive(Default)]
pub(super) struct Expiries {
    line: Mutex<Line>,
    /// Rung when the first in the line is another, or the line has become empty.
    news: Bell,
}

/// In milliseconds since the Unix epoch; the number tells those of one instant apart.
type Place = (u64, u64);

#[derive(Default)]
struct Line {
    waiting: BTreeMap<Place, Weak<Connection>>,
    /// How many ever stood in it.
    ever: u64,
    /// A task looks after it.
    is_kept: bool,
}

impl Expiries {
    /// Ends the connection at this time, in milliseconds since the Unix epoch, as long as what is returned lives and its proof is no other
    /// then.
    pub(super) fn expect(self: &Arc<Self>, expires_at_ms: u64, connection: &Arc<Connection>) -> Expected {
        let mut line = self.line();
        line.ever += 1;
        let place = (expires_at_ms, line.ever);
        line.waiting.insert(place, Arc::downgrade(connection));
        if !std::mem::replace(&mut line.is_kept, true) {
            tokio::spawn(Self::keep(Arc::clone(self)));
        } else if line.waiting.first_key_value().is_some_and(|(first, _)| *first == place) {
            self.news.ring();
        }
        Expected { place, expiries: Arc::clone(self) }
    }

    /// Looks after the line until it is empty.
    async fn keep(self: Arc<Self>) {
        while let Some(next) = self.look(clock::unix_ms()) {
            let _ = tokio::time::timeout(next.min(LOOK), self.news.rung()).await; // either way one looks again
        }
    }

    /// Ends those whose time has come; how long it is to the next, if there is one.
    fn look(&self, now_ms: u64) -> Option<Duration> {
        let mut due = Vec::new();
        let next = {
            let mut line = self.line();
            while let Some(first) = line.waiting.first_entry().filter(|first| first.key().0 <= now_ms) {
                due.push(first.remove());
            }
            let next = line.waiting.first_key_value().map(|((at_ms, _), _)| Duration::from_millis(at_ms - now_ms));
            line.is_kept = next.is_some();
            next
        };
        for connection in due.iter().filter_map(Weak::upgrade) {
            if connection.proved_until().is_some_and(|until| until <= now_ms) {
                connection.end(EndReason::TokenExpired);
            }
        }
        next
    }

    fn forget(&self, place: Place) {
        let mut line = self.line();
        line.waiting.remove(&place);
        if line.waiting.is_empty() && line.is_kept {
            self.news.ring();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().expect("no code panics while it holds the line")
    }
}

impl fmt::Debug for Expiries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiries").field("waiting", &self.line().waiting.len()).finish_non_exhaustive()
    }
}

/// A connection is expected to end; no longer when this is dropped.
#[derive(Debug)]
pub(crate) struct Expected {
    place: Place,
    expiries: Arc<Expiries>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.expiries.forget(self.place);
    }
}

#[cfg(test)]
mod tests {
    use chatwright_protocol::vocabulary::UserId;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::{
        auth::Identity,
        store::{DeviceId, InstanceId},
        transport::{CannotTake, Frame, Sink},
    };

    struct Nowhere;

    impl Sink for Nowhere {
        fn send(&self, _: &Frame) -> Result<(), CannotTake> {
            Ok(())
        }

        fn carrier(&self) -> &'static str {
            "none"
        }
    }

    fn connection(expires_at_ms: u64) -> Arc<Connection> {
        let expires_at_ms = Some(expires_at_ms);
        let identity = Identity { user: UserId::from("u"), name: String::new(), email: None, expires_at_ms };
        let (id, instance) = (DeviceId::from("device"), InstanceId::from("here"));
        Arc::new(Connection::new(id, instance, Some(identity), Arc::new(Nowhere)))
    }

    /// When it ended, in milliseconds since the Unix epoch.
    async fn ended(connection: &Connection) -> u64 {
        let rung = timeout(Duration::from_secs(10), connection.rung());
        assert!(rung.await.is_ok() && connection.ended() == Some(EndReason::TokenExpired));
        clock::unix_ms()
    }

    #[tokio::test]
    async fn each_ends_at_its_time_in_whatever_order_they_came() {
        let expiries = Arc::new(Expiries::default());
        for _ in 0..2 {
            let start = clock::unix_ms();
            let [late, soon, gone] = [300, 100, 50].map(|ms| connection(start + ms));
            let _late = expiries.expect(start + 300, &late);
            let _soon = expiries.expect(start + 100, &soon);
            drop(expiries.expect(start + 50, &gone));
            assert!(ended(&soon).await >= start + 100 && late.ended().is_none());
            assert!(ended(&late).await >= start + 300 && gone.ended().is_none());
            sleep(Duration::from_millis(20)).await; // nobody waits, so nobody looks any more; the second round begins anew
            assert!(!expiries.line().is_kept);
        }
    }

    #[tokio::test]
    async fn who_has_proved_himself_anew_goes_on() {
        let (expiries, start) = (Arc::new(Expiries::default()), clock::unix_ms());
        let connection = connection(start + 20);
        let _first = expiries.expect(start + 20, &connection);
        connection.prove_until(Some(start + 60_000));
        sleep(Duration::from_millis(60)).await;
        assert_eq!(connection.ended(), None);
    }
}
