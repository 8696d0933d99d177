//! The one REST route of `sessions`: its health.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;

use crate::chat::{Core as _, sessions::Hub};

/// The name that the document gives the service.
const SERVICE: &str = "chat-service";

const HEALTH: &str = "/health";

pub(super) fn routes(hub: Arc<Hub>) -> Router {
    Router::new().route(HEALTH, get(health)).with_state(hub)
}

#[derive(Debug, Serialize)]
struct HealthJson {
    status: &'static str,
    service: &'static str,
    /// Where rooms are kept now.
    storage: &'static str,
    adapter: &'static str,
    connections: usize,
    /// Rooms are not shared with the other instances now.
    degraded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Always 200: the service does without every backend.
async fn health(State(hub): State<Arc<Hub>>) -> Json<HealthJson> {
    let health = hub.health().await;
    let broken = |port: &crate::chat::PortHealth| port.problem.as_ref().map(|_| port.technology);
    let reason = broken(&health.store).or(broken(&health.bus));
    Json(HealthJson {
        status: "ok",
        service: SERVICE,
        storage: if health.store.problem.is_some() { "memory" } else { health.store.technology },
        adapter: health.bus.technology,
        connections: hub.registry().all().len(),
        degraded: reason.is_some(),
        reason: reason
            .map(|technology| format!("{technology} does not answer: rooms are not shared with other instances")),
    })
}
