//! HTTP/1.1 on one guarded stream: limits of the head, upgrades, and requests that carry their connection's handle.

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt as _};

use super::{ConnectionHandle, GuardedStream, ListenerLimits, TimedBody};

/// Serves one connection to its end. After `stop` it takes no further request: an idle connection ends at once, a busy one after its
/// answer. An upgraded stream lives on with whoever took it.
pub(super) async fn serve<S, B>(
    stream: GuardedStream,
    handle: ConnectionHandle,
    limits: &ListenerLimits,
    service: S,
    stop: CancellationToken,
) where
    S: Service<Request<TimedBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let body_timeout = limits.body_timeout;
    let for_requests = handle.clone();
    let answer = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| TimedBody::new(body, body_timeout));
        unshare_head(&mut request);
        for_requests.settled();
        request.extensions_mut().insert(for_requests.clone());
        service.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers_max)
        .max_header_size(limits.head_bytes_max)
        .max_buf_size(limits.head_bytes_max.max(MIN_BUFFER_BYTES))
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(connection = %handle.id(), %error, "connection ended");
    }
}

/// The smallest read buffer that hyper accepts.
const MIN_BUFFER_BYTES: usize = 8192;

/// Gives the head memory of its own. Header values and the address are slices of the connection's read buffer; an engine that keeps the
/// request for the life of a session would keep that whole buffer (8 KiB per idle connection).
fn unshare_head<B>(request: &mut Request<B>) {
    let mut headers = HeaderMap::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
            copy.set_sensitive(value.is_sensitive() || name == http::header::AUTHORIZATION);
            headers.append(name, copy);
        }
    }
    *request.headers_mut() = headers;
    if let Ok(uri) = Uri::try_from(request.uri().to_string()) {
        *request.uri_mut() = uri;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_head_says_the_same_and_hides_the_token_from_debug_output() {
        let mut request = Request::get("/socket.io/?EIO=4&transport=websocket")
            .header("x-twice", "a")
            .header("x-twice", "b")
            .header("authorization", "Bearer secret")
            .body(())
            .expect("a request");
        let before = request.headers().clone();
        unshare_head(&mut request);
        assert_eq!(request.headers(), &before);
        assert_eq!(request.uri(), "/socket.io/?EIO=4&transport=websocket");
        assert!(!format!("{request:?}").contains("secret"));
    }
}
