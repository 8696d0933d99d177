//! The one route of `conversations` beside its sockets: `GET /health`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::StatusCode;
use serde::Serialize;

use crate::{chat::Core, clock};
use chatwright_protocol::iso8601;

/// The body of `/health`. The document shows none: its fields are the reference's.
#[derive(Serialize)]
struct HealthJson {
    status: &'static str,
    service: &'static str,
    timestamp: String,
    connections: usize,
    store: PortJson,
    bus: PortJson,
}

#[derive(Serialize)]
struct PortJson {
    technology: &'static str,
    connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The routes.
pub(super) fn routes(core: Arc<dyn Core>) -> Router {
    Router::new().route("/health", get(health)).with_state(core)
}

async fn health(State(core): State<Arc<dyn Core>>) -> Response {
    let health = core.health().await;
    let port = |port: crate::chat::PortHealth| PortJson {
        technology: port.technology,
        connected: port.problem.is_none(),
        error: port.problem,
    };
    // Without the store nothing can be sent; without the bus the instances catch up from the store.
    let (status, words) = match (&health.store.problem, &health.bus.problem) {
        (Some(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (None, Some(_)) => (StatusCode::OK, "degraded"),
        (None, None) => (StatusCode::OK, "ok"),
    };
    let body = HealthJson {
        status: words,
        service: "chat-service",
        timestamp: iso8601::from_unix_ms(clock::unix_ms()),
        connections: core.registry().count(|_| true),
        store: port(health.store),
        bus: port(health.bus),
    };
    (status, Json(body)).into_response()
}
