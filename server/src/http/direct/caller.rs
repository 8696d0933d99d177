//! Who asks: the user whom the request's token proves, found out before anything else of the request is looked at.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use chatwright_protocol::vocabulary::{Refusal, UserId};
use http::request::Parts;

use super::Rest;
use crate::{
    auth::{Admission, token::header_token},
    http::answer::Failure,
};

/// The verified user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller(pub(super) UserId);

impl FromRequestParts<Arc<Rest>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, rest: &Arc<Rest>) -> Result<Self, Failure> {
        let token = header_token(&parts.headers)?;
        match rest.gate.admit(token.as_deref()).await? {
            Admission::Verified(identity) => {
                rest.hub.introduce(&identity).await;
                Ok(Self(identity.user))
            }
            Admission::Anonymous => Err(Refusal::NotAuthenticated.into()),
        }
    }
}
