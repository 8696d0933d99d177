//! Tokens verified on the spot: HS256 under a shared secret. The embedded default, and what `chatwright token` makes tokens for.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{FutureExt as _, future::BoxFuture};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::{
    AuthError, ClaimNames, Identity, Verifier, WallClock,
    claims::{checked, instant_ms},
};

/// What a token must fulfil.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtRules {
    /// The shared secret. Never shown.
    pub secret: Vec<u8>,
    /// Under which claims the user's fields stand.
    pub names: ClaimNames,
    /// Whether a token without `exp` is refused.
    pub expiry_required: bool,
    /// The `iss` that a token must carry, if any.
    pub issuer: Option<String>,
    /// The `aud` that a token must carry, if any.
    pub audience: Option<String>,
}

impl JwtRules {
    /// The defaults around a secret: documented claim names, `exp` required.
    #[must_use]
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self {
            secret: secret.into(),
            names: ClaimNames::default(),
            expiry_required: true,
            issuer: None,
            audience: None,
        }
    }
}

impl fmt::Debug for JwtRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtRules").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Verifies signed tokens by itself.
pub struct JwtVerifier {
    rules: JwtRules,
    key: DecodingKey,
    validation: Validation,
    clock: WallClock,
}

impl JwtVerifier {
    /// A verifier with these rules.
    #[must_use]
    pub fn new(rules: JwtRules, clock: WallClock) -> Self {
        // The algorithm is ours, never the token's; `kid`, `jku`, `x5u` and `jwk` are not looked at. Times are compared below, with our
        // clock and without the library's leeway of a minute.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = rules.audience.is_some();
        if let Some(audience) = &rules.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        if let Some(issuer) = &rules.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        Self { key: DecodingKey::from_secret(&rules.secret), rules, validation, clock }
    }

    fn identity(&self, token: &str) -> Result<Identity, AuthError> {
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &self.key, &self.validation)
            .map_err(|_| AuthError::Invalid)?
            .claims;
        let now_ms = (self.clock)();
        let identity = checked(self.rules.names.identity(&claims)?)?;
        if identity.expires_at_ms.is_some_and(|end| end <= now_ms) {
            return Err(AuthError::Expired);
        }
        if instant_ms(&claims, "nbf")?.is_some_and(|start| start > now_ms) {
            return Err(AuthError::Invalid);
        }
        if identity.expires_at_ms.is_none() && self.rules.expiry_required {
            return Err(AuthError::Invalid);
        }
        Ok(identity)
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Verifier for JwtVerifier {
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Identity, AuthError>> {
        std::future::ready(self.identity(token)).boxed()
    }

    fn name(&self) -> &'static str {
        "jwt"
    }
}

/// The `exp` that a token states about itself, unverified: only to be believed after somebody else vouched for the token.
pub(super) fn stated_expiry_ms(token: &str) -> Option<u64> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    instant_ms(&claims, "exp").ok().flatten()
}

/// An auth service's answer seen together with what the token states about itself: a refused token that is over is
/// [`AuthError::Expired`], and an accepted one ends when it says so, unless the service knew better.
pub(super) fn with_stated_expiry(
    verdict: Result<Identity, AuthError>,
    token: &str,
    now_ms: u64,
) -> Result<Identity, AuthError> {
    let stated_ms = stated_expiry_ms(token);
    match verdict {
        Ok(identity) => {
            let expires_at_ms = identity.expires_at_ms.or(stated_ms);
            if expires_at_ms.is_some_and(|end| end <= now_ms) {
                return Err(AuthError::Expired);
            }
            Ok(Identity { expires_at_ms, ..identity })
        }
        Err(AuthError::Invalid) if stated_ms.is_some_and(|end| end <= now_ms) => Err(AuthError::Expired),
        Err(reason) => Err(reason),
    }
}
