//! Recovery across instances: while a client is away, its connection is kept where every instance finds it, and whoever finds it first goes
//! on with it. Where that place does not answer, a client that comes back elsewhere begins anew, and here goes on, if a little later.
//! Whom it has forgotten begins anew here too: nobody knows whether he was elsewhere.

use std::{sync::Arc, time::Duration};

use chatwright_protocol::vocabulary::UserId;
use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use super::{
    Door, Shared,
    line::Line,
    log::Offset,
    packet::Packet,
    recovery::{Return, Voice},
};
use crate::{
    auth::Identity,
    chat::Connection,
    store::away::{Away, AwayStore},
    transport::{EndReason, Sink},
};

/// How long a connection stays that another instance has taken: until its user is in his rooms there, so that nobody sees him leave.
pub(super) const HANDOVER: Duration = Duration::from_secs(1);

/// Characters of a private id that are looked for; ours have 22.
const PRIVATE_ID_MAX: usize = 64;

/// A connection's place where other instances find it.
#[derive(Debug)]
pub(super) struct Elsewhere {
    store: Arc<dyn AwayStore>,
    window: Duration,
    /// It is kept there, with what it was told up to here.
    kept: Option<Option<Offset>>,
    forgetting: Option<JoinHandle<()>>,
}

impl Elsewhere {
    pub(super) fn new(store: Arc<dyn AwayStore>, window: Duration) -> Self {
        Self { store, window, kept: None, forgetting: None }
    }

    /// Keeps the connection, and what it is told, until another instance takes it.
    pub(super) async fn until_taken(&mut self, voice: &Voice, user: &UserId, connection: &Connection) {
        self.leave(voice, user, connection).await;
        loop {
            voice.news.notified().await;
            if self.kept.is_some() && !self.add(voice, connection).await {
                tokio::time::sleep(HANDOVER).await;
                return;
            }
        }
    }

    /// Keeps it as it stands, whether or not it was kept before.
    pub(super) async fn leave(&mut self, voice: &Voice, user: &UserId, connection: &Connection) {
        if let Some(forgetting) = self.forgetting.take() {
            let _ = forgetting.await; // what it was, is forgotten before it is kept anew
        }
        if self.kept.is_some() {
            self.add(voice, connection).await;
            return;
        }
        let Some((trail, last, _)) = voice.trail(connection.rooms(), None) else { return };
        let away = Away { user: user.clone(), id: voice.id().clone(), keeper: super::table::fresh_sid(), trail };
        match self.store.keep(voice.pid(), &away, self.window).await {
            Ok(()) => {
                self.kept = Some(last);
                voice.kept_as(Some(away.keeper));
            }
            Err(problem) => tracing::debug!(%problem, "a client that comes back elsewhere begins anew"),
        }
    }

    /// Adds what it was told since. `false`: somebody has taken it.
    async fn add(&mut self, voice: &Voice, connection: &Connection) -> bool {
        let Some((trail, last, count)) = voice.trail(connection.rooms(), self.kept.flatten()) else { return true };
        match self.store.add(voice.pid(), &trail, count).await {
            Ok(true) => self.kept = Some(last),
            Ok(false) => return false,
            Err(problem) => tracing::debug!(%problem, "what a client misses now is added with what it misses next"),
        }
        true
    }

    /// Its client is back here.
    pub(super) fn forget(&mut self, voice: &Voice) {
        self.kept = None;
        voice.kept_as(None);
        let (store, pid) = (Arc::clone(&self.store), voice.pid().to_owned());
        self.forgetting = Some(tokio::spawn(async move {
            if let Err(problem) = store.forget(&pid).await {
                tracing::debug!(%problem, "who is back is forgotten elsewhere when the window is over");
            }
        }));
    }
}

/// Where somebody was since he left here.
pub(super) enum Since {
    /// Nowhere else.
    Here,
    /// With another instance, which has left this of him, if he is not there still. What he was told there is not known here.
    Elsewhere(Option<Box<Away>>),
}

/// Somebody who was on another instance, and is here now.
pub(super) struct Arrival {
    pub(super) connection: Arc<Connection>,
    pub(super) back: Return,
    pub(super) entry: u32,
    /// What he reads before the answer to his CONNECT.
    pub(super) missed: Vec<Packet>,
}

/// What a client says of who it was: its private id, and the last offset that it has read. `None`: nothing that we could have given it.
pub(super) fn claim(auth: &Map<String, Value>) -> Option<(&str, Option<Offset>)> {
    let pid = auth.get("pid").and_then(Value::as_str).filter(|pid| pid.len() <= PRIVATE_ID_MAX)?;
    let offset = match auth.get("offset") {
        None | Some(Value::Null) => None,
        Some(said) => Some(said.as_str().and_then(Offset::read)?),
    };
    Some((pid, offset))
}

impl Shared {
    /// Whether somebody who waits here was on another instance meanwhile: without a word, as long as his rooms are quiet.
    pub(super) async fn since(&self, voice: &Voice, user: Option<&UserId>) -> Since {
        let store = self.shelf.as_ref().and_then(|shelf| shelf.elsewhere());
        let (Some(store), Some(user), Some(keeper)) = (store, user, voice.keeper()) else { return Since::Here };
        match store.take(voice.pid(), user).await {
            Ok(Some(away)) if away.keeper == keeper => Since::Here,
            Ok(away) => Since::Elsewhere(away.map(Box::new)),
            Err(problem) => {
                tracing::debug!(%problem, "who comes back goes on as if he had not been elsewhere");
                Since::Here
            }
        }
    }

    /// Goes on with the connection of somebody who was on another instance, `away` if it was taken already; `None`: there is none, or nothing
    /// to go on with.
    pub(super) async fn arrive(
        &self,
        door: &Door,
        line: &Line,
        auth: &Map<String, Value>,
        identity: Option<&Identity>,
        away: Option<Box<Away>>,
    ) -> Option<Arrival> {
        let shelf = self.shelf.as_ref()?;
        let store = shelf.elsewhere()?;
        let ((pid, offset), identity) = (claim(auth)?, identity?);
        let away = match away {
            Some(away) => *away,
            None => match store.take(pid, &identity.user).await {
                Ok(away) => away?,
                Err(problem) => {
                    tracing::debug!(%problem, "a client that was elsewhere begins anew");
                    return None;
                }
            },
        };
        if door.core.registry().get(&away.id).is_some() {
            return None; // it has come here before it was kept, and what is left of it here ends under the same public id
        }
        let entry = line.session.knock();
        let (back, missed) = Return::restored(shelf, pid, &away, offset, (&line.session, entry))?;
        let sink: Arc<dyn Sink> = Arc::clone(&back.voice) as Arc<dyn Sink>;
        let connection = door.core.connect(Some(identity.clone()), away.id.clone(), sink).await.ok()?;
        if !door.core.resume(&connection, &away.trail.standing).await {
            door.core.disconnect(&connection, EndReason::TransportClosed).await;
            return None;
        }
        tracing::info!("Client recovered from another instance: {}", away.id);
        Some(Arrival { connection, back, entry, missed })
    }
}
