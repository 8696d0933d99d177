//! Requests: Engine.IO over polling, the handshake of a WebSocket, and the REST side of the dialect.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::task::JoinSet;

use super::{
    CONNECT_TIMEOUT, House, Misbehaviour, PAYLOAD_BYTES_MAX, PING_INTERVAL, PING_TIMEOUT,
    session::{Carrier, Kind, Packet, Session, heartbeat},
    socket_io::{self, verify},
    websocket,
};

type Tasks = Arc<Mutex<JoinSet<()>>>;
type Answer = Response<Full<Bytes>>;

/// From RFC 6455 1.3.
const HANDSHAKE_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const SEPARATOR: char = '\u{1e}';
/// While an upgrade is under way, a poll is released this often.
const RELEASE_AFTER: Duration = Duration::from_millis(50);

pub(super) async fn answer(request: Request<Incoming>, house: Arc<House>, tasks: Tasks) -> io::Result<Answer> {
    if request.uri().path() == "/socket.io/" || request.uri().path() == "/socket.io" {
        engine(request, house, tasks).await
    } else {
        rest(request, &house).await
    }
}

fn respond(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn json_answer(status: u16, body: &Value) -> Answer {
    respond(status, "application/json", body.to_string())
}

/// The errors of Engine.IO, with its codes.
fn refused(code: u8, message: &str) -> Answer {
    json_answer(400, &json!({"code": code, "message": message}))
}

fn query<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    request
        .uri()
        .query()?
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

async fn engine(request: Request<Incoming>, house: Arc<House>, tasks: Tasks) -> io::Result<Answer> {
    let upgrade =
        request.headers().get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let transport = query(&request, "transport").unwrap_or_default().to_owned();
    if transport != "polling" && transport != "websocket" {
        return Ok(refused(0, "Transport unknown"));
    }
    if query(&request, "EIO") != Some("4") {
        return Ok(refused(5, "Unsupported protocol version"));
    }
    if upgrade != (transport == "websocket") {
        return Ok(refused(3, "Bad request"));
    }
    let sid = query(&request, "sid").filter(|sid| !sid.is_empty()).map(str::to_owned);
    let Some(sid) = sid else {
        if request.method() != Method::GET {
            return Ok(refused(2, "Bad handshake method"));
        }
        return if upgrade { upgrade_to(request, house, tasks, None) } else { Ok(handshake(&house, &request)?) };
    };
    let Some(session) = house.session(&sid) else {
        let lenient = house.is(Misbehaviour::UnknownSidAccepted) && !upgrade;
        return Ok(if lenient {
            respond(200, "text/plain; charset=UTF-8", "6")
        } else {
            refused(1, "Session ID unknown")
        });
    };
    match (upgrade, request.method()) {
        (true, _) if session.carrier() == Carrier::Polling => upgrade_to(request, house, tasks, Some(session)),
        (true, _) if house.is(Misbehaviour::SecondWebsocketAccepted) => {
            upgrade_to(request, house, tasks, Some(session))
        }
        (true, _) => Ok(refused(3, "Bad request")),
        (false, _) if session.carrier() == Carrier::WebSocket && !house.is(Misbehaviour::PollingAfterUpgrade) => {
            Ok(refused(3, "Bad request"))
        }
        (false, &Method::GET) => Ok(poll(&house, &session).await),
        (false, &Method::POST) => post(request, &house, &session).await,
        (false, _) => Ok(refused(3, "Bad request")),
    }
}

/// A new session, alive until it ends.
fn open(house: &Arc<House>, request: &Request<Incoming>, carrier: Carrier) -> io::Result<(Arc<Session>, String)> {
    let authorization =
        request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let session = Arc::new(Session::new(house.session_id()?, house.number(), authorization, carrier));
    house.sessions().insert(session.sid.clone(), Arc::clone(&session));
    tokio::spawn(heartbeat(Arc::clone(house), Arc::downgrade(&session)));
    let (late_house, late) = (Arc::clone(house), Arc::downgrade(&session));
    if !house.is(Misbehaviour::NoConnectTimeout) {
        tokio::spawn(async move {
            tokio::time::sleep(CONNECT_TIMEOUT).await;
            if let Some(session) = late.upgrade().filter(|session| !session.socket_io().is_connected()) {
                late_house.end(&session);
            }
        });
    }
    let upgrades = if carrier == Carrier::Polling { json!(["websocket"]) } else { json!([]) };
    let (interval, timeout) = (PING_INTERVAL.as_millis(), PING_TIMEOUT.as_millis());
    let open = json!({"sid": session.sid, "upgrades": upgrades, "pingInterval": interval, "pingTimeout": timeout, "maxPayload": PAYLOAD_BYTES_MAX});
    Ok((session, format!("0{open}")))
}

fn handshake(house: &Arc<House>, request: &Request<Incoming>) -> io::Result<Answer> {
    let (_, open) = open(house, request, Carrier::Polling)?;
    Ok(respond(200, "text/plain; charset=UTF-8", open))
}

async fn poll(house: &Arc<House>, session: &Arc<Session>) -> Answer {
    let _under_way = match (session.begin(Kind::Poll), house.is(Misbehaviour::TwoPollsAccepted)) {
        (Some(alone), _) => alone,
        (None, true) => session.begin_anyway(Kind::Poll),
        (None, false) => {
            house.end(session);
            return refused(3, "Bad request");
        }
    };
    let body = loop {
        // Made before the look, so that nothing queued in between is missed.
        let news = session.news.notified();
        let packets = session.take_polled();
        if !packets.is_empty() {
            break join(&packets);
        }
        let release = house.is(Misbehaviour::PollNotReleased);
        match session.carrier() {
            Carrier::Closed => break "1".to_owned(),
            Carrier::WebSocket | Carrier::Upgrading if !release => break "6".to_owned(),
            Carrier::Polling | Carrier::WebSocket | Carrier::Upgrading => {}
        }
        let _either = tokio::time::timeout(RELEASE_AFTER, news).await;
    };
    respond(200, "text/plain; charset=UTF-8", body)
}

fn join(packets: &[Packet]) -> String {
    let texts: Vec<_> = packets
        .iter()
        .map(|packet| match packet {
            Packet::Text(text) => text.clone(),
            Packet::Binary(data) => format!("b{}", STANDARD.encode(data)),
        })
        .collect();
    texts.join(&SEPARATOR.to_string())
}

async fn post(request: Request<Incoming>, house: &Arc<House>, session: &Arc<Session>) -> io::Result<Answer> {
    let Some(_under_way) = session.begin(Kind::Post) else {
        house.end(session);
        return Ok(refused(3, "Bad request"));
    };
    let Ok(body) = Limited::new(request.into_body(), PAYLOAD_BYTES_MAX).collect().await else {
        house.end(session);
        return Ok(respond(413, "text/plain", ""));
    };
    let mut packets = Vec::new();
    for packet in String::from_utf8_lossy(&body.to_bytes()).split(SEPARATOR) {
        packets.push(match packet.strip_prefix('b') {
            None => Packet::Text(packet.to_owned()),
            Some(data) => match STANDARD.decode(data) {
                Ok(data) => Packet::Binary(data),
                Err(_) => return Ok(broken(house, session)),
            },
        });
    }
    if house.is(Misbehaviour::EventsOutOfOrder) {
        packets.reverse();
    }
    for packet in packets {
        if receive(house, session, packet).is_err() {
            return Ok(broken(house, session));
        }
    }
    Ok(respond(200, "text/html", if house.is(Misbehaviour::PostNotOk) { "" } else { "ok" }))
}

fn broken(house: &Arc<House>, session: &Arc<Session>) -> Answer {
    if house.is(Misbehaviour::GarbageIgnored) {
        return respond(200, "text/html", "ok");
    }
    house.end(session);
    refused(3, "Bad request")
}

/// One packet of a client, whatever it came over.
pub(super) fn receive(house: &Arc<House>, session: &Arc<Session>, packet: Packet) -> Result<(), socket_io::Broken> {
    let outcome = match &packet {
        Packet::Binary(_) => socket_io::receive(house, session, packet),
        Packet::Text(text) => match text.split_at_checked(1) {
            Some(("1", _)) => {
                house.end(session);
                Ok(())
            }
            Some(("3", _)) => {
                session.pong();
                Ok(())
            }
            Some(("4", message)) => socket_io::receive(house, session, Packet::Text(message.to_owned())),
            Some(_) | None => Err(socket_io::Broken),
        },
    };
    if outcome.is_err() && house.is(Misbehaviour::GarbageKills) {
        house.end_all();
    }
    outcome
}

fn upgrade_to(
    mut request: Request<Incoming>,
    house: Arc<House>,
    tasks: Tasks,
    session: Option<Arc<Session>>,
) -> io::Result<Answer> {
    let text = |name: header::HeaderName| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let key = text(header::SEC_WEBSOCKET_KEY);
    if request.method() != Method::GET || STANDARD.decode(&key).map_or(0, |key| key.len()) != 16 {
        return Ok(refused(3, "Bad request"));
    }
    if text(header::SEC_WEBSOCKET_VERSION) != "13" && !house.is(Misbehaviour::VersionUnchecked) {
        let mut answer = respond(426, "text/plain", "");
        answer.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Ok(answer);
    }
    let (session, first) = match session {
        Some(session) => {
            if session.carrier() == Carrier::Polling {
                session.set_carrier(Carrier::Upgrading);
            }
            (session, None)
        }
        None => open(&house, &request, Carrier::WebSocket).map(|(session, open)| (session, Some(open)))?,
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let salt = if house.is(Misbehaviour::AcceptKeyWrong) { "not the one" } else { HANDSHAKE_GUID };
    let accept = STANDARD.encode(Sha1::digest(format!("{key}{salt}")));
    tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
        if let Ok(stream) = upgraded.await {
            websocket::serve(house, session, TokioIo::new(stream), first).await;
        }
    });
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).map_err(io::Error::other)?);
    Ok(response)
}

