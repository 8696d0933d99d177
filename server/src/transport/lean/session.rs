//! One session as those see it who do not read from it: the core that tells it something, the requests of its client, the clocks, the
//! writer. Its reading end is [`super::line::Line`].

use std::{
    collections::VecDeque,
    fmt,
    hint::black_box,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    Shared,
    outgoing::{FIRST_ENTRY, Outgoing},
    packet::Packet,
    table::{Place, fresh_sid},
    wire::Wire,
};
use crate::{
    bell::Bell,
    transport::{CannotTake, EndReason, Frame, Sink},
};

/// A packet of the client.
#[derive(Debug)]
pub(super) enum Said {
    Text(Utf8Bytes),
    Binary(Bytes),
}

/// The session. It is the way to the first who enters by it, of whom there mostly is no second.
///
/// What a delivery touches stands together in front, in two lines of a cache and a third for the counts of its [`Arc`]: among thousands of
/// sessions each is cold when its turn comes. What reading touches follows.
#[repr(C, align(64))]
pub(super) struct Session {
    /// For the writer's list.
    this: Weak<Self>,
    pub(super) out: Mutex<Outgoing>,
    shared: Arc<Shared>,
    incoming: Mutex<Incoming>,
    /// Rung for the reading end: look what has changed.
    pub(super) bell: Bell,
    is_unanswered: AtomicBool,
    is_overdue: AtomicBool,
    /// Rung for a POST that waits: the reading end has taken all that came by polls.
    room: Notify,
    /// Pings so far.
    pings: AtomicU32,
    number: usize,
    sid: String,
    /// What the first request said about who it is from.
    pub(super) credentials: HeaderMap,
    /// How often it has entered or left, so that a clock knows whether it was set for the present stay outside.
    entries: AtomicU32,
    is_inside: AtomicBool,
    _place: Place,
}

/// What waits for the reading end.
#[derive(Default)]
struct Incoming {
    /// Packets that came by polls: those of one POST.
    said: VecDeque<Said>,
    /// The WebSocket that the session has moved to. Boxed, as most begin on theirs.
    wire: Option<Box<Wire>>,
    /// Asked to end.
    stop: Option<EndReason>,
    is_posting: bool,
    /// The reading end is on the WebSocket, or gone: it takes nothing from polls any more.
    deaf: Option<Deaf>,
}

/// Why a POST is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deaf {
    /// The session has moved to a WebSocket.
    Elsewhere,
    /// It is over.
    Over,
}

