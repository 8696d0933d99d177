//! What is refused, and that a refusal leaves nothing behind.

use std::time::Duration;

use chatwright_server::{
    Config,
    auth::{
        IdentityMode,
        mint::{TokenRequest, mint},
    },
};
use http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Rest, config, rest, support, token};

#[tokio::test]
async fn a_body_cannot_speak_for_somebody_else() {
    let rest = rest().await;
    let body =
        json!({"message": "hi", "userId": "bob", "username": "bob", "roomId": "elsewhere", "id": "x", "timestamp": 1});
    let data = rest.post_as("alice", "/api/chat/r/message", body).await.json()["data"].clone();
    assert_eq!(
        (&data["userId"], &data["username"], &data["roomId"]),
        (&json!("alice"), &json!("alice-name"), &json!("r"))
    );
    assert_ne!(data["timestamp"], 1);
}

#[tokio::test]
async fn without_a_good_token_every_route_but_health_is_401_and_nothing_is_stored() {
    let rest = rest().await;
    let routes = [
        ("GET", "/api/chat/r/history"),
        ("GET", "/chat/r/history"),
        ("POST", "/api/chat/r/message"),
        ("GET", "/api/chat/r/users"),
        ("GET", "/api/socket-info"),
    ];
    let foreign = mint(
        b"another secret",
        &TokenRequest { user: "alice".to_owned(), name: None, email: None, expires_at_ms: u64::MAX },
    )
    .unwrap();
    for (method, path) in routes {
        let body = json!({"message": "hi", "userId": "alice", "username": "alice"});
        let answer = rest.anonymous(method, path, body.clone()).await;
        assert_eq!(answer.refusal(), (401, "Authentication error: no token".to_owned()), "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        for (token, error) in [
            (token("alice", -1000), "token expired"),
            (foreign.clone(), "invalid token"),
            ("x".to_owned(), "invalid token"),
        ] {
            let request = rest.request(method, path).header("authorization", format!("Bearer {token}"));
            let answer = rest.send(request, body.to_string()).await;
            assert_eq!(answer.refusal(), (401, format!("Authentication error: {error}")), "{path}");
        }
        let in_query = rest.anonymous(method, &format!("{path}?token={}", token("alice", 60_000)), body).await;
        assert_eq!(in_query.status, StatusCode::UNAUTHORIZED, "a token in a query would end up in logs");
    }
    assert_eq!(rest.get_as("alice", "/api/chat/r/history").await.json()["messages"], json!([]));
}

#[tokio::test]
async fn unusable_bodies_are_400_and_too_large_ones_413() {
    let rest = rest().await;
    let path = "/api/chat/r/message";
    for body in [
        json!({}),
        json!({"message": ""}),
        json!({"message": " \n"}),
        json!({"message": 42}),
        json!({"message": {"$ne": null}}),
        json!({"message": "x".repeat(4097)}),
        json!({"message": "x", "messageType": "system"}),
        json!(["message"]),
        json!("hi"),
        json!(null),
    ] {
        assert_eq!(rest.post_as("alice", path, body.clone()).await.refusal().0, 400, "{body}");
    }
    let bearer = format!("Bearer {}", token("alice", 60_000));
    for text in ["", "{", "{\"message\": ", "\u{0}", "message=hi"] {
        let answer = rest.send(rest.request("POST", path).header("authorization", &bearer), text).await;
        assert_eq!(answer.refusal().0, 400, "{text:?}");
    }
    let large = json!({"message": "hi", "padding": "x".repeat(200_000)});
    assert_eq!(rest.post_as("alice", path, large).await.refusal(), (413, "Body too large".to_owned()));
    let deep = format!("{{\"message\":\"hi\",\"x\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let answer = rest.send(rest.request("POST", path).header("authorization", &bearer), deep).await;
    assert_eq!(answer.refusal().0, 400);
    assert_eq!(rest.get_as("alice", "/api/chat/r/history").await.json()["messages"], json!([]));
    let longest = "\u{1F600}".repeat(4096);
    assert_eq!(
        rest.post_as("alice", path, json!({"message": longest})).await.json()["data"]["message"],
        json!(longest)
    );
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_408_in_time() {
    let mut config = config();
    config.connections.body_timeout = Duration::from_millis(200);
    let rest = Rest::start(config).await;
    let mut peer = tokio::net::TcpStream::connect(rest.address).await.unwrap();
    let head = format!(
        "POST /api/chat/r/message HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\n{{",
        token("alice", 60_000)
    );
    peer.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(support::PATIENCE, peer.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&body["success"], &body["error"]), (&json!(false), &json!("Body too slow")));
}

#[tokio::test]
async fn other_paths_are_404_and_other_methods_405_in_json() {
    let rest = rest().await;
    for path in [
        "/",
        "/api",
        "/api/nothing",
        "/api/chat/r",
        "/api/chat/r/history/x",
        "/socket.io-admin",
        "//socket.io/",
        "/%2e%2e/metrics",
        "/metrics",
    ] {
        assert_eq!(rest.get_as("alice", path).await.refusal(), (404, "Not found".to_owned()), "{path}");
    }
    for (method, path) in [
        ("DELETE", "/api/chat/r/history"),
        ("PUT", "/api/chat/r/message"),
        ("GET", "/api/chat/r/message"),
        ("POST", "/health"),
    ] {
        let answer = rest.anonymous(method, path, json!({})).await;
        assert_eq!(answer.refusal(), (405, "Method not allowed".to_owned()), "{method} {path}");
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
}

#[tokio::test]
async fn with_open_identity_the_body_names_the_speaker_unless_a_token_does() {
    let rest = Rest::start(Config { identity: IdentityMode::Open, ..config() }).await;
    let path = "/api/chat/r/message";
    let data = rest
        .anonymous("POST", path, json!({"message": "hi", "userId": "dora", "username": "Dora"}))
        .await
        .json()["data"]
        .clone();
    assert_eq!((&data["userId"], &data["username"]), (&json!("dora"), &json!("Dora")));
    let data = rest.anonymous("POST", path, json!({"message": "hi", "userId": "dora"})).await.json()["data"].clone();
    assert_eq!(data["username"], "dora");
    let data = rest.post_as("alice", path, json!({"message": "hi", "userId": "dora"})).await.json()["data"].clone();
    assert_eq!(data["userId"], "alice");
    for body in [
        json!({"message": "hi"}),
        json!({"message": "hi", "userId": ""}),
        json!({"message": "hi", "userId": 7}),
        json!({"message": "hi", "userId": "x".repeat(129)}),
    ] {
        assert_eq!(rest.anonymous("POST", path, body.clone()).await.refusal().0, 400, "{body}");
    }
    assert_eq!(
        rest.anonymous("GET", "/api/chat/r/history", json!(null)).await.json()["messages"].as_array().unwrap().len(),
        3
    );
}
