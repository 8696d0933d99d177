//! HTTP/1.1 requests, one connection each: no pool, so that no request waits for or inherits anything from another.

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;

use super::{Dial, dial};

/// The longest body taken from a server.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct HttpRequest {
    pub(crate) dial: Dial,
    pub(crate) method: String,
    /// Path and query, encoded.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header by name, several joined as HTTP joins them.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let all: Vec<&str> = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        if all.is_empty() { None } else { Some(all.join(", ")) }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn send(request: HttpRequest) -> Result<Answer, String> {
    let stream = dial(&request.dial).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| format!("no HTTP connection: {e}"))?;
    let exchange = async {
        let response =
            sender.send_request(build(&request)?).await.map_err(|e| format!("no answer: {}", explained(&e)))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(|e| format!("the body of the answer (status {status}) breaks off: {e}"))?
            .to_bytes()
            .to_vec();
        Ok(Answer { status, headers, body })
    };
    let connection = async {
        // The exchange reports what goes wrong; the connection future only drives it.
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = exchange => answer,
        () = connection => Err("the connection ended".to_owned()),
    }
}

fn build(request: &HttpRequest) -> Result<Request<Full<Bytes>>, String> {
    let mut built = Request::builder().method(request.method.as_str()).uri(&request.path);
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        built = built.header(HOST, request.dial.address.authority());
    }
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    built.body(Full::new(Bytes::from(request.body.clone()))).map_err(|e| format!("this request cannot be written: {e}"))
}

fn explained(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
