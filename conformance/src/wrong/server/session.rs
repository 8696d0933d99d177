//! One Engine.IO session: what waits to be sent, over which transport it goes, and whether its peer still answers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{House, Misbehaviour, PING_INTERVAL, PING_TIMEOUT, socket_io::SocketIo};

/// Packets that wait for a peer; one that does not fetch them is cut off.
const QUEUE_PACKETS_MAX: usize = 4096;
/// Events kept to be sent again.
const POLLED_EVENTS_MAX: usize = 64;
/// Pings before `times-out-early` strikes.
const PINGS_BEFORE_EARLY_END: u32 = 2;

/// A packet with its type digit, or binary data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    Text(String),
    Binary(Vec<u8>),
}

/// What packets travel over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Polling,
    /// Polling, while a WebSocket is being tried.
    Upgrading,
    WebSocket,
    Closed,
}

pub(super) struct Session {
    pub(super) sid: String,
    /// Its public number.
    pub(super) number: u64,
    /// From the handshake.
    pub(super) authorization: Option<String>,
    state: Mutex<State>,
    /// Something was queued, or the carrier has changed.
    pub(super) news: Notify,
    pub(super) socket_io: Mutex<SocketIo>,
}

struct State {
    queue: VecDeque<Packet>,
    carrier: Carrier,
    polls: u32,
    posts: u32,
    answered: bool,
    /// Events sent over polling, for `upgrade-repeats`.
    polled: Vec<Packet>,
}

impl Session {
    pub(super) fn new(sid: String, number: u64, authorization: Option<String>, carrier: Carrier) -> Self {
        let state = State { queue: VecDeque::new(), carrier, polls: 0, posts: 0, answered: true, polled: Vec::new() };
        Self { sid, number, authorization, state: Mutex::new(state), news: Notify::new(), socket_io: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn socket_io(&self) -> MutexGuard<'_, SocketIo> {
        self.socket_io.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.state().carrier
    }

    pub(super) fn set_carrier(&self, carrier: Carrier) {
        let mut state = self.state();
        if state.carrier != Carrier::Closed {
            state.carrier = carrier;
        }
        drop(state);
        self.news.notify_waiters();
    }

    /// Queues a packet.
    pub(super) fn send(&self, packet: Packet) {
        let mut state = self.state();
        if state.queue.len() < QUEUE_PACKETS_MAX {
            state.queue.push_back(packet);
        } else {
            state.carrier = Carrier::Closed;
        }
        drop(state);
        self.news.notify_waiters();
    }

    pub(super) fn send_text(&self, text: impl Into<String>) {
        self.send(Packet::Text(text.into()));
    }

    /// Everything that waits.
    pub(super) fn take(&self) -> Vec<Packet> {
        self.state().queue.drain(..).collect()
    }

    /// Everything that waits, for a poll.
    pub(super) fn take_polled(&self) -> Vec<Packet> {
        let mut state = self.state();
        let packets: Vec<_> = state.queue.drain(..).collect();
        let events = packets.iter().filter(|packet| matches!(packet, Packet::Text(text) if text.starts_with("42")));
        let room = POLLED_EVENTS_MAX.saturating_sub(state.polled.len());
        state.polled.extend(events.take(room).cloned().collect::<Vec<_>>());
        packets
    }

    /// What an upgrade does wrong to what is on its way.
    pub(super) fn upgraded(&self, house: &House) {
        let mut state = self.state();
        if house.is(Misbehaviour::UpgradeLoses) {
            state.queue.clear();
        }
        if house.is(Misbehaviour::UpgradeRepeats) {
            let again = std::mem::take(&mut state.polled);
            state.queue.extend(again);
        }
        drop(state);
        self.set_carrier(Carrier::WebSocket);
    }

    pub(super) fn close(&self) {
        self.state().carrier = Carrier::Closed;
        self.news.notify_waiters();
    }

    pub(super) fn pong(&self) {
        self.state().answered = true;
    }

    /// Counts the requests of one kind that are under way; `None` when there is one already.
    pub(super) fn begin(self: &Arc<Self>, kind: Kind) -> Option<UnderWay> {
        let mut state = self.state();
        let count = state.count(kind);
        *count += 1;
        let alone = *count == 1;
        drop(state);
        let under_way = UnderWay { session: Arc::clone(self), kind };
        alone.then_some(under_way)
    }

    /// As [`Session::begin`], and never mind how many there are.
    pub(super) fn begin_anyway(self: &Arc<Self>, kind: Kind) -> UnderWay {
        *self.state().count(kind) += 1;
        UnderWay { session: Arc::clone(self), kind }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Poll,
    Post,
}

impl State {
    fn count(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Poll => &mut self.polls,
            Kind::Post => &mut self.posts,
        }
    }
}

/// A request under way; over when dropped.
pub(super) struct UnderWay {
    session: Arc<Session>,
    kind: Kind,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.session.state().count(self.kind) -= 1;
    }
}

/// Pings until the session ends, and ends it when nobody answers.
pub(super) async fn heartbeat(house: Arc<House>, session: Weak<Session>) {
    let interval = if house.is(Misbehaviour::PingsTooEarly) { PING_INTERVAL / 4 } else { PING_INTERVAL };
    let mut pings = 0;
    loop {
        tokio::time::sleep(interval).await;
        let Some(session) = session.upgrade().filter(|session| session.carrier() != Carrier::Closed) else { return };
        if house.is(Misbehaviour::NoPings) {
            continue;
        }
        session.state().answered = false;
        session.send_text("2");
        pings += 1;
        if !answered(&session, PING_TIMEOUT).await && !house.is(Misbehaviour::NeverTimesOut) {
            return house.end(&session);
        }
        if house.is(Misbehaviour::TimesOutEarly) && pings == PINGS_BEFORE_EARLY_END {
            return house.end(&session);
        }
    }
}

async fn answered(session: &Session, patience: Duration) -> bool {
    const LOOK_AGAIN: Duration = Duration::from_millis(10);
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if session.state().answered {
            return true;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    session.state().answered
}
