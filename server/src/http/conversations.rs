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

use crate::{
    chat::{Core as _, PortHealth, conversations::Hub},
    clock,
};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<PortJson>,
}

#[derive(Serialize)]
struct PortJson {
    technology: &'static str,
    connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The routes.
pub(super) fn routes(hub: Arc<Hub>) -> Router {
    Router::new().route("/health", get(health)).with_state(hub)
}

async fn health(State(hub): State<Arc<Hub>>) -> Response {
    let (health, events) = (hub.health().await, hub.health_of_events());
    let port = |port: PortHealth| PortJson {
        technology: port.technology,
        connected: port.problem.is_none(),
        error: port.problem,
    };
    // Without the store nothing can be sent; without the bus the instances catch up from the store, and events wait there for their broker.
    let lacks = health.bus.problem.is_some() || events.as_ref().is_some_and(|events| events.problem.is_some());
    let (status, words) = match (&health.store.problem, lacks) {
        (Some(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (None, true) => (StatusCode::OK, "degraded"),
        (None, false) => (StatusCode::OK, "ok"),
    };
    let body = HealthJson {
        status: words,
        service: "chat-service",
        timestamp: iso8601::from_unix_ms(clock::unix_ms()),
        connections: hub.registry().count(|_| true),
        store: port(health.store),
        bus: port(health.bus),
        events: events.map(port),
    };
    (status, Json(body)).into_response()
}
