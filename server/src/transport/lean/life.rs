//! A session's life, in its one task: outside until a CONNECT is granted, inside until the client leaves or is asked to, and the parting.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    Above, Door, Shared, app,
    line::{Inside, Line, Over, Parting},
    packet::Packet,
    session::LeanSink,
    talk::Step,
    ws::{self, code},
};
use crate::{
    auth::{Admission, AuthError, Identity, token::handshake_token},
    chat::{ConnectRefusal, Connection},
    connection,
    listener::CutReason,
    store::DeviceId,
    transport::EndReason,
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
pub(super) async fn live(shared: Arc<Shared>, mut line: Line) {
    let over = match &shared.above {
        Above::Application(application) => app::converse(application.as_ref(), &mut line).await,
        Above::Core(door) => visit(&shared, door, &mut line).await,
    };
    tracing::debug!(session = line.session.number(), reason = over.reason.as_str(), "session over");
    part(&shared, line, over).await;
}

/// A session's life with a chat core.
async fn visit(shared: &Shared, door: &Door, line: &mut Line) -> Over {
    loop {
        match line.next().await {
            Some(Step::Enter(auth)) => shared.enter(door, line, &auth).await,
            Some(Step::EnterElsewhere(namespace)) => {
                refuse_namespace(line, &namespace);
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
            return over;
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
    /// A CONNECT: verified and counted before it is answered, then driven until the client is out again.
    async fn enter(&self, door: &Door, line: &mut Line, auth: &Map<String, Value>) {
        let entry = line.session.knock();
        let id = DeviceId::fresh();
        let connection = match door.admit(line, auth, id.clone(), entry).await {
            Ok(connection) => connection,
            Err(refused) => {
                refuse(line, "44", &refused.to_string());
                return;
            }
        };
        line.talk.entered();
        line.session.enter(Packet::of(&format!("40{}", json!({"sid": id.as_str()}))));
        let reason = connection::drive(&door.core, &connection, &self.metrics, Inside { line, entry }).await;
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

impl Door {
    async fn admit(
        &self,
        line: &Line,
        auth: &Map<String, Value>,
        id: DeviceId,
        entry: u32,
    ) -> Result<Arc<Connection>, Refused> {
        let session = &line.session;
        let identity = self.verify(auth, &session.credentials).await.map_err(Refused::Identity)?;
        let sink = Arc::new(LeanSink { session: Arc::clone(session), entry });
        self.core.connect(identity, id, sink).await.map_err(Refused::Core)
    }

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
async fn part(shared: &Shared, line: Line, over: Over) {
    let session = Arc::clone(&line.session);
    let Some(wire) = line.into_wire() else {
        let lingers = session.out().part(Some(shared.close.clone()));
        session.mark_if(lingers);
        // Only who is asked to go may find the session once more, to read so: whoever broke it or left has read enough.
        if matches!(over.reason, EndReason::EndAsked | EndReason::TokenExpired | EndReason::ServerStopping) {
            let _ = tokio::time::timeout(GOODBYE_MAX, session.closed()).await;
        }
        session.retire();
        if !matches!(over.parting, Parting::Cut(_)) {
            session.flush();
        }
        session.out().close();
        return;
    };
    session.retire();
    match over.parting {
        Parting::Gone => {}
        Parting::Cut(reason) => wire.handle.cut(reason),
        Parting::Close(code) => {
            let is_new = session.out().part(Some(Packet::control(ws::close(code))));
            session.mark_if(is_new);
            if tokio::time::timeout(GOODBYE_MAX, wire.drain()).await.is_err() {
                wire.handle.cut(CutReason::Shutdown);
            }
        }
    }
    session.out().close();
}
