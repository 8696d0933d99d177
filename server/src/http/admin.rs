//! The listener for administration: `/metrics` and nothing else. It has an address of its own, so that clients never reach it.

use axum::{
    Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header::CONTENT_TYPE;

use super::answer;
use crate::metrics::{self, Metrics};

/// The routes for administration.
pub fn admin_routes(metrics: Metrics) -> Router {
    Router::new()
        .route("/metrics", get(render))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(middleware::map_response(answer::guarded))
        .with_state(metrics)
}

async fn render(State(metrics): State<Metrics>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.render()).into_response()
}
