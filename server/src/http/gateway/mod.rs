//! The HTTP side of `gateway`: the routers of its user, message and chat services, and the API gateway in front of them.
//!
//! Each service answers under its own paths (`/register`) and under those that the gateway shows (`/auth/register`).

mod affinity;
mod health;
mod messages;
mod proxy;
mod upstream;
mod users;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::{
    auth::Gate,
    chat::{
        Core,
        gateway::{Accounts, Histories},
    },
    events::queue::PersistFeed,
};

pub(crate) use proxy::{Proxy, ProxyRules};
pub(crate) use upstream::{Service, Upstream};

/// All routes, as metrics name them.
pub(super) const ROUTES: &[&str] = &[
    "/register",
    "/auth/register",
    "/login",
    "/auth/login",
    "/auth/health",
    "/history/{room}",
    "/messages/history/{room}",
    "/messages/health",
    "/health",
    "/auth/{*rest}",
    "/messages/{*rest}",
];

/// The routes of the user service.
pub(crate) fn user_routes(accounts: Arc<Accounts>, body_bytes_max: usize) -> Router {
    users::routes(accounts, body_bytes_max)
}

/// The routes of the message service.
pub(crate) fn message_routes(histories: Arc<Histories>, feed: Arc<dyn PersistFeed>, gate: Gate) -> Router {
    messages::routes(histories, feed, gate)
}

/// What the chat service has beside its sockets.
pub(crate) fn chat_routes(core: Arc<dyn Core>) -> Router {
    Router::new().route("/health", get(health::chat)).with_state(core)
}
