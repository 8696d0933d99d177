//! Makes tokens that [`super::jwt`] accepts: for `chatwright token`, for bots and for tests.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::jwt::JwtRules;

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
    mint_for(&JwtRules::new(secret), request)
}

/// The same for a verifier with these rules: with the issuer and the audience that it asks for, and with the fields also where it looks for
/// them.
///
/// # Errors
/// [`MintError`] if the library refuses the secret.
pub fn mint_for(rules: &JwtRules, request: &TokenRequest) -> Result<String, MintError> {
    let TokenRequest { user, name, email, expires_at_ms } = request;
    let name = name.as_ref().unwrap_or(user);
    let email = email.clone().unwrap_or_else(|| format!("{user}@example.test"));
    let mut claims = json!({
        "sub": user,
        "id": user,
        "userId": user,
        "username": name,
        "email": email,
        "exp": expires_at_ms / 1000,
    });
    let mut say = |claim: Option<&str>, value: &str| {
        if let Some(claim) = claim {
            claims[claim] = Value::from(value);
        }
    };
    // Of claims that a configuration gives one name the id counts: it comes last.
    say(rules.names.email.first().map(String::as_str), &email);
    say(rules.names.name.first().map(String::as_str), name);
    say(rules.names.user.first().map(String::as_str), user);
    for (claim, wanted) in [("iss", &rules.issuer), ("aud", &rules.audience)] {
        say(wanted.as_ref().map(|_| claim), wanted.as_deref().unwrap_or_default());
    }
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&rules.secret))?)
}
