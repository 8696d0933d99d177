//! The target file, parsed into types once: how the system under test is reached, started and stopped, what it needs, how it differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use globset::GlobMatcher;
use regex::Regex;
use serde::Deserialize;

use super::{
    adapt::Adapt,
    documented::{Documented, Scratch},
    place::FileError,
    template::Template,
};
use crate::tokens::{ClaimNames, Hmac};

/// How the system under test is reached, started, stopped; what it needs; how it differs; what is known to fail.
#[derive(Debug, Clone)]
pub struct TargetFile {
    /// Where it was read; paths inside it are relative to its folder.
    pub path: PathBuf,
    /// The target's own name, for reports.
    pub name: String,
    /// The dialect that it claims to speak.
    pub dialect: String,
    /// What it says of the implementation.
    pub about: crate::outcome::About,
    /// Whether it verifies who connects.
    pub identity: Identity,
    /// What it can do otherwise than the row of its dialect says.
    pub behaviour: RowOverrides,
    /// Its instances: named listeners each. One that is started N times, or several.
    pub instances: Vec<InstanceTemplate>,
    /// How it is started; `None`: it runs already.
    pub start: Option<StartSpec>,
    /// The backends without which it cannot run.
    pub needs: BTreeSet<BackendName>,
    /// Those of them that it reaches over TLS only.
    pub tls: BTreeSet<BackendName>,
    /// Where the tokens of its users come from.
    pub auth: Auth,
    /// Its clocks.
    pub timing: Timing,
    /// Its limits.
    pub limits: Limits,
    /// What it names otherwise.
    pub adapt: Adapt,
    /// The transports that it offers.
    pub transports: BTreeSet<Transport>,
    /// What is known to fail, with reasons.
    pub known_failing: Vec<KnownFailing>,
}

impl TargetFile {
    /// Reads a target file.
    ///
    /// # Errors
    /// What is wrong, with file, line and key.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        Self::parse(path, &super::place::read_text(path, "target file")?)
    }

    /// Reads the text of a target file that lies, or would lie, at `path`.
    ///
    /// # Errors
    /// What is wrong, with file, line and key.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        super::parse::parse(path, text)
    }

    /// A running server, reached at one URL, with nothing else known about it.
    ///
    /// # Errors
    /// When the URL is none that can be reached.
    pub fn for_url(url: &str, dialect: &str) -> Result<Self, FileError> {
        let quoted = |text: &str| toml::Value::String(text.replace('{', "{{").replace('}', "}}")).to_string();
        let text = format!(
            "name = {}\ndialect = {}\n[[instance]]\nsocket = {}\n",
            quoted(url),
            quoted(dialect),
            quoted(url.trim_end_matches('/'))
        );
        Self::parse(Path::new(url), &text).map_err(|e| FileError::whole(Path::new(url), e.problem))
    }

    /// The folder that its paths are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        }
    }

    /// The reason why a case is known to fail, by its name with or without the transport behind it.
    #[must_use]
    pub fn known_failing(&self, case: &str) -> Option<&KnownFailing> {
        self.known_failing.iter().find(|known| known.matches(case))
    }
}

/// The named listeners of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceTemplate {
    /// Base URLs by listener name (`socket`, `rest`, `admin`, ...), without a slash at the end.
    pub listeners: BTreeMap<String, Template>,
}

/// Whether a target verifies who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// Each connection shows a token.
    Token,
    /// Everybody is who he says.
    Open,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Open => "open",
        })
    }
}

/// A transport of Engine.IO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// WebSocket.
    Websocket,
    /// HTTP long-polling.
    Polling,
}

/// A kind of backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    /// Redis.
    Redis,
    /// MongoDB.
    Mongodb,
    /// PostgreSQL.
    Postgresql,
    /// RabbitMQ.
    Rabbitmq,
    /// Kafka.
    Kafka,
}

impl BackendName {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Redis, Self::Mongodb, Self::Postgresql, Self::Rabbitmq, Self::Kafka];

    /// As in target files, templates and `backend=...`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Mongodb => "mongodb",
            Self::Postgresql => "postgresql",
            Self::Rabbitmq => "rabbitmq",
            Self::Kafka => "kafka",
        }
    }
}

/// Overrides of the row of the dialect: what a send is confirmed by, and so on. `None`: as the dialect says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowOverrides {
    /// What confirms a send.
    pub confirm: Option<Confirm>,
    /// How history is read.
    pub history: Option<History>,
    /// How a client catches up after a reconnect.
    pub catch_up: Option<CatchUp>,
    /// Within what messages are ordered.
    pub order: Option<Order>,
}

/// What confirms a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// The sender's own copy of the message.
    Echo,
    /// An event of its own, such as `message_sent`.
    Event,
    /// A Socket.IO acknowledgement.
    Ack,
    /// Nothing.
    None,
}

