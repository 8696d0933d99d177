//! Counts answers by route. The labels come from here, never from a path.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::Method;

use super::{direct, gateway, rooms};
use crate::metrics::Metrics;

pub(super) async fn counted(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("other", |matched| known(matched.as_str()));
    let method = method(request.method());
    let began = Instant::now();
    let response = next.run(request).await;
    metrics.request_answered(route, method, response.status().as_u16(), began.elapsed());
    response
}

fn known(route: &str) -> &'static str {
    let mut routes = [rooms::ROUTES, direct::ROUTES, gateway::ROUTES].into_iter().flatten();
    routes.find(|known| **known == route).copied().unwrap_or("other")
}

fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"];
    KNOWN.into_iter().find(|known| method == known).unwrap_or("other")
}
