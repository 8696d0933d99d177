//! The HTTP side of `direct`: the REST routes on a listener of their own, and `/health` and `/stats` beside the sockets.

mod caller;
mod json;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::{IntoResponse as _, Response},
    routing::{delete, get, put},
};
use chatwright_protocol::vocabulary::{MessageId, UserId};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::answer::Failure;
use crate::{
    auth::Gate,
    chat::{self, Core as _, direct::Hub},
};
use caller::Caller;
use json::{ConversationJson, ListJson, MessageJson, PageJson, PaginationJson};

/// The name that the document gives the service.
const SERVICE: &str = "websocket-service";

const HEALTH: &str = "/health";
const STATS: &str = "/stats";
const CONVERSATIONS: &str = "/api/chat/conversations";
const HISTORY: &str = "/api/chat/history/{user}";
const UNREAD_COUNT: &str = "/api/chat/unread-count";
const MARK_READ: &str = "/api/chat/mark-read/{user}";
const MESSAGE: &str = "/api/chat/message/{message}";
const CONVERSATION: &str = "/api/chat/conversation/{user}";
const SEARCH: &str = "/api/chat/search";

/// All routes, as metrics name them.
pub(super) const ROUTES: &[&str] =
    &[HEALTH, STATS, CONVERSATIONS, HISTORY, UNREAD_COUNT, MARK_READ, MESSAGE, CONVERSATION, SEARCH];

/// What the handlers need.
#[derive(Debug)]
struct Rest {
    hub: Arc<Hub>,
    gate: Gate,
}

/// The routes of the main server: who asks shows a verified token, also where the sockets are open.
pub(crate) fn rest_routes(hub: Arc<Hub>, gate: &Gate) -> Router {
    Router::new()
        .route(CONVERSATIONS, get(conversations))
        .route(HISTORY, get(history))
        .route(UNREAD_COUNT, get(unread_count))
        .route(MARK_READ, put(mark_read))
        .route(MESSAGE, delete(delete_message))
        .route(CONVERSATION, delete(delete_conversation))
        .route(SEARCH, get(search))
        .with_state(Arc::new(Rest { hub: Arc::clone(&hub), gate: gate.strict() }))
        .merge(Router::new().route(HEALTH, get(health)).with_state(hub))
}

/// The routes beside the sockets.
pub(crate) fn socket_routes(hub: Arc<Hub>) -> Router {
    Router::new().route(HEALTH, get(health)).route(STATS, get(stats)).with_state(hub)
}

/// A user's or message's id in a path, percent-decoded: any characters.
type Id = Result<Path<String>, PathRejection>;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthJson {
    status: &'static str,
    service: &'static str,
    store: &'static str,
    bus: &'static str,
    connections: usize,
    messages_waiting: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

async fn health(State(hub): State<Arc<Hub>>) -> Response {
    let health = hub.health().await;
    let broken = |(role, port): (&str, &chat::PortHealth)| {
        port.problem.as_ref().map(|_| format!("the {role} ({}) does not answer", port.technology))
    };
    let reasons: Vec<String> =
        [("store", &health.store), ("bus", &health.bus)].into_iter().filter_map(broken).collect();
    let json = HealthJson {
        status: if reasons.is_empty() { "ok" } else { "unavailable" },
        service: SERVICE,
        store: health.store.technology,
        bus: health.bus.technology,
        connections: hub.stats().connections,
        messages_waiting: health.backlog,
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
    };
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json)).into_response()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatsJson {
    active_connections: usize,
    active_users: usize,
    active_conversations: usize,
}

async fn stats(State(hub): State<Arc<Hub>>) -> Json<StatsJson> {
    let stats = hub.stats();
    Json(StatsJson {
        active_connections: stats.connections,
        active_users: stats.users,
        active_conversations: stats.conversations,
    })
}

