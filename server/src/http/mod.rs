//! What is spoken over plain HTTP: a dialect's REST routes, `/metrics`, and the rules for web pages that also guard the Socket.IO path.
//!
//! Every answer of a route is JSON, errors too: `{"success":false,"error":"...","message":"..."}`. Identity comes from the token alone, as everywhere.

mod admin;
mod answer;
mod body;
mod caller;
mod conversations;
mod direct;
pub(crate) mod gateway;
mod observe;
mod opening;
mod origin;
pub mod pages;
mod posting;
mod rooms;
mod sessions;

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, middleware, response::Response};
use http::Request;
use tower::Service;

use crate::{auth::Gate, chat::rooms::Hub, config::Origins, metrics::Metrics};
use rooms::Rest;

pub use admin::admin_routes;
pub(crate) use direct::{rest_routes as direct_rest_routes, socket_routes as direct_socket_routes};

/// The rules that hold for everybody who comes over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    /// Where answers are counted.
    pub(crate) metrics: Metrics,
    /// Which web pages may come.
    pub(crate) origins: Origins,
    /// Whether a Socket.IO request without `Origin` is refused.
    pub(crate) origin_required: bool,
}

/// The REST routes of `rooms`.
pub(crate) fn rooms_routes(hub: Arc<Hub>, gate: Gate, rest_body_bytes_max: usize) -> Router {
    rooms::routes(Rest::new(hub, gate, rest_body_bytes_max))
}

/// The REST routes of `sessions`.
pub(crate) fn sessions_routes(hub: Arc<crate::chat::sessions::Hub>) -> Router {
    sessions::routes(hub)
}

/// The REST routes of `conversations`.
pub(crate) fn conversations_routes(hub: Arc<crate::chat::conversations::Hub>) -> Router {
    conversations::routes(hub)
}

impl Doors {
    /// A dialect's REST routes with what holds for all of them: errors as JSON, counted, guarded against web pages from elsewhere.
    pub(crate) fn rest(&self, routes: Router) -> Router {
        routes
            .fallback(answer::not_found)
            .method_not_allowed_fallback(answer::method_not_allowed)
            .layer(middleware::map_response(answer::guarded))
            .layer(middleware::from_fn_with_state(self.metrics.clone(), observe::counted))
            .layer(origin::cors(&self.origins))
    }

    /// The end point of raw WebSocket.
    pub(crate) fn websocket(&self, routes: Router) -> Router {
        let pages = origin::Pages::new(self.origins.clone(), self.origin_required);
        routes.layer(middleware::from_fn_with_state(pages, origin::admitted)).layer(origin::cors(&self.origins))
    }

    /// A Socket.IO engine at its path.
    pub(crate) fn engine<S>(&self, path: &str, engine: S) -> Router
    where
        S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        let pages = origin::Pages::new(self.origins.clone(), self.origin_required);
        let routes = Router::new().route_service(path, engine.clone()).route_service(&format!("{path}/"), engine);
        checked(routes)
            .layer(middleware::from_fn_with_state(pages, origin::admitted))
            .layer(origin::cors(&self.origins))
    }

    /// A Socket.IO engine below its path and nowhere else, for an application: pages from elsewhere are kept from reading, not from asking.
    pub(crate) fn application<S>(&self, path: &str, engine: S) -> Router
    where
        S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        checked(mounted(path, engine)).layer(origin::cors(&self.origins))
    }

    /// The same for an engine that checks its requests itself.
    pub(crate) fn bare<S, R>(&self, path: &str, engine: S) -> Router
    where
        S: Service<Request<Body>, Response = R, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        R: axum::response::IntoResponse + 'static,
    {
        mounted(path, engine).layer(origin::cors(&self.origins))
    }
}

/// An engine at its path, which ends in a slash.
fn mounted<S, R>(path: &str, engine: S) -> Router
where
    S: Service<Request<Body>, Response = R, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    R: axum::response::IntoResponse + 'static,
{
    Router::new().route_service(&format!("{path}/"), engine)
}

/// What no engine does by itself.
fn checked(engine: Router) -> Router {
    engine
        .layer(middleware::from_fn_with_state(posting::Posts::default(), posting::one_at_a_time))
        .layer(middleware::from_fn(opening::checked))
}
