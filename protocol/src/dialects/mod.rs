//! The dialects: one folder each, translating both ways between application packets and the vocabulary.
//!
//! `server` modules turn what a client sent into a [`Command`] and an [`Event`] into what the client reads; `client` modules do the
//! reverse for bots. Adding a dialect: a folder here and a line in [`ALL`].

pub mod conversations;
pub mod direct;
pub mod gateway;
pub mod rooms;
pub mod sessions;
mod spoken;

use std::time::Duration;

use serde_json::Value;

use crate::vocabulary::{Command, Event, Message, Refusal, RoomId, UserId};
pub use spoken::Spoken;

/// What a dialect says on its carrier, one layer above the Socket.IO codec.
#[derive(Debug, Clone, PartialEq)]
pub enum AppPacket {
    /// A Socket.IO event with its arguments.
    Event {
        /// Event name.
        name: String,
        /// Arguments after the name.
        args: Vec<Value>,
    },
    /// One JSON text frame of a raw WebSocket dialect.
    Json(Value),
}

impl AppPacket {
    /// A Socket.IO event with one argument.
    #[must_use]
    pub fn event(name: &str, arg: Value) -> Self {
        Self::Event { name: name.to_owned(), args: vec![arg] }
    }
}

/// What carries a dialect's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// Socket.IO v5 over Engine.IO v4: WebSocket, long polling and the upgrade between them.
    SocketIo,
    /// JSON text frames over RFC 6455.
    WebSocket,
}

/// How a client learns that its message was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confirmation {
    /// It receives its own message like everybody else.
    Echo,
    /// The acknowledgement of its event.
    Ack,
    /// An event of its own.
    Event,
    /// Never.
    None,
}

/// What a client can do after it was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CatchUp {
    /// Read the history and take what it has not seen.
    History,
    /// Nothing: only what is sent while it is connected arrives.
    LiveOnly,
}

/// How a client names whom it talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Addressing {
    /// It joins rooms and talks to them.
    Rooms,
    /// It joins one room at a time, and what it says goes there.
    OneRoom,
    /// It names one other user; their conversation needs no joining.
    OneUser,
    /// It names the other users; their conversation needs no joining, and its id is learned from the first message.
    Users,
}

/// How a client learns that it has entered a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// `History` and then `Members` come, whatever they hold.
    HistoryAndMembers,
    /// `Members` comes if somebody else is there; to be alone is told by nothing but a positive acknowledgement, if the server gives any.
    MembersIfAny,
    /// By nothing but a positive acknowledgement, if the server gives any.
    Nothing,
    /// There is nothing to enter.
    NotNeeded,
}

/// When a client says who it is with [`Command::Authenticate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Introduction {
    /// Never: a token says so, or each payload.
    Never,
    /// Without a token.
    Open,
    /// On each connection.
    Always,
}

/// How a client reads what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HistorySource {
    /// It comes with a join; [`ClientSide::history`] reads more.
    Join,
    /// Over HTTP, by [`ClientSide::history`].
    Rest,
    /// By [`Command::LoadHistory`], which [`Event::History`] answers.
    Request,
    /// By the same, which is an extension: a server need not know it.
    Extension,
    /// Not at all.
    None,
}

/// What the SDK, the simulator and the load tester may rely on; read from here, never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// How a send is confirmed.
    pub confirmation: Confirmation,
    /// How a client catches up, as the dialect's document has it: extensions do not count.
    pub catch_up: CatchUp,
    /// Whether all members of a room see the same order (else only each sender's own order holds).
    pub room_order: bool,
    /// Whom a client names.
    pub addressing: Addressing,
    /// How a join is answered.
    pub entry: Entry,
    /// When a client introduces itself.
    pub introduction: Introduction,
    /// Where the past is read.
    pub history: HistorySource,
}

/// One dialect: its name, its carrier, its policy, its two translations.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The name on command lines and in files.
    pub name: &'static str,
    /// What carries it.
    pub carrier: Carrier,
    /// The path of its carrier's end point.
    pub path: &'static str,
    /// The documented port.
    pub default_port: u16,
    /// The documented ports of its further listeners, by name (`rest`, `web`, ...).
    pub further_ports: &'static [(&'static str, u16)],
    /// What may be relied on.
    pub capabilities: Capabilities,
    /// What the chat core does differently for it.
    pub policy: Policy,
    /// The server's side.
    pub server: ServerSide,
    /// The client's side.
    pub client: ClientSide,
}

