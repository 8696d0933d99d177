//! The opening handshake of RFC 6455, section 4.2: checked to the letter, so that what is no WebSocket client learns so by HTTP.

use std::sync::Arc;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version,
    header::{ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::door::Door;
use crate::listener::ConnectionHandle;

/// Bytes read from the stream at once; the library's default of 128 KiB would be paid per connection.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Bytes that the library collects before it writes, and the most that it may hold back.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// The version of the protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Answers a request to the end point: 101 and a connection, or why not.
pub(super) fn answer(door: &Arc<Door>, mut request: Request<Body>) -> Response {
    let accept = match accept_key(&request) {
        Ok(accept) => accept,
        Err(refused) => return *refused,
    };
    let Some(handle) = request.extensions().get::<ConnectionHandle>().cloned() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(door.rules.message_bytes_max.max(WRITE_BUFFER_BYTES) * 16)
        .max_message_size(Some(door.rules.message_bytes_max))
        .max_frame_size(Some(door.rules.message_bytes_max));
    let door = Arc::clone(door);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(stream) => {
                let stream = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, Some(config)).await;
                door.see_through(stream, handle).await;
            }
            Err(error) => tracing::debug!(%error, "the peer left before the handshake was over"),
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn accept_key(request: &Request<Body>) -> Result<HeaderValue, Box<Response>> {
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
    let Some(key) = key else { return bad("one Sec-WebSocket-Key of 16 bytes is expected") };
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).or_else(|_| bad("the key is of no use"))
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
