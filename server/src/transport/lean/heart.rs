//! The engine's clocks: pings, their answers, and the time that a client may stay outside. One task for all sessions.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use tokio::{
    sync::Notify,
    time::{Duration, Instant, sleep, sleep_until},
};

use super::{clock::Clock, session::Session};
use crate::transport::EngineRules;

/// How long the task rests at least between two looks, so that many sessions are served by one.
const REST: Duration = Duration::from_millis(5);

/// The clocks of one engine.
#[derive(Debug)]
pub(super) struct Heart {
    clocks: Mutex<Clocks>,
    /// Rung when something came into an empty line.
    bell: Notify,
}

#[derive(Debug)]
struct Clocks {
    /// The next ping.
    ping: Clock<Weak<Session>>,
    /// The answer to this ping of the session.
    pong: Clock<(Weak<Session>, u32)>,
    /// The way in, since the session has been outside for this time in its life.
    entry: Clock<(Weak<Session>, u32)>,
}

impl Heart {
    pub(super) fn new(rules: &EngineRules) -> Self {
        let clocks = Clocks {
            ping: Clock::new(rules.ping_interval),
            pong: Clock::new(rules.ping_timeout),
            entry: Clock::new(rules.connect_timeout),
        };
        Self { clocks: Mutex::new(clocks), bell: Notify::new() }
    }

    /// The session is to be pinged after the interval.
    pub(super) fn ping_later(&self, session: &Arc<Session>) {
        let is_first = self.clocks().ping.wait(Instant::now(), Arc::downgrade(session));
        self.ring_if(is_first);
    }

    /// The session is outside, and must enter in time.
    pub(super) fn expect_entry(&self, session: &Arc<Session>) {
        let waiting = (Arc::downgrade(session), session.entries());
        let is_first = self.clocks().entry.wait(Instant::now(), waiting);
        self.ring_if(is_first);
    }

    /// Beats as long as the engine lives.
    pub(super) async fn beat(self: Arc<Self>) {
        loop {
            let next = self.look(Instant::now());
            let news = self.bell.notified();
            match next {
                Some(next) => tokio::select! {
                    () = sleep_until(next) => {}
                    () = news => {}
                },
                None => news.await,
            }
            sleep(REST).await;
        }
    }

    /// Does what is due; returns when something will be next.
    fn look(&self, now: Instant) -> Option<Instant> {
        let (mut pings, mut pongs, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut clocks = self.clocks();
            pings.extend(std::iter::from_fn(|| clocks.ping.due(now)));
            pongs.extend(std::iter::from_fn(|| clocks.pong.due(now)));
            entries.extend(std::iter::from_fn(|| clocks.entry.due(now)));
        }
        for session in pings {
            if let Some(number) = session.upgrade().and_then(|session| session.ping()) {
                self.clocks().pong.wait(now, (session, number));
            }
        }
        for (session, number) in pongs {
            if let Some(session) = session.upgrade() {
                session.answer_is_due(number);
            }
        }
        for (session, entries) in entries {
            if let Some(session) = session.upgrade() {
                session.entry_is_due(entries);
            }
        }
        let clocks = self.clocks();
        [clocks.ping.next(), clocks.pong.next(), clocks.entry.next()].into_iter().flatten().min()
    }

    fn ring_if(&self, is_first: bool) {
        if is_first {
            self.bell.notify_one();
        }
    }

    fn clocks(&self) -> MutexGuard<'_, Clocks> {
        self.clocks.lock().expect("no code panics while it holds the clocks")
    }
}
