//! Where the judge listens for a client: each request that opens something waits here until the case lets it in or turns it away.

use std::{
    collections::BTreeMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use sha1::{Digest as _, Sha1};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout},
};

use super::{
    Link,
    polled::{Polled, Polling},
    polling::SEPARATOR,
    websocket::ACCEPT_GUID,
};
use crate::datum::Datum;

/// Requests that wait to be let in: a client that asks more often than any case looks is not kept in memory.
const KNOCKS_MAX: usize = 256;
/// Of a case's requests so many are kept for `ear heard`.
const HEARD_MAX: usize = 2000;
/// The longest body that a client may POST.
const BODY_BYTES_MAX: usize = 16 << 20;
/// What hyper has to hand over after its answer 101.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(5);

type Answer = Response<Full<Bytes>>;

/// Listens until it is dropped.
pub(crate) struct Door {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    pub(crate) knocks: mpsc::Receiver<Knock>,
    house: Arc<House>,
    listening: AbortHandle,
}

/// What the requests of one case share.
struct House {
    knocks: mpsc::Sender<Knock>,
    /// Polling sessions that were let in, by id.
    sessions: Mutex<BTreeMap<String, Weak<Polled>>>,
    heard: Mutex<Vec<Datum>>,
}

/// A request that wants to open something.
pub(crate) struct Knock {
    pub(crate) at: Instant,
    /// Its method, path, query and headers.
    pub(crate) shown: Datum,
    is_websocket: bool,
    answer: oneshot::Sender<Let>,
}

/// What the case says to it.
enum Let {
    Refuse(u16),
    Poll(Weak<Polled>),
    Upgrade(Vec<(String, String)>, oneshot::Sender<OnUpgrade>),
}

impl Door {
    /// Listens on a free port.
    pub(crate) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (sink, knocks) = mpsc::channel(KNOCKS_MAX);
        let house = Arc::new(House { knocks: sink, sessions: Mutex::default(), heard: Mutex::default() });
        let serving = Arc::clone(&house);
        let listening = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let house = Arc::clone(&serving);
                connections.spawn(async move {
                    // Without delay, as servers answer.
                    let _late = stream.set_nodelay(true);
                    let service = service_fn(|request| house.answer(request));
                    // How a connection ends is seen by its session.
                    let _ended =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
                });
            }
        });
        Ok(Self { url, knocks, house, listening: listening.abort_handle() })
    }

    /// All requests so far, in order.
    pub(crate) fn heard(&self) -> Datum {
        Datum::List(locked(&self.house.heard).clone())
    }

    /// Lets a request in: what becomes of it is a WebSocket, or a polling session of this id.
    ///
    /// # Errors
    /// What became of it instead.
    pub(crate) async fn let_in(
        &self,
        knock: Knock,
        sid: &str,
        headers: Vec<(String, String)>,
        manual_pings: bool,
    ) -> Result<Link, String> {
        let gone = "the client gave up before it was let in";
        if !knock.is_websocket {
            let mut kept = Weak::new();
            let link = Link::polled(|inlet| {
                let polled = Arc::new(Polled::new(inlet));
                kept = Arc::downgrade(&polled);
                polled
            });
            locked(&self.house.sessions).insert(sid.to_owned(), kept.clone());
            return knock.answer.send(Let::Poll(kept)).map(|()| link).map_err(|_| gone.to_owned());
        }
        let (ready, upgrading) = oneshot::channel();
        knock.answer.send(Let::Upgrade(headers, ready)).map_err(|_| gone.to_owned())?;
        let upgrading = upgrading.await.map_err(|_| gone.to_owned())?;
        let upgraded = timeout(UPGRADE_TIMEOUT, upgrading).await.map_err(|_| "it was not upgraded".to_owned())?;
        let upgraded = upgraded.map_err(|e| format!("the client left the handshake: {e}"))?;
        let parts = upgraded.downcast::<TokioIo<TcpStream>>().map_err(|_| "no TCP connection".to_owned())?;
        Ok(Link::serving(parts.io.into_inner(), &parts.read_buf, manual_pings))
    }
}

