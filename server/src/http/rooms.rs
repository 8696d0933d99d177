//! The REST routes of `rooms`: the same questions and commands as over the socket, asked of the same core.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use chatwright_protocol::{
    dialects::{AppPacket, rooms::wire::MessageJson},
    vocabulary::{Audience, Command, RoomId, UserId},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{answer::Failure, body, caller::Caller};
use crate::{
    auth::Gate,
    chat::{
        self, Connection, Core as _,
        rooms::{Hub, Post},
    },
};

/// The name that the document gives the service.
const SERVICE: &str = "chat-service";

const HEALTH: &str = "/health";
const HISTORY: &str = "/api/chat/{room}/history";
/// The path behind the document's example proxy, which strips `/api`.
const PROXIED_HISTORY: &str = "/chat/{room}/history";
const MESSAGE: &str = "/api/chat/{room}/message";
const USERS: &str = "/api/chat/{room}/users";
const SOCKET_INFO: &str = "/api/socket-info";

/// All routes, as metrics name them.
pub(super) const ROUTES: &[&str] = &[HEALTH, HISTORY, PROXIED_HISTORY, MESSAGE, USERS, SOCKET_INFO];

/// What the handlers need.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) hub: Arc<Hub>,
    pub(super) gate: Gate,
    body_bytes_max: usize,
}

impl Rest {
    pub(super) fn new(hub: Arc<Hub>, gate: Gate, body_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { hub, gate, body_bytes_max })
    }
}

pub(super) fn routes(rest: Arc<Rest>) -> Router {
    Router::new()
        .route(HEALTH, get(health))
        .route(HISTORY, get(history))
        .route(PROXIED_HISTORY, get(history))
        .route(MESSAGE, post(message))
        .route(USERS, get(users))
        .route(SOCKET_INFO, get(socket_info))
        .with_state(rest)
}

/// A room's id in a path, percent-decoded: any characters.
type RoomPath = Result<Path<String>, PathRejection>;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthJson {
    status: &'static str,
    service: &'static str,
    redis: &'static str,
    adapter: &'static str,
    connections: usize,
    messages_waiting: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

async fn health(State(rest): State<Arc<Rest>>) -> Response {
    let health = rest.hub.health().await;
    let broken = |(role, port): (&str, &chat::PortHealth)| {
        port.problem.as_ref().map(|_| format!("the {role} ({}) does not answer", port.technology))
    };
    let reasons: Vec<String> =
        [("store", &health.store), ("bus", &health.bus)].into_iter().filter_map(broken).collect();
    let on_redis = [&health.store, &health.bus].into_iter().filter(|port| port.technology == "redis");
    let redis = on_redis.map(|port| port.problem.is_none()).reduce(|one, other| one && other);
    let json = HealthJson {
        status: if reasons.is_empty() { "ok" } else { "unavailable" },
        service: SERVICE,
        redis: match redis {
            None => "not configured",
            Some(true) => "connected",
            Some(false) => "disconnected",
        },
        adapter: health.bus.technology,
        connections: rest.hub.registry().all().len(),
        messages_waiting: health.backlog,
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
    };
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json)).into_response()
}

#[derive(Debug, Deserialize)]
struct HistoryQuery {
    limit: Option<String>,
}

#[derive(Debug, Serialize)]
struct HistoryJson<'a> {
    success: bool,
    messages: Vec<MessageJson<'a>>,
}

async fn history(
    State(rest): State<Arc<Rest>>,
    _: Caller,
    room: RoomPath,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(query) = query.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "Invalid query"))?;
    let limit = query.limit.as_deref().map(limit).transpose()?;
    let messages = rest.hub.history(&room_id(room)?, limit).await?;
    let messages = messages.iter().map(MessageJson::from).collect();
    Ok(Json(HistoryJson { success: true, messages }).into_response())
}

/// A whole number; the core takes the nearest that is allowed, so no number is too large or too small.
fn limit(text: &str) -> Result<usize, Failure> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "Invalid limit: must be a whole number"));
    }
    Ok(if text.starts_with('-') { 0 } else { digits.parse().unwrap_or(usize::MAX) })
}

#[derive(Debug, Serialize)]
struct SentJson<'a> {
    success: bool,
    message: &'static str,
    data: MessageJson<'a>,
}

async fn message(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    room: RoomPath,
    request_body: Body,
) -> Result<Response, Failure> {
    let room = room_id(room)?;
    let mut body = body::object(request_body, rest.body_bytes_max).await?;
    let speaker = caller.speaker(&body, &rest)?;
    body.insert("roomId".to_owned(), json!(room.as_str())); // the path says where, whatever the body says
    let said = AppPacket::event("send_message", Value::Object(body));
    let Command::Send { to: Audience::Room(room), text, kind, .. } = (rest.hub.rules().dialect.server.decode)(&said)?
    else {
        return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error"));
    };
    let message = rest.hub.post(&speaker, Post { room, text, kind }).await?;
    let data = MessageJson::from(&message);
    Ok(Json(SentJson { success: true, message: "Message sent", data }).into_response())
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UsersJson {
    success: bool,
    room_id: String,
    user_count: usize,
    users: Vec<String>,
}

async fn users(State(rest): State<Arc<Rest>>, _: Caller, room: RoomPath) -> Result<Json<UsersJson>, Failure> {
    let room = room_id(room)?;
    let users: Vec<String> = rest.hub.room_users(&room).await?.iter().map(UserId::to_string).collect();
    Ok(Json(UsersJson { success: true, room_id: room.to_string(), user_count: users.len(), users }))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SocketInfoJson {
    success: bool,
    total_connections: usize,
    connections: Vec<ConnectionJson>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionJson {
    id: String,
    user_id: Option<String>,
    username: Option<String>,
    rooms: Vec<String>,
    connected: bool,
    transport: &'static str,
}

impl From<&Arc<Connection>> for ConnectionJson {
    fn from(connection: &Arc<Connection>) -> Self {
        let member = connection.member();
        Self {
            id: connection.id().to_string(),
            user_id: member.as_ref().map(|member| member.user.to_string()),
            username: member.map(|member| member.name),
            rooms: connection.rooms().iter().map(RoomId::to_string).collect(),
            connected: connection.ended().is_none(),
            transport: connection.carrier(),
        }
    }
}

async fn socket_info(State(rest): State<Arc<Rest>>, _: Caller) -> Json<SocketInfoJson> {
    let connections: Vec<ConnectionJson> = rest.hub.registry().all().iter().map(ConnectionJson::from).collect();
    Json(SocketInfoJson { success: true, total_connections: connections.len(), connections })
}

fn room_id(path: RoomPath) -> Result<RoomId, Failure> {
    let Path(room) = path.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "Invalid roomId: not UTF-8"))?;
    Ok(RoomId::from(room))
}