/// How history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum History {
    /// It comes with a join.
    OnJoin,
    /// Over HTTP.
    Rest,
    /// By an event.
    Socket,
    /// Not at all.
    None,
}

/// How a client catches up after a reconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CatchUp {
    /// From the history.
    History,
    /// By an extension of the dialect.
    Extension,
    /// Not at all.
    LiveOnly,
}

/// Within what messages are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// A room or conversation.
    Room,
    /// One sender's messages only.
    Sender,
}

/// How a target is started, made ready and stopped.
#[derive(Debug, Clone)]
pub struct StartSpec {
    /// Commands that run once before the first instance.
    pub setup: Vec<Vec<Template>>,
    /// What setup makes: it is skipped while this is there and newer than everything that it reads.
    pub setup_makes: Option<PathBuf>,
    /// What setup reads.
    pub setup_reads: Vec<PathBuf>,
    /// How long all of setup may take.
    pub setup_timeout: Duration,
    /// The program and its arguments; never empty.
    pub command: Vec<Template>,
    /// Variables, beside the inherited ones.
    pub env: BTreeMap<String, Template>,
    /// Variables that are not inherited.
    pub without: Vec<String>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// A folder of its own for each instance, which runs there instead.
    pub scratch: Option<Scratch>,
    /// How an instance is started that runs as the document says.
    pub documented: Option<Documented>,
    /// How it is known to be ready.
    pub ready: Ready,
    /// How long that may take.
    pub ready_timeout: Duration,
    /// What asks it to stop.
    pub stop_signal: StopSignal,
    /// How long it may take to stop before it is killed.
    pub stop_timeout: Duration,
}

/// How an instance is known to be ready.
#[derive(Debug, Clone)]
pub enum Ready {
    /// A GET of this address answers 2xx. A template that starts with `/` means the main listener.
    Get(Template),
    /// A line of its output matches.
    Log(Regex),
    /// Its main listener accepts a TCP connection.
    Tcp,
}

/// A signal that asks a process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StopSignal {
    /// What orchestrators send.
    #[default]
    Sigterm,
    /// What Ctrl-C sends.
    Sigint,
    /// SIGQUIT.
    Sigquit,
    /// SIGHUP.
    Sighup,
}

/// Where the tokens of a target's users come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// There are none.
    None,
    /// Signed with the target's own secret.
    Secret {
        /// The secret.
        secret: String,
        /// The algorithm.
        algorithm: Hmac,
        /// Names of claims.
        names: ClaimNames,
    },
    /// Verified by the built-in stub of the auth service, `{auth.url}` in templates.
    Stub {
        /// Names of claims.
        names: ClaimNames,
    },
}

/// A target's clocks by name, such as `grace`. Names that the dialect does not know are refused by [`TargetFile::check_names`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timing {
    pub(super) clocks: BTreeMap<String, Named<Duration>>,
}

impl Timing {
    /// The deadline of an expectation where the file names none: long enough for a busy machine, short enough to wait for.
    pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(3);

    /// A clock by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Duration> {
        self.clocks.get(name).map(|named| named.value)
    }

    /// The deadline of an expectation: the clock `deadline`.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.get("deadline").unwrap_or(Self::DEADLINE_DEFAULT)
    }

    /// All clocks in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.clocks.iter().map(|(name, named)| (name.as_str(), named.value))
    }

    /// Sets a clock, for targets that were not read from a file.
    pub fn set(&mut self, name: impl Into<String>, value: Duration) {
        self.clocks.insert(name.into(), Named { value, span: 0..0 });
    }
}

/// A target's limits by name, such as `text`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    pub(super) limits: BTreeMap<String, Named<u64>>,
}

impl Limits {
    /// A limit by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.limits.get(name).map(|named| named.value)
    }

    /// All limits in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.limits.iter().map(|(name, named)| (name.as_str(), named.value))
    }

    /// Sets a limit, for targets that were not read from a file.
    pub fn set(&mut self, name: impl Into<String>, value: u64) {
        self.limits.insert(name.into(), Named { value, span: 0..0 });
    }
}

/// A value with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named<T> {
    pub(super) value: T,
    pub(super) span: std::ops::Range<usize>,
}

/// Cases that are known to fail, and why.
#[derive(Debug, Clone)]
pub struct KnownFailing {
    /// As written.
    pub pattern: String,
    /// Why.
    pub reason: String,
    pub(super) matcher: GlobMatcher,
}

impl KnownFailing {
    /// Whether it means this case, by its name with or without the transport behind it.
    #[must_use]
    pub fn matches(&self, case: &str) -> bool {
        self.matcher.is_match(case) || case.split_once(" [").is_some_and(|(name, _)| self.matcher.is_match(name))
    }
}
