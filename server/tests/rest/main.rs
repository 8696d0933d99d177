//! The REST side of `rooms` over loopback: every route, who may ask, what is refused, and what web pages are told.

#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

mod messages;
mod operations;
mod pages;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;

use axum::body::Bytes;
use chatwright_server::{
    Config, Server,
    auth::{
        jwt::JwtRules,
        mint::{TokenRequest, mint},
    },
    clock,
    config::VerifierConfig,
};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use support::server::SECRET;

fn config() -> Config {
    Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        admin: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        verifier: VerifierConfig::Jwt(JwtRules::new(SECRET)),
        engine_kind: support::server::engine_kind(),
        ..Config::default()
    }
}

fn token(user: &str, lifetime_ms: i64) -> String {
    let expires_at_ms = clock::unix_ms().saturating_add_signed(lifetime_ms);
    mint(
        SECRET,
        &TokenRequest { user: user.to_owned(), name: Some(format!("{user}-name")), email: None, expires_at_ms },
    )
    .unwrap()
}

/// A server with a client for its routes.
struct Rest {
    server: Server,
    address: SocketAddr,
    client: HttpClient<HttpConnector, Full<Bytes>>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status and the error text; checks the shape of an error.
    fn refusal(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json["success"], false, "{json}");
        (self.status.as_u16(), json["error"].as_str().unwrap().to_owned())
    }
}

impl Rest {
    async fn start(config: Config) -> Self {
        let server = Server::start(config).await.unwrap();
        let address = server.addresses().listen;
        Self { server, address, client: HttpClient::builder(TokioExecutor::new()).build_http() }
    }

    async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        let request = request.body(Full::new(body.into())).unwrap();
        let response = self.client.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    async fn get_as(&self, user: &str, path: &str) -> Answer {
        self.send(self.request("GET", path).header("authorization", format!("Bearer {}", token(user, 60_000))), "")
            .await
    }

    async fn post_as(&self, user: &str, path: &str, body: Value) -> Answer {
        let request = self.request("POST", path).header("authorization", format!("Bearer {}", token(user, 60_000)));
        self.send(request.header("content-type", "application/json"), body.to_string()).await
    }

    async fn anonymous(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(self.request(method, path), body.to_string()).await
    }
}

async fn rest() -> Rest {
    Rest::start(config()).await
}
