//! Tokens verified on the spot.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chatwright_server::auth::{
    AuthError, ClaimNames, Identity, Verifier as _,
    jwt::{JwtRules, JwtVerifier},
    mint::{TokenRequest, mint},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{NOW_MS, NOW_S, SECRET, alice, assembled, claims, clock, signed, token, with};

async fn jwt(rules: JwtRules, token: &str) -> Result<Identity, AuthError> {
    JwtVerifier::new(rules, clock()).verify(token).await
}

#[tokio::test]
async fn a_minted_token_is_accepted_with_all_its_claims() {
    let request = TokenRequest {
        user: "u-1".to_owned(),
        name: Some("alice".to_owned()),
        email: None,
        expires_at_ms: NOW_MS + 5000,
    };
    let token = mint(SECRET, &request).expect("signs");
    let identity = jwt(JwtRules::new(SECRET), &token).await.expect("accepted");
    let email = Some("u-1@example.test".to_owned());
    assert_eq!(identity, Identity { email, ..alice(Some(NOW_MS + 5000)) });
    let body: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("three parts")).expect("base64"))
            .expect("JSON");
    for claim in ["sub", "id", "userId"] {
        assert_eq!(body[claim], "u-1");
    }
}

#[tokio::test]
async fn foreign_unsigned_and_mangled_tokens_are_invalid() {
    let good = token(&claims());
    let (head_and_claims, signature) = good.rsplit_once('.').expect("three parts");
    let mut cases = vec![
        signed(&claims(), Algorithm::HS256, b"another secret"),
        signed(&claims(), Algorithm::HS384, SECRET),
        signed(&claims(), Algorithm::HS512, SECRET),
        format!("{head_and_claims}."),
        head_and_claims.to_owned(),
        format!("{good}.x"),
        assembled(&json!({"alg": "HS256"}), &with("sub", json!("u-2")), signature),
        String::new(),
        "...".to_owned(),
        "\u{1F600}.\0.x".to_owned(),
        "x".repeat(8192),
    ];
    for algorithm in ["none", "None", "nOnE", "", "RS256"] {
        cases.push(assembled(&json!({"alg": algorithm, "typ": "JWT"}), &claims(), ""));
        cases.push(assembled(&json!({"alg": algorithm, "typ": "JWT"}), &claims(), signature));
    }
    for token in cases {
        assert_eq!(jwt(JwtRules::new(SECRET), &token).await, Err(AuthError::Invalid), "{token}");
    }
}

#[tokio::test]
async fn keys_that_a_token_brings_along_are_not_looked_at() {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("../../etc/passwd".to_owned());
    header.jku = Some("http://127.0.0.1:1/keys".to_owned());
    let token = |secret| jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).expect("signs");
    assert_eq!(jwt(JwtRules::new(SECRET), &token(SECRET)).await, Ok(alice(Some(NOW_MS + 60_000))));
    assert_eq!(jwt(JwtRules::new(SECRET), &token(b"")).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn the_end_of_a_token_counts_to_the_second_and_must_be_a_number() {
    let verdict = async |exp: Value| jwt(JwtRules::new(SECRET), &token(&with("exp", exp))).await;
    assert_eq!(verdict(json!(NOW_S - 1)).await, Err(AuthError::Expired));
    assert_eq!(verdict(json!(NOW_S)).await, Err(AuthError::Expired));
    assert_eq!(verdict(json!(0)).await, Err(AuthError::Expired));
    assert_eq!(verdict(json!(-5)).await, Err(AuthError::Expired));
    assert_eq!(verdict(json!(NOW_S as f64 + 0.5)).await, Ok(alice(Some(NOW_MS + 500))));
    assert_eq!(verdict(json!(1e300)).await, Ok(alice(Some(u64::MAX))));
    for exp in [json!((NOW_S + 60).to_string()), json!([NOW_S + 60]), json!(true), json!({})] {
        assert_eq!(verdict(exp.clone()).await, Err(AuthError::Invalid), "{exp}");
    }
    assert_eq!(verdict(json!(null)).await, Err(AuthError::Invalid), "required unless configured");
    let unending = JwtRules { expiry_required: false, ..JwtRules::new(SECRET) };
    assert_eq!(jwt(unending, &token(&with("exp", json!(null)))).await, Ok(alice(None)));
    assert_eq!(jwt(JwtRules::new(SECRET), &token(&with("nbf", json!(NOW_S + 9)))).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn issuer_and_audience_are_demanded_where_configured_and_free_elsewhere() {
    let strict =
        || JwtRules { issuer: Some("us".to_owned()), audience: Some("chat".to_owned()), ..JwtRules::new(SECRET) };
    let ours = json!({"sub": "u-1", "exp": NOW_S + 60, "iss": "us", "aud": ["other", "chat"]});
    assert!(jwt(strict(), &token(&ours)).await.is_ok());
    for (field, value) in [("iss", json!("them")), ("aud", json!("shop")), ("iss", json!(null)), ("aud", json!(null))] {
        let mut theirs = ours.clone();
        theirs[field] = value;
        assert_eq!(jwt(strict(), &token(&theirs)).await, Err(AuthError::Invalid), "{theirs}");
    }
    assert!(jwt(JwtRules::new(SECRET), &token(&ours)).await.is_ok());
}

#[tokio::test]
async fn the_user_is_found_under_each_documented_name_and_under_configured_ones() {
    let user = async |rules: JwtRules, claims: Value| {
        jwt(rules, &token(&claims)).await.map(|identity| (identity.user.to_string(), identity.name))
    };
    let exp = NOW_S + 60;
    for (claims, id, name) in [
        (json!({"exp": exp, "userId": "a", "id": "b", "sub": "c", "username": "n"}), "a", "n"),
        (json!({"exp": exp, "userId": null, "id": "b", "sub": "c"}), "b", "b"),
        (json!({"exp": exp, "sub": "c", "username": "  "}), "c", "c"),
        (json!({"exp": exp, "id": 42}), "42", "42"),
    ] {
        assert_eq!(user(JwtRules::new(SECRET), claims).await, Ok((id.to_owned(), name.to_owned())));
    }
    for claims in [
        json!({"exp": exp}),
        json!({"exp": exp, "sub": ""}),
        json!({"exp": exp, "sub": "x".repeat(129)}),
        json!({"exp": exp, "sub": {"$ne": null}}),
        json!({"exp": exp, "sub": 1.5}),
        json!({"exp": exp, "sub": "a", "username": ["n"]}),
        json!({"exp": exp, "sub": "a", "username": "n".repeat(257)}),
    ] {
        assert_eq!(user(JwtRules::new(SECRET), claims.clone()).await, Err(AuthError::Invalid), "{claims}");
    }
    let names = ClaimNames { user: vec!["uid".to_owned()], name: vec!["nick".to_owned()], email: Vec::new() };
    let mapped = JwtRules { names, ..JwtRules::new(SECRET) };
    let claims = json!({"exp": exp, "uid": "z", "nick": "zed", "sub": "not looked at"});
    assert_eq!(user(mapped, claims).await, Ok(("z".to_owned(), "zed".to_owned())));
}
