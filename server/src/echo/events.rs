//! What each event of the echo application does, in terms of a socket: the same on every engine.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use chatwright_protocol::socket_io::Arg;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Bounds of what a client can ask for; more is cut to them.
const NUMBERS_MAX: u64 = 1000;
const BYTES_MAX: u64 = 1_000_000;
const DELAY_MAX: Duration = Duration::from_secs(10);

/// Answers of all clients that wait for their time; more are not given.
const DELAYS_MAX: usize = 10_000;
static DELAYS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(DELAYS_MAX)));

/// How long a question waits for answers, asked briefly and asked in a room.
const BRIEFLY: Duration = Duration::from_millis(200);
const IN_A_ROOM: Duration = Duration::from_secs(1);

/// Takes the answer to a question; `None`: none came in time.
pub(super) type Then = Box<dyn FnOnce(Option<Vec<Arg>>) + Send>;

/// Takes the answers of a room: whether all have answered, and each one's first argument.
pub(super) type ThenAll = Box<dyn FnOnce(bool, Vec<Arg>) + Send>;

/// Whom a broadcast reaches.
#[derive(Debug, Clone)]
pub(super) struct Audience {
    pub(super) rooms: Vec<String>,
    /// Who is in one of these hears nothing.
    pub(super) except: Vec<String>,
    /// Whether the sender hears it too.
    pub(super) oneself: bool,
}

impl Audience {
    /// Whether it reaches who is in these rooms.
    pub(super) fn reaches(&self, rooms: &[String]) -> bool {
        let is_in = |room: &String| rooms.contains(room);
        self.rooms.iter().any(is_in) && !self.except.iter().any(is_in)
    }
}

/// A client inside a namespace.
pub(super) trait Socket: Clone + Send + Sync + 'static {
    /// The way to acknowledge one event.
    type Reply: Send + 'static;

    /// The payload of its CONNECT.
    fn auth(&self) -> Value;
    /// Tells it something.
    fn emit(&self, event: &str, args: Vec<Arg>);
    /// Acknowledges an event of it.
    fn acknowledge(&self, reply: Self::Reply, args: Vec<Arg>);
    /// Asks it something; without `patience` for as long as it is there.
    fn ask(&self, event: &str, args: Vec<Arg>, patience: Option<Duration>, then: Then);
    /// Asks everybody in a room.
    fn ask_room(&self, room: &str, event: &str, args: Vec<Arg>, patience: Duration, then: ThenAll);
    /// Enters a room.
    fn join(&self, room: String);
    /// Leaves a room.
    fn leave(&self, room: &str);
    /// Tells others something, in the same namespace.
    fn broadcast(&self, audience: Audience, event: &str, args: Vec<Arg>);
    /// Calls itself so: the room `watch NAME` hears when it is gone.
    fn call_itself(&self, name: String);
    /// Is sent out of the namespace.
    fn send_away(&self);
    /// Is sent out of everything.
    fn close(&self);
}

/// What the room of those who watch this name is called.
pub(super) fn watchers(name: &str) -> String {
    format!("watch {name}")
}

/// What watchers hear.
pub(super) fn gone(name: &str, reason: &str) -> (&'static str, Vec<Arg>) {
    ("gone", vec![text(name), text(reason)])
}

