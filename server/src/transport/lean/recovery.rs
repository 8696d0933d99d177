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
};

use serde_json::json;
use tokio::{sync::Notify, time::Instant};

use super::{
    elsewhere::Elsewhere,
    log::{Bounds, Log, Offset},
    packet::Packet,
    session::Session,
    shelf::{Place, Returned, Shelf},
};
use crate::{
    chat::Connection,
    store::{
        DeviceId, Position,
        away::{Away, Trail},
    },
    transport::{CannotTake, Frame, Sink},
};
use chatwright_protocol::vocabulary::{RoomId, UserId};

/// Rooms of which a connection's standing is known for other instances, those that it has left among them; one that enters more is not kept
/// for them.
const PLACES_MAX: usize = 1024;

/// A connection's way back.
#[derive(Debug)]
pub(super) struct Return {
    shelf: Arc<Shelf>,
    user: Option<UserId>,
    pub(super) voice: Arc<Voice>,
    elsewhere: Option<Elsewhere>,
    /// Where it waits, or has waited and ends.
    place: Option<Box<Place>>,
}

impl Return {
    pub(super) fn new(
        shelf: &Arc<Shelf>,
        id: DeviceId,
        user: Option<UserId>,
        session: &Arc<Session>,
        entry: u32,
    ) -> Self {
        let state = State {
            at: Some((Arc::clone(session), entry)),
            log: Log::default(),
            places: Some(HashMap::new()),
            keeper: None,
        };
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
        let state = State { at: Some((Arc::clone(session), entry)), log, places, keeper: None };
        Some((Self::with(shelf, away.id.clone(), pid.to_owned(), Some(away.user.clone()), state), missed))
    }

    fn with(shelf: &Arc<Shelf>, id: DeviceId, pid: String, user: Option<UserId>, state: State) -> Self {
        let (bounds, state, news) = (shelf.bounds(), Mutex::new(state), Notify::new());
        let voice = Arc::new(Voice { id, pid, bounds, state, is_known_elsewhere: shelf.elsewhere().is_some(), news });
        let elsewhere = shelf.elsewhere().cloned().map(|store| Elsewhere::new(store, shelf.window()));
        Self { shelf: Arc::clone(shelf), user, voice, elsewhere, place: None }
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
        let place = self.place.insert(Box::new(self.shelf.place(self.user.clone(), &self.voice)?));
        let taken_elsewhere = async {
            match (&mut self.elsewhere, &self.user) {
                (Some(elsewhere), Some(user)) => elsewhere.until_taken(&self.voice, user, connection).await,
                (None, _) | (_, None) => std::future::pending().await,
            }
        };
        let taken = tokio::select! {
            taken = &mut place.receiver => taken.ok(),
            () = taken_elsewhere => None,
            () = tokio::time::sleep(self.shelf.window()) => None,
        };
        if taken.is_some() {
            self.place = None;
            if let Some(elsewhere) = &mut self.elsewhere {
                elsewhere.forget(&self.voice);
            }
        }
        taken
    }

    /// Its connection ends, and waits no more: whoever comes back from now on begins anew when it has ended.
    pub(super) fn give_up(&mut self) {
        if let Some(place) = &mut self.place {
            place.close();
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
    /// As whom it is kept for other instances, if it is.
    keeper: Option<String>,
}

impl Voice {
    pub(super) fn pid(&self) -> &str {
        &self.pid
    }

    pub(super) fn id(&self) -> &DeviceId {
        &self.id
    }

    /// As whom it was kept for other instances, unless its client has come back here since.
    pub(super) fn keeper(&self) -> Option<String> {
        self.state().keeper.clone()
    }

    pub(super) fn kept_as(&self, keeper: Option<String>) {
        self.state().keeper = keeper;
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
    pub(super) fn resume(&self, session: &Arc<Session>, offset: Option<Offset>) -> Option<u32> {
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
