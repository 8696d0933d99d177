//! Connection state recovery, as the official server has it: a client whose transport broke off comes back with its private id and the
//! last offset that it has read, and goes on as if nothing had been: the same `sid`, the same rooms, and what it missed, once and in order.
//!
//! A chat core sees none of this. Its connection stays in as long as the client may come back, and what it is told meanwhile is kept; so
//! nobody leaves, nobody arrives a second time, and no history is told again. The price is that a user who is gone for good is present until the
//! window is over, and that each event has one more argument. So it is done only where a window is configured.
//!
//! Who left in so many words, was sent away or broke the protocol begins anew; so does who comes too late, as somebody else, or with an offset
//! that is forgotten by now. The private id is a secret between this server and its client.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    elsewhere::Elsewhere,
    life,
    line::Line,
    log::{Bounds, Log, Offset},
    packet::Packet,
    session::Session,
};
use crate::{
    auth::Identity,
    chat::Connection,
    store::{
        DeviceId, Position,
        away::{Away, AwayStore, Trail},
    },
    transport::{CannotTake, EngineRules, Frame, Sink},
};
use chatwright_protocol::vocabulary::{RoomId, UserId};

/// Rooms of which a connection's standing is known for other instances, those that it has left among them; one that enters more is not kept
/// for them.
const PLACES_MAX: usize = 1024;

/// Those who may come back.
#[derive(Debug)]
pub(super) struct Shelf {
    window: Duration,
    connections_max: usize,
    bytes_max: usize,
    waiting: Mutex<HashMap<String, Waiting>>,
    /// Where connections are kept for other instances, if they are.
    elsewhere: Option<Arc<dyn AwayStore>>,
}

/// A connection without a client.
struct Waiting {
    /// Whose it is, as the handshake proved.
    user: Option<UserId>,
    voice: Arc<Voice>,
    taker: oneshot::Sender<Returned>,
}

