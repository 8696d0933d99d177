//! Web pages of this and of other origins.

use axum::body::Bytes;
use chatwright_server::{Config, config::Origins};
use http::{HeaderValue, StatusCode};
use http_body_util::Full;
use serde_json::json;

use super::{Answer, Rest, config, rest};

const POLL: &str = "/socket.io/?EIO=4&transport=polling";

async fn with_origin(rest: &Rest, method: &str, path: &str, origin: &str) -> Answer {
    let request = rest.request(method, path).header("origin", origin);
    let preflight = method == "OPTIONS";
    let request = if preflight {
        request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
    } else {
        request
    };
    rest.send(request, "").await
}

#[tokio::test]
async fn a_listed_origin_gets_credentials_and_any_other_gets_nothing_and_no_session() {
    let origins = Origins::Listed(vec![HeaderValue::from_static("https://app.example.com")]);
    let rest = Rest::start(Config { origins, ..config() }).await;
    for (method, path) in [("GET", "/health"), ("GET", POLL), ("OPTIONS", "/api/chat/r/message"), ("OPTIONS", POLL)] {
        let answer = with_origin(&rest, method, path, "https://app.example.com").await;
        assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"), "{method} {path}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{method} {path}");
        assert!(answer.header("vary").unwrap().contains("origin"), "{method} {path}");
        if method == "OPTIONS" {
            assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
            assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
        }
    }
    for origin in [
        "https://evil.com",
        "https://app.example.com.evil.com",
        "http://app.example.com",
        "https://APP.example.com",
        "https://app.example.com:444",
        "null",
    ] {
        for (method, path) in [("GET", "/health"), ("GET", POLL), ("OPTIONS", POLL)] {
            let answer = with_origin(&rest, method, path, origin).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path} {origin}");
            if path == POLL && method == "GET" {
                assert_eq!(answer.refusal(), (403, "Origin not allowed".to_owned()), "{origin}");
            }
        }
    }
    assert_eq!(
        rest.anonymous("GET", POLL, json!(null)).await.status,
        StatusCode::OK,
        "clients that are no browsers send none"
    );
    let twice =
        rest.request("GET", POLL).header("origin", "https://app.example.com").header("origin", "https://evil.com");
    assert_eq!(rest.send(twice, "").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn any_origin_means_no_credentials() {
    let rest = rest().await;
    for (method, path) in [("GET", "/health"), ("GET", POLL), ("OPTIONS", "/api/chat/r/message")] {
        let answer = with_origin(&rest, method, path, "https://evil.com").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{method} {path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{method} {path}");
    }
}

#[tokio::test]
async fn a_page_that_is_not_listed_cannot_open_a_websocket() {
    let origins = Origins::Listed(vec![HeaderValue::from_static("https://app.example.com")]);
    let rest = Rest::start(Config { origins, origin_required: true, ..config() }).await;
    for (origin, status) in [(Some("https://app.example.com"), 101), (Some("https://evil.com"), 403), (None, 403)] {
        let mut request = rest
            .request("GET", "/socket.io/?EIO=4&transport=websocket")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = rest.client.request(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{origin:?}");
    }
}
