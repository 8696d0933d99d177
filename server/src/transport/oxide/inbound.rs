//! Events of one client in the order sent. `socketioxide` spawns a task per event, which loses the order; an extractor runs before the
//! spawn and in order, so it is the extractor that queues.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use chatwright_protocol::dialects::AppPacket;
use serde_json::Value as Json;
use socketioxide::{
    adapter::Adapter,
    extract::AckSender,
    handler::{FromMessage, FromMessageParts},
    socket::Socket,
};
use socketioxide_core::Value;
use tokio::sync::mpsc;

use crate::{
    connection::{Acknowledgement, Inbox, Incoming, Reply, Request},
    transport::{CannotTake, EndReason},
};

/// The writing end, kept in the socket's extensions.
#[derive(Clone)]
pub(super) struct Funnel {
    shared: Arc<Shared>,
    events_bytes_max: usize,
}

struct Shared {
    sender: Mutex<Option<mpsc::Sender<RawEvent>>>,
    bytes: AtomicUsize,
    ended: OnceLock<EndReason>,
    /// The client was inside at some time.
    entered: AtomicBool,
}

struct RawEvent {
    value: Value,
    reply: Option<Reply>,
}

/// The reading end, owned by the driver.
pub(super) struct Queue {
    receiver: mpsc::Receiver<RawEvent>,
    shared: Arc<Shared>,
}

impl Funnel {
    pub(super) fn new(events_max: usize, events_bytes_max: usize) -> (Self, Queue) {
        let (sender, receiver) = mpsc::channel(events_max);
        let shared = Arc::new(Shared {
            sender: Mutex::new(Some(sender)),
            bytes: AtomicUsize::new(0),
            ended: OnceLock::new(),
            entered: AtomicBool::new(false),
        });
        (Self { shared: Arc::clone(&shared), events_bytes_max }, Queue { receiver, shared })
    }

    /// No more comes: the driver takes what waits and ends with this reason. The first reason counts.
    pub(super) fn close(&self, reason: EndReason) {
        let _ = self.shared.ended.set(reason);
        self.shared.sender.lock().expect("no code panics while it holds the sender").take();
    }

    /// The engine's connect handler has run.
    pub(super) fn entered(&self) {
        self.shared.entered.store(true, Ordering::Release);
    }

    /// Whether an event counts, given that the engine calls its socket `connected`. The engine says no in two cases: for a moment after
    /// the CONNECT answer is out, when a quick client's first events come already; and after DISCONNECT, when events still come until its
    /// handler has run, and must have no effect.
    fn is_in(&self, connected: bool) -> bool {
        if connected {
            self.entered();
        }
        connected || !self.shared.entered.load(Ordering::Acquire)
    }

    fn put(&self, event: RawEvent) {
        let bytes = size(&event.value);
        let waiting = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let sender = self.shared.sender.lock().expect("no code panics while it holds the sender").clone();
        let Some(sender) = sender else { return };
        if waiting > self.events_bytes_max || sender.try_send(event).is_err() {
            // It cannot be pushed back on the sender, and dropping one event in silence would be worse than the end.
            self.close(EndReason::TooManyRequests);
        }
    }
}

impl Inbox for Queue {
    async fn next(&mut self) -> Option<Incoming> {
        if self.shared.ended.get() == Some(&EndReason::TooManyRequests) {
            return None;
        }
        let event = self.receiver.recv().await?;
        self.shared.bytes.fetch_sub(size(&event.value), Ordering::Relaxed);
        let Some(packet) = packet(&event.value) else {
            let _ = self.shared.ended.set(EndReason::ProtocolViolation);
            return None;
        };
        Some(Incoming { request: Request::Packet(packet), reply: event.reply })
    }

    fn end_reason(&self) -> EndReason {
        self.shared.ended.get().copied().unwrap_or(EndReason::TransportClosed)
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Str(text, attachments) => {
            text.as_str().len() + attachments.iter().flatten().map(bytes::Bytes::len).sum::<usize>()
        }
        Value::Bytes(bytes) => bytes.len(),
    }
}

/// Names that mean something to the clients' libraries and never come from an honest one.
const RESERVED: &[&str] = &["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// An event's data is a JSON array whose first element is the name, a string or a number. `None`: the client breaks the protocol, by other
/// data, by a reserved name, or by a placeholder for an attachment that is not there.
///
/// Attachments stay placeholders: no dialect here takes any, so its decoder refuses them as values of the wrong type.
fn packet(value: &Value) -> Option<AppPacket> {
    let Value::Str(text, attachments) = value else { return None };
    let mut items = serde_json::from_str::<Vec<Json>>(text.as_str()).ok()?.into_iter();
    let name = match items.next()? {
        Json::String(name) => name,
        Json::Number(name) => name.to_string(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return None,
    };
    let args: Vec<Json> = items.collect();
    let attachments = attachments.as_ref().map_or(0, std::collections::VecDeque::len);
    let is_fine = !RESERVED.contains(&name.as_str()) && args.iter().all(|arg| placeholders_fit(arg, attachments));
    is_fine.then_some(AppPacket::Event { name, args })
}

fn placeholders_fit(value: &Json, attachments: usize) -> bool {
    match value {
        Json::Object(fields) if fields.get("_placeholder") == Some(&Json::Bool(true)) => {
            fields.get("num").and_then(Json::as_u64).is_some_and(|num| num < attachments as u64)
        }
        Json::Object(fields) => fields.values().all(|field| placeholders_fit(field, attachments)),
        Json::Array(items) => items.iter().all(|item| placeholders_fit(item, attachments)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}

/// The extractor. It always "fails", after it has queued the event: so the engine spawns no task that would have nothing to do.
pub(super) struct Queued;

/// See [`Queued`].
#[derive(Debug)]
pub(super) struct AlreadyQueued;

impl fmt::Display for AlreadyQueued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event is queued; there is nothing left to do")
    }
}

impl std::error::Error for AlreadyQueued {}

impl<A: Adapter> FromMessage<A> for Queued {
    type Error = AlreadyQueued;

    fn from_message(socket: Arc<Socket<A>>, mut value: Value, ack_id: Option<i64>) -> Result<Self, AlreadyQueued> {
        if let Some(funnel) = socket.extensions.get::<Funnel>()
            && funnel.is_in(socket.connected())
        {
            let reply = ack_id.and_then(|_| reply(&socket, &mut value, ack_id));
            funnel.put(RawEvent { value, reply });
        }
        Err(AlreadyQueued)
    }
}

fn reply<A: Adapter>(socket: &Arc<Socket<A>>, value: &mut Value, ack_id: Option<i64>) -> Option<Reply> {
    let sender = AckSender::<A>::from_message_parts(socket, value, &ack_id).ok()?;
    Some(Box::new(move |acknowledgement: &Acknowledgement| {
        sender.send(acknowledgement).map_err(|problem| super::outbound::cannot_take(&problem))
    }) as Box<dyn FnOnce(&Acknowledgement) -> Result<(), CannotTake> + Send>)
}
