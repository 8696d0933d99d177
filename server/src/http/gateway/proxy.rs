//! The API gateway: passes REST and Socket.IO on to the services, over polling and WebSocket, and says how each of their instances is.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, any, get},
};
use http::{
    HeaderMap, HeaderName, Method, StatusCode,
    header::{CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
};
use http_body_util::{BodyExt as _, Limited};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde::Serialize;

use super::{
    affinity::{Affinity, announced, field},
    upstream::{Service, ServiceHealthJson},
};
use crate::http::answer::Failure;

/// An answer to a polling handshake is read to learn its session; it has a few hundred bytes.
const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// Headers that concern one connection and not the message (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] =
    [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// What the gateway is told.
pub(crate) struct ProxyRules {
    /// The user service.
    pub(crate) user: Service,
    /// The message service.
    pub(crate) message: Service,
    /// The chat service.
    pub(crate) chat: Service,
    /// Bytes of a body that is passed on; it is kept until an instance is found.
    pub(crate) body_bytes_max: usize,
}

/// The gateway's doors. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<Inner>);

struct Inner {
    rules: ProxyRules,
    sessions: Affinity,
}

#[derive(Debug, Serialize)]
struct GatewayHealthJson {
    status: &'static str,
    service: &'static str,
    services: Vec<ServiceHealthJson>,
}

impl Proxy {
    pub(crate) fn new(rules: ProxyRules) -> Self {
        Self(Arc::new(Inner { rules, sessions: Affinity::default() }))
    }

    /// `/health`, and the prefixes of the user and message services.
    pub(crate) fn rest(&self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/auth/{*rest}", any(to_user))
            .route("/messages/{*rest}", any(to_message))
            .with_state(self.clone())
    }

    /// The path of the chat service's sockets: to be put behind the doors of an engine.
    pub(crate) fn sockets(&self) -> MethodRouter {
        any(to_chat).with_state(self.clone())
    }
}

async fn health(State(Proxy(proxy)): State<Proxy>) -> Response {
    let ProxyRules { user, message, chat, .. } = &proxy.rules;
    let services = tokio::join!(user.health(), message.health(), chat.health());
    let services = vec![services.0, services.1, services.2];
    let is_ok = services.iter().all(ServiceHealthJson::is_ok);
    let status = if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let json = GatewayHealthJson { status: if is_ok { "ok" } else { "unavailable" }, service: "api-gateway", services };
    (status, Json(json)).into_response()
}

async fn to_user(State(Proxy(proxy)): State<Proxy>, request: Request) -> Response {
    pass_on(&proxy.rules.user, proxy.rules.body_bytes_max, request).await
}

async fn to_message(State(Proxy(proxy)): State<Proxy>, request: Request) -> Response {
    pass_on(&proxy.rules.message, proxy.rules.body_bytes_max, request).await
}

async fn pass_on(service: &Service, body_bytes_max: usize, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    strip(&mut parts.headers);
    parts.extensions.clear(); // what our router made of the path is not what a service in this process makes of it
    let Some(body) = read(body, body_bytes_max).await else { return too_large() };
    match service.ask_any(&parts, &body).await {
        Some((_, response)) => stripped(response),
        None => nobody(),
    }
}

/// Keeps a session with the instance that opened it, and ties the two ends of a WebSocket together.
async fn to_chat(State(Proxy(proxy)): State<Proxy>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (mut parts, body) = request.into_parts();
    if field(&query, "transport") != Some("websocket") {
        strip(&mut parts.headers);
    }
    let known = field(&query, "sid").and_then(|session| proxy.sessions.of(session));
    let answer = match known {
        // As it comes: a session with two POSTs under way must end, which only its instance can see.
        Some(number) => {
            let body = Body::new(Limited::new(body, proxy.rules.body_bytes_max));
            proxy.rules.chat.ask_one(number, &parts, body).await.map(|response| (number, response))
        }
        None => {
            let Some(body) = read(body, proxy.rules.body_bytes_max).await else { return too_large() };
            proxy.rules.chat.ask_any(&parts, &body).await
        }
    };
    let Some((number, response)) = answer else { return nobody() };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return tied(parts, response);
    }
    let is_handshake = parts.method == Method::GET && field(&query, "sid").is_none();
    let response = stripped(response);
    if is_handshake { remembered(&proxy.sessions, number, response).await } else { response }
}

/// From here on bytes pass both ways until one side ends. An instance in this process has taken our end already: then there is none here.
fn tied(parts: Parts, mut response: Response) -> Response {
    let far_end = response.extensions().get::<OnUpgrade>().is_some().then(|| hyper::upgrade::on(&mut response));
    let near_end = hyper::upgrade::on(Request::from_parts(parts, Body::empty()));
    let Some(far_end) = far_end else { return response };
    tokio::spawn(async move {
        let (near_end, far_end) = match tokio::try_join!(near_end, far_end) {
            Ok(ends) => ends,
            Err(problem) => return tracing::debug!(%problem, "a WebSocket was not upgraded"),
        };
        let (mut near_end, mut far_end) = (TokioIo::new(near_end), TokioIo::new(far_end));
        // How it ended is the two sides' business: each sees the end of its own stream.
        let _ = tokio::io::copy_bidirectional(&mut near_end, &mut far_end).await;
    });
    response
}

/// Learns from the answer to a handshake which session the instance has opened.
async fn remembered(sessions: &Affinity, number: usize, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Some(body) = read(body, HANDSHAKE_BYTES_MAX).await else { return nobody() };
    if let Some(session) = announced(&body) {
        sessions.remember(&session, number);
    }
    Response::from_parts(parts, Body::from(body))
}

/// The whole body; `None`: it is too large, or it broke off.
async fn read(body: Body, bytes_max: usize) -> Option<Bytes> {
    Some(Limited::new(body, bytes_max).collect().await.ok()?.to_bytes())
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn stripped(mut response: Response) -> Response {
    strip(response.headers_mut());
    response
}

fn too_large() -> Response {
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "Body too large or broken").into_response()
}

fn nobody() -> Response {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable").into_response()
}
