//! What is spoken over plain HTTP: a dialect's REST routes, `/metrics`, and the rules for web pages that also guard the Socket.IO path.
//!
//! Every answer of a route is JSON, errors too: `{"success":false,"error":"..."}`. Identity comes from the token alone, as everywhere.

mod admin;
mod answer;
mod body;
mod caller;
mod observe;
mod opening;
mod origin;
mod posting;
mod rooms;

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, middleware, response::Response};
use http::Request;
use tower::Service;

use crate::{auth::Gate, chat::Hub, config::Origins, metrics::Metrics};
use rooms::Rest;

pub use admin::admin_routes;

/// What the routes for clients need.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The chat core.
    pub hub: Arc<Hub>,
    /// Who verifies tokens.
    pub gate: Gate,
    /// Where answers are counted.
    pub metrics: Metrics,
    /// Which web pages may come.
    pub origins: Origins,
    /// Whether a Socket.IO request without `Origin` is refused.
    pub origin_required: bool,
    /// The largest body of a REST request.
    pub rest_body_bytes_max: usize,
}

/// The routes for clients of `rooms`: REST, and the engine at its path.
pub fn client_routes<S>(doors: Doors, engine_path: &str, engine: S) -> Router
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let Doors { hub, gate, metrics, origins, origin_required, rest_body_bytes_max } = doors;
    let rest = rooms::routes(Rest::new(hub, gate, rest_body_bytes_max))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(middleware::map_response(answer::guarded))
        .layer(middleware::from_fn_with_state(metrics, observe::counted));
    let sockets = Router::new()
        .route_service(engine_path, engine.clone())
        .route_service(&format!("{engine_path}/"), engine)
        .layer(middleware::from_fn_with_state(posting::Posts::default(), posting::one_at_a_time))
        .layer(middleware::from_fn(opening::checked))
        .layer(middleware::from_fn_with_state(origin::Pages::new(origins.clone(), origin_required), origin::admitted));
    rest.merge(sockets).layer(origin::cors(&origins))
}
