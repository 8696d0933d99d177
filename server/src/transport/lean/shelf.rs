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
    /// Takes the client; `None`: no more.
    taker: Option<oneshot::Sender<Returned>>,
    over: watch::Receiver<()>,
}

/// Somebody who waits, for whoever has proved to be his client.
pub(super) struct Found {
    pub(super) voice: Arc<Voice>,
    over: watch::Receiver<()>,
}

impl Found {
    /// He waits no more: his client is back, or his connection has ended and nothing of it is left.
    pub(super) async fn over(mut self) {
        let _ = self.over.changed().await; // nothing is ever sent: it is dropped
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

    /// Whether a connection waits under this private id.
    pub(super) fn has(&self, pid: &str) -> bool {
        self.waiting().contains_key(pid)
    }

    /// Who waits under this private id, if he is this user.
    pub(super) fn find(&self, pid: &str, user: Option<&UserId>) -> Option<Found> {
        let all = self.waiting();
        let waiting = all.get(pid).filter(|waiting| waiting.user.as_ref() == user)?;
        Some(Found { voice: Arc::clone(&waiting.voice), over: waiting.over.clone() })
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

    /// A client is back: it reads what it missed, and its connection goes on with it. The line comes back if there is nothing to go on with:
    /// then what has waited ends.
    pub(super) fn hand_over(
        &self,
        voice: &Arc<Voice>,
        identity: Option<&Identity>,
        offset: Option<Offset>,
        mut line: Box<Line>,
    ) -> Result<(), Box<Line>> {
        let Some(taker) = self.give_up(voice).filter(|taker| !taker.is_closed()) else { return Err(line) };
        let Some(entry) = voice.resume(&line.session, offset) else { return Err(line) };
        line.talk.entered();
        if let Err(Returned { line, .. }) = taker.send(Returned { line, entry, identity: identity.cloned() }) {
            life::abandon(line); // it ended in this moment
        }
        Ok(())
    }

    /// He waits for his client no more; what is returned can still hand one over, and ends him otherwise.
    pub(super) fn give_up(&self, voice: &Arc<Voice>) -> Option<oneshot::Sender<Returned>> {
        let mut all = self.waiting();
        let waiting = all.get_mut(voice.pid()).filter(|waiting| Arc::ptr_eq(&waiting.voice, voice))?;
        waiting.taker.take()
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
