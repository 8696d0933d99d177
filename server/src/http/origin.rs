//! Which web pages may talk to the server. CORS only keeps pages from *reading* answers; a WebSocket or a poll of a foreign page would
//! still come in, so on the engine's path a page that is not allowed is refused itself.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN},
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::answer::Failure;
use crate::config::Origins;

/// How long a browser may remember the answer to a preflight.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// The headers for pages: a list of origins gets credentials, everybody gets none.
pub(super) fn cors(origins: &Origins) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .max_age(PREFLIGHT_AGE);
    match origins {
        Origins::Any => layer.allow_origin(AllowOrigin::any()),
        Origins::Listed(listed) => layer.allow_origin(AllowOrigin::list(listed.clone())).allow_credentials(true),
    }
}

/// The rule for the engine's path. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    origins: Arc<Origins>,
    required: bool,
}

impl Pages {
    pub(super) fn new(origins: Origins, required: bool) -> Self {
        Self { origins: Arc::new(origins), required }
    }

    /// Clients that are no browsers send no `Origin`; two of them mean that somebody plays tricks.
    fn allow(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => !self.required,
            (Some(origin), None) => self.origins.allow(origin),
            (Some(_), Some(_)) => false,
        }
    }
}

pub(super) async fn admitted(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    if pages.allow(request.headers()) {
        next.run(request).await
    } else {
        Failure::new(StatusCode::FORBIDDEN, "Origin not allowed").into_response()
    }
}
