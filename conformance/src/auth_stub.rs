//! The auth service of document `000_5f4891e3b3f8c1d9.txt`, as a real HTTP server whose answers a case scripts: a target that asks
//! an auth service can be judged without one, and with one that is slow, wrong or broken.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::AbortHandle};

use crate::tokens::{ClaimNames, Hmac, TokenMaker};

/// The one path that it serves.
pub const VERIFY_PATH: &str = "/api/v1/auth/verify-user";
/// The header that carries the user.
pub const USER_HEADER: &str = "x-user-payload";

/// The stub makes and verifies its own tokens, on loopback, for users that do not exist: nothing hangs on this word.
const STUB_SECRET: &str = "the stub of the auth service signs with this";
/// More than any target keeps open; the next one waits.
const CONNECTIONS_MAX: usize = 256;
/// Scripts and counters kept; a run has fewer users.
const USERS_MAX: usize = 100_000;
/// A scripted delay beyond this would outlast every timeout that a target has.
const DELAY_MAX: Duration = Duration::from_secs(120);
/// A connection that sends no request by then is closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the stub says from now on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The status; `None`: 200 for a good token and 401 for a bad one.
    pub status: Option<u16>,
    /// The user in `x-user-payload`; `None`: the token's.
    pub user: Option<Value>,
    /// How long it waits before it answers.
    pub delay: Duration,
}

#[derive(Debug, Default)]
struct Script {
    everybody: Option<Answer>,
    by_user: HashMap<String, Answer>,
    calls: HashMap<String, u64>,
}

#[derive(Debug)]
struct Shared {
    names: ClaimNames,
    script: Mutex<Script>,
}

/// The running stub. It ends with its last handle.
#[derive(Debug, Clone)]
pub struct AuthStubHandle {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Arc<Server>,
}

#[derive(Debug)]
struct Server(AbortHandle);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl AuthStubHandle {
    /// Starts it on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(names: ClaimNames) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { names, script: Mutex::default() });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, server: Arc::new(Server(server)) })
    }

    /// Its base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who makes the tokens that it accepts.
    #[must_use]
    pub fn tokens(&self) -> TokenMaker {
        TokenMaker::new(STUB_SECRET, Hmac::HS256, self.shared.names.clone())
    }

    /// Scripts what it says about one user (by id), or about everybody without a script of his own, from here on.
    pub fn answer(&self, user: Option<&str>, answer: Answer) {
        let mut script = self.shared.script();
        match user {
            None => script.everybody = Some(answer),
            Some(id) if script.by_user.len() < USERS_MAX => drop(script.by_user.insert(id.to_owned(), answer)),
            Some(_) => {}
        }
    }

    /// Forgets what was scripted for one user, or for everybody.
    pub fn forget(&self, user: Option<&str>) {
        let mut script = self.shared.script();
        match user {
            None => script.everybody = None,
            Some(id) => drop(script.by_user.remove(id)),
        }
    }

    /// How often it was asked about this user.
    #[must_use]
    pub fn calls(&self, user: &str) -> u64 {
        self.shared.script().calls.get(user).copied().unwrap_or(0)
    }

    /// Ends it now, although handles are left.
    pub fn stop(&self) {
        self.server.0.abort();
    }
}

impl Shared {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user that a token speaks for, if it is good; his id even if it has expired, so that a script can mean him.
    fn read_token(&self, token: &str) -> (Option<String>, Option<Value>) {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        let key = DecodingKey::from_secret(STUB_SECRET.as_bytes());
        let good = decode::<Map<String, Value>>(token, &key, &rules).ok().map(|data| data.claims);
        rules.validate_exp = false;
        let claims = decode::<Map<String, Value>>(token, &key, &rules).ok().map(|data| data.claims);
        let id = claims.as_ref().and_then(|claims| self.user_id(claims));
        let user = good.as_ref().and_then(|claims| {
            let id = self.user_id(claims)?;
            let name = claims.get(self.names.username.as_deref().unwrap_or("username"))?;
            Some(json!({"userId": id, "id": id, "username": name, "email": claims.get("email")}))
        });
        (id, user)
    }

    fn user_id(&self, claims: &Map<String, Value>) -> Option<String> {
        let names = [
            self.names.user_id.as_deref().unwrap_or("userId"),
            self.names.id.as_deref().unwrap_or("id"),
            self.names.sub.as_deref().unwrap_or("sub"),
        ];
        names.into_iter().find_map(|name| claims.get(name)?.as_str().map(str::to_owned))
    }

