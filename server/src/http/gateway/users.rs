//! The user service: `register`, `login`, `health`.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use chatwright_protocol::dialects::gateway::wire::{SignedInJson, UserJson};
use http::StatusCode;
use serde_json::{Map, Value};

use super::health;
use crate::{
    chat::gateway::{AccountRefusal, Accounts, Credentials, SignedIn},
    config::Secret,
    http::{answer::Failure, body},
};

struct Users {
    accounts: Arc<Accounts>,
    body_bytes_max: usize,
}

pub(super) fn routes(accounts: Arc<Accounts>, body_bytes_max: usize) -> Router {
    Router::new()
        .route("/register", post(register))
        .route("/auth/register", post(register))
        .route("/login", post(log_in))
        .route("/auth/login", post(log_in))
        .route("/health", get(healthy))
        .route("/auth/health", get(healthy))
        .with_state(Arc::new(Users { accounts, body_bytes_max }))
}

impl From<AccountRefusal> for Failure {
    fn from(refusal: AccountRefusal) -> Self {
        let status = match refusal {
            AccountRefusal::Email | AccountRefusal::Password | AccountRefusal::Name => StatusCode::BAD_REQUEST,
            AccountRefusal::Taken => StatusCode::CONFLICT,
            AccountRefusal::Wrong => StatusCode::UNAUTHORIZED,
            AccountRefusal::Busy | AccountRefusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal.to_string())
    }
}

async fn register(State(users): State<Arc<Users>>, request: Body) -> Result<Response, Failure> {
    let body = body::object(request, users.body_bytes_max).await?;
    let name = match body.get("username") {
        None | Some(Value::Null) => None,
        Some(_) => Some(text(&body, "username")?),
    };
    let signed_in = users.accounts.register(credentials(&body)?, name).await?;
    Ok((StatusCode::CREATED, Json(json(signed_in, Some("User registered")))).into_response())
}

async fn log_in(State(users): State<Arc<Users>>, request: Body) -> Result<Response, Failure> {
    let body = body::object(request, users.body_bytes_max).await?;
    let signed_in = users.accounts.log_in(credentials(&body)?).await?;
    Ok((StatusCode::OK, Json(json(signed_in, None))).into_response())
}

async fn healthy(State(users): State<Arc<Users>>) -> Response {
    let (technology, problem) = users.accounts.problem().await;
    health::answer("user-service", technology, problem.as_deref())
}

fn credentials(body: &Map<String, Value>) -> Result<Credentials, Failure> {
    Ok(Credentials { email: text(body, "email")?, password: Secret::new(text(body, "password")?) })
}

fn text(body: &Map<String, Value>, field: &str) -> Result<String, Failure> {
    let text = body.get(field).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, format!("Invalid {field}: must be a string")))
}

fn json(signed_in: SignedIn, message: Option<&str>) -> SignedInJson {
    let SignedIn { account, token } = signed_in;
    SignedInJson {
        message: message.map(str::to_owned),
        token: token.expose().to_owned(),
        user: UserJson { id: account.id.to_string(), email: account.email, username: Some(account.name) },
    }
}