async fn conversations(
    State(rest): State<Arc<Rest>>,
    Caller(user): Caller,
) -> Result<Json<ListJson<ConversationJson>>, Failure> {
    let (found, names) = rest.hub.conversations(&user).await?;
    Ok(Json(ListJson::of(found.iter().map(|summary| ConversationJson::new(summary, &names)).collect())))
}

#[derive(Debug, Deserialize)]
struct HistoryQuery {
    limit: Option<String>,
    page: Option<String>,
}

async fn history(
    State(rest): State<Arc<Rest>>,
    Caller(user): Caller,
    peer: Id,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<PageJson>, Failure> {
    let Query(query) = query.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "Invalid query"))?;
    let number = |name: &str, text: &Option<String>| text.as_deref().map(|text| number(name, text)).transpose();
    let of = rest.hub.page_of(number("page", &query.page)?, number("limit", &query.limit)?);
    let (page, names) = rest.hub.history(&user, &user_id(peer)?, of).await?;
    let limit = of.limit as u64;
    Ok(Json(PageJson {
        success: true,
        data: page.messages.iter().map(|message| MessageJson::new(message, &names)).collect(),
        pagination: PaginationJson { total: page.total, page: of.page, limit, pages: page.total.div_ceil(limit) },
    }))
}

/// A whole number; the core takes the nearest that is allowed, so no number is too large or too small.
fn number(name: &str, text: &str) -> Result<usize, Failure> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::new(StatusCode::BAD_REQUEST, format!("Invalid {name}: must be a whole number")));
    }
    Ok(if text.starts_with('-') { 0 } else { digits.parse().unwrap_or(usize::MAX) })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UnreadJson {
    success: bool,
    unread_count: u64,
}

async fn unread_count(State(rest): State<Arc<Rest>>, Caller(user): Caller) -> Result<Json<UnreadJson>, Failure> {
    Ok(Json(UnreadJson { success: true, unread_count: rest.hub.unread_count(&user).await? }))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DoneJson {
    success: bool,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_count: Option<usize>,
}

async fn mark_read(State(rest): State<Arc<Rest>>, Caller(user): Caller, peer: Id) -> Result<Json<DoneJson>, Failure> {
    let marked = rest.hub.mark_conversation_read(&user, &user_id(peer)?).await?;
    Ok(Json(DoneJson { success: true, message: "Conversation marked as read", modified_count: Some(marked) }))
}

async fn delete_message(
    State(rest): State<Arc<Rest>>,
    Caller(user): Caller,
    message: Id,
) -> Result<Json<DoneJson>, Failure> {
    let Path(message) = message.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "Invalid message id: not UTF-8"))?;
    rest.hub.delete_message(&user, &MessageId::from(message)).await?;
    Ok(Json(DoneJson { success: true, message: "Message deleted", modified_count: None }))
}

async fn delete_conversation(
    State(rest): State<Arc<Rest>>,
    Caller(user): Caller,
    peer: Id,
) -> Result<Json<DoneJson>, Failure> {
    rest.hub.delete_conversation(&user, &user_id(peer)?).await?;
    Ok(Json(DoneJson { success: true, message: "Conversation deleted", modified_count: None }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SearchQuery {
    query: Option<String>,
    target_user_id: Option<String>,
}

async fn search(
    State(rest): State<Arc<Rest>>,
    Caller(user): Caller,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Json<ListJson<MessageJson>>, Failure> {
    let Query(query) = query.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "Invalid query"))?;
    let peer = query.target_user_id.filter(|peer| !peer.is_empty()).map(UserId::from);
    let (found, names) = rest.hub.search(&user, peer.as_ref(), &query.query.unwrap_or_default()).await?;
    Ok(Json(ListJson::of(found.iter().map(|message| MessageJson::new(message, &names)).collect())))
}

fn user_id(path: Id) -> Result<UserId, Failure> {
    let Path(user) = path.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "Invalid targetUserId: not UTF-8"))?;
    Ok(UserId::from(user))
}
