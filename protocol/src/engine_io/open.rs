//! The open packet: what a server tells a client about the session that it has just made.

use serde::{Deserialize, Serialize};

use super::DecodeError;

/// The session's parameters, as the handshake gives them. Unknown fields are ignored; each of these is mandatory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// The session id: a secret, whoever knows it can read and write as this client.
    pub sid: String,
    /// Transports that the client may move to, e.g. `websocket`.
    pub upgrades: Vec<String>,
    /// Time between pings in milliseconds.
    #[serde(rename = "pingInterval")]
    pub ping_interval_ms: u64,
    /// Time that a pong may take in milliseconds.
    #[serde(rename = "pingTimeout")]
    pub ping_timeout_ms: u64,
    /// Bytes that the server accepts in one polling payload.
    #[serde(rename = "maxPayload")]
    pub max_payload_bytes: usize,
}

impl Open {
    pub(super) fn from_json(json: &str) -> Result<Self, DecodeError> {
        serde_json::from_str(json).map_err(|_| DecodeError::MalformedOpen)
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }
}
