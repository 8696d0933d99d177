//! A connection's whole life: the first frame, what it says inside, and the last words.

use std::{sync::Arc, time::Duration};

use chatwright_protocol::{dialects::AppPacket, vocabulary::Event};
use http::HeaderMap;
use serde_json::Value;

use super::{
    super::{
        ear::{Ear, Manners},
        outgoing::Outgoing,
        over::{Over, Parting, unheard},
        packet::Packet,
        session::{Said, Session},
        table::Place,
        wire::Wire,
        ws::{self, code},
    },
    Endpoint,
};
use crate::{
    auth::{Admission, AuthError, Identity},
    chat::{ConnectRefusal, Connection},
    connection::{self, Inbox, Incoming, Request},
    listener::CutReason,
    store::DeviceId,
    transport::{EndReason, Frame},
};

/// How long a client that was told to go may take to read that and close.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// How a connection is left.
enum Farewell {
    /// It is broken already.
    Gone,
    /// At once.
    Cut(CutReason),
    /// By a close frame, and what the dialect says before it. Who does not take that in time is cut.
    Words { event: Option<Box<Event>>, code: Option<u16>, words: String, unheard: CutReason },
}

impl Farewell {
    fn plain(code: u16, words: &str) -> Self {
        Self::worded(None, Some(code), words.to_owned())
    }

    fn worded(event: Option<Event>, code: Option<u16>, words: String) -> Self {
        Self::Words { event: event.map(Box::new), code, words, unheard: CutReason::Shutdown }
    }

    fn unauthorized(code: u16, words: impl Into<String>) -> Self {
        let words = words.into();
        Self::worded(Some(Event::NotAuthenticated(words.clone())), Some(code), words)
    }

    fn stopping() -> Self {
        let words = EndReason::ServerStopping.as_str().to_owned();
        Self::worded(Some(Event::Stopping), Some(code::AWAY), words)
    }
}

impl Endpoint {
    /// A session on this stream. Its ear stands in a box: each future that it is handed to would keep room for it.
    pub(super) fn open(&self, wire: Wire, place: Place) -> (Arc<Session>, Box<Ear>) {
        let out = Outgoing::raw(wire.stream.clone());
        let session = Session::new(Arc::clone(&self.shared), out, HeaderMap::new(), place);
        self.shared.table.insert(&session);
        if self.shared.is_stopping() {
            session.stop_softly(EndReason::ServerStopping); // it came too late to be told with the others
        }
        self.shared.heart.expect_entry(&session);
        let ear = Box::new(Ear::new(Arc::clone(&session), Some(wire), Manners::RAW));
        (session, ear)
    }

    /// From the first frame to the end. What is over soon stands in a box of its own, or each session would keep room for it as long as it
    /// lives.
    pub(super) async fn see_through(self: Arc<Self>, session: Arc<Session>, mut ear: Box<Ear>) {
        let farewell = match Box::pin(self.enter(&session, &mut ear)).await {
            Ok(connection) => self.serve(&session, &mut ear, connection).await,
            Err(farewell) => farewell,
        };
        Box::pin(self.part(&session, ear, farewell)).await;
    }

    /// The first frame, which must prove who the client is.
    async fn enter(&self, session: &Arc<Session>, ear: &mut Ear) -> Result<Arc<Connection>, Farewell> {
        let codes = &self.opening.codes;
        let first = ear.said().await.map_err(|over| match session.stopped() {
            Some(EndReason::TransportClosed) => Farewell::unauthorized(codes.timeout, "Authentication timeout"),
            Some(_) | None => self.leave(over),
        })?;
        session.settle();
        let identity = self.admit(&request(first).packet()).await?;
        let sink = Arc::clone(session); // it is let in once: what it is told has one reader
        let connection =
            self.core.connect(Some(identity), DeviceId::fresh(), sink).await.map_err(|reason| match reason {
                ConnectRefusal::TooManyConnections => Farewell::unauthorized(codes.too_many, reason.to_string()),
                ConnectRefusal::InstanceFull => Farewell::unauthorized(code::AGAIN, reason.to_string()),
                ConnectRefusal::Stopping => Farewell::stopping(),
            })?;
        self.shared.heart.ping_later(session);
        Ok(connection)
    }

