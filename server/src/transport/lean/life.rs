//! A session's life, in its one task: outside until a CONNECT is granted, inside until the client leaves or is asked to, and the parting.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    Above, Door, Shared, app,
    elsewhere::{self, Arrival, Since},
    line::{Inside, Line},
    over::{Over, Parting, unheard},
    packet::Packet,
    recovery::Return,
    session::{Session, sink},
    talk::Step,
    wire::Wire,
    ws::code,
};
use crate::{
    auth::{Admission, AuthError, Identity, token::handshake_token},
    chat::{ConnectRefusal, Connection},
    connection,
    store::{DeviceId, away::Away},
    transport::{EndReason, Sink},
};

/// How long a client that was told to go may take to read that and close.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Why a client is not let in: the message of its CONNECT_ERROR.
enum Refused {
    Identity(AuthError),
    Core(ConnectRefusal),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(reason) => write!(f, "Authentication error: {reason}"),
            Self::Core(reason) => write!(f, "{reason}"),
        }
    }
}

/// From the handshake to the end.
pub(super) async fn live(shared: Arc<Shared>, mut line: Box<Line>) {
    let (mut line, over) = match &shared.above {
        Above::Application(application) => {
            let over = app::converse(application.as_ref(), &mut line).await;
            (line, over)
        }
        Above::Core(door) => match visit(&shared, door, line).await {
            Some(visited) => visited,
            None => return, // its connection goes on with it, in the task where that is driven
        },
    };
    tracing::debug!(session = line.session.number(), reason = over.reason.as_str(), "session over");
    if !line.is_parted {
        let wire = line.take_wire();
        Box::pin(part(&shared, line.session, wire, over)).await;
    }
}

/// Ends a session for whom there is nobody any more; its client tries again.
pub(super) fn abandon(mut line: Box<Line>) {
    part_now(&mut line, Over::by_us(EndReason::TransportClosed));
}

/// Says the last words of a session without waiting for them.
pub(super) fn part_now(line: &mut Line, over: Over) {
    let (session, wire) = (Arc::clone(&line.session), line.take_wire());
    line.is_parted = true;
    let tasks = session.shared().tasks.clone();
    tasks.spawn(async move {
        let shared = Arc::clone(session.shared());
        part(&shared, session, wire, over).await;
    });
}

/// A session's life with a chat core; `None`: a connection has taken the line that was in before.
///
/// What is over soon stands in a box of its own, or each session would keep room for it as long as it lives.
async fn visit(shared: &Shared, door: &Door, mut line: Box<Line>) -> Option<(Box<Line>, Over)> {
    loop {
        match line.next().await {
            Some(Step::Enter(auth)) => {
                let admitted;
                (line, admitted) = Box::pin(shared.admit(door, line, &auth)).await?;
                shared.enter(door, &mut line, &auth, admitted).await;
            }
            Some(Step::EnterElsewhere(namespace)) => {
                refuse_namespace(&mut line, &namespace);
            }
            Some(
                Step::Nothing
                | Step::Pong
                | Step::Close
                | Step::Broken(_)
                | Step::Event { .. }
                | Step::Leave
                | Step::Said(_),
            )
            | None => {} // not while outside
        }
        if let Some(over) = line.over {
            return Some((line, over));
        }
    }
}

/// Refuses a namespace that nobody has. `false`: that was once too often, and the session is over.
pub(super) fn refuse_namespace(line: &mut Line, namespace: &str) -> bool {
    refuse(line, &format!("44{namespace},"), "Invalid namespace")
}

fn refuse(line: &mut Line, head: &str, message: &str) -> bool {
    line.session.say(Packet::of(&format!("{head}{}", json!({"message": message}))));
    let may_go_on = line.talk.refused();
    if !may_go_on {
        let parting = Parting::Close(Some(code::POLICY));
        line.over = Some(Over { reason: EndReason::TooManyRequests, parting });
    }
    may_go_on
}

impl Shared {
    /// A CONNECT: verified. The line comes back, unless the connection of somebody who was in before goes on with it.
    async fn admit(
        &self,
        door: &Door,
        line: Box<Line>,
        auth: &Map<String, Value>,
    ) -> Option<(Box<Line>, Result<Box<Admitted>, AuthError>)> {
        let identity = match door.verify(auth, &line.session.credentials).await {
            Ok(identity) => identity,
            Err(reason) => return Some((line, Err(reason))),
        };
        let (line, away) = self.recover(line, auth, identity.as_ref()).await?;
        Some((line, Ok(Box::new(Admitted { identity, away }))))
    }

    /// The connection of somebody who was in before takes the line and goes on. The line comes back if there is none, with what another
    /// instance has left of him.
    async fn recover(
        &self,
        line: Box<Line>,
        auth: &Map<String, Value>,
        identity: Option<&Identity>,
    ) -> Option<(Box<Line>, Option<Box<Away>>)> {
        let (Some(shelf), Some((pid, offset))) = (&self.shelf, elsewhere::claim(auth)) else {
            return Some((line, None));
        };
        let user = identity.map(|identity| &identity.user);
        let Some(claimed) = shelf.claim(pid, user).await else { return Some((line, None)) };
        match self.since(&claimed.voice, user).await {
            Since::Here => claimed.hand_over(identity, offset, line).await.err().map(|line| (line, None)),
            Since::Elsewhere(Some(away)) => {
                claimed.end().await; // or it would take with it, under the same public id, who is about to come in
                Some((line, Some(away)))
            }
            Since::Elsewhere(None) => {
                claimed.end_soon();
                Some((line, None))
            }
        }
    }

