//! Makes tokens that [`super::jwt`] accepts: for `chatwright token`, for bots and for tests.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

/// What a token shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The user's id.
    pub user: String,
    /// The name to show; the id if absent.
    pub name: Option<String>,
    /// The e-mail address; `<user>@example.test` if absent.
    pub email: Option<String>,
    /// When it ends, in milliseconds since the Unix epoch (rounded down to seconds).
    pub expires_at_ms: u64,
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("failed to sign a token: {0}")]
pub struct MintError(#[from] jsonwebtoken::errors::Error);

/// A signed token with the one claim set `{sub,id,userId,username,email,exp}`, so that every dialect finds its field.
///
/// # Errors
/// [`MintError`] if the library refuses the secret.
pub fn mint(secret: &[u8], request: &TokenRequest) -> Result<String, MintError> {
    let TokenRequest { user, name, email, expires_at_ms } = request;
    let claims = json!({
        "sub": user,
        "id": user,
        "userId": user,
        "username": name.as_ref().unwrap_or(user),
        "email": email.clone().unwrap_or_else(|| format!("{user}@example.test")),
        "exp": expires_at_ms / 1000,
    });
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret))?)
}
