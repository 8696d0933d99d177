//! Reads a request's JSON object within its bounds of size (here) and time (the listener's).

use axum::body::Body;
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};

use super::answer::Failure;
use crate::listener::BodyError;

/// A body beyond the limit is read and forgotten up to this many times the limit: only who is heard out reads the answer.
const HEARD_OUT: usize = 8;

/// The object in the body.
pub(super) async fn object(body: Body, bytes_max: usize) -> Result<Map<String, Value>, Failure> {
    let bytes = bytes(body, bytes_max).await?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(Failure::new(StatusCode::BAD_REQUEST, "Invalid body: must be a JSON object"))
        }
        Err(_) => Err(Failure::new(StatusCode::BAD_REQUEST, "Invalid body: not JSON")),
    }
}

async fn bytes(mut body: Body, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut kept = Vec::new();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Some(chunk) = frame.data_ref() else { continue };
        read += chunk.len();
        if read <= bytes_max {
            kept.extend_from_slice(chunk);
        } else if read > bytes_max.saturating_mul(HEARD_OUT) {
            break;
        }
    }
    if read > bytes_max {
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "Body too large"));
    }
    Ok(kept)
}

fn broken(error: &axum::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(BodyError::TooSlow)) {
            return Failure::new(StatusCode::REQUEST_TIMEOUT, "Body too slow");
        }
        cause = error.source();
    }
    Failure::new(StatusCode::BAD_REQUEST, "Invalid body: broke off")
}
