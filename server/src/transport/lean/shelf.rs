//! Where connections whose clients are away wait for them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chatwright_protocol::vocabulary::UserId;
use tokio::sync::oneshot;

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

    /// A place for a connection whose client is away; `None`: as many as allowed wait already.
    pub(super) fn place<'a>(&'a self, user: Option<UserId>, voice: &'a Arc<Voice>) -> Option<Place<'a>> {
        let mut all = self.waiting();
        if all.len() >= self.connections_max {
            return None;
        }
        let (taker, receiver) = oneshot::channel();
        all.insert(voice.pid().to_owned(), Waiting { user, voice: Arc::clone(voice), taker });
        Some(Place { shelf: self, pid: voice.pid(), receiver })
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

/// A place on the shelf. Given up, nobody is handed over into the void.
pub(super) struct Place<'a> {
    shelf: &'a Shelf,
    pid: &'a str,
    /// Gets the client if it comes back.
    pub(super) receiver: oneshot::Receiver<Returned>,
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