    /// What to say about this token, and after how long.
    fn decide(&self, token: &str) -> (Duration, u16, Option<Value>) {
        let (id, user) = self.read_token(token);
        let mut script = self.script();
        if let Some(id) = &id
            && (script.calls.contains_key(id) || script.calls.len() < USERS_MAX)
        {
            *script.calls.entry(id.clone()).or_default() += 1;
        }
        let scripted =
            id.and_then(|id| script.by_user.get(&id)).or(script.everybody.as_ref()).cloned().unwrap_or_default();
        let status = scripted.status.unwrap_or(if user.is_some() { 200 } else { 401 });
        let user = if (200..300).contains(&status) { scripted.user.or(user) } else { None };
        (scripted.delay.min(DELAY_MAX), status, user)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let mut http = hyper::server::conn::http1::Builder::new();
            let _gone = http
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(permit);
        });
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != VERIFY_PATH {
        return Ok(plain(StatusCode::NOT_FOUND, &json!({"message": "no such path"}), None));
    }
    if request.method() != http::Method::GET {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, &json!({"message": "ask with GET"}), None));
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = token
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or(token, |(_, token)| token)
        .trim();
    let (delay, status, user) = shared.decide(token);
    tokio::time::sleep(delay).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body =
        json!({"success": status.is_success(), "message": if status.is_success() { "valid" } else { "not valid" }});
    Ok(plain(status, &body, user.as_ref()))
}

fn plain(status: StatusCode, body: &Value, user: Option<&Value>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Some(user) = user.and_then(|user| header::HeaderValue::from_str(&ascii_json(user)).ok()) {
        response.headers_mut().insert(USER_HEADER, user);
    }
    response
}

/// JSON in a header must be ASCII: everything else is escaped, which JSON allows.
fn ascii_json(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http_body_util::Empty;
    use tokio::net::TcpStream;

    use super::*;
    use crate::tokens::{Key, TokenOrder, User};

    async fn stub() -> AuthStubHandle {
        AuthStubHandle::start(ClaimNames::default()).await.expect("a free port")
    }

    fn user() -> User {
        User { id: "u1".into(), name: "Zoë 🙂".into() }
    }

    async fn ask(stub: &AuthStubHandle, authorization: &str) -> (u16, Option<Value>) {
        let stream = TcpStream::connect(stub.address()).await.expect("it listens");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("http");
        tokio::spawn(connection);
        let request = Request::get(VERIFY_PATH)
            .header("host", "stub")
            .header("authorization", authorization)
            .body(Empty::<Bytes>::new())
            .expect("request");
        let answer = sender.send_request(request).await.expect("an answer");
        let user =
            answer.headers().get(USER_HEADER).map(|h| serde_json::from_str(h.to_str().expect("ascii")).expect("json"));
        (answer.status().as_u16(), user)
    }

    #[tokio::test]
    async fn a_good_token_is_answered_with_its_user() {
        let stub = stub().await;
        let token = stub.tokens().valid(&user());
        for authorization in [token.clone(), format!("Bearer {token}"), format!("bearer {token}")] {
            let (status, found) = ask(&stub, &authorization).await;
            assert_eq!(status, 200);
            let found = found.expect("a user");
            assert_eq!((&found["userId"], &found["username"]), (&json!("u1"), &json!("Zoë 🙂")));
        }
        assert_eq!(stub.calls("u1"), 3);
    }

    #[tokio::test]
    async fn bad_tokens_are_answered_with_401_and_nobody() {
        let stub = stub().await;
        let expired = stub.tokens().make(&user(), &TokenOrder { expires_in_secs: Some(-2), ..TokenOrder::default() });
        let foreign = stub.tokens().make(&user(), &TokenOrder { key: Key::Other, ..TokenOrder::default() });
        for token in [expired.as_str(), foreign.as_str(), "nonsense", ""] {
            assert_eq!(ask(&stub, token).await, (401, None), "{token}");
        }
    }

    #[tokio::test]
    async fn a_script_decides_for_one_user_and_is_forgotten_again() {
        let stub = stub().await;
        let token = stub.tokens().valid(&user());
        let other = stub.tokens().valid(&User { id: "u2".into(), name: "Bob".into() });
        stub.answer(Some("u1"), Answer { status: Some(503), ..Answer::default() });
        assert_eq!(ask(&stub, &token).await, (503, None));
        assert_eq!(ask(&stub, &other).await.0, 200);
        stub.answer(Some("u1"), Answer { user: Some(json!({"id": "x"})), ..Answer::default() });
        assert_eq!(ask(&stub, &token).await, (200, Some(json!({"id": "x"}))));
        stub.answer(None, Answer { status: Some(500), ..Answer::default() });
        assert_eq!(ask(&stub, &other).await.0, 500);
        stub.forget(Some("u1"));
        stub.forget(None);
        assert_eq!(ask(&stub, &token).await.0, 200);
    }

    #[tokio::test]
    async fn a_scripted_delay_is_kept() {
        let stub = stub().await;
        let token = stub.tokens().valid(&user());
        stub.answer(Some("u1"), Answer { delay: Duration::from_millis(150), ..Answer::default() });
        let began = Instant::now();
        assert_eq!(ask(&stub, &token).await.0, 200);
        assert!(began.elapsed() >= Duration::from_millis(150));
    }

    #[tokio::test]
    async fn it_ends_with_its_last_handle() {
        let stub = stub().await;
        let address = stub.address();
        drop(stub.clone());
        assert!(TcpStream::connect(address).await.is_ok());
        drop(stub);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(TcpStream::connect(address).await.is_err());
    }
}
