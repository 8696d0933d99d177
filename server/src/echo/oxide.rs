//! The echo application on the ecosystem's engine, as its users write one: the library's own namespaces, rooms, broadcasts and
//! acknowledgements, so that what is judged is the library.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use chatwright_protocol::socket_io::Arg;
use futures_util::{FutureExt as _, StreamExt};
use serde_json::{Map, Value as Json, json};
use socketioxide::{
    AckError, SocketIo,
    adapter::LocalAdapter,
    extract::{AckSender, SocketRef, TryData},
    handler::{ConnectHandler as _, FromMessage, FromMessageParts},
    service::SocketIoService,
    socket::{DisconnectReason, Socket as RawSocket},
};
use socketioxide_core::Value;
use tokio::sync::mpsc;

use super::{
    door::{self, Admission},
    events::{self, Audience, Socket, Then, ThenAll},
    hub::lock,
    values::{Args, Everything},
};
use crate::transport::{
    EngineRules,
    oxide::{self, Elsewhere},
};

/// Namespaces beside the dynamic ones, which the library finds by pattern.
const NAMESPACES: [&str; 6] = ["/", "/custom", "/slow", "/greeting", "/guarded", "/refused"];
const DYNAMIC: &str = "/dynamic-{n}";

/// Events that wait for their turn; more are dropped.
const WAITING_MAX: usize = 8192;

/// Between our yes and the library's CONNECT answer lie microseconds, unless the client is gone; before, the library sends it nothing.
const ENTRY_MAX: Duration = Duration::from_millis(200);
const ENTRY_LOOK: Duration = Duration::from_millis(1);

/// How long a question without a limit is waited for.
const PATIENCE_MAX: Duration = Duration::from_secs(600);

/// How long the engine may take to close.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// The application at one path.
#[derive(Clone)]
pub(super) struct Echo {
    io: SocketIo,
    service: SocketIoService<Elsewhere>,
}

impl Echo {
    pub(super) fn new(path: &'static str, rules: EngineRules) -> Self {
        let (service, io) = oxide::builder(path, &rules).ack_timeout(PATIENCE_MAX).build_with_inner_svc(Elsewhere);
        // One queue for all, because one client's events are in order over all of its namespaces.
        let (line, waiting) = mpsc::channel(WAITING_MAX);
        let let_in = move |socket: SocketRef, io: SocketIo, auth: TryData<Json>| let_in(line.clone(), socket, io, auth);
        for namespace in NAMESPACES {
            let () = io.ns(namespace, entered.with(let_in.clone()));
        }
        io.dyn_ns(DYNAMIC, entered.with(let_in)).expect("the pattern is one");
        tokio::spawn(serve(waiting));
        Self { io, service }
    }

    pub(super) fn service(&self) -> SocketIoService<Elsewhere> {
        self.service.clone()
    }

    pub(super) async fn close(&self, limit: Duration) {
        let _ = tokio::time::timeout(CLOSE_MAX.min(limit), self.io.close()).await; // who does not read is cut by the listener
    }
}

