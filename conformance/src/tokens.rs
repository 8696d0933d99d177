//! Tokens made to order: the good ones that actors use, and the bad ones that a server must refuse.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

/// How long a token is good unless an order says otherwise: longer than any run, shorter than a forgotten one.
const LIFETIME_SECS: i64 = 3600;

/// Put before the secret to sign with a key that the target does not know.
const FOREIGN_KEY_PREFIX: &str = "not-the-key-of-the-target:";

/// The person that a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `sub`, `id` and `userId`.
    pub id: String,
    /// `username`.
    pub name: String,
}

impl User {
    /// The address in the claim `email`, made from the id.
    #[must_use]
    pub fn email(&self) -> String {
        format!("{}@chatwright.test", self.id)
    }
}

/// Which key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Key {
    /// The target's.
    #[default]
    Own,
    /// One that the target does not know.
    Other,
}

/// How it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signing {
    /// With the target's algorithm.
    #[default]
    AsConfigured,
    /// `alg: none` and no signature.
    None,
    /// With this HMAC algorithm instead.
    With(Hmac),
}

/// The HMAC algorithms of JWT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
pub enum Hmac {
    /// HMAC with SHA-256.
    #[default]
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
}

impl From<Hmac> for Algorithm {
    fn from(hmac: Hmac) -> Self {
        match hmac {
            Hmac::HS256 => Self::HS256,
            Hmac::HS384 => Self::HS384,
            Hmac::HS512 => Self::HS512,
        }
    }
}

/// What is special about a token; the default is a good one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TokenOrder {
    /// When it expires, in seconds from now; negative: it has.
    pub expires_in_secs: Option<i64>,
    /// Which key signs it.
    pub key: Key,
    /// How it is signed.
    pub signing: Signing,
    /// Claims to leave out, by the names of the claim set (not the mapped ones).
    pub dropped: Vec<String>,
    /// Claims to set or add, after dropping, as they are.
    pub claims: Map<String, Value>,
}

/// Other names for claims; where a field is `None`, the claim keeps its own name.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimNames {
    /// For `sub`.
    pub sub: Option<String>,
    /// For `id`.
    pub id: Option<String>,
    /// For `userId`.
    #[serde(rename = "userId")]
    pub user_id: Option<String>,
    /// For `username`.
    pub username: Option<String>,
    /// For `email`.
    pub email: Option<String>,
}

impl ClaimNames {
    /// The target's name of a claim.
    fn of<'a>(&'a self, claim: &'a str) -> &'a str {
        let mapped = match claim {
            "sub" => &self.sub,
            "id" => &self.id,
            "userId" => &self.user_id,
            "username" => &self.username,
            "email" => &self.email,
            _ => &None,
        };
        mapped.as_deref().unwrap_or(claim)
    }
}

/// Makes tokens that one target accepts, or should refuse.
#[derive(Clone)]
pub struct TokenMaker {
    secret: String,
    algorithm: Hmac,
    names: ClaimNames,
}

impl fmt::Debug for TokenMaker {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenMaker").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl TokenMaker {
    /// A maker that signs with this secret.
    #[must_use]
    pub fn new(secret: impl Into<String>, algorithm: Hmac, names: ClaimNames) -> Self {
        Self { secret: secret.into(), algorithm, names }
    }

    /// What it signs with: for who looks whether that is kept secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// A good token.
    #[must_use]
    pub fn valid(&self, user: &User) -> String {
        self.make(user, &TokenOrder::default())
    }

