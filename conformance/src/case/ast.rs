//! A case as data: what the parser makes, the printer prints and the player plays.

use super::{
    act::{Act, Tail},
    value::{Pattern, Payload, Span, Value},
};
use crate::outcome::ClauseId;

/// One test of the suite.
#[derive(Debug, Clone, PartialEq)]
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
    /// It is played on an instance of its own, started as the document says.
    pub own: Option<Own>,
    /// The steps.
    pub steps: Vec<Step>,
    /// The file's text.
    pub source: String,
}

/// An instance of the case's own: in its environment stand the variables that the target file documents, changed by these. Texts may hold
/// the target file's `{names}`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Own {
    /// That it does not come up is not judged.
    pub may_fail: bool,
    /// Variables that it is given.
    pub with: Vec<(String, Payload)>,
    /// Variables that it is not given, inherited ones neither.
    pub without: Vec<String>,
    /// The lines of a `.env` file in its working directory.
    pub dotenv: Vec<(String, Payload)>,
}

/// One line of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// 1-based.
    pub line: u32,
    /// What it does.
    pub act: StepAct,
}

/// A line of the world, or of an actor.
#[derive(Debug, Clone, PartialEq)]
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
    /// `retry within D` ... `end`.
    Retry {
        /// For how long a failure of the steps is followed by another try.
        within: Span,
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
    /// `target VERB [N] [code=CODE]`.
    Target {
        /// What to do.
        verb: WorldVerb,
        /// Instance, 1-based.
        instance: u32,
        /// The exit code that an orderly end has to have.
        code: Option<i32>,
        /// The clause that this states.
        tail: Tail,
    },
    /// `backend NAME VERB`.
    Backend {
        /// `redis`, ...
        name: String,
        /// What to do.
        verb: WorldVerb,
    },
    /// `backend NAME listens CHANNEL`: from here on what is published there is kept for `heard`.
    Listens {
        /// `redis`, ...
        backend: String,
        /// Which channels, in the words of the backend.
        channel: Payload,
    },
    /// `backend NAME asked QUESTION says PATTERN`, `backend NAME heard PATTERN`, `target logged PATTERN`, `ear heard PATTERN`:
    /// asked again until it is so, or the deadline has passed.
    Asks {
        /// Whom, and what.
        asked: Asked,
        /// What has to come out.
        says: Pattern,
        /// Clause and deadline.
        tail: Tail,
    },
}

/// What a probe looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A backend, in its own language.
    Backend {
        /// `redis`, ...
        name: String,
        /// Such as `HGETALL key`.
        question: Payload,
    },
    /// What was published where the case listens to this backend, as an array of `{channel, text}`.
    Heard {
        /// `redis`, ...
        backend: String,
    },
    /// What the instances have printed lately, as an array of lines.
    Log,
    /// What came to the address `{ear.host}:{ear.port}`: an array of the first words of each connection.
    Ear,
}

/// What control does to an instance or a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorName {
    /// Whose identity.
    pub user: String,
    /// Which of the user's connections; 1 is the first.
    pub device: u32,
    /// 1-based, if written.
    pub instance: Option<u32>,
}

/// How to connect.
#[derive(Debug, Clone, PartialEq, Default)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// WebSocket from the start.
    Websocket,
    /// Long-polling only.
    Polling,
    /// Long-polling, then upgraded.
    Upgrade,
}

impl ActorName {
    /// The same connection, wherever it plays.
    #[must_use]
    pub fn key(&self) -> String {
        if self.device == 1 { self.user.clone() } else { format!("{}.{}", self.user, self.device) }
    }
}