impl PartialEq for Dialect {
    /// A dialect is its name.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Dialect {}

/// Choices of a dialect that the chat core reads as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Whether clients say who they are and are believed, unless configuration demands proof.
    pub open_by_default: bool,
    /// Whether the sending connection receives its own message.
    pub echo_to_sender: bool,
    /// Whether `Send` and `Typing` need membership.
    pub members_only: bool,
    /// How many connections a user may have in the whole cluster.
    pub connections_per_user_max: usize,
}

/// The server's half of a dialect: pure functions.
#[derive(Debug, Clone, Copy)]
pub struct ServerSide {
    /// What a client's packet asks for; a refusal where the packet is not well-formed.
    pub decode: fn(&AppPacket) -> Result<Command, Refusal>,
    /// The same for a JSON text frame as it came, where it is exactly what most clients say most of the time: straight into its fields,
    /// which spares the tree of values. `None`: `decode` judges the frame.
    pub decode_text: Option<fn(&str) -> Option<Command>>,
    /// What the client reads for an event; `None` where the dialect has no words for it.
    pub encode: fn(&Event) -> Option<Spoken>,
    /// What the client reads when this packet of it was refused; `None` where the dialect has no words for it.
    pub refuse: fn(&AppPacket, &Refusal) -> Option<Spoken>,
}

/// The client's half of a dialect: pure functions.
#[derive(Debug, Clone, Copy)]
pub struct ClientSide {
    /// How a command is said; `None` where the dialect has no words for it.
    pub encode: fn(&Command) -> Option<AppPacket>,
    /// What a server's packet tells, given the room that the packet is about where it does not say so itself.
    pub decode: fn(&AppPacket) -> Result<Event, Unreadable>,
    /// The first packet of a connection, made of its token, where identity is proved by a packet and not by the handshake;
    /// `Authenticated` or `NotAuthenticated` answers it.
    pub opening: Option<fn(&str) -> AppPacket>,
    /// How history is read over HTTP; `None` where the dialect has no route for it.
    pub history: Option<HistoryRoute>,
    /// How the members of a room are read over HTTP; `None` where the dialect has no route for it.
    pub members: Option<MembersRoute>,
}

/// The HTTP request for who is in a room, made with the client's token as `Authorization: Bearer`.
#[derive(Debug, Clone, Copy)]
pub struct MembersRoute {
    /// The listener that serves it, as target files name it; the main one if a target has no such listener.
    pub listener: &'static str,
    /// Path and query of a GET.
    pub target: fn(&RoomId) -> String,
    /// The users in the answer's body, each once.
    pub decode: fn(&Value) -> Result<Vec<UserId>, Unreadable>,
}

/// The HTTP request for a room's history, made with the client's token as `Authorization: Bearer`.
#[derive(Debug, Clone, Copy)]
pub struct HistoryRoute {
    /// The listener that serves it, as target files name it; the main one if a target has no such listener.
    pub listener: &'static str,
    /// How far the answer may lag behind what was told live.
    pub lag: Duration,
    /// Messages that one answer holds at most.
    pub messages_max: usize,
    /// Path and query of a GET for the newest so many messages.
    pub target: fn(&RoomId, usize) -> String,
    /// The messages in the answer's body, oldest first.
    pub decode: fn(&Value) -> Result<Vec<Message>, Unreadable>,
}

/// Percent-encoding for one segment of a path or one value of a query: everything but unreserved characters.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    out
}

/// A packet of a server that its dialect does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable {packet}: {problem}")]
pub struct Unreadable {
    /// The event's name or the frame's type.
    pub packet: String,
    /// What is wrong, e.g. `userId is missing`.
    pub problem: String,
}

/// All dialects that chatwright speaks.
pub const ALL: &[Dialect] =
    &[rooms::DIALECT, conversations::DIALECT, sessions::DIALECT, direct::DIALECT, gateway::DIALECT];

/// The dialect of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Dialect> {
    ALL.iter().find(|dialect| dialect.name == name)
}
