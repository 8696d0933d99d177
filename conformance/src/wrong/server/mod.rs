//! A small server of `rooms`, by hand from the frames up, so that it can be wrong where no library would let it. Without a
//! misbehaviour it keeps what the cases ask of the layers below the dialect, and enough of the dialect to talk over them.
//!
//! `http.rs` answers requests; `websocket.rs` reads and writes frames; `session.rs` is Engine.IO; `socket_io.rs` is Socket.IO;
//! `hub.rs` knows who is in which room. Each misbehaviour is one `if` at the place that it is about.

mod http;
mod hub;
mod session;
mod socket_io;
mod websocket;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rand::{TryRngCore, rngs::OsRng};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

use self::{hub::Hub, session::Session};
use crate::{
    target::{FileError, Instance, Target, TargetFile},
    tokens::{ClaimNames, Hmac, TokenMaker},
};

/// It verifies tokens with this, and says so in its target file: it guards nothing.
const SECRET: &str = "a secret of the small wrong server";
const PING_INTERVAL: Duration = Duration::from_millis(500);
const PING_TIMEOUT: Duration = Duration::from_millis(1000);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);
/// As Engine.IO servers announce it.
const PAYLOAD_BYTES_MAX: usize = 1_000_000;
/// Open TCP connections; the next one waits.
const CONNECTIONS_MAX: usize = 4096;

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misbehaviour {
    /// Nothing.
    None,
    /// Requests with an unknown session id are answered 200.
    UnknownSidAccepted,
    /// A successful POST is answered with an empty body.
    PostNotOk,
    /// A second GET at the same time is let wait as well.
    TwoPollsAccepted,
    /// It never pings.
    NoPings,
    /// It pings four times as often as it announces.
    PingsTooEarly,
    /// Who answers no ping is kept.
    NeverTimesOut,
    /// Who answers pings is dropped all the same after the second one.
    TimesOutEarly,
    /// The probe of an upgrade is not answered.
    ProbeUnanswered,
    /// A pending poll gets no noop while an upgrade is under way.
    PollNotReleased,
    /// What was buffered for polling is lost by the upgrade.
    UpgradeLoses,
    /// What was sent over polling is sent again after the upgrade.
    UpgradeRepeats,
    /// A second WebSocket takes over an open session.
    SecondWebsocketAccepted,
    /// Polling goes on to work after the upgrade.
    PollingAfterUpgrade,
    /// Packets that are none are ignored.
    GarbageIgnored,
    /// A packet that is none ends the sessions of everybody.
    GarbageKills,
    /// Events are handled without CONNECT.
    NoConnectNeeded,
    /// A session that never enters a namespace is kept.
    NoConnectTimeout,
    /// CONNECT to any namespace is accepted.
    AnyNamespace,
    /// The CONNECT answer holds no `sid`.
    ConnectWithoutSid,
    /// The CONNECT answer shows the Engine.IO session id.
    ConnectShowsEngineSid,
    /// DISCONNECT changes nothing.
    DisconnectIgnored,
    /// No event is acknowledged.
    AckMissing,
    /// Each is acknowledged twice.
    AckTwice,
    /// It is acknowledged under the next id.
    AckWrongId,
    /// Two events that arrive together are handled in reverse.
    EventsOutOfOrder,
    /// Frames of a client without a mask are accepted.
    UnmaskedAccepted,
    /// Frames of the server are masked.
    MasksItsFrames,
    /// Reserved bits are ignored.
    RsvAccepted,
    /// Reserved opcodes are ignored.
    OpcodeAccepted,
    /// Fragmented control frames are accepted.
    ControlFragmentsAccepted,
    /// Text that is no UTF-8 is read with replacement characters.
    InvalidUtf8Accepted,
    /// A close frame is answered by cutting the connection.
    CloseNotEchoed,
    /// A close frame with a code that must not be sent is echoed.
    CloseCodesUnchecked,
    /// WebSocket pings are not answered.
    PongMissing,
    /// WebSocket pongs do not hold what the ping held.
    PongEmpty,
    /// A WebSocket handshake of another version is accepted.
    VersionUnchecked,
    /// `Sec-WebSocket-Accept` is wrong.
    AcceptKeyWrong,
}

/// Starts it on a free port.
pub(super) async fn start(misbehaviour: Misbehaviour) -> io::Result<Target> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let file = target_file(&url).map_err(io::Error::other)?;
    let house =
        Arc::new(House { misbehaviour, sessions: Mutex::default(), hub: Mutex::default(), last_id: AtomicU64::new(0) });
    let server = tokio::spawn(accept(listener, house)).abort_handle();
    let instance = Instance::new(1, BTreeMap::from([("socket".to_owned(), url)]));
    let tokens = TokenMaker::new(SECRET, Hmac::HS256, ClaimNames::default());
    let mut target = Target::attached(&file, vec![instance], None, (Some(tokens), None));
    target.keep(AbortOnDrop(server));
    Ok(target)
}

fn target_file(url: &str) -> Result<TargetFile, FileError> {
    let ms = |clock: Duration| format!("{}ms", clock.as_millis());
    let text = format!(
        "name = \"the small wrong server\"\ndialect = \"rooms\"\n[[instance]]\nsocket = \"{url}\"\n[auth]\njwt_secret = \"{SECRET}\"\n\
         [timing]\nping_interval = \"{}\"\nping_timeout = \"{}\"\nconnect_timeout = \"{}\"\n",
        ms(PING_INTERVAL),
        ms(PING_TIMEOUT),
        ms(CONNECT_TIMEOUT),
    );
    TargetFile::parse(Path::new("small-wrong-server"), &text)
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Everything that its connections share.
struct House {
    misbehaviour: Misbehaviour,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    hub: Mutex<Hub>,
    last_id: AtomicU64,
}

impl House {
    fn is(&self, misbehaviour: Misbehaviour) -> bool {
        self.misbehaviour == misbehaviour
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self, sid: &str) -> Option<Arc<Session>> {
        self.sessions().get(sid).cloned()
    }

    /// A number that nobody has had.
    fn number(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The secret id of a session.
    fn session_id(&self) -> io::Result<String> {
        let mut bytes = [0; 15];
        OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Ends a session: its rooms hear of it, its transports close, its id is forgotten.
    fn end(&self, session: &Arc<Session>) {
        self.sessions().remove(&session.sid);
        self.hub().disconnect(session.number);
        session.close();
    }

    fn end_all(&self) {
        let all: Vec<_> = self.sessions().values().cloned().collect();
        all.iter().for_each(|session| self.end(session));
    }
}

async fn accept(listener: TcpListener, house: Arc<House>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let house = Arc::clone(&house);
        connections.spawn(async move {
            let _late = stream.set_nodelay(true);
            let upgraded = Arc::new(Mutex::new(JoinSet::new()));
            let tasks = Arc::clone(&upgraded);
            let service = service_fn(move |request| http::answer(request, Arc::clone(&house), Arc::clone(&tasks)));
            let http = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _gone = http.with_upgrades().await;
            let mut tasks = std::mem::take(&mut *upgraded.lock().unwrap_or_else(PoisonError::into_inner));
            while tasks.join_next().await.is_some() {}
            drop(permit);
        });
    }
}
