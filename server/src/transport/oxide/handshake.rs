//! A client enters: verified, counted and with its event queue in place before it is told CONNECT, so that nothing it sends right behind
//! the answer is lost.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::Value as Json;
use socketioxide::{
    extract::{SocketRef, TryData},
    socket::DisconnectReason,
};
use tokio::sync::{Mutex, oneshot};

use super::{
    EngineRules,
    inbound::{Funnel, Queue, Queued},
    outbound::OxideSink,
    session::{Session, Sessions},
};
use crate::{
    auth::{Admission, AuthError, Gate, token::handshake_token},
    chat::{ConnectRefusal, Connection, Core},
    connection,
    listener::CutReason,
    metrics::Metrics,
    store::DeviceId,
    transport::EndReason,
};

/// Between our yes and the engine's CONNECT answer lie microseconds, unless the peer is gone; then the engine says nothing.
const ENTRY_MAX: Duration = Duration::from_secs(2);

/// What stands at the namespace's door.
pub(super) struct Door {
    pub(super) core: Arc<dyn Core>,
    pub(super) gate: Gate,
    pub(super) metrics: Metrics,
    pub(super) rules: EngineRules,
    pub(super) sessions: Arc<Sessions>,
}

/// Why a client is not let in: the message of its CONNECT_ERROR.
#[derive(Debug)]
pub(super) enum Refused {
    Identity(AuthError),
    Core(ConnectRefusal),
    Payload,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(reason) => write!(f, "Authentication error: {reason}"),
            Self::Core(reason) => write!(f, "{reason}"),
            Self::Payload => f.write_str("Invalid payload"),
        }
    }
}

/// Told by the engine's connect handler that CONNECT is out.
#[derive(Clone)]
struct Entered(Arc<Mutex<Option<oneshot::Sender<()>>>>);

impl Door {
    /// The engine's connect middleware: runs before the CONNECT answer.
    pub(super) async fn let_in(self: Arc<Self>, socket: SocketRef, auth: TryData<Json>) -> Result<(), Refused> {
        let session = self.sessions.of_socket(&socket);
        let auth = match auth.0 {
            Ok(auth @ (Json::Object(_) | Json::Null)) => auth,
            Ok(Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) | Err(_) => {
                self.sessions.close(&socket, &session, CutReason::Flooding).await;
                return Err(Refused::Payload); // nobody hears it any more
            }
        };
        let connected = self.clone().connect(&socket, &session, &auth).await;
        if connected.is_err() && session.refused() {
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                tokio::time::sleep(ENTRY_MAX).await; // the CONNECT_ERROR goes out first
                this.sessions.close(&socket, &session, CutReason::Flooding).await;
            });
        }
        connected
    }

    async fn connect(self: Arc<Self>, socket: &SocketRef, session: &Arc<Session>, auth: &Json) -> Result<(), Refused> {
        let identity = self.verify(socket, auth).await.map_err(Refused::Identity)?;
        let sink = OxideSink::new(socket.clone(), Arc::clone(session), self.rules.frames_waiting_bytes_max);
        let connection = self.core.connect(identity, DeviceId::fresh(), Arc::new(sink)).await.map_err(Refused::Core)?;
        let (funnel, queue) = Funnel::new(self.rules.events_waiting_max, self.rules.events_waiting_bytes_max);
        socket.extensions.insert(funnel);
        socket.on_fallback(async |_: Queued| ());
        socket.on_disconnect(async |socket: SocketRef, reason: DisconnectReason| {
            if let Some(funnel) = socket.extensions.remove::<Funnel>() {
                funnel.close(end_reason(reason));
            }
        });
        let (entered, has_entered) = oneshot::channel();
        socket.extensions.insert(Entered(Arc::new(Mutex::new(Some(entered)))));
        session.entered();
        tokio::spawn(self.clone().see_through(socket.clone(), Arc::clone(session), connection, queue, has_entered));
        Ok(())
    }

    async fn verify(&self, socket: &SocketRef, auth: &Json) -> Result<Option<crate::auth::Identity>, AuthError> {
        let token = handshake_token(Some(auth), &socket.req_parts().headers)?;
        match self.gate.admit(token.as_deref()).await? {
            Admission::Verified(identity) => Ok(Some(identity)),
            Admission::Anonymous => Ok(None),
        }
    }

    /// A connection's whole life after it was let in.
    async fn see_through(
        self: Arc<Self>,
        socket: SocketRef,
        session: Arc<Session>,
        connection: Arc<Connection>,
        queue: Queue,
        has_entered: oneshot::Receiver<()>,
    ) {
        if !matches!(tokio::time::timeout(ENTRY_MAX, has_entered).await, Ok(Ok(()))) {
            self.core.disconnect(&connection, EndReason::TransportClosed).await; // the peer left before CONNECT was out
            return;
        }
        let reason = connection::drive(&self.core, &connection, &self.metrics, queue).await;
        drop(connection);
        if reason == EndReason::EndAsked {
            let _ = socket.clone().disconnect(); // a queue that is full has made the connection end before
        }
        if matches!(reason, EndReason::ClientLeft | EndReason::EndAsked) {
            self.sessions.close_if_idle(&socket, &session, self.rules.connect_timeout).await;
        } else {
            self.sessions.end(socket, &session, reason).await;
        }
    }
}

/// The engine's connect handler: runs after the CONNECT answer.
pub(super) async fn entered(socket: SocketRef) {
    if let Some(funnel) = socket.extensions.get::<Funnel>() {
        funnel.entered();
    }
    if let Some(Entered(sender)) = socket.extensions.remove::<Entered>()
        && let Some(sender) = sender.lock().await.take()
    {
        let _ = sender.send(()); // nobody waits any more: the entry took too long and was given up
    }
}

fn end_reason(reason: DisconnectReason) -> EndReason {
    match reason {
        DisconnectReason::ClientNSDisconnect => EndReason::ClientLeft,
        DisconnectReason::TransportClose | DisconnectReason::TransportError | DisconnectReason::ServerNSDisconnect => {
            EndReason::TransportClosed
        }
        DisconnectReason::HeartbeatTimeout => EndReason::HeartbeatTimeout,
        DisconnectReason::MultipleHttpPollingError | DisconnectReason::PacketParsingError => {
            EndReason::ProtocolViolation
        }
        DisconnectReason::ClosingServer => EndReason::ServerStopping,
    }
}
