//! A case as data: what the parser makes, the printer prints and the player plays.

use serde::Serialize;

use super::value::{Pattern, Payload, Span, Template, TextPattern, Value};
use crate::outcome::ClauseId;

/// One test of the suite.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Case {
    /// `rooms/messages/echo`.
    pub name: String,
    /// The first line: what the case proves.
    pub title: String,
    /// The clauses it proves; the first is what an unmarked expectation states.
    pub clauses: Vec<ClauseId>,
    /// What must be there.
    pub needs: Vec<String>,
    /// Deadline of each expectation.
    pub within: Option<Span>,
    /// Engine.IO and WebSocket pings are not answered.
    pub manual_pings: bool,
    /// Names given in the header.
    pub lets: Vec<(String, Value)>,
    /// The steps.
    pub steps: Vec<Step>,
    /// The file's text.
    #[serde(skip)]
    pub source: String,
}

/// One line of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// 1-based.
    pub line: u32,
    /// What it does.
    #[serde(flatten)]
    pub act: StepAct,
}

/// A line of the world, or of an actor.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAct {
    /// `use A, B in $room`.
    Use {
        /// For whom, in turn.
        actors: Vec<ActorName>,
        /// The preamble's name and arguments.
        preamble: Option<(String, Vec<Value>)>,
        /// For the connection.
        options: ConnectOptions,
    },
    /// A step of one actor.
    Actor {
        /// Who.
        actor: ActorName,
        /// What.
        does: Act,
    },
    /// `wait D`.
    Wait(Span),
    /// `repeat $i A..B` ... `end`.
    Repeat {
        /// The number's name.
        name: String,
        /// First.
        from: Value,
        /// Last, included.
        to: Value,
        /// The steps between.
        steps: Vec<Step>,
    },
    /// `auth answers STATUS ...`.
    Auth {
        /// HTTP status.
        status: u16,
        /// The user payload instead of the actor's own.
        user: Option<Value>,
        /// Before the answer.
        delay: Option<Span>,
        /// Only for this actor's token.
        actor: Option<String>,
    },
    /// `target VERB [N]`.
    Target {
        /// What to do.
        verb: WorldVerb,
        /// Instance, 1-based.
        instance: u32,
    },
    /// `backend NAME VERB`.
    Backend {
        /// `redis`, ...
        name: String,
        /// What to do.
        verb: WorldVerb,
    },
}

/// What control does to an instance or a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorldVerb {
    /// Politely ended.
    Stops,
    /// Started.
    Starts,
    /// Ended without a word.
    Kills,
    /// Politely ended, then started.
    Restarts,
    /// Frozen.
    Pauses,
    /// Thawed.
    Resumes,
}

/// `alice`, `alice.2`, `alice@2`. The instance is where the actor connects from this step on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ActorName {
    /// Whose identity.
    pub user: String,
    /// Which of the user's connections; 1 is the first.
    pub device: u32,
    /// 1-based, if written.
    pub instance: Option<u32>,
}

/// How to connect.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ConnectOptions {
    /// Payload of CONNECT instead of the actor's token.
    pub auth: Option<Value>,
    /// Namespace; `/` if not said.
    pub nsp: Option<String>,
    /// Transport; the run's axis if not said.
    pub transport: Option<Transport>,
    /// Path instead of the dialect's.
    pub path: Option<Payload>,
    /// Listener; `socket` if not said.
    pub on: Option<String>,
    /// Headers of the handshake.
    pub headers: Vec<(String, Payload)>,
    /// Query parameters besides the protocol's own.
    pub query: Vec<(String, Payload)>,
    /// The receive buffer of the connection in bytes: small ones make a slow reader felt early.
    pub window: Option<u32>,
}

/// Engine.IO's ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// WebSocket from the start.
    Websocket,
    /// Long-polling only.
    Polling,
    /// Long-polling, then upgraded.
    Upgrade,
}

/// What an actor does or expects.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// `connects ...`: and waits for the answer.
    Connects(ConnectOptions, Tail),
    /// `tries ...`: without waiting.
    Tries(ConnectOptions),
    /// `opens ...`: the Engine.IO session only.
    Opens(ConnectOptions, Tail),
    /// `refused [PATTERN]`.
    Refused(Option<Pattern>, Tail),
    /// `> EVENT ...`.
    Emits {
        /// The event's name.
        event: Template,
        /// Its arguments.
        args: Vec<Value>,
        /// Asks for an acknowledgement with this id.
        ack: Option<u64>,
        /// Namespace.
        nsp: Option<String>,
    },
    /// `> ack=$a ...`.
    Acknowledges {
        /// The name under which the id was captured.
        name: String,
        /// Arguments.
        args: Vec<Value>,
        /// Namespace.
        nsp: Option<String>,
    },
    /// `> {JSON}`: one text frame.
    SendsJson(Value),
    /// `<`, `<?`, `<*`, and `&` lines behind it.
    Expects {
        /// Which event it means.
        mode: ExpectMode,
        /// One, or a group that is met in any order.
        group: Vec<Expected>,
    },
    /// `never EVENT ...`.
    Never(Expected),
    /// `allow EVENT ...`.
    Allows(Expected),
    /// `allow disconnected`: the connection may end at any time.
    AllowsEnd,
    /// `quiet D`.
    Quiet(Span, Tail),
    /// `leaves [nsp=/x]`.
    Leaves(Option<String>),
    /// `disconnected [nsp=/x]`.
    Disconnected(Option<String>, Tail),
    /// `upgrades`.
    Upgrades(Tail),
    /// `closed [CODE]`.
    Closed(Vec<u16>, Tail),
    /// `sends ...`.
    Sends(Outgoing),
    /// `gets ...`.
    Gets(Incoming, Tail),
    /// `requests ...`.
    Requests(Request),
    /// `answered ...`.
    Answered(Answered, Tail),
    /// `dials PATH`, `dials tcp`.
    Dials {
        /// `None`: a bare TCP connection.
        path: Option<Payload>,
        /// Listener.
        on: Option<String>,
        /// Headers of the handshake.
        headers: Vec<(String, Payload)>,
        /// The receive buffer in bytes.
        window: Option<u32>,
    },
    /// `drops`.
    Drops,
    /// `stops reading`.
    StopsReading,
    /// `resumes reading`.
    ResumesReading,
    /// `returns`.
    Returns(Tail),
}

