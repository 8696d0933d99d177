//! Who asks: the identity that the request's token proves, found out before anything else of the request is looked at.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use chatwright_protocol::{
    dialects::AppPacket,
    vocabulary::{Command, Refusal},
};
use http::{StatusCode, request::Parts};
use serde_json::{Map, Value, json};

use super::{answer::Failure, rooms::Rest};
use crate::auth::{Admission, Identity, token::header_token};

/// Whoever asks; in token mode always somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller(Option<Identity>);

impl FromRequestParts<Arc<Rest>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, rest: &Arc<Rest>) -> Result<Self, Failure> {
        let token = header_token(&parts.headers)?;
        Ok(match rest.gate.admit(token.as_deref()).await? {
            Admission::Verified(identity) => Self(Some(identity)),
            Admission::Anonymous => Self(None),
        })
    }
}

impl Caller {
    /// In whose name something is said: the token's user. Only where identity is open and there is no token, whom the body names.
    pub(super) fn speaker(self, body: &Map<String, Value>, rest: &Rest) -> Result<Identity, Failure> {
        if let Some(identity) = self.0 {
            return Ok(identity);
        }
        let id = body.get("userId").cloned().unwrap_or_default();
        let name = body.get("username").filter(|name| !name.is_null()).unwrap_or(&id);
        let claim = AppPacket::event("authenticate", json!({"userId": id, "username": name}));
        let rules = rest.hub.rules();
        let Command::Authenticate { user, name } = (rules.dialect.server.decode)(&claim)? else {
            return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error"));
        };
        let characters_max = rules.limits.id_characters_max;
        let fits = |text: &str| !text.trim().is_empty() && text.chars().nth(characters_max).is_none();
        if !fits(user.as_str()) || !fits(&name) {
            return Err(Refusal::Invalid { field: "userId", problem: "must not be blank or too long" }.into());
        }
        Ok(Identity { user, name, email: None, expires_at_ms: None })
    }
}