/// What the reading end finds.
pub(super) enum Taken {
    Said(Said),
    Wire(Wire),
    Nothing,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, out: Outgoing, credentials: HeaderMap, place: Place) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            number: shared.next_number(),
            shared,
            this: Weak::clone(this),
            out: Mutex::new(out),
            sid: fresh_sid(),
            credentials,
            incoming: Mutex::default(),
            bell: Bell::default(),
            room: Notify::new(),
            pings: AtomicU32::new(0),
            is_unanswered: AtomicBool::new(false),
            is_overdue: AtomicBool::new(false),
            entries: AtomicU32::new(0),
            is_inside: AtomicBool::new(false),
            _place: place,
        })
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Its id: a secret that only its client knows.
    pub(super) fn sid(&self) -> &str {
        &self.sid
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    // What it is told.

    /// Queues a packet that must be said whatever waits.
    pub(super) fn say(self: &Arc<Self>, packet: Packet) {
        let is_new = self.out().push_anyway(packet);
        self.mark_if(is_new);
    }

    /// Queues packets that belong together, for an application.
    pub(super) fn say_all(self: &Arc<Self>, packets: &[Packet]) -> Result<(), CannotTake> {
        let is_new = self.out().say_all(packets, self.shared.bounds())?;
        self.mark_if(is_new);
        Ok(())
    }

    /// Queues a packet for the client inside, as whom it entered the `entry`th time.
    pub(super) fn tell(&self, entry: u32, packet: &Packet) -> Result<(), CannotTake> {
        let is_new = self.out().tell(entry, packet, self.shared.bounds())?;
        self.mark_if(is_new);
        Ok(())
    }

    /// Writes what waits, as far as the client takes it. Called by the writer.
    pub(super) fn flush(self: &Arc<Self>) {
        let blocked = self.out().flush();
        if let Some(stream) = blocked {
            let this = Arc::clone(self);
            tokio::spawn(async move {
                let _ = stream.writable().await; // an error shows at the next write
                let is_new = this.out().unblocked();
                this.mark_if(is_new);
            });
        }
    }

    /// Marks it as having something to write, if it was not.
    pub(super) fn mark_if(&self, is_new: bool) {
        if is_new && let Some(this) = self.this.upgrade() {
            self.shared.flushers.mark(this);
        }
    }

    // Entering and leaving.

    /// Somebody asks to enter; what he is told from now on waits for [`enter`](Self::enter).
    pub(super) fn knock(&self) -> u32 {
        self.out().knock()
    }

    /// He is in: he reads this first, then what he was told meanwhile.
    pub(super) fn enter(self: &Arc<Self>, welcome: Packet) {
        self.settle();
        let is_new = self.out().enter(welcome);
        self.mark_if(is_new);
    }

    /// He is let in: the time to enter counts no more.
    pub(super) fn settle(&self) {
        self.is_inside.store(true, Ordering::Release);
        self.entries.fetch_add(1, Ordering::AcqRel);
    }

    /// He is out, and must enter again in time if the session is to live.
    pub(super) fn leave(self: &Arc<Self>) {
        self.out().knock();
        self.entries.fetch_add(1, Ordering::AcqRel);
        self.is_inside.store(false, Ordering::Release);
        self.shared.heart.expect_entry(self);
    }

    pub(super) fn entries(&self) -> u32 {
        self.entries.load(Ordering::Acquire)
    }

    /// The time to enter is over for this stay outside.
    pub(super) fn entry_is_due(&self, entries: u32) {
        if self.entries() == entries && !self.is_inside.load(Ordering::Acquire) {
            self.stop(EndReason::TransportClosed);
        }
    }

    // The heartbeat.

    /// Pings; the ping's number, unless the session is over.
    pub(super) fn ping(self: &Arc<Self>) -> Option<u32> {
        if !self.out().is_open() {
            return None;
        }
        self.is_unanswered.store(true, Ordering::Release);
        let number = self.pings.fetch_add(1, Ordering::AcqRel) + 1;
        self.say(self.shared.ping.clone());
        Some(number)
    }

    /// The client has answered.
    pub(super) fn pong(self: &Arc<Self>) {
        if self.is_unanswered.swap(false, Ordering::AcqRel) {
            self.is_overdue.store(false, Ordering::Release);
            self.shared.heart.ping_later(self);
        }
    }

    /// The time for the answer to this ping is over.
    pub(super) fn answer_is_due(&self, number: u32) {
        if self.is_unanswered.load(Ordering::Acquire) && self.pings.load(Ordering::Acquire) == number {
            self.is_overdue.store(true, Ordering::Release);
            self.bell.ring(); // the answer may have come and wait to be read: the reading end decides
        }
    }

    /// Whether an answer is overdue, as far as everything was read.
    pub(super) fn is_overdue(&self) -> bool {
        self.is_overdue.load(Ordering::Acquire)
    }

    // What its client says.

    /// The next thing that came otherwise than over the WebSocket.
    pub(super) fn take(&self) -> Taken {
        let mut incoming = self.incoming();
        if let Some(said) = incoming.said.pop_front() {
            if incoming.said.is_empty() {
                incoming.said = VecDeque::new();
                self.room.notify_one();
            }
            return Taken::Said(said);
        }
        let Some(wire) = incoming.wire.take() else { return Taken::Nothing };
        incoming.deaf.get_or_insert(Deaf::Elsewhere);
        Taken::Wire(*wire)
    }

    /// Why it was asked to end.
    pub(super) fn stopped(&self) -> Option<EndReason> {
        self.incoming().stop
    }

    /// Whether a POST is under way.
    pub(super) fn is_posting(&self) -> bool {
        self.incoming().is_posting
    }

    /// The POST to come, unless one is under way.
    pub(super) fn begin_post(&self) -> bool {
        !std::mem::replace(&mut self.incoming().is_posting, true)
    }

    pub(super) fn end_post(&self) {
        self.incoming().is_posting = false;
    }

    /// Hands over what a POST said, once what the last one said is taken: a client that is quicker than the core waits.
    ///
    /// # Errors
    /// Nobody takes it any more.
    pub(super) async fn hear(&self, said: VecDeque<Said>) -> Result<(), Deaf> {
        loop {
            let room = self.room.notified();
            {
                let mut incoming = self.incoming();
                if let Some(deaf) = incoming.deaf.or(incoming.stop.map(|_| Deaf::Over)) {
                    return Err(deaf);
                }
                if incoming.said.is_empty() {
                    incoming.said = said;
                    break;
                }
            }
            room.await;
        }
        self.bell.ring();
        Ok(())
    }

    /// Takes nothing more from its client, and lets go a POST that waits to be heard.
    pub(super) fn deafen(&self) {
        let deaf = Incoming { deaf: Some(Deaf::Over), ..Incoming::default() };
        let _unheard = std::mem::replace(&mut *self.incoming(), deaf);
        self.room.notify_one();
    }

    /// Goes on over this WebSocket.
    pub(super) fn hand_over(&self, wire: Wire) {
        self.incoming().wire = Some(Box::new(wire));
        self.bell.ring();
    }

    // Its end.

    /// Ends the session: its id is unknown at once, and its reading end sees to the rest. The first reason counts.
    pub(super) fn stop(&self, reason: EndReason) {
        self.retire();
        self.incoming().stop.get_or_insert(reason);
        self.bell.ring();
        self.room.notify_one();
    }

    /// Asks the session to end, and lets its client read the last words.
    pub(super) fn stop_softly(&self, reason: EndReason) {
        self.incoming().stop.get_or_insert(reason);
        self.bell.ring();
        self.room.notify_one();
    }

    /// Returns when the last words were taken.
    pub(super) async fn closed(&self) {
        while !self.out().is_closed() {
            self.bell.rung().await;
        }
    }

    /// Nobody finds the session by its id any more.
    pub(super) fn retire(&self) {
        self.shared.table.remove(&self.sid);
    }

    pub(super) fn out(&self) -> MutexGuard<'_, Outgoing> {
        self.out.lock().expect("no code panics while it holds the queue")
    }

    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().expect("no code panics while it holds the packets")
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("number", &self.number).finish_non_exhaustive() // its id is a secret
    }
}

impl Sink for Session {
    fn send(&self, frame: &Frame) -> Result<(), CannotTake> {
        self.tell(FIRST_ENTRY, frame.packet())
    }

    /// A word of each of the three lines.
    fn touch(&self) {
        black_box((self.this.strong_count(), Arc::as_ptr(&self.shared)));
    }

    fn carrier(&self) -> &'static str {
        self.out().carrier_name()
    }
}

/// The way to a client who is inside as the `entry`th.
pub(super) fn sink(session: &Arc<Session>, entry: u32) -> Arc<dyn Sink> {
    let session = Arc::clone(session);
    if entry == FIRST_ENTRY { session } else { Arc::new(LaterSink { session, entry }) }
}

/// The way to a client who entered again after he had left.
struct LaterSink {
    session: Arc<Session>,
    entry: u32,
}

impl Sink for LaterSink {
    fn send(&self, frame: &Frame) -> Result<(), CannotTake> {
        self.session.tell(self.entry, frame.packet())
    }

    fn carrier(&self) -> &'static str {
        self.session.out().carrier_name()
    }
}

/// What a delivery touches is no longer than two lines of a cache.
const _: () = assert!(std::mem::offset_of!(Session, incoming) <= 128);
