//! WebSockets: a session that begins on one, and one that moves to it from polling (Engine.IO v4, "Upgrade").

use std::{net::IpAddr, sync::Arc};

use axum::{body::Body, response::Response};
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    Shared, answer,
    life::live,
    line::Line,
    outbox::Outbox,
    outgoing::Outgoing,
    packet::Packet,
    request::Refused,
    service::{credentials, peer},
    session::Session,
    table::Place,
    wire::Wire,
    ws::{self, Heard, Opcode, code},
};
use crate::listener::{ConnectionHandle, CutReason, GuardedStream};

/// What a client asks on a new WebSocket, what it is answered, and how it says that it has moved.
const PROBE: &str = "2probe";
const PROBED: &str = "3probe";
const MOVED: &str = "5";

/// A stream that is about to become a WebSocket.
pub(super) struct Opening {
    on_upgrade: OnUpgrade,
    handle: ConnectionHandle,
    message_bytes_max: usize,
}

/// A session that begins on a WebSocket.
pub(super) fn open(shared: &Arc<Shared>, mut request: Request<Body>) -> Response {
    let Some(place) = peer(&request).and_then(|address: IpAddr| shared.table.place(address, Instant::now())) else {
        return answer::refused(Refused::Full);
    };
    let Some((response, opening)) = begin(shared, &mut request) else {
        return answer::refused(Refused::BadRequest);
    };
    let credentials = credentials(&request);
    let shared = Arc::clone(shared);
    shared.tasks.clone().spawn(async move {
        if let Some(wire) = opening.wire().await {
            let line = begun(&shared, wire, credentials, place);
            shared.tasks.clone().spawn(live(shared, line)); // not this task, which has room for what is over now
        }
    });
    response
}

fn begun(shared: &Arc<Shared>, wire: Wire, credentials: HeaderMap, place: Place) -> Box<Line> {
    let out = Outgoing::websocket(wire.stream.clone());
    let session = Session::new(Arc::clone(shared), out, credentials, place);
    session.say(shared.open_packet(session.sid(), &[]));
    shared.table.insert(&session);
    shared.heart.ping_later(&session);
    shared.heart.expect_entry(&session);
    Line::new(shared, session, Some(wire))
}

/// A WebSocket for a session that is read by polls.
pub(super) fn upgrade(shared: &Arc<Shared>, session: Arc<Session>, mut request: Request<Body>) -> Response {
    let Some((response, opening)) = begin(shared, &mut request) else {
        return answer::refused(Refused::BadRequest);
    };
    if !session.out().begin_probe(opening.handle.clone()) {
        return answer::refused(Refused::BadRequest); // one is tried already, or the session has moved
    }
    let shared = Arc::clone(shared);
    shared.tasks.clone().spawn(async move {
        let limit = shared.rules.upgrade_timeout;
        let handle = opening.handle.clone();
        match tokio::time::timeout(limit, probe(&shared, &session, opening)).await {
            Ok(Some(wire)) => {
                let is_open = session.out().switch(wire.stream.clone());
                if is_open {
                    session.hand_over(wire);
                    let is_new = session.out().unblocked(); // what waited meanwhile
                    session.mark_if(is_new);
                }
            }
            Ok(None) => session.out().end_probe(),
            Err(_) => {
                session.out().end_probe();
                handle.cut(CutReason::Shutdown);
            }
        }
    });
    response
}

/// The client's probe, as often as it is sent, the answer, and the client's word that it has moved. `None`: it did otherwise, and stays where it was.
async fn probe(shared: &Shared, session: &Session, opening: Opening) -> Option<Wire> {
    let mut wire = opening.wire().await?;
    let mut is_probed = false;
    loop {
        match heard(&mut wire).await.as_deref() {
            Some(PROBE) => {
                write(&wire, Packet::of(PROBED)).await?;
                session.out().release_poll(&shared.noop);
                is_probed = true;
            }
            Some(MOVED) if is_probed => return Some(wire),
            Some(_) | None => {
                refuse(&wire).await;
                return None;
            }
        }
    }
}

/// The next text; WebSocket's own pings are answered in between.
async fn heard(wire: &mut Wire) -> Option<String> {
    loop {
        match wire.hear().await? {
            Heard::Text(text) => return Some(text.as_str().to_owned()),
            Heard::Ping(payload) => write(wire, Packet::control(ws::frame(Opcode::Pong, &payload))).await?,
            Heard::Pong => {}
            Heard::Binary(_) | Heard::Close(_) => return None,
        }
    }
}

async fn refuse(wire: &Wire) {
    if write(wire, Packet::control(ws::close(Some(code::PROTOCOL)))).await.is_some() {
        wire.stream.finish();
        wire.drain().await; // within the time for the upgrade
    }
}

async fn write(wire: &Wire, packet: Packet) -> Option<()> {
    let mut outbox = Outbox::default();
    outbox.push_anyway(packet);
    loop {
        match super::outgoing::write(&mut outbox, &wire.stream) {
            Ok(()) => return Some(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => wire.stream.writable().await.ok()?,
            Err(_) => return None,
        }
    }
}

/// The answer to an opening handshake, which the door has checked already (RFC 6455, 4.2).
pub(super) fn begin(shared: &Shared, request: &mut Request<Body>) -> Option<(Response, Opening)> {
    let handle = request.extensions().get::<ConnectionHandle>().cloned()?;
    let key = request.headers().get(SEC_WEBSOCKET_KEY)?;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()?;
    let on_upgrade = hyper::upgrade::on(&mut *request);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Some((response, Opening { on_upgrade, handle, message_bytes_max: shared.rules.packet_bytes_max }))
}

impl Opening {
    /// The stream itself, out of HTTP's hands, with what HTTP has read already. `None`: the peer has left.
    pub(super) async fn wire(self) -> Option<Wire> {
        let upgraded = self.on_upgrade.await.ok()?;
        let parts = upgraded.downcast::<TokioIo<GuardedStream>>().ok()?;
        let mut reader = ws::Reader::new(self.message_bytes_max);
        reader.feed(&parts.read_buf);
        Some(Wire { stream: parts.io.into_inner(), handle: self.handle, reader })
    }
}