    async fn admit(&self, packet: &AppPacket) -> Result<Identity, Farewell> {
        let refused = |words: String| Farewell::unauthorized(self.opening.codes.unauthorized, words);
        let Some(token) = (self.opening.token)(packet) else {
            return Err(refused("The first frame must be auth with a token".to_owned()));
        };
        match self.gate.admit(Some(token)).await {
            Ok(Admission::Verified(identity)) => Ok(identity),
            Ok(Admission::Anonymous) => Err(refused(format!("Authentication error: {}", AuthError::Invalid))),
            Err(reason) => Err(refused(format!("Authentication error: {reason}"))),
        }
    }

    async fn serve(&self, session: &Arc<Session>, ear: &mut Ear, connection: Arc<Connection>) -> Farewell {
        let mut over = None;
        let inside = Inside { ear, over: &mut over };
        let reason = connection::drive(&self.core, &connection, &self.shared.metrics, inside).await;
        tracing::debug!(session = session.number(), reason = reason.as_str(), "connection over");
        self.leave(over.unwrap_or_else(|| Over::by_us(reason)))
    }

    fn leave(&self, over: Over) -> Farewell {
        let unauthorized = self.opening.codes.unauthorized;
        match (over.reason, over.parting) {
            (EndReason::ServerStopping, _) => Farewell::stopping(),
            (EndReason::TokenExpired, _) => {
                Farewell::unauthorized(unauthorized, format!("Authentication error: {}", AuthError::Expired))
            }
            (EndReason::TooManyRequests, _) => Farewell::plain(code::POLICY, over.reason.as_str()),
            (EndReason::SlowConsumer, _) => {
                let (code, words) = (Some(code::AGAIN), over.reason.as_str().to_owned());
                Farewell::Words { event: None, code, words, unheard: unheard(over.reason) }
            }
            (_, Parting::Gone) => Farewell::Gone,
            (_, Parting::Cut(reason)) => Farewell::Cut(reason),
            (EndReason::ClientLeft | EndReason::ProtocolViolation, Parting::Close(code)) => {
                Farewell::worded(None, code, String::new())
            }
            (_, Parting::Close(code)) => Farewell::plain(code.unwrap_or(code::NORMAL), over.reason.as_str()),
        }
    }

    /// The end: last words as far as the client reads them.
    async fn part(&self, session: &Arc<Session>, mut ear: Box<Ear>, farewell: Farewell) {
        session.retire();
        let Some(wire) = ear.take_wire() else { return };
        match farewell {
            Farewell::Gone => {}
            Farewell::Cut(reason) => wire.handle.cut(reason),
            Farewell::Words { event, code, words, unheard } => {
                if let Some(frame) = event.and_then(|event| Frame::of(self.core.dialect(), &event)) {
                    session.say(frame.packet().clone());
                }
                let is_new = session.out().part(Some(Packet::control(ws::close_saying(code, &words))));
                session.mark_if(is_new);
                if tokio::time::timeout(GOODBYE_MAX, wire.drain()).await.is_err() {
                    wire.handle.cut(unheard);
                }
            }
        }
        session.out().close();
    }
}

/// What a client says, as the driver of its connection reads it.
struct Inside<'a> {
    ear: &'a mut Ear,
    over: &'a mut Option<Over>,
}

impl Inbox for Inside<'_> {
    async fn next(&mut self) -> Option<Incoming> {
        match self.ear.said().await {
            Ok(said) => Some(Incoming { request: request(said), reply: None }),
            Err(over) => {
                *self.over = Some(over);
                None
            }
        }
    }

    fn end_reason(&self) -> EndReason {
        self.over.map_or(EndReason::TransportClosed, |over| over.reason)
    }
}

/// What a message says: a binary one is a packet that no dialect accepts.
fn request(said: Said) -> Request {
    match said {
        Said::Text(text) => Request::Frame(text),
        Said::Binary(_) => Request::Packet(AppPacket::Json(Value::Null)),
    }
}
