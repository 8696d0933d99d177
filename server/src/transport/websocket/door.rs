//! The first frame, and a connection's whole life behind it.

use std::{pin::pin, sync::Arc, time::Duration};

use chatwright_protocol::{dialects::AppPacket, vocabulary::Event};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use super::{
    Opening, WebSocketRules,
    pump::{Goodbye, Pump, Socket, inbox, packet, part},
    queue::queue,
};
use crate::{
    auth::{Admission, AuthError, Gate, Identity},
    chat::{ConnectRefusal, Connection, Core},
    connection,
    listener::{ConnectionHandle, CutReason},
    metrics::Metrics,
    store::DeviceId,
    transport::{EndReason, Frame},
};

/// How long a client that was told to go may take to read that and close.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// What stands at the end point's door.
pub(super) struct Door {
    pub(super) rules: WebSocketRules,
    pub(super) opening: Opening,
    pub(super) core: Arc<dyn Core>,
    pub(super) gate: Gate,
    pub(super) metrics: Metrics,
}

/// Why a client is not let in, and with which words and code it is told so.
struct Refused {
    event: Option<Event>,
    code: u16,
    words: String,
}

impl Refused {
    fn unauthorized(code: u16, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { event: Some(Event::NotAuthenticated(words.clone())), code, words }
    }
}

impl Door {
    /// From the first frame to the end.
    pub(super) async fn see_through(&self, mut socket: Socket, handle: ConnectionHandle) {
        let stopping = self.core.registry().stopping().clone();
        let first =
            stopping.run_until_cancelled(tokio::time::timeout(self.rules.auth_timeout, first_frame(&mut socket)));
        let admitted = match first.await {
            None => Err(Refused { event: Some(Event::Stopping), code: CloseCode::Away.into(), words: String::new() }),
            Some(Err(_)) => Err(Refused::unauthorized(self.opening.codes.timeout, "Authentication timeout")),
            Some(Ok(First::Packet(packet))) => self.admit(&packet).await,
            Some(Ok(First::Broken(code))) => Err(Refused { event: None, code, words: String::new() }),
            Some(Ok(First::Gone)) => return,
        };
        let entered = match admitted {
            Ok(identity) => self.enter(identity).await,
            Err(refused) => Err(refused),
        };
        match entered {
            Ok((connection, exit)) => {
                let pump = Pump::new(socket, exit, self.rules.ping_interval);
                self.serve(pump, connection, handle).await;
            }
            Err(refused) => {
                tracing::debug!(connection = %handle.id(), code = refused.code, "not let in");
                let frame = refused.event.and_then(|event| Frame::of(self.core.dialect(), &event));
                let parting = part(&mut socket, frame, refused.code, &refused.words);
                if tokio::time::timeout(GOODBYE_MAX, parting).await.is_err() {
                    handle.cut(CutReason::Shutdown);
                }
            }
        }
    }

    async fn admit(&self, packet: &AppPacket) -> Result<Identity, Refused> {
        let refused = |words: String| Refused::unauthorized(self.opening.codes.unauthorized, words);
        let Some(token) = (self.opening.token)(packet) else {
            return Err(refused("The first frame must be auth with a token".to_owned()));
        };
        match self.gate.admit(Some(token)).await {
            Ok(Admission::Verified(identity)) => Ok(identity),
            Ok(Admission::Anonymous) => Err(refused(format!("Authentication error: {}", AuthError::Invalid))),
            Err(reason) => Err(refused(format!("Authentication error: {reason}"))),
        }
    }

    async fn enter(&self, identity: Identity) -> Result<(Arc<Connection>, super::queue::Exit), Refused> {
        let (entrance, exit) = queue(self.rules.frames_waiting_max, self.rules.frames_waiting_bytes_max);
        match self.core.connect(Some(identity), DeviceId::fresh(), Arc::new(entrance)).await {
            Ok(connection) => Ok((connection, exit)),
            Err(reason @ ConnectRefusal::TooManyConnections) => {
                Err(Refused::unauthorized(self.opening.codes.too_many, reason.to_string()))
            }
            Err(reason @ ConnectRefusal::InstanceFull) => {
                Err(Refused::unauthorized(CloseCode::Again.into(), reason.to_string()))
            }
            Err(ConnectRefusal::Stopping) => {
                Err(Refused { event: Some(Event::Stopping), code: CloseCode::Away.into(), words: String::new() })
            }
        }
    }

    async fn serve(&self, pump: Pump, connection: Arc<Connection>, handle: ConnectionHandle) {
        let (incoming, inbox) = inbox();
        let (say_goodbye, goodbye) = oneshot::channel();
        let mut pumping = pin!(pump.run(incoming, goodbye));
        let mut driving = pin!(connection::drive(&self.core, &connection, &self.metrics, inbox));
        let reason = tokio::select! {
            reason = &mut driving => reason,
            () = &mut pumping => {
                driving.await; // what was sent before the client left takes effect
                return;
            }
        };
        match self.goodbye(reason) {
            Ok(goodbye) => {
                let _ = say_goodbye.send(goodbye); // the pump may have just ended
                if tokio::time::timeout(GOODBYE_MAX, pumping).await.is_err() {
                    handle.cut(CutReason::Shutdown);
                }
            }
            Err(reason) => handle.cut(reason),
        }
    }

    /// How a connection ends that the core has ended.
    fn goodbye(&self, reason: EndReason) -> Result<Goodbye, CutReason> {
        let plain = |code: CloseCode| Ok(Goodbye { frame: None, code: code.into(), words: reason.as_str() });
        match reason {
            EndReason::ServerStopping => {
                let frame = Frame::of(self.core.dialect(), &Event::Stopping);
                Ok(Goodbye { frame, code: CloseCode::Away.into(), words: reason.as_str() })
            }
            EndReason::TokenExpired => {
                let event = Event::NotAuthenticated(format!("Authentication error: {}", AuthError::Expired));
                let frame = Frame::of(self.core.dialect(), &event);
                Ok(Goodbye { frame, code: self.opening.codes.unauthorized, words: reason.as_str() })
            }
            EndReason::SlowConsumer => Err(CutReason::QueueFull),
            EndReason::TooManyRequests => plain(CloseCode::Policy),
            EndReason::ProtocolViolation => plain(CloseCode::Protocol),
            EndReason::EndAsked | EndReason::ClientLeft | EndReason::TransportClosed | EndReason::HeartbeatTimeout => {
                plain(CloseCode::Normal)
            }
        }
    }
}

enum First {
    /// What it says.
    Packet(AppPacket),
    /// The client broke the protocol; the close code for that.
    Broken(u16),
    /// The client left.
    Gone,
}

/// The first frame that says something: pings before it are answered.
async fn first_frame(socket: &mut Socket) -> First {
    loop {
        match socket.next().await {
            Some(Ok(Message::Ping(_))) => {
                let _ = socket.flush().await; // the answer that the library has prepared
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Text(text))) => return First::Packet(packet(&text)),
            Some(Ok(Message::Binary(_))) => return First::Packet(AppPacket::Json(serde_json::Value::Null)),
            Some(Ok(Message::Close(_))) => {
                let _ = socket.flush().await;
                return First::Gone;
            }
            Some(Err(error)) => return super::pump::code_of(&error).map_or(First::Gone, First::Broken),
            None => return First::Gone,
        }
    }
}
