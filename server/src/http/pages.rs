//! Pages for people, beside the dialects that have one: plain files, embedded, and a description of where this server's listeners are.
//!
//! They talk to the server as any client does and have no rights of their own. A Content-Security-Policy keeps inline scripts and other
//! hosts out, so a text that slipped into the page as HTML could still do nothing.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use chatwright_protocol::dialects::Dialect;
use http::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};
use include_dir::{Dir, include_dir};
use serde::Serialize;

use super::answer::Failure;
use crate::auth::IdentityMode;

static FILES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../fixtures/pages");

/// Each dialect that has a page, with the listener that serves it.
const MOUNTED: [(&str, &str); 3] = [("rooms", "socket"), ("direct", "socket"), ("gateway", "web")];

/// The listener that is for nothing but the page: there it is at `/` too.
const WEB: &str = "web";

/// Where a dialect's page is below its listener.
pub const PATH: &str = "/pages/";

/// The listener on which this dialect's page is, if it has one.
#[must_use]
pub fn listener(dialect: &Dialect) -> Option<&'static str> {
    MOUNTED.iter().find(|(name, _)| *name == dialect.name).map(|(_, listener)| *listener)
}

/// What a page must know to find the server's other listeners.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Whereabouts {
    dialect: &'static str,
    path: &'static str,
    identity: &'static str,
    ports: BTreeMap<&'static str, u16>,
}

impl Whereabouts {
    pub(crate) fn new(dialect: &Dialect, identity: IdentityMode, ports: BTreeMap<&'static str, u16>) -> Self {
        let identity = match identity {
            IdentityMode::Token => "token",
            IdentityMode::Open => "open",
        };
        Self { dialect: dialect.name, path: dialect.path, identity, ports }
    }
}

/// A listener's routes with the page beside them, if it is the one on which the dialect's page is.
pub(crate) fn beside(routes: Router, dialect: &Dialect, name: &str, whereabouts: &Whereabouts) -> Router {
    if listener(dialect) != Some(name) {
        return routes;
    }
    let pages = Router::new()
        .route(PATH, get(index))
        .route("/pages", get(to_index))
        .route("/pages/where.json", get(where_it_is))
        .route("/pages/{*file}", get(file));
    let pages = if name == WEB { pages.route("/", get(to_index)) } else { pages };
    routes.merge(pages.with_state(Arc::new(whereabouts.clone())))
}

async fn to_index() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(http::header::LOCATION, PATH)]).into_response()
}

async fn index(State(whereabouts): State<Arc<Whereabouts>>, headers: HeaderMap) -> Response {
    served(&format!("{}/index.html", whereabouts.dialect), &whereabouts, &headers)
}

async fn file(State(whereabouts): State<Arc<Whereabouts>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    served(&path, &whereabouts, &headers)
}

async fn where_it_is(State(whereabouts): State<Arc<Whereabouts>>) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(whereabouts.as_ref())).into_response()
}

/// Only what is embedded is found: a path that leads elsewhere names nothing.
fn served(path: &str, whereabouts: &Whereabouts, headers: &HeaderMap) -> Response {
    let (Some(file), Some(kind)) = (FILES.get_file(path), kind(path)) else {
        return Failure::new(StatusCode::NOT_FOUND, "Not found").into_response();
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
        (CONTENT_SECURITY_POLICY, policy(host, whereabouts)),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, file.contents()).into_response()
}

fn kind(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    match ending {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

/// The page may talk to this host only: to itself, and to the dialect's other listeners on it.
fn policy(host: &str, whereabouts: &Whereabouts) -> String {
    let name = host_name(host);
    let others: String = whereabouts.ports.values().map(|port| format!(" http://{name}:{port}")).collect();
    let others = if name.is_empty() { String::new() } else { others };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{others}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The host without its port; empty if it holds what no host does, so that nobody writes policies of their own.
fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
    if is_name { name } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_without_its_port_and_what_is_none_is_not_named() {
        for (host, name) in [
            ("localhost:8000", "localhost"),
            ("[::1]:8000", "[::1]"),
            ("chat.example", "chat.example"),
            ("a; script-src *", ""),
            ("", ""),
        ] {
            assert_eq!(host_name(host), name, "{host:?}");
        }
    }

    #[test]
    fn every_page_is_there_with_its_script() {
        for (dialect, _) in MOUNTED {
            let index = FILES.get_file(format!("{dialect}/index.html")).and_then(|file| file.contents_utf8());
            assert!(index.is_some_and(|index| index.contains(&format!("/pages/{dialect}/page.js"))), "{dialect}");
            assert!(FILES.get_file(format!("{dialect}/page.js")).is_some(), "{dialect}");
        }
    }
}
