//! HTTP exchanges: a request goes on over a connection of its own, its answer comes back; rules rewrite both.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::{Relay, polling, session::Session, websocket};
use crate::wrong::rule::{Act, Direction, Part, Rule, Subject};

/// Larger than any limit that a case tests.
const BODY_BYTES_MAX: usize = 32 << 20;
const ENGINE_PATH: &str = "/socket.io/";

type Tasks = Arc<Mutex<JoinSet<()>>>;

/// One exchange. An error cuts the connection.
pub(super) async fn pass_on(
    mut request: Request<Incoming>,
    relay: Arc<Relay>,
    tasks: Tasks,
) -> io::Result<Response<Full<Bytes>>> {
    let exchange = Exchange::of(&request, relay);
    if request.headers().contains_key(header::UPGRADE) {
        return exchange.upgrade(request, &tasks).await;
    }
    let (head, body) = (std::mem::take(request.headers_mut()), request.body_mut());
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(io::Error::other)?.to_bytes();
    let mut message = Message { line: exchange.line.clone(), headers: head, body };
    let twice = exchange.apply(Direction::Server, &mut message).await?;
    if exchange.engine && request.method() == Method::POST && !message.body.is_empty() {
        match exchange.rewrite_packets(Direction::Server, &message.body).await? {
            Some(body) if body.is_empty() => return Ok(swallowed()),
            Some(body) => message.body = body,
            None => {}
        }
    }
    let mut answer = exchange.ask(&message).await?;
    if twice {
        answer = exchange.ask(&message).await?;
    }
    exchange.answer(request.method(), answer).await
}

/// What the server would have said to a body that it never gets.
fn swallowed() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// A request or an answer, as rules see it.
struct Message {
    /// `METHOD /path?query`, or the status.
    line: String,
    headers: http::HeaderMap,
    body: Bytes,
}

struct Exchange {
    relay: Arc<Relay>,
    line: String,
    /// It belongs to Engine.IO.
    engine: bool,
    sid: Option<String>,
    session: Arc<Session>,
}

impl Exchange {
    fn of<B>(request: &Request<B>, relay: Arc<Relay>) -> Self {
        let uri = request.uri();
        let engine = uri.path().starts_with(ENGINE_PATH);
        let query = uri.query().unwrap_or_default();
        let sid = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("sid="))
            .filter(|sid| !sid.is_empty())
            .map(str::to_owned);
        let session = match &sid {
            Some(sid) if engine => relay.session(sid),
            None if engine => Arc::default(),
            Some(_) | None => Arc::clone(&relay.outside),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Self { line: format!("{} {path}", request.method()), engine, sid, session, relay }
    }

    /// Counts what has no session of its own together.
    fn counter(&self) -> &Session {
        if self.engine && self.sid.is_some() { &self.session } else { &self.relay.outside }
    }

    fn rule(&self, direction: Direction) -> Option<&Rule> {
        let fits = |rule: &Rule| {
            rule.subject == Subject::Http && rule.direction == direction && rule.pattern.is_match(&self.line)
        };
        let (index, rule) = self.relay.rules.iter().enumerate().find(|(_, rule)| fits(rule))?;
        self.counter().counts(index, rule).then_some(rule)
    }

    /// Does what a rule says; returns whether the request is to be made twice.
    async fn apply(&self, direction: Direction, message: &mut Message) -> io::Result<bool> {
        let Some(rule) = self.rule(direction) else { return Ok(false) };
        match &rule.act {
            Act::Drop | Act::Cut => return Err(io::Error::other("cut by a rule")),
            Act::Duplicate => return Ok(true),
            Act::Delay(by) | Act::Stall(by) => tokio::time::sleep(*by).await,
            Act::Rewrite { find, with, part } => message.rewrite(find, with, part),
            Act::Swap | Act::Before(_) | Act::After(_) | Act::Copy | Act::Close(_) => {}
        }
        Ok(false)
    }

    /// A body of polling after the rules; `None` when it is none.
    async fn rewrite_packets(&self, direction: Direction, body: &Bytes) -> io::Result<Option<Bytes>> {
        let Ok(text) = std::str::from_utf8(body) else { return Ok(None) };
        let done = polling::rewrite(&self.relay, &self.session, direction, text);
        if done.cut {
            return Err(io::Error::other("cut by a rule"));
        }
        tokio::time::sleep(done.wait).await;
        Ok(Some(Bytes::from(done.text())))
    }