/// The message of a CONNECT_ERROR: the library sends nothing beside it.
#[derive(Debug)]
struct Refused(&'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Runs before the CONNECT answer, so that nothing is lost that comes right behind it.
async fn let_in(line: mpsc::Sender<Said>, socket: SocketRef, io: SocketIo, auth: TryData<Json>) -> Result<(), Refused> {
    let auth = match auth.0 {
        Ok(Json::Object(auth)) => auth,
        Ok(_) | Err(_) => Map::new(),
    };
    match door::knock(socket.ns(), &auth) {
        Admission::Refused(message, _) => return Err(Refused(message)),
        Admission::Later => tokio::time::sleep(door::SLOW).await,
        Admission::Now => {}
    }
    let client = OxideSocket { socket: socket.clone(), io, auth: Arc::new(auth), names: Arc::default() };
    let leaver = Line { line, client };
    socket.extensions.insert(leaver.clone());
    socket.on_fallback(async |_: Queued| ());
    socket.on_disconnect(async move |reason: DisconnectReason| leaver.put(What::Gone(words(reason))));
    Ok(())
}

async fn entered(socket: SocketRef) {
    if let Some(line) = socket.extensions.get::<Line>() {
        line.put(What::Entered);
    }
}

/// What a client has said.
struct Said {
    client: OxideSocket,
    what: What,
}

enum What {
    Entered,
    Event { name: String, args: Vec<Arg>, reply: Option<AckSender> },
    Gone(&'static str),
}

/// Where a client's events go.
#[derive(Clone)]
struct Line {
    line: mpsc::Sender<Said>,
    client: OxideSocket,
}

impl Line {
    fn put(&self, what: What) {
        let _ = self.line.try_send(Said { client: self.client.clone(), what }); // too many wait, or it is over
    }
}

/// Takes all clients' events one after the other.
async fn serve(mut waiting: mpsc::Receiver<Said>) {
    while let Some(Said { client, what }) = waiting.recv().await {
        match what {
            What::Entered => {
                let numbers = door::greetings(client.socket.ns()).iter();
                numbers.for_each(|n| client.emit("greeting", vec![json!(n).into()]));
            }
            What::Event { name, args, reply } => {
                client.until_inside().await;
                events::handle(&client, &name, args, reply);
            }
            What::Gone(reason) => {
                let names = std::mem::take(&mut *lock(&client.names));
                for name in names {
                    let (event, args) = events::gone(&name, reason);
                    let audience = Audience { rooms: vec![events::watchers(&name)], except: Vec::new(), oneself: true };
                    client.broadcast(audience, event, args);
                }
            }
        }
    }
}

/// An extractor that queues the event, because the library gives each event a task of its own and so loses their order. It always
/// "fails": there is nothing left to do.
struct Queued;

/// See [`Queued`].
#[derive(Debug, thiserror::Error)]
#[error("the event is queued; there is nothing left to do")]
struct AlreadyQueued;

impl FromMessage<LocalAdapter> for Queued {
    type Error = AlreadyQueued;

    fn from_message(
        socket: Arc<RawSocket<LocalAdapter>>,
        mut value: Value,
        ack_id: Option<i64>,
    ) -> Result<Self, AlreadyQueued> {
        let name = match &value {
            Value::Str(text, _) => serde_json::from_str::<Vec<Json>>(text.as_str()).ok().and_then(|items| name(&items)),
            Value::Bytes(_) => None,
        };
        let args = TryData::<Everything>::from_message_parts(&socket, &mut value, &ack_id);
        let line = socket.extensions.get::<Line>();
        if let (Some(name), Ok(TryData(Ok(Everything(args)))), Some(line)) = (name, args, line) {
            let reply = ack_id.and_then(|_| AckSender::from_message_parts(&socket, &mut value, &ack_id).ok());
            line.put(What::Event { name, args, reply });
        }
        Err(AlreadyQueued)
    }
}

fn name(items: &[Json]) -> Option<String> {
    match items.first()? {
        Json::String(name) => Some(name.clone()),
        Json::Number(name) => Some(name.to_string()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn words(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::TransportClose => "transport close",
        DisconnectReason::TransportError => "transport error",
        DisconnectReason::HeartbeatTimeout => "ping timeout",
        DisconnectReason::ClientNSDisconnect => "client namespace disconnect",
        DisconnectReason::ServerNSDisconnect => "server namespace disconnect",
        DisconnectReason::ClosingServer => "server shutting down",
        DisconnectReason::MultipleHttpPollingError | DisconnectReason::PacketParsingError => "parse error",
    }
}

/// A client inside a namespace.
#[derive(Clone)]
struct OxideSocket {
    socket: SocketRef,
    io: SocketIo,
    auth: Arc<Map<String, Json>>,
    names: Arc<Mutex<Vec<String>>>,
}

impl OxideSocket {
    /// Waits until the library says that it is inside.
    async fn until_inside(&self) {
        let until = tokio::time::Instant::now() + ENTRY_MAX;
        while !self.socket.connected() && tokio::time::Instant::now() < until {
            tokio::time::sleep(ENTRY_LOOK).await;
        }
    }
}

impl Socket for OxideSocket {
    type Reply = AckSender;

    fn auth(&self) -> Json {
        Json::Object(self.auth.as_ref().clone())
    }

    fn emit(&self, event: &str, args: Vec<Arg>) {
        let _ = self.socket.emit(event, &Args(&args)); // it is gone, or does not read
    }

    fn acknowledge(&self, reply: AckSender, args: Vec<Arg>) {
        let _ = reply.send(&Args(&args));
    }

    fn ask(&self, event: &str, args: Vec<Arg>, patience: Option<Duration>, then: Then) {
        let patience = patience.unwrap_or(PATIENCE_MAX);
        if let Ok(answer) = self.socket.timeout(patience).emit_with_ack::<_, Everything>(event, &Args(&args)) {
            tokio::spawn(async move {
                match answer.await {
                    Ok(Everything(answer)) => then(Some(answer)),
                    Err(AckError::Timeout) => then(None),
                    Err(AckError::Decode(_) | AckError::Socket(_)) => {}
                }
            });
        }
    }

    fn ask_room(&self, room: &str, event: &str, args: Vec<Arg>, patience: Duration, then: ThenAll) {
        let room = self.socket.within(room.to_owned()).timeout(patience);
        let event = event.to_owned();
        tokio::spawn(async move {
            let args = Args(&args);
            let asked = room.emit_with_ack::<_, Everything>(event, &args);
            let Ok(answers) = asked.await else { return };
            let answers: Vec<_> = StreamExt::map(answers, |(_, answer)| answer.ok()).collect().await;
            let all = answers.iter().all(Option::is_some);
            let first = |Everything(answer): Everything| answer.into_iter().next().unwrap_or(Arg::Json(Json::Null));
            then(all, answers.into_iter().flatten().map(first).collect());
        });
    }

    fn join(&self, room: String) {
        self.socket.join(room);
    }

    fn leave(&self, room: &str) {
        self.socket.leave(room.to_owned());
    }

    fn broadcast(&self, audience: Audience, event: &str, args: Vec<Arg>) {
        let Audience { rooms, except, oneself } = audience;
        let namespace = self.io.of(self.socket.ns());
        let whom = if oneself { namespace.map(|all| all.within(rooms)) } else { Some(self.socket.to(rooms)) };
        if let Some(whom) = whom {
            // The local adapter has nothing to wait for.
            let _ = whom.except(except).emit(event, &Args(&args)).now_or_never();
        }
    }

    fn call_itself(&self, name: String) {
        lock(&self.names).push(name);
    }

    fn send_away(&self) {
        let _ = self.socket.clone().disconnect();
    }

    /// The library ends one namespace; it has no way to end the connection.
    fn close(&self) {
        let _ = self.socket.clone().disconnect();
    }
}