async fn rest(request: Request<Incoming>, house: &Arc<House>) -> io::Result<Answer> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if parts == ["health"] {
        return Ok(json_answer(200, &json!({"status": "ok", "service": "chat-service"})));
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let [room, verb] = match parts.as_slice() {
        ["api", "chat", room, verb @ ("history" | "users" | "message")] => [*room, *verb],
        _ => return Ok(json_answer(404, &json!({"success": false, "error": "not found"}))),
    };
    let Some(user) = verify(token) else {
        return Ok(json_answer(401, &json!({"success": false, "error": "not authenticated"})));
    };
    let room = decode_percent(room);
    match (request.method(), verb) {
        (&Method::GET, "history") => {
            let limit = query(&request, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(50);
            Ok(json_answer(200, &json!({"success": true, "messages": house.hub().history(&room, limit)})))
        }
        (&Method::GET, "users") => {
            let users = house.hub().users(&room);
            Ok(json_answer(200, &json!({"success": true, "roomId": room, "userCount": users.len(), "users": users})))
        }
        (&Method::POST, "message") => {
            let body = Limited::new(request.into_body(), PAYLOAD_BYTES_MAX)
                .collect()
                .await
                .map_err(io::Error::other)?
                .to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let text = body.get("message").and_then(Value::as_str).unwrap_or_default();
            Ok(match house.hub().send(house, &room, user, text, None) {
                Ok(message) => json_answer(200, &json!({"success": true, "message": "sent", "data": message})),
                Err(error) => json_answer(400, &json!({"success": false, "error": error})),
            })
        }
        _ => Ok(json_answer(405, &json!({"success": false, "error": "method not allowed"}))),
    }
}

fn decode_percent(text: &str) -> String {
    let (bytes, mut out, mut i) = (text.as_bytes(), Vec::new(), 0);
    while i < bytes.len() {
        let escaped = (bytes[i] == b'%')
            .then(|| text.get(i + 1..i + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escaped.unwrap_or(bytes[i]));
        i += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
