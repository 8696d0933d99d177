//! Where connections whose clients are away wait for them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chatwright_protocol::vocabulary::UserId;
use tokio::sync::{oneshot, watch};

use super::{
    elsewhere::HANDOVER,
    life,
    line::Line,
    log::{Bounds, Offset},
    recovery::Voice,
};
use crate::{auth::Identity, store::away::AwayStore, transport::EngineRules};

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
    /// Takes the client; `None`: somebody has [claimed](Shelf::claim) him.
    taker: Option<oneshot::Sender<Returned>>,
    over: watch::Receiver<()>,
}

/// Somebody who waits, in the hands of a CONNECT that has proved to be of his client: of several, one has him. Dropped, his connection ends.
pub(super) struct Claimed {
    pub(super) voice: Arc<Voice>,
    taker: oneshot::Sender<Returned>,
    over: watch::Receiver<()>,
}

impl Claimed {
    /// His client reads what it missed, and the connection goes on with it. The line comes back if there is nothing to go on with, when
    /// nothing is left of the connection.
    pub(super) async fn hand_over(
        self,
        identity: Option<&Identity>,
        offset: Option<Offset>,
        mut line: Box<Line>,
    ) -> Result<(), Box<Line>> {
        let entry = if self.taker.is_closed() { None } else { self.voice.resume(&line.session, offset) };
        let Some(entry) = entry else {
            self.end().await;
            return Err(line);
        };
        line.talk.entered();
        if let Err(Returned { line, .. }) = self.taker.send(Returned { line, entry, identity: identity.cloned() }) {
            life::abandon(line); // it ended in this moment
        }
        Ok(())
    }

    /// His connection ends as soon as another instance, which may have taken him in this moment, has him in his rooms.
    pub(super) fn end_soon(self) {
        tokio::spawn(async move {
            tokio::time::sleep(HANDOVER).await;
            drop(self);
        });
    }

    /// His connection ends; returns when nothing is left of it.
    pub(super) async fn end(self) {
        let Self { taker, mut over, .. } = self;
        drop(taker);
        let _ = over.changed().await; // nothing is ever sent: it is dropped
    }
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

    /// How long a client may stay away.
    pub(super) fn window(&self) -> Duration {
        self.window
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds { bytes_max: self.bytes_max, age_max: self.window }
    }

    /// Who waits under this private id, if he is this user. Whoever is in other hands, or ends, is waited for.
    pub(super) async fn claim(&self, pid: &str, user: Option<&UserId>) -> Option<Claimed> {
        loop {
            let mut over = {
                let mut all = self.waiting();
                let waiting = all.get_mut(pid).filter(|waiting| waiting.user.as_ref() == user)?;
                let over = waiting.over.clone();
                match waiting.taker.take() {
                    Some(taker) => return Some(Claimed { voice: Arc::clone(&waiting.voice), taker, over }),
                    None => over,
                }
            };
            let _ = over.changed().await;
        }
    }

    /// A place for a connection whose client is away; `None`: as many as allowed wait already.
    pub(super) fn place(self: &Arc<Self>, user: Option<UserId>, voice: &Arc<Voice>) -> Option<Place> {
        let mut all = self.waiting();
        if all.len() >= self.connections_max {
            return None;
        }
        let ((taker, receiver), (is_there, over)) = (oneshot::channel(), watch::channel(()));
        let waiting = Waiting { user, voice: Arc::clone(voice), taker: Some(taker), over };
        all.insert(voice.pid().to_owned(), waiting);
        Some(Place { shelf: Arc::clone(self), voice: Arc::clone(voice), receiver, _is_there: is_there })
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().expect("no code panics while it holds the shelf")
    }
}

/// A place on the shelf, as long as its connection waits or ends.
pub(super) struct Place {
    shelf: Arc<Shelf>,
    voice: Arc<Voice>,
    /// Gets the client if it comes back.
    pub(super) receiver: oneshot::Receiver<Returned>,
    _is_there: watch::Sender<()>,
}

impl Place {
    /// Waits no more. Nobody is handed over into the void.
    pub(super) fn close(&mut self) {
        self.receiver.close();
        if let Ok(Returned { line, .. }) = self.receiver.try_recv() {
            life::abandon(line);
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("voice", &self.voice).finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.close();
        let mut all = self.shelf.waiting();
        if all.get(self.voice.pid()).is_some_and(|waiting| Arc::ptr_eq(&waiting.voice, &self.voice)) {
            all.remove(self.voice.pid());
        }
    }
}
