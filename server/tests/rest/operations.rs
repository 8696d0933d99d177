//! What operators see.

use std::time::Duration;

use chatwright_server::{Config, chat::Clocks, config::RedisConfig};
use http::StatusCode;
use serde_json::json;

use super::{Rest, config, rest};

#[tokio::test]
async fn health_says_what_the_document_says_to_anybody() {
    let rest = rest().await;
    let answer = rest.anonymous("GET", "/health", json!(null)).await;
    let expected = json!({"status": "ok", "service": "chat-service", "redis": "not configured", "adapter": "memory",
        "connections": 0, "messagesWaiting": 0});
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, expected));
}

#[tokio::test]
async fn without_redis_health_is_503_with_a_reason_that_tells_no_address() {
    let redis = RedisConfig::at("127.0.0.1", 1);
    let clocks = Clocks { backend_timeout: Duration::from_millis(300), ..Clocks::default() };
    let rest = Rest::start(Config { redis: Some(redis), clocks, ..config() }).await;
    let answer = rest.anonymous("GET", "/health", json!(null)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let json = answer.json();
    assert_eq!((&json["status"], &json["redis"]), (&json!("unavailable"), &json!("disconnected")));
    assert!(
        json["reason"].as_str().unwrap().contains("redis") && !answer.text.contains("127.0.0.1"),
        "{}",
        answer.text
    );
    let history = rest.get_as("alice", "/api/chat/r/history").await;
    assert_eq!((history.refusal().0, history.header("retry-after")), (503, Some("1")));
}

#[tokio::test]
async fn answers_are_guarded_against_browsers_that_guess() {
    let rest = rest().await;
    for path in ["/health", "/api/socket-info", "/nowhere"] {
        let answer = rest.anonymous("GET", path, json!(null)).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
}

#[tokio::test]
async fn metrics_are_on_the_admin_address_only_and_hold_no_room_id() {
    let rest = rest().await;
    rest.get_as("alice", "/api/chat/a-very-odd-room/history").await;
    rest.get_as("alice", "/a-very-odd-path").await;
    assert_eq!(rest.get_as("alice", "/metrics").await.status, StatusCode::NOT_FOUND);
    let admin =
        Rest { address: rest.server.addresses().admin.unwrap(), client: rest.client.clone(), server: rest.server };
    let metrics = admin.anonymous("GET", "/metrics", json!(null)).await;
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(
        metrics.text.contains("route=\"/api/chat/{room}/history\",method=\"GET\",status=\"2xx\"} 1"),
        "{}",
        metrics.text
    );
    assert!(!metrics.text.contains("odd"), "{}", metrics.text);
    assert_eq!(admin.anonymous("GET", "/health", json!(null)).await.status, StatusCode::NOT_FOUND);
}