    async fn ask(&self, message: &Message) -> io::Result<Response<Bytes>> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.relay.connect().await?))
            .await
            .map_err(io::Error::other)?;
        // Ends with the exchange: a client that goes away takes its request along.
        let _connection = AbortOnDrop(tokio::spawn(connection).abort_handle());
        let request = self.request(message, Full::new(message.body.clone()))?;
        let (head, body) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }

    fn request<B>(&self, message: &Message, body: B) -> io::Result<Request<B>> {
        let (method, path) = message.line.split_once(' ').unwrap_or(("GET", message.line.as_str()));
        let mut request = Request::new(body);
        *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(io::Error::other)?;
        *request.uri_mut() = format!("{}{path}", self.relay.upstream.path).parse::<Uri>().map_err(io::Error::other)?;
        *request.headers_mut() = message.headers.clone();
        Ok(request)
    }

    async fn answer(&self, method: &Method, answer: Response<Bytes>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = answer.into_parts();
        let mut message = Message { line: head.status.as_str().to_owned(), headers: head.headers, body };
        if self.engine && method == Method::GET && head.status == StatusCode::OK {
            self.learn(&message.body);
            if let Some(body) = self.rewrite_packets(Direction::Client, &message.body).await? {
                message.body = body;
            }
        }
        self.apply(Direction::Client, &mut message).await?;
        let mut response = Response::new(Full::new(message.body.clone()));
        *response.status_mut() = message.line.parse().unwrap_or(head.status);
        if *method != Method::HEAD {
            message.headers.remove(header::CONTENT_LENGTH);
        }
        message.headers.remove(header::TRANSFER_ENCODING);
        message.headers.remove(header::CONNECTION);
        *response.headers_mut() = message.headers;
        Ok(response)
    }

    /// The id that the server gave to a new session.
    fn learn(&self, body: &[u8]) {
        if self.sid.is_none()
            && let Some(sid) = std::str::from_utf8(body).ok().and_then(session_id)
        {
            self.relay.remember(&sid, &self.session);
        }
    }

    async fn upgrade(&self, mut request: Request<Incoming>, tasks: &Tasks) -> io::Result<Response<Full<Bytes>>> {
        let mut message = Message { line: self.line.clone(), headers: request.headers().clone(), body: Bytes::new() };
        self.apply(Direction::Server, &mut message).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.relay.connect().await?))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection.with_upgrades());
        let asked = self.request(&message, Full::new(Bytes::new()))?;
        let mut answer = sender.send_request(asked).await.map_err(io::Error::other)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(io::Error::other)?.to_bytes();
            return self.answer(request.method(), Response::from_parts(head, body)).await;
        }
        let (client, server) = (hyper::upgrade::on(&mut request), hyper::upgrade::on(&mut answer));
        // A WebSocket outside Engine.IO is a session of its own: its messages are the packets that rules look at.
        let session = if self.engine { Arc::clone(&self.session) } else { Arc::default() };
        let (relay, fresh) = (Arc::clone(&self.relay), self.sid.is_none());
        tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
            if let (Ok(client), Ok(server)) = tokio::join!(client, server) {
                websocket::relay(relay, session, (TokioIo::new(client), TokioIo::new(server)), fresh).await;
            }
        });
        let mut message = Message { line: "101".to_owned(), headers: answer.headers().clone(), body: Bytes::new() };
        self.apply(Direction::Client, &mut message).await?;
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = message.line.parse().unwrap_or(StatusCode::SWITCHING_PROTOCOLS);
        *response.headers_mut() = message.headers;
        Ok(response)
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The `sid` of an open packet.
pub(super) fn session_id(packet: &str) -> Option<String> {
    let open: serde_json::Value = serde_json::from_str(packet.split('\u{1e}').next()?.strip_prefix('0')?).ok()?;
    open.get("sid")?.as_str().map(str::to_owned)
}

impl Message {
    fn rewrite(&mut self, find: &regex::Regex, with: &str, part: &Part) {
        match part {
            Part::Line => self.line = find.replace_all(&self.line, with).into_owned(),
            Part::Body => {
                let text = String::from_utf8_lossy(&self.body);
                self.body = Bytes::from(find.replace_all(&text, with).into_owned());
                self.headers.remove(header::CONTENT_LENGTH);
            }
            Part::Header(name) => {
                let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { return };
                let old = self.headers.get(&name).and_then(|value| value.to_str().ok()).unwrap_or_default();
                let new = find.replace_all(old, with).into_owned();
                match HeaderValue::from_str(&new) {
                    Ok(value) if !value.is_empty() => drop(self.headers.insert(name, value)),
                    Ok(_) | Err(_) => drop(self.headers.remove(name)),
                }
            }
        }
    }
}