/// A client who is back.
pub(super) struct Returned {
    pub(super) line: Box<Line>,
    /// As which of his session's visitors.
    pub(super) entry: u32,
    /// Who he is, as this time's handshake proved.
    pub(super) identity: Option<Identity>,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Shelf {
    /// `None`: nobody may come back.
    pub(super) fn new(rules: &EngineRules, elsewhere: Option<Arc<dyn AwayStore>>) -> Option<Arc<Self>> {
        (!rules.recovery_window.is_zero()).then(|| {
            Arc::new(Self {
                window: rules.recovery_window,
                connections_max: rules.recovery_connections_max,
                bytes_max: rules.recovery_bytes_max,
                waiting: Mutex::default(),
                elsewhere,
            })
        })
    }

    pub(super) fn elsewhere(&self) -> Option<&Arc<dyn AwayStore>> {
        self.elsewhere.as_ref()
    }

    fn bounds(&self) -> Bounds {
        Bounds { bytes_max: self.bytes_max, age_max: self.window }
    }

    /// Whether a connection waits under this private id.
    pub(super) fn has(&self, pid: &str) -> bool {
        self.waiting().contains_key(pid)
    }

    /// A client is back: it reads what it missed, and its connection goes on with it. The line comes back if there is nothing to go on with.
    pub(super) fn hand_over(
        &self,
        pid: &str,
        identity: Option<&Identity>,
        offset: Option<Offset>,
        mut line: Box<Line>,
    ) -> Result<(), Box<Line>> {
        let waiting = {
            let mut all = self.waiting();
            let user = identity.map(|identity| &identity.user);
            let is_his = all.get(pid).is_some_and(|waiting| waiting.user.as_ref() == user);
            if is_his { all.remove(pid) } else { None }
        };
        let Some(Waiting { voice, taker, .. }) = waiting else { return Err(line) };
        // With an offset that is forgotten nothing can be gone on with: dropping `taker` ends what has waited.
        let Some(entry) = voice.resume(&line.session, offset) else { return Err(line) };
        line.talk.entered();
        if let Err(Returned { line, .. }) = taker.send(Returned { line, entry, identity: identity.cloned() }) {
            life::abandon(line); // it ended in this moment
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().expect("no code panics while it holds the shelf")
    }
}

/// A connection's way back.
#[derive(Debug)]
pub(super) struct Return {
    shelf: Arc<Shelf>,
    user: Option<UserId>,
    pub(super) voice: Arc<Voice>,
    elsewhere: Option<Elsewhere>,
}

impl Return {
    pub(super) fn new(
        shelf: &Arc<Shelf>,
        id: DeviceId,
        user: Option<UserId>,
        session: &Arc<Session>,
        entry: u32,
    ) -> Self {
        let state = State { at: Some((Arc::clone(session), entry)), log: Log::default(), places: Some(HashMap::new()) };
        Self::with(shelf, id, super::table::fresh_sid(), user, state)
    }

    /// That of a connection that was kept elsewhere, and what it missed behind this offset. `None` if nobody knows that any more.
    pub(super) fn restored(
        shelf: &Arc<Shelf>,
        pid: &str,
        away: &Away,
        offset: Option<Offset>,
        (session, entry): (&Arc<Session>, u32),
    ) -> Option<(Self, Vec<Packet>)> {
        let log = Log::restored(&away.trail, Instant::now(), shelf.bounds())?;
        let missed = log.behind(offset)?.cloned().collect();
        let places = Some(away.trail.standing.iter().cloned().collect());
        let state = State { at: Some((Arc::clone(session), entry)), log, places };
        Some((Self::with(shelf, away.id.clone(), pid.to_owned(), Some(away.user.clone()), state), missed))
    }

    fn with(shelf: &Arc<Shelf>, id: DeviceId, pid: String, user: Option<UserId>, state: State) -> Self {
        let (bounds, state, news) = (shelf.bounds(), Mutex::new(state), Notify::new());
        let voice = Arc::new(Voice { id, pid, bounds, state, is_known_elsewhere: shelf.elsewhere.is_some(), news });
        let elsewhere = shelf.elsewhere.clone().map(|store| Elsewhere::new(store, shelf.window));
        Self { shelf: Arc::clone(shelf), user, voice, elsewhere }
    }

    /// The server stops: its client may come back to another instance. From here on the client is told nothing more (the others of its rooms
    /// go as well): an offset that nobody else knows would be of no use to him.
    pub(super) async fn leave_behind(&mut self, connection: &Connection) {
        if let (Some(elsewhere), Some(user)) = (&mut self.elsewhere, &self.user) {
            self.voice.state().at = None;
            elsewhere.leave(&self.voice, user, connection).await;
        }
    }

    /// Waits for the client, for whom a transport has just broken off; `None`: it does not come.
    pub(super) async fn wait(&mut self, connection: &Connection) -> Option<Returned> {
        self.voice.state().at = None;
        let (taker, receiver) = oneshot::channel();
        {
            let mut all = self.shelf.waiting();
            if all.len() >= self.shelf.connections_max {
                return None;
            }
            let (user, voice) = (self.user.clone(), Arc::clone(&self.voice));
            all.insert(self.voice.pid.clone(), Waiting { user, voice, taker });
        }
        let mut place = Place { shelf: &self.shelf, pid: &self.voice.pid, receiver };
        let taken_elsewhere = async {
            match (&mut self.elsewhere, &self.user) {
                (Some(elsewhere), Some(user)) => elsewhere.until_taken(&self.voice, user, connection).await,
                (None, _) | (_, None) => std::future::pending().await,
            }
        };
        let taken = tokio::select! {
            taken = &mut place.receiver => taken.ok(),
            () = taken_elsewhere => None,
            () = tokio::time::sleep(self.shelf.window) => None,
        };
        drop(place);
        if let (Some(elsewhere), Some(_)) = (&mut self.elsewhere, &taken) {
            elsewhere.forget(&self.voice);
        }
        taken
    }
}

/// A place on the shelf. Given up, nobody is handed over into the void.
struct Place<'a> {
    shelf: &'a Shelf,
    pid: &'a str,
    receiver: oneshot::Receiver<Returned>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shelf.waiting().remove(self.pid);
        self.receiver.close();
        if let Ok(Returned { line, .. }) = self.receiver.try_recv() {
            life::abandon(line);
        }
    }
}

