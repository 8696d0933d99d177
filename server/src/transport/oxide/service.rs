//! The engine as an HTTP service that watches: which stream a session was upgraded on, how much a poll took, and what the engine leaves
//! open about polling (two requests at once, aborted ones, a ping at once after the handshake).

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body as AxumBody, to_bytes},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{
    Method, Request, StatusCode,
    header::{CONTENT_LENGTH, UPGRADE},
};
use http_body::Body;
use http_body_util::{Empty, Full};
use serde_json::Value;
use tower::Service;

use super::session::{Engine, Session, Sessions};
use crate::listener::ConnectionHandle;

/// The engine's own answers to handshakes and bad requests are far smaller.
const SMALL_BODY_BYTES_MAX: usize = 64 * 1024;

/// The engine pings at once; this long is waited for that ping before the handshake is answered.
const FIRST_PING_MAX: Duration = Duration::from_millis(500);

/// Answers everything below the engine's path. Cheap to clone.
#[derive(Clone)]
pub struct OxideService {
    engine: Engine,
    sessions: Arc<Sessions>,
}

impl OxideService {
    pub(super) fn new(engine: Engine, sessions: Arc<Sessions>) -> Self {
        Self { engine, sessions }
    }
}

impl<B> Service<Request<B>> for OxideService
where
    B: Body + Send + Unpin + std::fmt::Debug + 'static,
    B::Error: std::fmt::Debug,
    B::Data: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        let query = request.uri().query().unwrap_or_default();
        let sid = query.split('&').find_map(|pair| pair.strip_prefix("sid=")).map(str::to_owned);
        let polls = query.split('&').any(|pair| pair == "transport=polling");
        let upgrades = request.headers().contains_key(UPGRADE);
        let stream = request.extensions().get::<ConnectionHandle>().filter(|_| upgrades).cloned();
        let method = request.method().clone();
        let session = sid.as_deref().and_then(|sid| self.sessions.find(sid));
        if let (Some(sid), Some(session), &Method::POST) = (&sid, &session, &method)
            && session.posting.swap(true, Ordering::AcqRel)
        {
            return Box::pin(this.two_at_once(sid.clone()));
        }
        if let (Some(session), Some(stream)) = (&session, &stream)
            && !session.carried_by(stream.clone())
        {
            return Box::pin(ready(Ok(bad_request())));
        }
        let answer = self.engine.call(request);
        let guard =
            Pending { sessions: Arc::clone(&self.sessions), session, sid: sid.clone(), method, answered: false };
        Box::pin(async move {
            let mut guard = guard;
            let response = match answer.await {
                Ok(response) => response.into_response(),
                Err(never) => match never {},
            };
            guard.answered = true;
            if let (Some(session), Some(stream)) = (&guard.session, &stream)
                && response.status() != StatusCode::SWITCHING_PROTOCOLS
            {
                session.not_carried_by(stream);
            }
            Ok(match (sid, response.status()) {
                (None, StatusCode::OK) if polls => this.opened(response).await,
                (Some(_), StatusCode::OK) if guard.method == Method::GET && is_empty(&response) => closed(),
                (Some(sid), StatusCode::OK) => {
                    this.sessions.of(&sid).polled(response.body().size_hint().exact().unwrap_or(0));
                    response
                }
                (_, StatusCode::BAD_REQUEST) => with_numeric_code(response).await,
                (Some(_) | None, _) => response,
            })
        })
    }
}

impl OxideService {
    /// A second POST while one is being received: refused, and the session ends.
    async fn two_at_once(self, sid: String) -> Result<Response, Infallible> {
        self.sessions.close_polling(&sid).await;
        Ok(bad_request())
    }

    /// A session was opened by polling. The engine queues a ping at once; it is taken and answered here, so that the client's first one
    /// comes after an interval, as the protocol has it.
    async fn opened(&self, response: Response) -> Response {
        let (head, body) = response.into_parts();
        let Ok(body) = to_bytes(body, SMALL_BODY_BYTES_MAX).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let open: Option<Value> = body.strip_prefix(b"0").and_then(|open| serde_json::from_slice(open).ok());
        if let Some(sid) = open.as_ref().and_then(|open| open["sid"].as_str()) {
            self.sessions.of(sid);
            if tokio::time::timeout(FIRST_PING_MAX, self.sessions.take_first_ping(sid)).await.is_err() {
                tracing::debug!("the engine did not ping at once; the client will see its first ping when it comes");
            }
        }
        Response::from_parts(head, AxumBody::from(body))
    }
}

/// A request under way. Dropped unanswered, its client has gone: a poll that is aborted ends its session.
struct Pending {
    sessions: Arc<Sessions>,
    session: Option<Arc<Session>>,
    sid: Option<String>,
    method: Method,
    answered: bool,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.method == Method::POST
            && let Some(session) = &self.session
        {
            session.posting.store(false, Ordering::Release);
        }
        if self.answered {
            return;
        }
        if let (Some(sid), Ok(runtime)) = (self.sid.take(), tokio::runtime::Handle::try_current()) {
            let sessions = Arc::clone(&self.sessions);
            runtime.spawn(async move { sessions.close_polling(&sid).await });
        }
    }
}

/// A session that ends lets its pending poll go with a payload of no packet, which is none.
fn is_empty(response: &Response) -> bool {
    response.body().size_hint().exact() == Some(0)
}

/// The session is over: a close packet.
fn closed() -> Response {
    (StatusCode::OK, [("content-type", "text/plain; charset=UTF-8")], "1").into_response()
}

fn bad_request() -> Response {
    let body = r#"{"code":3,"message":"Bad request"}"#;
    (StatusCode::BAD_REQUEST, [("content-type", "application/json")], body).into_response()
}

/// The engine writes the code of its errors as text; the protocol's servers write a number.
async fn with_numeric_code(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, SMALL_BODY_BYTES_MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(Value::Object(mut error)) = serde_json::from_slice::<Value>(&body) else {
        return Response::from_parts(head, AxumBody::from(body));
    };
    if let Some(code) = error.get("code").and_then(Value::as_str).and_then(|code| code.parse::<u64>().ok()) {
        error.insert("code".to_owned(), code.into());
    }
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, AxumBody::from(Value::Object(error).to_string()))
}

/// What the engine answers outside of its path: it is mounted there only, so this is for paths that merely begin alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elsewhere;

impl<B> Service<Request<B>> for Elsewhere {
    type Response = http::Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = http::Response::new(Empty::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        ready(Ok(response))
    }
}

/// A request of ours to the engine, in the name of a client.
pub(super) fn own_request(method: Method, path: &str, sid: &str, body: &'static [u8]) -> Option<Request<Full<Bytes>>> {
    let uri = format!("{path}/?EIO=4&transport=polling&sid={sid}");
    Request::builder().method(method).uri(uri).body(Full::new(Bytes::from_static(body))).ok()
}
