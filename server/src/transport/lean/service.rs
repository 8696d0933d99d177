//! The engine as an HTTP service: each request to what it asks for.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use futures_util::future::BoxFuture;
use http::{
    HeaderMap, Request,
    header::{AUTHORIZATION, UPGRADE},
};
use tower::Service;

use super::{
    Shared, answer, polling,
    request::{self, Ask, Refused},
    upgrade,
};
use crate::listener::ConnectionHandle;

/// Answers everything below the engine's path. Cheap to clone.
#[derive(Clone)]
pub struct LeanService {
    shared: Arc<Shared>,
}

impl LeanService {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn answer(self, request: Request<Body>) -> Response {
        let shared = self.shared;
        let upgrades = request.headers().contains_key(UPGRADE);
        let uri = request.uri().clone();
        let ask = match request::read(request.method(), uri.query().unwrap_or_default(), upgrades) {
            Ok(ask) => ask,
            Err(refused) => return answer::refused(refused),
        };
        let sid = match &ask {
            Ask::OpenWebSocket | Ask::Upgrade(_) if !shared.rules.offers_websocket => {
                return answer::refused(Refused::UnknownTransport);
            }
            Ask::OpenPolling | Ask::OpenWebSocket if shared.is_stopping() => return answer::refused(Refused::Full),
            Ask::OpenPolling => return polling::open(&shared, &request),
            Ask::OpenWebSocket => return upgrade::open(&shared, request),
            Ask::Poll(sid) | Ask::Post(sid) | Ask::Upgrade(sid) => sid,
        };
        let Some(session) = shared.table.find(sid) else { return answer::refused(Refused::UnknownSession) };
        match ask {
            Ask::Post(_) => polling::post(shared, session, request).await,
            Ask::Upgrade(_) => upgrade::upgrade(&shared, session, request),
            Ask::Poll(_) | Ask::OpenPolling | Ask::OpenWebSocket => {
                let connection = request.extensions().get::<ConnectionHandle>().cloned();
                polling::poll(shared, session, connection).await
            }
        }
    }
}

impl Service<Request<Body>> for LeanService {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request).await) })
    }
}

/// Where a request came from, as the system says.
pub(super) fn peer(request: &Request<Body>) -> Option<IpAddr> {
    request.extensions().get::<ConnectionHandle>().map(|handle| handle.peer().ip())
}

/// Of a handshake's headers, those that say who it is from: the others are not kept for the life of the session.
pub(super) fn credentials(request: &Request<Body>) -> HeaderMap {
    let values = request.headers().get_all(AUTHORIZATION).iter();
    values.map(|value| (AUTHORIZATION, value.clone())).collect()
}