/// The way to a client who may be away for a while.
pub(super) struct Voice {
    id: DeviceId,
    pid: String,
    bounds: Bounds,
    state: Mutex<State>,
    is_known_elsewhere: bool,
    /// Rung when somebody who is away is told something.
    pub(super) news: Notify,
}

struct State {
    /// Where the client is, and as which of that session's visitors.
    at: Option<(Arc<Session>, u32)>,
    log: Log,
    /// Up to where it was told each room; `None`: too many to know.
    places: Option<HashMap<RoomId, Position>>,
}

impl Voice {
    pub(super) fn pid(&self) -> &str {
        &self.pid
    }

    pub(super) fn id(&self) -> &DeviceId {
        &self.id
    }

    /// How far it was told behind this offset, with the last offset of that, and how many events the log has. `None` where that is not known of
    /// all these rooms.
    pub(super) fn trail(&self, rooms: Vec<RoomId>, behind: Option<Offset>) -> Option<(Trail, Option<Offset>, usize)> {
        let state = self.state();
        let places = state.places.as_ref()?;
        let place = |room: RoomId| places.get(&room).map(|position| (room, *position));
        let standing = rooms.into_iter().map(place).collect::<Option<_>>()?;
        let (told, last) = state.log.told_behind(behind);
        let forgotten = state.log.forgotten().map(|offset| offset.to_string());
        Some((Trail { standing, forgotten, told }, last, state.log.len()))
    }

    /// The answer to its CONNECT.
    pub(super) fn welcome(&self) -> Packet {
        Packet::of(&format!("40{}", json!({"sid": self.id.as_str(), "pid": self.pid})))
    }

    /// Goes on in this session: first what was missed, then the answer to CONNECT, then what comes.
    fn resume(&self, session: &Arc<Session>, offset: Option<Offset>) -> Option<u32> {
        let mut state = self.state();
        let missed = state.log.behind(offset)?;
        let entry = session.knock();
        missed.for_each(|packet| session.say(packet.clone()));
        session.enter(self.welcome());
        tracing::info!("Client recovered: {}", self.id);
        state.at = Some((Arc::clone(session), entry));
        Some(entry)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the voice")
    }
}

impl State {
    fn note(&mut self, room: &RoomId, position: Position) {
        let Some(places) = &mut self.places else { return };
        if let Some(known) = places.get_mut(room) {
            *known = position.max(*known);
        } else if places.len() < PLACES_MAX {
            places.insert(room.clone(), position);
        } else {
            self.places = None;
        }
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice").field("id", &self.id).finish_non_exhaustive() // the private id is a secret
    }
}

impl Sink for Voice {
    fn send(&self, frame: &Frame) -> Result<(), CannotTake> {
        let Some(numbered) = frame.numbered() else { return Ok(()) }; // events are all that is told over Socket.IO
        let mut state = self.state();
        state.log.push(Instant::now(), numbered.clone(), self.bounds);
        if self.is_known_elsewhere {
            if let Some((room, position)) = frame.place() {
                state.note(room, *position);
            }
            if state.at.is_none() {
                self.news.notify_one();
            }
        }
        match &state.at {
            Some((session, entry)) => match session.tell(*entry, &numbered.packet) {
                Ok(()) | Err(CannotTake::Closed) => Ok(()), // its driver sees the end as well, and the log has it
                Err(CannotTake::Full) => Err(CannotTake::Full),
            },
            None => Ok(()),
        }
    }

    fn knows(&self, room: &RoomId, position: Position) {
        if self.is_known_elsewhere {
            self.state().note(room, position);
        }
    }

    fn carrier(&self) -> &'static str {
        self.state().at.as_ref().map_or("nothing", |(session, _)| session.out().carrier_name())
    }
}