impl Knock {
    /// Turns it away with this status.
    pub(crate) fn refuse(self, status: u16) {
        // The client has left already: that is a refusal too.
        let _gone = self.answer.send(Let::Refuse(status));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl House {
    async fn answer(&self, mut request: Request<Incoming>) -> io::Result<Answer> {
        let at = Instant::now();
        let query = query(request.uri().query().unwrap_or_default());
        let sid =
            query.iter().find(|(name, _)| name == "sid").and_then(|(_, value)| value.as_text()).map(str::to_owned);
        let shown = shown(&request, query);
        let wants = |name, word: &str| {
            let value = request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
            value.is_some_and(|value| value.to_ascii_lowercase().contains(word))
        };
        let is_websocket = wants(header::UPGRADE, "websocket") && wants(header::CONNECTION, "upgrade");
        let session = sid.as_ref().map(|sid| locked(&self.sessions).get(sid).and_then(Weak::upgrade));
        match session {
            Some(None) => {
                self.hear(shown);
                Ok(refused(400))
            }
            Some(Some(polled)) if !is_websocket => self.polled(request, polled, shown).await,
            Some(Some(_)) | None => {
                self.hear(shown.clone());
                let (answer, said) = oneshot::channel();
                let knock = Knock { at, shown, is_websocket, answer };
                if self.knocks.try_send(knock).is_err() {
                    return Ok(refused(503));
                }
                match said.await {
                    Ok(Let::Poll(polled)) => match polled.upgrade() {
                        Some(polled) => get(polled).await,
                        None => Err(cut_off()),
                    },
                    Ok(Let::Upgrade(headers, ready)) => Ok(upgraded(&mut request, headers, ready)),
                    Ok(Let::Refuse(status)) => Ok(refused(status)),
                    Err(_) => Err(cut_off()),
                }
            }
        }
    }

    async fn polled(&self, request: Request<Incoming>, polled: Arc<Polled>, mut shown: Datum) -> io::Result<Answer> {
        if request.method() == Method::GET {
            self.hear(shown);
            return get(polled).await;
        }
        if request.method() != Method::POST {
            self.hear(shown);
            return Ok(refused(400));
        }
        if !polled.begin_post() {
            return Ok(refused(400));
        }
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|e| io::Error::other(e.to_string()))?.to_bytes();
        if let Datum::Object(fields) = &mut shown {
            let packets = String::from_utf8_lossy(&body).split(SEPARATOR).count();
            fields.push(("bytes".to_owned(), Datum::Number(body.len().into())));
            fields.push(("packets".to_owned(), Datum::Number(packets.into())));
        }
        self.hear(shown);
        Ok(if polled.take(&body).await { answered(200, "text/html", "ok".to_owned()) } else { refused(400) })
    }

    fn hear(&self, shown: Datum) {
        let mut heard = locked(&self.heard);
        if heard.len() < HEARD_MAX {
            heard.push(shown);
        }
    }
}

/// A session that is dropped while its GET waits cuts that off, so the session is not held here.
async fn get(polled: Arc<Polled>) -> io::Result<Answer> {
    let polling = polled.get();
    drop(polled);
    match polling {
        Polling::Now(payload) => Ok(answered(200, "text/plain; charset=UTF-8", payload)),
        Polling::Later(pending) => match pending.answered().await {
            Some(payload) => Ok(answered(200, "text/plain; charset=UTF-8", payload)),
            None => Err(cut_off()),
        },
        Polling::Refused => Ok(refused(400)),
    }
}

fn cut_off() -> io::Error {
    io::Error::other("the case is done with this connection")
}

fn answered(status: u16, kind: &'static str, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An error in the form of the official server.
fn refused(status: u16) -> Answer {
    answered(status, "application/json", r#"{"code":3,"message":"Bad request"}"#.to_owned())
}

/// The answer 101, with these headers instead of or beside its own.
fn upgraded(
    request: &mut Request<Incoming>,
    headers: Vec<(String, String)>,
    ready: oneshot::Sender<OnUpgrade>,
) -> Answer {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| key.as_bytes().to_vec()).unwrap_or_default();
    let accept = STANDARD.encode(Sha1::digest([key.as_slice(), ACCEPT_GUID.as_bytes()].concat()));
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let own = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accept.as_str())];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in own.into_iter().chain(headers) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    // The case has ended meanwhile: nobody waits for it.
    let _gone = ready.send(hyper::upgrade::on(request));
    response
}

/// Method, path, query and headers, as a case looks at them.
fn shown(request: &Request<Incoming>, query: Vec<(String, Datum)>) -> Datum {
    let headers = request.headers().iter().map(|(name, value)| {
        (name.as_str().to_owned(), Datum::Text(String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    Datum::object([
        ("method", Datum::Text(request.method().to_string())),
        ("path", Datum::Text(request.uri().path().to_owned())),
        ("query", Datum::Object(query)),
        ("headers", Datum::Object(headers.collect())),
    ])
}

fn query(text: &str) -> Vec<(String, Datum)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), Datum::Text(decoded(value)))
        })
        .collect()
}

/// Undoes percent-encoding; what is no such thing stays.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