/// Which event an expectation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectMode {
    /// The next one.
    Next,
    /// Consumed if it is what comes next.
    Optional,
    /// The first that matches.
    Skipping,
}

/// One expected event, acknowledgement or JSON frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expected {
    /// Its own line (groups span several).
    pub line: u32,
    /// What.
    pub what: Arrives,
    /// Bounds and the clause it states.
    pub tail: Tail,
}

/// What may arrive.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrives {
    /// A Socket.IO event.
    Event {
        /// One of these names; empty: any.
        names: Vec<Template>,
        /// Its first arguments; none written: any.
        args: Vec<Pattern>,
        /// Captures the id of the acknowledgement asked for.
        ack: Option<String>,
        /// Namespace.
        nsp: Option<String>,
    },
    /// An acknowledgement.
    Ack {
        /// Its id.
        id: u64,
        /// Its first arguments.
        args: Vec<Pattern>,
        /// Namespace.
        nsp: Option<String>,
    },
    /// A text frame of JSON.
    Json(Pattern),
}

/// What may end an expectation.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Tail {
    /// Not later than this from now.
    pub within: Option<Span>,
    /// Not earlier than this after the actor's previous step.
    pub after: Option<Span>,
    /// The clause it states.
    pub clause: Option<ClauseId>,
}

/// What `sends` sends.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outgoing {
    /// One Engine.IO packet.
    Packet(Payload),
    /// One binary message or frame.
    Binary(Payload),
    /// One text frame.
    Text(Payload),
    /// One ping frame.
    Ping(Option<Payload>),
    /// One pong frame.
    Pong(Option<Payload>),
    /// One close frame.
    Close(Option<u16>, Option<Payload>),
    /// One frame made to order.
    Frame {
        /// Last fragment.
        fin: bool,
        /// The three reserved bits.
        rsv: u8,
        /// The opcode; text, or binary where the payload is bytes, if not said.
        opcode: Option<u8>,
        /// Masked, as a client must.
        mask: bool,
        /// The length in the header instead of the true one.
        length: Option<u64>,
        /// Its payload.
        payload: Payload,
    },
    /// Bytes as they are.
    Bytes(Payload),
}

/// What `gets` gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Incoming {
    /// One Engine.IO packet.
    Packet(TextPattern),
    /// One binary message or frame; none: any.
    Binary(Option<Pattern>),
    /// One text frame.
    Text(TextPattern),
    /// A ping frame.
    Ping(Option<TextPattern>),
    /// A pong frame.
    Pong(Option<TextPattern>),
    /// A close frame with one of these codes; none: any.
    Close(Vec<u16>),
    /// The end of the stream.
    End,
    /// Raw bytes up to a match.
    Bytes(String),
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: Payload,
    /// Listener; `rest` if not said.
    pub on: Option<String>,
    /// Headers.
    pub headers: Vec<(String, Payload)>,
    /// Without the actor's token.
    pub anonymous: bool,
    /// The body.
    pub body: Option<Body>,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// `body=JSON`: with its `Content-Type`.
    Json(Value),
    /// `text=TEXT`: as it is.
    Text(Payload),
}

/// What an answer to a request must be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answered {
    /// `200`, `4xx`, `400|404`.
    pub status: Vec<StatusPattern>,
    /// Headers.
    pub headers: Vec<(String, TextPattern)>,
    /// The body.
    pub body: Option<BodyPattern>,
}

/// A status, or a hundred of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusPattern {
    /// `200`.
    Exact(u16),
    /// `4xx`.
    Class(u16),
}

/// What a body must be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyPattern {
    /// JSON.
    Json(Pattern),
    /// `text=PATTERN`.
    Text(TextPattern),
}

impl ActorName {
    /// The same connection, wherever it plays.
    #[must_use]
    pub fn key(&self) -> String {
        if self.device == 1 { self.user.clone() } else { format!("{}.{}", self.user, self.device) }
    }
}