    /// A CONNECT: counted before it is answered, then driven until the client is out again.
    async fn enter(
        &self,
        door: &Door,
        line: &mut Line,
        auth: &Map<String, Value>,
        admitted: Result<Box<Admitted>, AuthError>,
    ) {
        let entered = Box::pin(self.let_in(door, line, auth, admitted)).await;
        let Entered { connection, back, entry, missed } = match entered {
            Ok(entered) => entered,
            Err(refused) => {
                refuse(line, "44", &refused.to_string());
                return;
            }
        };
        line.talk.entered();
        missed.into_iter().for_each(|packet| line.session.say(packet));
        line.session.enter(match &back {
            Some(back) => back.voice.welcome(),
            None => Packet::of(&format!("40{}", json!({"sid": connection.id().as_str()}))),
        });
        let inside = Inside { line, entry, back, connection: &connection };
        let reason = connection::drive(&door.core, &connection, &self.metrics, inside).await;
        drop(connection);
        if line.over.is_some() {
            return;
        }
        match reason {
            EndReason::ClientLeft => line.session.leave(),
            EndReason::EndAsked => {
                line.session.say(self.disconnect.clone());
                line.talk.left();
                line.session.leave();
            }
            EndReason::TokenExpired => {
                line.session.say(self.disconnect.clone());
                line.over = Some(Over::by_us(reason));
            }
            EndReason::TransportClosed
            | EndReason::HeartbeatTimeout
            | EndReason::ProtocolViolation
            | EndReason::SlowConsumer
            | EndReason::TooManyRequests
            | EndReason::ServerStopping => line.over = Some(Over::by_us(reason)),
        }
    }
}

/// Somebody who may come in.
struct Admitted {
    identity: Option<Identity>,
    /// What another instance has left of him, if he has been there since he was here.
    away: Option<Box<Away>>,
}

/// Somebody who is in.
struct Entered {
    connection: Arc<Connection>,
    back: Option<Return>,
    entry: u32,
    /// What he missed, if he was on another instance before.
    missed: Vec<Packet>,
}

impl Shared {
    async fn let_in(
        &self,
        door: &Door,
        line: &Line,
        auth: &Map<String, Value>,
        admitted: Result<Box<Admitted>, AuthError>,
    ) -> Result<Entered, Refused> {
        let session = &line.session;
        let Admitted { identity, away } = *admitted.map_err(Refused::Identity)?;
        if let Some(Arrival { connection, back, entry, missed }) =
            self.arrive(door, line, auth, identity.as_ref(), away).await
        {
            return Ok(Entered { connection, back: Some(back), entry, missed });
        }
        let (id, entry) = (DeviceId::fresh(), session.knock());
        let user = identity.as_ref().map(|identity| identity.user.clone());
        let back = self.shelf.as_ref().map(|shelf| Return::new(shelf, id.clone(), user, session, entry));
        let sink: Arc<dyn Sink> = match &back {
            Some(back) => Arc::clone(&back.voice) as Arc<dyn Sink>,
            None => sink(session, entry),
        };
        let connection = door.core.connect(identity, id, sink).await.map_err(Refused::Core)?;
        Ok(Entered { connection, back, entry, missed: Vec::new() })
    }
}

impl Door {
    async fn verify(
        &self,
        auth: &Map<String, Value>,
        credentials: &http::HeaderMap,
    ) -> Result<Option<Identity>, AuthError> {
        let auth = Value::Object(auth.clone());
        let token = handshake_token(Some(&auth), credentials)?;
        match self.gate.admit(token.as_deref()).await? {
            Admission::Verified(identity) => Ok(Some(identity)),
            Admission::Anonymous => Ok(None),
        }
    }
}

/// The end: last words as far as the client reads them.
async fn part(shared: &Shared, session: Arc<Session>, wire: Option<Wire>, over: Over) {
    let Some(wire) = wire else {
        // Only who is asked to go may find the session once more, to read so: whoever broke it or left has read enough.
        let is_asked_to_go = matches!(
            over.reason,
            EndReason::EndAsked | EndReason::TokenExpired | EndReason::SlowConsumer | EndReason::ServerStopping
        );
        if !is_asked_to_go {
            session.retire();
        }
        session.deafen();
        let is_new = session.out().part(Some(shared.close.clone()));
        session.mark_if(is_new);
        if is_asked_to_go {
            let _ = tokio::time::timeout(GOODBYE_MAX, session.closed()).await;
            session.retire();
        }
        if !matches!(over.parting, Parting::Cut(_)) {
            session.flush();
        }
        session.out().close();
        return;
    };
    session.retire();
    session.deafen();
    match over.parting {
        Parting::Gone => {}
        Parting::Cut(reason) => wire.handle.cut(reason),
        Parting::Close(code) => {
            let is_new = session.out().part(Some(Parting::frame(code, over.reason)));
            session.mark_if(is_new);
            if tokio::time::timeout(GOODBYE_MAX, wire.drain()).await.is_err() {
                wire.handle.cut(unheard(over.reason));
            }
        }
    }
    session.out().close();
}
