//! Plain HTTP requests with bounded answers: for polling, and for a dialect's history.

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::endpoint::Endpoint;
use crate::error::ConnectError;

pub(crate) type Body = Full<Bytes>;
pub(crate) type HttpClient = Client<HttpConnector, Body>;

/// Idle connections are kept this long; a server's keep-alive is usually 5 s.
const IDLE_MAX: Duration = Duration::from_secs(4);

pub(crate) fn new(local_address: Option<IpAddr>) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_local_address(local_address);
    Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_MAX).pool_max_idle_per_host(2).build(connector)
}

pub(crate) fn body(text: &'static str) -> Body {
    Body::new(Bytes::from_static(text.as_bytes()))
}

/// Status and body of the answer; the body must be UTF-8 and within the end point's limit.
pub(crate) async fn fetch(
    client: &HttpClient,
    request: Request<Body>,
    endpoint: &Endpoint,
) -> Result<(u16, String), ConnectError> {
    let answer = client.request(request).await.map_err(|error| ConnectError::Unreachable {
        address: endpoint.authority(),
        source: std::io::Error::other(error),
    })?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), endpoint.message_bytes_max).collect().await;
    let body = body.map_err(|error| ConnectError::Protocol(error.to_string()))?.to_bytes();
    let text = String::from_utf8(body.to_vec()).map_err(|_| ConnectError::Protocol("body is not UTF-8".to_owned()))?;
    Ok((status, text))
}