/// Carries out one event.
pub(super) fn handle<S: Socket>(socket: &S, name: &str, args: Vec<Arg>, reply: Option<S::Reply>) {
    let mut args = args.into_iter();
    let acknowledge = |reply: Option<S::Reply>, args| {
        if let Some(reply) = reply {
            socket.acknowledge(reply, args);
        }
    };
    match name {
        "message" => socket.emit("message-back", args.collect()),
        "message-with-ack" => acknowledge(reply, args.collect()),
        "ack-later" => {
            let (delay, args, socket) = (delay(args.next()), args.collect(), socket.clone());
            if let Some(reply) = reply {
                later(delay, move || socket.acknowledge(reply, args));
            }
        }
        "auth" => socket.emit("auth-back", vec![Arg::Json(socket.auth())]),
        "count" => {
            (1..=number(args.next()).min(NUMBERS_MAX)).for_each(|n| socket.emit("number", vec![json!(n).into()]))
        }
        "later" => {
            let (delay, args, socket) = (delay(args.next()), args.collect(), socket.clone());
            later(delay, move || socket.emit("later-back", args));
        }
        "bytes" => send_bytes(socket, number(args.next()), reply),
        "length" => {
            let length = args.next().as_ref().and_then(Arg::as_binary).map(Bytes::len);
            acknowledge(reply, vec![json!(length).into()]);
        }
        "ask" | "ask-briefly" => ask(socket, name == "ask-briefly", args.collect()),
        "ask-room" => {
            let (room, asker) = (word(args.next()), socket.clone());
            let then = move |all, answers| {
                let all = if all { "all" } else { "not all" };
                asker.emit("answers", vec![text(all), Arg::array(answers)]);
            };
            socket.ask_room(&room, "question", args.collect(), IN_A_ROOM, Box::new(then));
        }
        "join" | "leave" => {
            let room = word(args.next());
            if name == "join" {
                socket.join(room)
            } else {
                socket.leave(&room)
            }
            acknowledge(reply, Vec::new());
        }
        "to" | "in" => {
            let audience = Audience { rooms: words(args.next()), except: Vec::new(), oneself: name == "in" };
            socket.broadcast(audience, "heard", args.collect());
        }
        "in-except" => {
            let audience = Audience { rooms: words(args.next()), except: words(args.next()), oneself: true };
            socket.broadcast(audience, "heard", args.collect());
        }
        "watch" => socket.join(watchers(&word(args.next()))),
        "call-me" => {
            socket.call_itself(word(args.next()));
            acknowledge(reply, Vec::new());
        }
        "send-me-away" => socket.send_away(),
        "close-me" => {
            args.for_each(|arg| socket.emit("message-back", vec![arg]));
            socket.close();
        }
        _ => {} // nobody listens to it
    }
}

fn send_bytes<S: Socket>(socket: &S, length: u64, reply: Option<S::Reply>) {
    let length = usize::try_from(length.min(BYTES_MAX)).unwrap_or_default();
    let bytes = vec![Arg::Binary(Bytes::from(vec![7; length]))];
    match reply {
        Some(reply) => socket.acknowledge(reply, bytes),
        None => socket.emit("bytes-back", bytes),
    }
}

fn ask<S: Socket>(socket: &S, is_brief: bool, args: Vec<Arg>) {
    let asker = socket.clone();
    let then = move |answer: Option<Vec<Arg>>| match answer {
        Some(_) if is_brief => asker.emit("answered", Vec::new()),
        Some(answer) => asker.emit("answered", answer),
        None => asker.emit("unanswered", Vec::new()),
    };
    socket.ask("question", args, is_brief.then_some(BRIEFLY), Box::new(then));
}

/// Does something later, unless too much is to be done later already.
pub(super) fn later(delay: Duration, act: impl FnOnce() + Send + 'static) {
    if let Ok(place) = Arc::clone(&DELAYS).try_acquire_owned() {
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            act();
            drop(place);
        });
    }
}

fn text(text: &str) -> Arg {
    Arg::Json(Value::from(text))
}

fn number(arg: Option<Arg>) -> u64 {
    arg.and_then(Arg::into_json).and_then(|value| value.as_u64()).unwrap_or_default()
}

fn delay(arg: Option<Arg>) -> Duration {
    Duration::from_millis(number(arg)).min(DELAY_MAX)
}

/// A name that is no text counts as its JSON.
fn word(arg: Option<Arg>) -> String {
    match arg.and_then(Arg::into_json) {
        Some(Value::String(word)) => word,
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn words(arg: Option<Arg>) -> Vec<String> {
    match arg {
        Some(Arg::Json(Value::Array(items))) => items.into_iter().map(|item| word(Some(Arg::Json(item)))).collect(),
        other => vec![word(other)],
    }
}
