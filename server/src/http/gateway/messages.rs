//! The message service: `history/:roomId`, `health`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{
        FromRequestParts, Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::Response,
    routing::get,
};
use chatwright_protocol::{
    dialects::gateway::wire::MessageJson,
    vocabulary::{MessageId, RoomId},
};
use http::{StatusCode, request::Parts};
use serde::Deserialize;

use super::health::{self, CacheJson};
use crate::{
    auth::{Gate, token::header_token},
    chat::gateway::{Histories, Question},
    events::queue::PersistFeed,
    http::answer::Failure,
};

struct Messages {
    histories: Arc<Histories>,
    feed: Arc<dyn PersistFeed>,
    gate: Gate,
}

pub(super) fn routes(histories: Arc<Histories>, feed: Arc<dyn PersistFeed>, gate: Gate) -> Router {
    Router::new()
        .route("/history/{room}", get(history))
        .route("/messages/history/{room}", get(history))
        .route("/health", get(healthy))
        .route("/messages/health", get(healthy))
        .with_state(Arc::new(Messages { histories, feed, gate }))
}

/// Whoever asks has shown a token, where tokens are asked for. Membership is not needed: rooms are open to whoever knows their name.
struct Admitted;

impl FromRequestParts<Arc<Messages>> for Admitted {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, messages: &Arc<Messages>) -> Result<Self, Failure> {
        let token = header_token(&parts.headers)?;
        messages.gate.admit(token.as_deref()).await?;
        Ok(Self)
    }
}

#[derive(Debug, Deserialize)]
struct HistoryQuery {
    limit: Option<String>,
    before: Option<String>,
}

async fn history(
    State(messages): State<Arc<Messages>>,
    _: Admitted,
    room: Result<Path<String>, PathRejection>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<Vec<MessageJson>>, Failure> {
    let Path(room) = room.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "Invalid roomId: not UTF-8"))?;
    let Query(query) = query.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "Invalid query"))?;
    let question = Question {
        room: RoomId::from(room),
        limit: query.limit.as_deref().map(limit).transpose()?,
        before: query.before.map(MessageId::from),
    };
    let messages = messages.histories.read(&question).await?;
    Ok(Json(messages.iter().map(MessageJson::from).collect()))
}

/// A whole number; the nearest that is allowed is taken, so no number is too large or too small.
fn limit(text: &str) -> Result<usize, Failure> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "Invalid limit: must be a whole number"));
    }
    Ok(if text.starts_with('-') { 0 } else { digits.parse().unwrap_or(usize::MAX) })
}

/// Without the archive nothing can be read, without the queue nothing new comes: both are needed. The cache is not.
async fn healthy(State(messages): State<Arc<Messages>>) -> Response {
    let (archive, feed) = (&messages.histories.archive, &messages.feed);
    let (stored, fed) = tokio::join!(archive.ping(), feed.ping());
    let problem = stored.err().map(|problem| (archive.technology(), problem.to_string()));
    let problem = problem.or_else(|| fed.err().map(|problem| (feed.technology(), problem.to_string())));
    let (store, cache_works) = messages.histories.cache.state();
    let cache = CacheJson { store, status: if cache_works { "ok" } else { "unavailable" } };
    let technology = problem.as_ref().map_or_else(|| archive.technology(), |(technology, _)| technology);
    health::with_cache("message-service", technology, problem.as_ref().map(|(_, words)| words.as_str()), Some(cache))
}
