//! The three verifiers: what they accept, what they refuse, and how long they take when the other side misbehaves.

mod grpc;
mod jwt;
mod service;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chatwright_server::{
    auth::{
        Admission, AuthError, Gate, Identity, IdentityMode, Verifier, WallClock,
        jwt::{JwtRules, JwtVerifier},
    },
    metrics::Metrics,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const NOW_MS: u64 = 1_800_000_000_000;
const NOW_S: u64 = NOW_MS / 1000;
const SECRET: &[u8] = b"a secret of the tests, long enough";
const TIMEOUT: Duration = Duration::from_millis(400);

fn clock() -> WallClock {
    Arc::new(|| NOW_MS)
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &[u8]) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).expect("signs")
}

fn token(claims: &Value) -> String {
    signed(claims, Algorithm::HS256, SECRET)
}

/// A token of these parts with whatever signature.
fn assembled(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

fn alice(expires_at_ms: Option<u64>) -> Identity {
    Identity {
        user: "u-1".into(),
        name: "alice".to_owned(),
        email: Some("alice@example.test".to_owned()),
        expires_at_ms,
    }
}

fn claims() -> Value {
    json!({"sub": "u-1", "username": "alice", "email": "alice@example.test", "exp": NOW_S + 60})
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[field] = value;
    claims
}

#[tokio::test]
async fn the_gate_demands_a_token_in_token_mode_and_believes_a_good_one_in_open_mode() {
    let metrics = Metrics::new();
    let verifier: Arc<dyn Verifier> = Arc::new(JwtVerifier::new(JwtRules::new(SECRET), clock()));
    let gate = |mode| Gate::new(mode, Arc::clone(&verifier), metrics.clone());
    let (closed, open) = (gate(IdentityMode::Token), gate(IdentityMode::Open));
    let good = token(&claims());
    let verified = Ok(Admission::Verified(alice(Some(NOW_MS + 60_000))));
    assert_eq!(closed.admit(Some(&good)).await, verified);
    assert_eq!(closed.admit(Some("bad")).await, Err(AuthError::Invalid));
    assert_eq!(closed.admit(None).await, Err(AuthError::Missing));
    assert_eq!(open.admit(Some(&good)).await, verified);
    assert_eq!(open.admit(Some("bad")).await, Ok(Admission::Anonymous));
    assert_eq!(open.admit(None).await, Ok(Admission::Anonymous));
    let text = metrics.render();
    assert!(text.contains("tokens_verified_total{verifier=\"jwt\",outcome=\"verified\"} 2"), "{text}");
    assert!(!format!("{closed:?}").contains("a secret of the tests"));
}