    /// A token made to order.
    #[must_use]
    pub fn make(&self, user: &User, order: &TokenOrder) -> String {
        let claims = Value::Object(self.claims(user, order));
        let algorithm = match order.signing {
            Signing::AsConfigured => self.algorithm,
            Signing::With(hmac) => hmac,
            Signing::None => {
                let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"none","typ":"JWT"}"#);
                return format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
            }
        };
        let key = match order.key {
            Key::Own => EncodingKey::from_secret(self.secret.as_bytes()),
            Key::Other => EncodingKey::from_secret(format!("{FOREIGN_KEY_PREFIX}{}", self.secret).as_bytes()),
        };
        jsonwebtoken::encode(&Header::new(algorithm.into()), &claims, &key).expect("an HMAC key signs any JSON object")
    }

    fn claims(&self, user: &User, order: &TokenOrder) -> Map<String, Value> {
        let now = now_secs();
        let expires = now.saturating_add(order.expires_in_secs.unwrap_or(LIFETIME_SECS));
        let all = [
            ("sub", json!(user.id)),
            ("id", json!(user.id)),
            ("userId", json!(user.id)),
            ("username", json!(user.name)),
            ("email", json!(user.email())),
            ("iat", json!(now.min(expires))),
            ("exp", json!(expires)),
        ];
        let mut claims = Map::new();
        for (claim, value) in all {
            if !order.dropped.iter().any(|dropped| dropped == claim) {
                claims.insert(self.names.of(claim).to_owned(), value);
            }
        }
        claims.extend(order.claims.clone());
        claims
    }
}

/// Wall time: a target compares `exp` with its own.
#[expect(clippy::disallowed_methods, reason = "a token's expiry is a date")]
fn now_secs() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode, errors::ErrorKind};

    use super::*;

    fn maker() -> TokenMaker {
        TokenMaker::new("s3cret", Hmac::HS256, ClaimNames::default())
    }

    fn alice() -> User {
        User { id: "u-alice".into(), name: "Alice".into() }
    }

    fn verify(token: &str) -> Result<Map<String, Value>, ErrorKind> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        decode::<Map<String, Value>>(token, &DecodingKey::from_secret(b"s3cret"), &rules)
            .map(|data| data.claims)
            .map_err(|e| e.into_kind())
    }

    #[test]
    fn a_good_token_carries_the_whole_claim_set() {
        let claims = verify(&maker().valid(&alice())).expect("good token");
        for claim in ["sub", "id", "userId"] {
            assert_eq!(claims[claim], "u-alice", "{claim}");
        }
        assert_eq!(claims["username"], "Alice");
        assert_eq!(claims["email"], "u-alice@chatwright.test");
        assert!(claims["exp"].is_i64());
    }

    #[test]
    fn an_expired_token_is_expired() {
        let order = TokenOrder { expires_in_secs: Some(-2), ..TokenOrder::default() };
        assert!(matches!(verify(&maker().make(&alice(), &order)), Err(ErrorKind::ExpiredSignature)));
    }

    #[test]
    fn a_token_of_another_key_does_not_verify() {
        let order = TokenOrder { key: Key::Other, ..TokenOrder::default() };
        assert!(matches!(verify(&maker().make(&alice(), &order)), Err(ErrorKind::InvalidSignature)));
    }

    #[test]
    fn an_unsigned_token_has_alg_none_and_an_empty_signature() {
        let token = maker().make(&alice(), &TokenOrder { signing: Signing::None, ..TokenOrder::default() });
        let parts: Vec<_> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[2], "");
        let header = URL_SAFE_NO_PAD.decode(parts[0]).expect("base64");
        assert_eq!(serde_json::from_slice::<Value>(&header).expect("json")["alg"], "none");
        assert!(verify(&token).is_err());
    }

    #[test]
    fn claims_can_be_dropped_replaced_and_renamed() {
        let names = ClaimNames { user_id: Some("uid".into()), ..ClaimNames::default() };
        let maker = TokenMaker::new("s3cret", Hmac::HS256, names);
        let order = TokenOrder {
            dropped: vec!["sub".into(), "id".into()],
            claims: Map::from_iter([("username".to_owned(), json!(7))]),
            ..TokenOrder::default()
        };
        let claims = verify(&maker.make(&alice(), &order)).expect("good token");
        assert!(!claims.contains_key("sub") && !claims.contains_key("id") && !claims.contains_key("userId"));
        assert_eq!(claims["uid"], "u-alice");
        assert_eq!(claims["username"], 7);
    }

    #[test]
    fn the_secret_is_not_in_the_debug_output() {
        assert!(!format!("{:?}", maker()).contains("s3cret"));
    }
}
