//! The opening handshake of RFC 6455, section 4.2: checked to the letter, so that what is no WebSocket client learns so by HTTP.

use std::sync::Arc;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version,
    header::{ALLOW, CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use tokio::time::Instant;

use super::{
    super::{service::peer, upgrade},
    Endpoint,
};

/// The version of the protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Answers a request to the end point: 101 and a connection, or why not.
pub(super) fn answer(endpoint: &Arc<Endpoint>, mut request: Request<Body>) -> Response {
    if let Err(refused) = check(&request) {
        return *refused;
    }
    let shared = &endpoint.shared;
    let Some(place) = peer(&request).and_then(|address| shared.table.place(address, Instant::now())) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is full").into_response();
    };
    let Some((response, opening)) = upgrade::begin(shared, &mut request) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response(); // there is a key, so the connection is not our own
    };
    let endpoint = Arc::clone(endpoint);
    shared.tasks.spawn(async move {
        match opening.wire().await {
            Some(wire) => {
                let (session, ear) = endpoint.open(wire, place);
                let tasks = &endpoint.shared.tasks;
                tasks.spawn(Arc::clone(&endpoint).see_through(session, ear)); // not this task, which has room for what is over now
            }
            None => tracing::debug!("the peer left before the handshake was over"),
        }
    });
    response
}

fn check(request: &Request<Body>) -> Result<(), Box<Response>> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(refused((StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")])));
    }
    if request.version() != Version::HTTP_11 || !lists(headers, &UPGRADE, "websocket") {
        let wanted = [(UPGRADE, HeaderValue::from_static("websocket")), (SEC_WEBSOCKET_VERSION, VERSION)];
        return Err(refused((StatusCode::UPGRADE_REQUIRED, wanted, "a WebSocket handshake is expected")));
    }
    let bad = |problem: &'static str| Err(refused((StatusCode::BAD_REQUEST, problem)));
    if !lists(headers, &CONNECTION, "upgrade") {
        return bad("Connection: Upgrade is expected");
    }
    if only(headers, &SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        let wanted = [(SEC_WEBSOCKET_VERSION, VERSION)];
        return Err(refused((StatusCode::UPGRADE_REQUIRED, wanted, "version 13 is expected")));
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY)
        .filter(|key| BASE64_STANDARD.decode(key.as_bytes()).is_ok_and(|nonce| nonce.len() == 16));
    if key.is_some() { Ok(()) } else { bad("one Sec-WebSocket-Key of 16 bytes is expected") }
}

fn refused(answer: impl IntoResponse) -> Box<Response> {
    Box::new(answer.into_response())
}

/// Whether a comma-separated header holds this token, in whatever case.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}
