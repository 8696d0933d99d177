//! The engine's answers over HTTP, as the official server words them.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::json;

use super::request::Refused;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Packets.
pub(super) fn packets(payload: Bytes) -> Response {
    with(StatusCode::OK, [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, NO_STORE)], Body::from(payload))
}

/// A POST was taken.
pub(super) fn taken() -> Response {
    with(StatusCode::OK, [(CONTENT_TYPE, HeaderValue::from_static("text/html"))], Body::from("ok"))
}

/// The body is larger than allowed; the session goes on.
pub(super) fn too_large() -> Response {
    StatusCode::PAYLOAD_TOO_LARGE.into_response()
}

/// A request is refused.
pub(super) fn refused(refused: Refused) -> Response {
    let (status, code, message) = refused.words();
    let body = json!({"code": code, "message": message}).to_string();
    with(status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(body))
}

fn with<const N: usize>(status: StatusCode, headers: [(HeaderName, HeaderValue); N], body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
}
