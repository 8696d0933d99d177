//! Tokens verified by an auth service over HTTP: `GET {base}/api/v1/auth/verify-user`, the user in the header `x-user-payload`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, Request, StatusCode, Uri, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::{AuthError, ClaimNames, Identity, Verifier, WallClock, jwt::with_stated_expiry};

/// Where the service answers, below its base address (the document's path).
const VERIFY_PATH: &str = "/api/v1/auth/verify-user";
/// The response header that holds the user as JSON.
const USER_HEADER: &str = "x-user-payload";
/// A user is an id, two names and perhaps some roles; more is not for us.
const USER_HEADER_BYTES_MAX: usize = 8 * 1024;
/// All headers of an answer together: the user's and what proxies add.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The body is read only to give the connection back to the pool; a longer one costs the connection instead.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Idle connections kept for the next question.
const POOL_IDLE_MAX: usize = 16;
/// An idle connection older than this may have been dropped by a balancer in between.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Questions in flight: a stampede of reconnecting clients must not become one at the auth service.
const IN_FLIGHT_MAX: usize = 64;

/// Where and how to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRules {
    /// The base address, `http://host[:port][/prefix]`.
    pub base: Uri,
    /// Under which fields of the payload the user's data stand.
    pub names: ClaimNames,
    /// The time for one verification, waiting for a free place included.
    pub timeout: Duration,
}

/// The service's address is not usable; the words say what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the auth service's address must be http://host[:port][/prefix]")]
pub struct BadServiceAddress;

/// Asks an auth service for each token.
#[derive(Debug)]
pub struct ServiceVerifier {
    client: Client<HttpConnector, Empty<Bytes>>,
    target: Uri,
    names: ClaimNames,
    timeout: Duration,
    places: Arc<Semaphore>,
    clock: Clock,
}

impl ServiceVerifier {
    /// A verifier that asks this service. Nothing is connected before the first question.
    ///
    /// # Errors
    /// [`BadServiceAddress`] if the base is not a plain `http` address.
    pub fn new(rules: ServiceRules, clock: WallClock) -> Result<Self, BadServiceAddress> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(rules.timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_IDLE_MAX)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        Ok(Self {
            client,
            target: target(&rules.base)?,
            names: rules.names,
            timeout: rules.timeout,
            places: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            clock: Clock(clock),
        })
    }

    async fn ask(&self, token: &str) -> Result<Identity, AuthError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| AuthError::Invalid)?;
        bearer.set_sensitive(true); // kept out of debug output
        let _place = self.places.acquire().await.map_err(|_| AuthError::Unavailable)?;
        let mut request = Request::get(self.target.clone()).body(Empty::new()).map_err(|_| AuthError::Unavailable)?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let response = self.client.request(request).await.map_err(|error| {
            tracing::warn!(%error, "the auth service did not answer");
            AuthError::Unavailable
        })?;
        let verdict = self.read(&response);
        let _ = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        verdict
    }

    fn read(&self, response: &http::Response<Incoming>) -> Result<Identity, AuthError> {
        let status = response.status();
        match status {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(AuthError::Invalid),
            status if status.is_success() => self.user(response).inspect_err(|_| {
                tracing::warn!(%status, "the auth service agreed without a usable x-user-payload");
            }),
            status => {
                tracing::warn!(%status, "the auth service cannot answer");
                Err(AuthError::Unavailable)
            }
        }
    }

    fn user(&self, response: &http::Response<Incoming>) -> Result<Identity, AuthError> {
        let payload = response.headers().get(USER_HEADER).ok_or(AuthError::Invalid)?.as_bytes();
        if payload.len() > USER_HEADER_BYTES_MAX {
            return Err(AuthError::Invalid);
        }
        let claims: Map<String, Value> = serde_json::from_slice(payload).map_err(|_| AuthError::Invalid)?;
        self.names.identity(&claims)
    }
}

impl Verifier for ServiceVerifier {
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Identity, AuthError>> {
        async move {
            let verdict = tokio::time::timeout(self.timeout, self.ask(token)).await.unwrap_or_else(|_| {
                tracing::warn!(timeout_ms = self.timeout.as_millis(), "the auth service took too long");
                Err(AuthError::Unavailable)
            });
            with_stated_expiry(verdict, token, (self.clock.0)())
        }
        .boxed()
    }

    fn name(&self) -> &'static str {
        "http"
    }
}

/// A [`WallClock`] in a struct that is shown.
pub(super) struct Clock(pub(super) WallClock);

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

fn target(base: &Uri) -> Result<Uri, BadServiceAddress> {
    let authority = base.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(BadServiceAddress)?;
    if base.scheme_str() != Some("http") || base.query().is_some() {
        return Err(BadServiceAddress);
    }
    let prefix = base.path().trim_end_matches('/');
    format!("http://{authority}{prefix}{VERIFY_PATH}").parse().map_err(|_| BadServiceAddress)
}
