//! The steps of an actor as data.

use super::{
    ast::ConnectOptions,
    serve::Serve,
    value::{Expression, Pattern, Payload, Span, Template, TextPattern, Value},
};
use crate::outcome::ClauseId;

/// What an actor does or expects.
#[derive(Debug, Clone, PartialEq)]
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
    /// `allow disconnected [instead]`: the connection may end at any time.
    AllowsEnd {
        /// And where it does, the case ends at the first line that waits in vain.
        instead: bool,
    },
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
    /// `starts`, `accepts`, `refuses`, `unasked`: for a client that is judged.
    Serves(Serve),
}

/// Which event an expectation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectMode {
    /// The next one.
    Next,
    /// Consumed if it is what comes next.
    Optional,
    /// The first that matches.
    Skipping,
}

/// One expected event, acknowledgement or JSON frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Its own line (groups span several).
    pub line: u32,
    /// What.
    pub what: Arrives,
    /// Bounds and the clause it states.
    pub tail: Tail,
}

/// What may arrive.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tail {
    /// Not later than this from now.
    pub within: Option<Span>,
    /// Not earlier than this after the actor's previous step.
    pub after: Option<Span>,
    /// The clause it states.
    pub clause: Option<ClauseId>,
}

/// What `sends` sends.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
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
    Bytes(Expression),
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// `body=JSON`: with its `Content-Type`.
    Json(Value),
    /// `text=TEXT`: as it is.
    Text(Payload),
}

/// What an answer to a request must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// `200`, `4xx`, `400|404`.
    pub status: Vec<StatusPattern>,
    /// Headers.
    pub headers: Vec<(String, TextPattern)>,
    /// The body.
    pub body: Option<BodyPattern>,
}

/// A status, or a hundred of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// `200`.
    Exact(u16),
    /// `4xx`.
    Class(u16),
}

/// What a body must be.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyPattern {
    /// JSON.
    Json(Pattern),
    /// `text=PATTERN`.
    Text(TextPattern),
}
