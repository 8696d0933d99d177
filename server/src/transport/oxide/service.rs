//! The engine as an HTTP service that watches: which stream a session was upgraded on, and how much a poll took.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, StatusCode};
use http_body::Body;
use http_body_util::Empty;
use tower::Service;

use super::session::{Engine, Sessions};
use crate::listener::ConnectionHandle;

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
        let sid = request.uri().query().and_then(sid).map(str::to_owned);
        let stream = request.extensions().get::<ConnectionHandle>().cloned();
        let answer = self.engine.call(request);
        let sessions = Arc::clone(&self.sessions);
        Box::pin(async move {
            let response = match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            match (sid, response.status()) {
                (Some(sid), StatusCode::SWITCHING_PROTOCOLS) => {
                    if let Some(stream) = stream {
                        sessions.of(&sid).upgraded_on(stream);
                    }
                }
                (Some(sid), StatusCode::OK) => {
                    sessions.of(&sid).polled(response.body().size_hint().exact().unwrap_or(0));
                }
                (Some(_) | None, _) => {}
            }
            Ok(response.into_response())
        })
    }
}

/// What the engine answers outside of its path: it is mounted there only, so this is for paths that merely begin alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elsewhere;

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

fn sid(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("sid="))
}
