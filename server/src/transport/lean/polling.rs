//! A session read by polls: its handshake, the polls that take what waits, and the POSTs that bring what its client says.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use chatwright_protocol::engine_io::{
    FromClient,
    payload::{Limits, Piece, decode_from_client},
};
use http::{Request, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use super::{
    Shared, answer,
    life::live,
    line::Line,
    outgoing::{Outgoing, Polled},
    request::Refused,
    service::{credentials, peer},
    session::{Deaf, Said, Session},
};
use crate::{listener::ConnectionHandle, transport::EndReason};

/// While a WebSocket is tried, a poll without packets is let go after this time: often enough for the client to stop polling, seldom enough
/// for one that does not.
const PROBE_POLL_MAX: Duration = Duration::from_millis(100);

/// Of a body that is too large, this much is read before it is answered.
const THROWN_AWAY_BYTES_MAX: usize = 8 << 20;

/// A handshake.
pub(super) fn open(shared: &Arc<Shared>, request: &Request<Body>) -> Response {
    let Some(place) = peer(request).and_then(|address| shared.table.place(address, Instant::now())) else {
        return answer::refused(Refused::Full);
    };
    let session = Session::new(Arc::clone(shared), Outgoing::polling(), credentials(request), place);
    let upgrades: &[&str] = if shared.rules.offers_websocket { &["websocket"] } else { &[] };
    let open = shared.open_packet(session.sid(), upgrades);
    shared.table.insert(&session);
    shared.heart.ping_later(&session);
    shared.heart.expect_entry(&session);
    let line = Line::new(shared, session, None);
    shared.tasks.spawn(live(Arc::clone(shared), line));
    answer::packets(bytes::Bytes::copy_from_slice(open.text()))
}

/// A poll: answered when something waits. If its client does not take the answer, the session is over: nobody could tell what was missed.
pub(super) async fn poll(shared: Arc<Shared>, session: Arc<Session>, connection: Option<ConnectionHandle>) -> Response {
    let payload = wait(&shared, &session).await;
    if let (Ok(_), Some(connection)) = (&payload, connection) {
        let session = Arc::downgrade(&session);
        connection.if_broken(move || {
            if let Some(session) = session.upgrade() {
                session.stop(EndReason::TransportClosed);
            }
        });
    }
    payload.map_or_else(answer::refused, answer::packets)
}

async fn wait(shared: &Shared, session: &Arc<Session>) -> Result<bytes::Bytes, Refused> {
    let polled = session.out().poll();
    let (receiver, patience) = match polled {
        Polled::Packets(payload) => {
            session.bell.ring(); // the last words may have been among them
            return Ok(payload);
        }
        Polled::Wait(receiver) => (receiver, None),
        Polled::WaitBriefly(receiver) => (receiver, Some(PROBE_POLL_MAX)),
        Polled::Conflict => {
            session.stop(EndReason::ProtocolViolation);
            return Err(Refused::BadRequest);
        }
        Polled::Elsewhere => return Err(Refused::BadRequest),
        Polled::Over => return Err(Refused::UnknownSession),
    };
    let mut pending = Pending { session, is_over: false };
    let mut receiver = receiver;
    let payload = match patience {
        None => receiver.await,
        Some(patience) => match tokio::time::timeout(patience, &mut receiver).await {
            Ok(payload) => payload,
            Err(_) => {
                session.out().release_poll(&shared.noop);
                receiver.await
            }
        },
    };
    pending.is_over = true;
    session.bell.ring();
    payload.map_err(|_| Refused::UnknownSession)
}

/// What the client says.
pub(super) async fn post(shared: Arc<Shared>, session: Arc<Session>, request: Request<Body>) -> Response {
    if !session.out().is_polling() {
        return answer::refused(Refused::BadRequest);
    }
    if !session.begin_post() {
        session.stop(EndReason::ProtocolViolation);
        return answer::refused(Refused::BadRequest);
    }
    let mut pending = Pending { session: &session, is_over: false };
    let said = receive(&shared, request).await;
    let response = match said {
        Ok(said) => {
            let closes = said.iter().any(|said| matches!(said, Said::Text(text) if is_close(text)));
            let heard = session.hear(said).await;
            if closes {
                session.retire();
            }
            match heard {
                Ok(()) => answer::taken(),
                Err(Deaf::Elsewhere) => answer::refused(Refused::BadRequest),
                // Who is asked to go reads that by a poll; an error here would tell him of an accident.
                Err(Deaf::Over) if shared.table.find(session.sid()).is_some() => answer::taken(),
                Err(Deaf::Over) => answer::refused(Refused::UnknownSession),
            }
        }
        Err(Unheard::TooLarge) => answer::too_large(),
        Err(Unheard::Malformed) => {
            session.stop(EndReason::ProtocolViolation);
            answer::refused(Refused::BadRequest)
        }
    };
    pending.is_over = true;
    session.end_post();
    response
}

/// Why a POST was not taken.
enum Unheard {
    TooLarge,
    Malformed,
}

async fn receive(shared: &Shared, request: Request<Body>) -> Result<VecDeque<Said>, Unheard> {
    // The reference server takes no binary bodies in this version of the protocol: binary packets are base64.
    if request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/octet-stream") {
        return Err(Unheard::Malformed);
    }
    let limits = Limits { bytes_max: shared.rules.packet_bytes_max, ..Limits::default() };
    let body = read(request.into_body(), limits.bytes_max).await?;
    let text = str::from_utf8(&body).map_err(|_| Unheard::Malformed)?;
    let pieces = decode_from_client(text, limits).map_err(|_| Unheard::Malformed)?;
    let said = |piece| match piece {
        Piece::Text(text) => Said::Text(text.into()),
        Piece::Binary(bytes) => Said::Binary(bytes),
    };
    Ok(pieces.into_iter().map(said).collect())
}

/// A whole body. One that is too large is read on for a while and thrown away: a client that still writes would otherwise see a broken
/// connection instead of the answer.
async fn read(mut body: Body, bytes_max: usize) -> Result<Vec<u8>, Unheard> {
    let (mut taken, mut bytes) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unheard::Malformed)?.into_data() else { continue };
        bytes = bytes.saturating_add(data.len());
        if bytes > THROWN_AWAY_BYTES_MAX {
            return Err(Unheard::TooLarge);
        }
        if bytes <= bytes_max {
            taken.extend_from_slice(&data);
        } else {
            taken = Vec::new();
        }
    }
    if bytes > bytes_max { Err(Unheard::TooLarge) } else { Ok(taken) }
}

fn is_close(text: &str) -> bool {
    FromClient::read(text) == Ok(FromClient::Close)
}

/// A request under way. Dropped before its end, its client has gone, and the session with it.
struct Pending<'a> {
    session: &'a Session,
    is_over: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.session.stop(EndReason::TransportClosed);
        }
    }
}
