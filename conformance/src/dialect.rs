//! Reads a `dialect.toml`: what the judge must know to speak a dialect, so that a new dialect needs no Rust.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use crate::{
    case::{CaseError, Step, parse_steps},
    target::parse_duration,
};

/// What carries a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Carrier {
    /// Socket.IO over Engine.IO.
    #[serde(rename = "socket.io")]
    SocketIo,
    /// JSON in WebSocket frames.
    #[serde(rename = "websocket")]
    WebSocket,
    /// None: what is judged is a client, which comes to the judge.
    #[serde(rename = "client")]
    Client,
}

/// The facts of one dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct Dialect {
    /// Its name.
    pub name: String,
    /// The document that defines it.
    pub document: String,
    /// What carries it.
    pub carrier: Carrier,
    /// Where the carrier is, `/socket.io/`.
    pub path: String,
    /// Listener names and their usual ports.
    pub listeners: BTreeMap<String, u16>,
    /// Usual clocks.
    pub timing: BTreeMap<String, Duration>,
    /// Usual limits.
    pub limits: BTreeMap<String, u64>,
    /// What it can do, in words that others than the judge read.
    pub can: BTreeMap<String, String>,
    /// Events that may stand in for each other: a server sends either.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// What `use A, B in $room` does, by name.
    pub preambles: BTreeMap<String, Preamble>,
    /// What `connects` means where the carrier has no handshake of its own (`websocket`): steps for `each`.
    pub connect: Vec<Step>,
    /// What makes a connection known on a target that verifies nobody: played behind each CONNECT there.
    pub hello: Vec<Step>,
    /// What proves at the end that nothing more was on its way to `each`; empty: no such thing.
    pub fence: Vec<Step>,
    /// What may come at any time: `allow` steps for `each`.
    pub allow: Vec<Step>,
}

/// Steps for the actor that is being added, `each`, and for those added before it, `earlier`.
#[derive(Debug, Clone, PartialEq)]
pub struct Preamble {
    /// The names of its arguments.
    pub params: Vec<String>,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// Why a descriptor is none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DialectError {
    /// Not TOML, or not the fields of a descriptor.
    #[error("{file}: {problem}")]
    Toml {
        /// The file.
        file: String,
        /// With line and column.
        problem: String,
    },
    /// Steps that are none.
    #[error("{0}")]
    Steps(#[from] CaseError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    document: String,
    carrier: Carrier,
    path: String,
    #[serde(default)]
    listeners: BTreeMap<String, u16>,
    #[serde(default)]
    timing: BTreeMap<String, String>,
    #[serde(default)]
    limits: BTreeMap<String, u64>,
    #[serde(default)]
    can: BTreeMap<String, String>,
    #[serde(default)]
    alias: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    preamble: BTreeMap<String, WrittenPreamble>,
    #[serde(default)]
    connect: WrittenSteps,
    #[serde(default)]
    hello: WrittenSteps,
    #[serde(default)]
    fence: WrittenSteps,
    #[serde(default)]
    allow: WrittenSteps,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPreamble {
    #[serde(default = "one_room")]
    params: Vec<String>,
    steps: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenSteps {
    #[serde(default)]
    steps: String,
}

fn one_room() -> Vec<String> {
    vec!["room".to_owned()]
}

/// Reads a descriptor.
///
/// # Errors
/// [`DialectError`] with file, line and what was expected.
pub fn parse_dialect(file: &str, text: &str) -> Result<Dialect, DialectError> {
    let toml = |problem: String| DialectError::Toml { file: file.to_owned(), problem };
    let written: Written = toml::from_str(text).map_err(|e| toml(e.to_string()))?;
    let steps = |table: &str, text: &str| parse_steps(&format!("{file} [{table}]"), &written.name, text);
    let mut timing = BTreeMap::new();
    for (name, clock) in &written.timing {
        let parsed = parse_duration(clock).map_err(|why| toml(format!("[timing] {name}: {why}")))?;
        timing.insert(name.clone(), parsed);
    }
    let mut preambles = BTreeMap::new();
    for (name, preamble) in &written.preamble {
        let steps = steps(&format!("preamble.{name}"), &preamble.steps)?;
        preambles.insert(name.clone(), Preamble { params: preamble.params.clone(), steps });
    }
    let connect = steps("connect", &written.connect.steps)?;
    let hello = steps("hello", &written.hello.steps)?;
    let fence = steps("fence", &written.fence.steps)?;
    let allow = steps("allow", &written.allow.steps)?;
    Ok(Dialect {
        name: written.name,
        document: written.document,
        carrier: written.carrier,
        path: written.path,
        listeners: written.listeners,
        timing,
        limits: written.limits,
        can: written.can,
        aliases: written.alias,
        preambles,
        connect,
        hello,
        fence,
        allow,
    })
}

impl Dialect {
    /// The name that cases use for an event, when the target may use another that the document also has.
    #[must_use]
    pub fn canonical_event<'a>(&'a self, event: &'a str) -> &'a str {
        self.aliases
            .iter()
            .find(|(_, others)| others.iter().any(|other| other == event))
            .map_or(event, |(name, _)| name)
    }
}
