//! Where a client may put its token: the handshake's `auth.token`, else the `Authorization` header; `Bearer ` is optional in both.

use http::{HeaderMap, header::AUTHORIZATION};
use serde_json::Value;

use super::AuthError;

/// Longer texts are refused unread: a JWT with a generous claim set has about 1 KiB, and a header block 16 KiB.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The token of a Socket.IO handshake: from the CONNECT packet's `auth` payload, else from the headers of its HTTP request.
///
/// # Errors
/// [`AuthError::Invalid`] if `auth.token` is there and is not a string, or the text is too long.
pub fn handshake_token(auth: Option<&Value>, headers: &HeaderMap) -> Result<Option<String>, AuthError> {
    match auth.and_then(|auth| auth.get("token")) {
        None | Some(Value::Null) => header_token(headers),
        Some(Value::String(token)) if token.trim().is_empty() => header_token(headers),
        Some(Value::String(token)) => bare(token).map(Some),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(AuthError::Invalid),
    }
}

/// The token of an HTTP request: its one `Authorization` header.
///
/// # Errors
/// [`AuthError::Invalid`] if the header is there twice, is not ASCII text, or is too long.
pub fn header_token(headers: &HeaderMap) -> Result<Option<String>, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(AuthError::Invalid); // which of the two a proxy in front looked at is anybody's guess
    }
    let text = value.to_str().map_err(|_| AuthError::Invalid)?;
    if text.trim().is_empty() { Ok(None) } else { bare(text).map(Some) }
}

fn bare(text: &str) -> Result<String, AuthError> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(AuthError::Invalid);
    }
    let text = text.trim();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) | None => text,
    };
    if token.is_empty() || token.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::Missing);
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn headers(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(authorization))])
    }

    #[test]
    fn the_payload_wins_over_the_header_and_bearer_is_optional_in_both() {
        let from = |auth: Value, header| handshake_token(Some(&auth), &headers(header)).expect("readable");
        assert_eq!(from(json!({"token": "a.b.c"}), "Bearer x").as_deref(), Some("a.b.c"));
        assert_eq!(from(json!({"token": "bearer a.b.c"}), "x").as_deref(), Some("a.b.c"));
        assert_eq!(from(json!({}), "Bearer x").as_deref(), Some("x"));
        assert_eq!(from(json!({"token": ""}), "x").as_deref(), Some("x"));
        assert_eq!(handshake_token(None, &HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_token_that_is_not_a_string_is_refused_and_does_not_fall_back_to_the_header() {
        for auth in [json!({"token": 1}), json!({"token": {"$ne": null}}), json!({"token": ["a"]})] {
            assert_eq!(handshake_token(Some(&auth), &headers("x")), Err(AuthError::Invalid), "{auth}");
        }
    }

    #[test]
    fn an_auth_payload_that_is_not_an_object_holds_no_token() {
        for auth in [json!("a.b.c"), json!(["a.b.c"]), json!(7)] {
            assert_eq!(handshake_token(Some(&auth), &HeaderMap::new()), Ok(None), "{auth}");
        }
    }

    #[test]
    fn an_oversize_a_doubled_and_an_empty_header_are_refused() {
        let long = json!({"token": "x".repeat(TOKEN_BYTES_MAX + 1)});
        assert_eq!(handshake_token(Some(&long), &HeaderMap::new()), Err(AuthError::Invalid));
        let mut twice = headers("a");
        twice.append(AUTHORIZATION, HeaderValue::from_static("b"));
        assert_eq!(header_token(&twice), Err(AuthError::Invalid));
        assert_eq!(header_token(&headers("Bearer")), Err(AuthError::Missing));
    }
}
