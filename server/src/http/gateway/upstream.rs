//! The instances of one service as the API gateway sees them: one in the same process, or any number at addresses of their own, in turn.

use std::{
    convert::Infallible,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::Response,
};
use http::{Request, StatusCode, Uri, Version, request::Parts, uri::PathAndQuery};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::Serialize;
use tower::ServiceExt as _;

/// How long connecting to an instance may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an instance that could not be reached is asked last.
const SHUNNED: Duration = Duration::from_secs(1);

/// How long a health answer may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Idle connections kept to an instance.
const IDLE_MAX: usize = 64;

/// One instance.
pub(crate) enum Upstream {
    /// In this process.
    Local(Router),
    /// At this address.
    Remote(Box<Remote>),
}

/// An instance at an address.
pub(crate) struct Remote {
    base: Uri,
    client: Client<HttpConnector, Body>,
    shunned_until: Mutex<Option<Instant>>,
}

impl Upstream {
    /// An instance at this base address (`http://host:port`).
    pub(crate) fn at(base: Uri) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self::Remote(Box::new(Remote { base, client, shunned_until: Mutex::new(None) }))
    }

    fn is_shunned(&self) -> bool {
        match self {
            Self::Local(_) => false,
            Self::Remote(remote) => {
                let until = *remote.shunned_until.lock().expect("no code panics while it holds the time");
                until.is_some_and(|until| Instant::now() < until)
            }
        }
    }

    /// Asks it. `Err`: it was not reached, and nothing was done.
    pub(super) async fn ask(&self, parts: &Parts, body: Body) -> Result<Response, Unreachable> {
        match self {
            Self::Local(router) => {
                let request = Request::from_parts(parts.clone(), body);
                let answer: Result<Response, Infallible> = router.clone().oneshot(request).await;
                let Ok(response) = answer;
                Ok(response)
            }
            Self::Remote(remote) => remote.ask(parts, body).await,
        }
    }

    async fn health(&self, path: &'static str) -> HealthJson {
        let (parts, ()) = Request::get(path).body(()).expect("a path of ours is a path").into_parts();
        let answer = tokio::time::timeout(HEALTH_TIMEOUT, self.ask(&parts, Body::empty())).await;
        let reason = match answer {
            Ok(Ok(response)) if response.status().is_success() => None,
            Ok(Ok(response)) => Some(format!("answers {}", response.status().as_u16())),
            Ok(Err(Unreachable)) => Some("cannot be reached".to_owned()),
            Err(_) => Some("does not answer".to_owned()),
        };
        let url = match self {
            Self::Local(_) => None,
            Self::Remote(remote) => Some(remote.base.to_string()),
        };
        HealthJson { url, status: if reason.is_none() { "ok" } else { "unavailable" }, reason }
    }
}

/// An instance was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreachable;

impl Remote {
    async fn ask(&self, parts: &Parts, body: Body) -> Result<Response, Unreachable> {
        let mut parts = parts.clone();
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let base = self.base.to_string();
        parts.version = Version::HTTP_11;
        parts.uri = format!("{}{path}", base.trim_end_matches('/')).parse().map_err(|_| Unreachable)?;
        match self.client.request(Request::from_parts(parts, body)).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(problem) if problem.is_connect() => {
                tracing::warn!(upstream = %self.base, %problem, "an instance cannot be reached");
                let mut until = self.shunned_until.lock().expect("no code panics while it holds the time");
                *until = Some(Instant::now() + SHUNNED);
                Err(Unreachable)
            }
            Err(problem) => {
                // It may have done what was asked: asking another one could do it twice.
                tracing::warn!(upstream = %self.base, %problem, "an instance broke off");
                let mut response = Response::new(Body::from("Bad gateway"));
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                Ok(response)
            }
        }
    }
}

/// All instances of one service.
pub(crate) struct Service {
    name: &'static str,
    health_path: &'static str,
    instances: Vec<Upstream>,
    turn: AtomicUsize,
}

/// A service's health as the gateway tells it.
#[derive(Debug, Serialize)]
pub(super) struct ServiceHealthJson {
    service: &'static str,
    status: &'static str,
    instances: Vec<HealthJson>,
}

impl ServiceHealthJson {
    pub(super) fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

#[derive(Debug, Serialize)]
struct HealthJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Service {
    /// A service by the name that health answers show.
    pub(crate) fn new(name: &'static str, health_path: &'static str, instances: Vec<Upstream>) -> Self {
        Self { name, health_path, instances, turn: AtomicUsize::new(0) }
    }

    /// Asks this instance and no other, if there is one of this number. The body goes on as it comes.
    pub(super) async fn ask_one(&self, number: usize, parts: &Parts, body: Body) -> Option<Response> {
        self.instances.get(number)?.ask(parts, body).await.ok()
    }

    /// Asks the instance whose turn it is; if it cannot be reached, the next one. Says which one answered; `None`: nobody.
    pub(super) async fn ask_any(&self, parts: &Parts, body: &Bytes) -> Option<(usize, Response)> {
        let count = self.instances.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..count).map(|step| first.wrapping_add(step) % count);
        let (shunned, welcome): (Vec<usize>, Vec<usize>) =
            in_turn.partition(|number| self.instances.get(*number).is_some_and(Upstream::is_shunned));
        for number in welcome.into_iter().chain(shunned) {
            if let Some(response) = self.ask_one(number, parts, Body::from(body.clone())).await {
                return Some((number, response));
            }
        }
        None
    }

    /// How each instance is.
    pub(super) async fn health(&self) -> ServiceHealthJson {
        let asked = self.instances.iter().map(|instance| instance.health(self.health_path));
        let instances = futures_util::future::join_all(asked).await;
        let is_ok = instances.iter().any(|instance| instance.status == "ok");
        ServiceHealthJson { service: self.name, status: if is_ok { "ok" } else { "unavailable" }, instances }
    }
}
