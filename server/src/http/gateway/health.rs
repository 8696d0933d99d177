//! The health answers of the services: 200, or 503 with the reason.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use serde::Serialize;

use crate::chat::{Core, PortHealth};

#[derive(Debug, Serialize)]
struct HealthJson {
    status: &'static str,
    service: &'static str,
    store: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of the message service.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<CacheJson>,
}

/// Nobody is refused for want of the cache: without it the service is slower, not ill.
#[derive(Debug, Serialize)]
pub(super) struct CacheJson {
    /// The technology.
    pub(super) store: &'static str,
    /// `ok` or `unavailable`.
    pub(super) status: &'static str,
}

/// A service's answer. `problem` goes to the log alone: it may name hosts.
pub(super) fn answer(service: &'static str, store: &'static str, problem: Option<&str>) -> Response {
    with_cache(service, store, problem, None)
}

/// The same of a service that has a cache.
pub(super) fn with_cache(
    service: &'static str,
    store: &'static str,
    problem: Option<&str>,
    cache: Option<CacheJson>,
) -> Response {
    if let Some(problem) = problem {
        tracing::warn!(service, store, problem, "unhealthy");
    }
    let json = HealthJson {
        status: if problem.is_none() { "ok" } else { "unavailable" },
        service,
        store,
        reason: problem.map(|_| format!("{store} does not answer")),
        cache,
    };
    let status = if problem.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json)).into_response()
}

pub(super) async fn chat(State(core): State<Arc<dyn Core>>) -> Response {
    let health = core.health().await;
    let broken = [health.store, health.bus].into_iter().find(|port: &PortHealth| port.problem.is_some());
    match broken {
        Some(PortHealth { technology, problem }) => answer("chat-service", technology, problem.as_deref()),
        None => answer("chat-service", "ok", None),
    }
}
