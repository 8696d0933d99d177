//! What can be typed: one struct a command. Nothing is decided here.

mod choices;

use std::path::PathBuf;

use chatwright_server::transport::EngineKind;
use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

pub(crate) use self::choices::{Backends, Transport};
use crate::exit::EXIT_CODES;

/// Playwright for chat servers: a reference chat server and the tools that judge any server.
#[derive(Debug, Parser)]
#[command(name = "chatwright", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Read fixtures (SPECs, cases, targets) from this folder instead of the embedded ones
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) fixtures: Option<PathBuf>,
    /// Print the result as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more to standard error (twice: everything); CHATWRIGHT_LOG takes filters
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Log as JSON lines
    #[arg(long, global = true)]
    pub(crate) log_json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the reference server, everything in memory unless configured
    Serve(ServeArgs),
    /// Judge a server: the reference one, one by a target file, or one by its URL; or a Socket.IO client
    Check(CheckArgs),
    /// Run a cluster with faults and check its history
    Sim(SimArgs),
    /// Measure delivery latency at a steady rate, every message accounted for
    Load(LoadArgs),
    /// Talk to a server by hand
    Chat(ChatArgs),
    /// Make an identity token
    Token(TokenArgs),
    /// Judge several servers and make one table of the results
    Table(TableArgs),
    /// Pass a live session through, and write it down as a case to edit
    Record(RecordArgs),
    /// List the cases of the suite
    Cases(CasesArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  chatwright completions bash > /etc/bash_completion.d/chatwright")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Who says who a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Identity {
    /// A verified token names the user; payloads cannot
    Token,
    /// The documented looseness: `authenticate` names the user, unverified
    Open,
}

fn engines() -> impl TypedValueParser<Value = EngineKind> {
    PossibleValuesParser::new(EngineKind::ALL.iter().map(|kind| kind.as_str())).try_map(|name| name.parse())
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chatwright serve\n  chatwright serve --dialect rooms --dialect direct --port-base 7000\n  chatwright serve --config all.toml\n  chatwright serve --dialect rooms --config rooms.toml --identity open"
)]
pub(crate) struct ServeArgs {
    /// Which dialect to serve; several times for several, left out for all of them; `echo`: the application with which the protocols are judged
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: Vec<String>,
    /// A TOML file that configures everything: [rooms.listen], or [listen] when one dialect is served
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// First of consecutive ports to listen on, instead of the documented ones (0: any free ports)
    #[arg(long, value_name = "N")]
    pub(crate) port_base: Option<u16>,
    /// First of consecutive ports for each dialect's /metrics (0: any free ports)
    #[arg(long, value_name = "N")]
    pub(crate) admin_port: Option<u16>,
    /// Address to listen on
    #[arg(long, value_name = "IP")]
    pub(crate) host: Option<std::net::IpAddr>,
    /// Who says who a user is
    #[arg(long, value_enum)]
    pub(crate) identity: Option<Identity>,
    /// What carries Socket.IO
    #[arg(long, value_name = "NAME", value_parser = engines())]
    pub(crate) engine: Option<EngineKind>,
    /// PEM file with a certificate chain: clients are served over TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Which of its services `gateway` is in this process
    #[arg(long, value_parser = ["user", "message", "chat", "gateway", "all"])]
    pub(crate) role: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chatwright check\n  chatwright check --dialect sessions,direct --transport all\n  chatwright check --target my-server.toml\n  chatwright check --url http://127.0.0.1:5004 --secret S --filter 'rooms/messages/*'\n  chatwright check --client 'node my-client.js' --transport all\n  chatwright check --explain rooms/messages/echo\n  chatwright check --target my-server.toml --against reference\n\nExit codes: 0 pass (with --against: no difference), 1 fail (a difference), 2 wrong use or configuration."
)]
pub(crate) struct CheckArgs {
    /// Which dialects to judge, several or comma-separated; all that the reference speaks if left out (a target file names its own; a URL is `rooms` if left out)
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) dialect: Vec<String>,
    /// The server to judge, by its target file
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub(crate) target: Option<PathBuf>,
    /// The server to judge, already running
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// A Socket.IO client to judge instead of a server: the command that starts it for each case, from here; it does what fixtures/clients/README.md says on one page
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["target", "url", "dialect"])]
    pub(crate) client: Option<String>,
    /// With --url: the secret that signs the actors' tokens
    #[arg(long, value_name = "TEXT", requires = "url", env = "CHATWRIGHT_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// Play the same cases on this server too (a target file; left out: the reference), and say where the two differ: exit code 1 if they do
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = crate::reference::ORIGIN, conflicts_with_all = ["self_test", "explain", "list"])]
    pub(crate) against: Option<String>,
    /// Cases of your own, instead of the suite's
    #[arg(long, value_name = "FILE_OR_DIR")]
    pub(crate) cases: Option<PathBuf>,
    /// Only cases whose name matches
    #[arg(long, value_name = "GLOB")]
    pub(crate) filter: Vec<String>,
    /// SHOULD counts like MUST
    #[arg(long)]
    pub(crate) strict: bool,
    /// What the reference server stands on
    #[arg(long, value_enum, default_value = "memory")]
    pub(crate) backends: Backends,
    /// How the actors connect
    #[arg(long, value_enum, default_value = "websocket")]
    pub(crate) transport: Transport,
    /// Seed of every random choice; printed, so that a run can be repeated
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// How many cases run at once
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// A case that sits out clocks for longer than this is not run
    #[arg(long, value_name = "SECONDS")]
    pub(crate) clock_budget: Option<u64>,
    /// List what would run, and end
    #[arg(long)]
    pub(crate) list: bool,
    /// Say what one case proves, in the words of its clauses, and end
    #[arg(long, value_name = "CASE")]
    pub(crate) explain: Option<String>,
    /// Judge the judge: play the servers of the fixtures that are wrong on purpose, and say how many of their defects were noticed;
    /// --filter means their names, or cases that are meant for them
    #[arg(long, conflicts_with_all = ["target", "url", "client", "cases", "dialect"])]
    pub(crate) self_test: bool,
    /// Folder for report.html, report.json, summary.json, junit.xml, report.tap, badge.svg and badge.json
    #[arg(long, value_name = "DIR", default_value = "chatwright-report")]
    pub(crate) report: PathBuf,
    /// Write no files
    #[arg(long)]
    pub(crate) no_report: bool,
    /// What is printed; with GITHUB_ACTIONS=true annotations follow the text
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// What `check` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// All that was seen, for programs
    Json,
    /// The counts, who was judged, and by which cases
    Summary,
    #[value(help = "The Test Anything Protocol")]
    Tap,
    #[value(help = "Annotations of GitHub Actions")]
    Github,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chatwright table --reference --engine socketioxide --engine lean --target fixtures/targets/rooms-node/target.toml --into README.md\n  chatwright table --target a.toml --target b.toml\n\nExit codes: 0 the table is made, whatever it says; 2 wrong use or configuration."
)]
pub(crate) struct TableArgs {
    /// A server to judge, by its target file; several for several rows
    #[arg(long, value_name = "FILE")]
    pub(crate) target: Vec<PathBuf>,
    /// The reference server in each dialect, first
    #[arg(long)]
    pub(crate) reference: bool,
    /// With --reference: what carries Socket.IO there; several for several rows each
    #[arg(long, value_name = "NAME", value_parser = engines(), requires = "reference")]
    pub(crate) engine: Vec<EngineKind>,
    /// With --reference: only these dialects
    #[arg(long, value_delimiter = ',', value_name = "NAME", requires = "reference")]
    pub(crate) dialect: Vec<String>,
    /// Only cases whose name matches
    #[arg(long, value_name = "GLOB")]
    pub(crate) filter: Vec<String>,
    /// How the actors connect
    #[arg(long, value_enum, default_value = "websocket")]
    pub(crate) transport: Transport,
    /// Put the table into this Markdown file, between its marks (at its end, where it has none)
    #[arg(long, value_name = "FILE")]
    pub(crate) into: Option<PathBuf>,
    /// Seed of every random choice
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chatwright sim --instances 3 --seed 1\n  chatwright sim --dialect gateway --backends containers\n  chatwright sim --replay chatwright-report/schedule.json\n\nExit codes: 0 pass, 1 fail, 2 wrong use or configuration, 3 inconclusive, 4 invalid run."
)]
pub(crate) struct SimArgs {
    /// Which dialect of the reference to run (a target file names its own; `rooms` if nothing is said)
    #[arg(long, conflicts_with = "target")]
    pub(crate) dialect: Option<String>,
    /// How many server processes; 3, or 1 where there is no backend that they could share
    #[arg(long, value_name = "N")]
    pub(crate) instances: Option<usize>,
    /// Seed of the fault schedule and the traffic; printed, so that a run can be repeated
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// A schedule of faults written by an earlier run
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// The server to run, by its target file, instead of the reference
    #[arg(long, value_name = "FILE")]
    pub(crate) target: Option<PathBuf>,
    /// What the reference stands on: as few backends as its instances need to share what they know, if left out; `containers`: all that the dialect names
    #[arg(long, value_enum, conflicts_with = "target")]
    pub(crate) backends: Option<Backends>,
    /// How long bots talk; 12, and 3 more for each backend beside the first
    #[arg(long, value_name = "N")]
    pub(crate) seconds: Option<u64>,
    /// Folder for timeline.html, history.json and schedule.json
    #[arg(long, value_name = "DIR", default_value = "chatwright-report")]
    pub(crate) report: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chatwright load --connections 500 --rate 500 --seconds 10\n  chatwright load --target my-server.toml --require 'p99<50ms' --require 'lost=0'\n\nExit codes: 0 pass, 1 fail, 2 wrong use or configuration, 3 inconclusive, 4 invalid run."
)]
pub(crate) struct LoadArgs {
    /// Which dialect to speak (a target file names its own)
    #[arg(long)]
    pub(crate) dialect: Option<String>,
    /// The server to load, by its target file
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub(crate) target: Option<PathBuf>,
    /// The server to load, already running (loopback only)
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// With --url: the secret that signs the tokens
    #[arg(long, value_name = "TEXT", requires = "url", env = "CHATWRIGHT_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// How many connections
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub(crate) connections: usize,
    /// Messages sent a second, over all connections
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub(crate) rate: u64,
    /// How long to measure
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) seconds: u64,
    /// Cut all connections every N seconds; they come back, and everything confirmed must have reached everybody once and in order
    #[arg(long, value_name = "N")]
    pub(crate) cut_every: Option<u64>,
    /// A requirement, such as `p99<50ms`, `lost=0`, `connected>=99%` (with --cut-every and none of them: lost, duplicated, out_of_order and leaked = 0)
    #[arg(long, value_name = "EXPR")]
    pub(crate) require: Vec<String>,
    /// Seed of every random choice
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Folder for load.html and load.json
    #[arg(long, value_name = "DIR", default_value = "chatwright-report")]
    pub(crate) report: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chatwright chat http://127.0.0.1:5004 --room lobby --token \"$(chatwright token --user alice --secret S)\"\n  chatwright chat http://127.0.0.1:5004 --room lobby --user alice --secret S\n\nType a line to send it; /join ROOM, /leave ROOM, /typing, /quit."
)]
pub(crate) struct ChatArgs {
    /// Address of the server
    pub(crate) url: String,
    /// Which dialect it speaks
    #[arg(long, default_value = "rooms")]
    pub(crate) dialect: String,
    /// Room to enter first
    #[arg(long, default_value = "lobby")]
    pub(crate) room: String,
    /// Whom to talk to, in dialects that address users instead of rooms
    #[arg(long = "with", value_name = "USER")]
    pub(crate) others: Vec<String>,
    /// Who to be
    #[arg(long, default_value = "alice")]
    pub(crate) user: String,
    /// A token to show
    #[arg(long, value_name = "JWT", env = "CHATWRIGHT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The secret to sign a token for --user with
    #[arg(long, value_name = "TEXT", env = "CHATWRIGHT_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  chatwright token --user alice --secret S --expires-in 3600")]
pub(crate) struct TokenArgs {
    /// User id
    #[arg(long)]
    pub(crate) user: String,
    /// Display name; the user id if left out
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The secret that the server verifies with (`serve` prints its own)
    #[arg(long, value_name = "TEXT", env = "CHATWRIGHT_SECRET", hide_env_values = true)]
    pub(crate) secret: String,
    /// Lifetime in seconds
    #[arg(long, default_value_t = 3600, value_name = "N")]
    pub(crate) expires_in: u64,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chatwright record --target http://127.0.0.1:5004 --listen 127.0.0.1:5005 -o my.case\n  chatwright record --target my-server.toml --sessions 2 -o my.case\n\nLet your clients connect to the address that is printed. Socket.IO over polling and WebSocket, and JSON over WebSocket, are written down; HTTP beside them is passed through only.\n\nExit codes: 0 something was recorded, 2 wrong use or configuration, 3 nothing came."
)]
pub(crate) struct RecordArgs {
    /// The server: its target file, which starts it, or the URL where it runs
    #[arg(long, value_name = "FILE_OR_URL")]
    pub(crate) target: String,
    /// With a URL: the dialect that is spoken; `rooms` if left out
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: Option<String>,
    /// Where clients connect instead (port 0: any free one)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
    /// The case file
    #[arg(short, long, value_name = "FILE", default_value = "recorded.case")]
    pub(crate) output: PathBuf,
    /// End when so many sessions have come and all are over; else at Ctrl-C
    #[arg(long, value_name = "N")]
    pub(crate) sessions: Option<usize>,
    /// The clause that it will be said to prove; the first of the SPEC if left out
    #[arg(long, value_name = "CLAUSE")]
    pub(crate) clause: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  chatwright cases\n  chatwright cases --json > cases.json")]
pub(crate) struct CasesArgs {
    /// Only the cases that these dialects are judged by, their protocols included; all if left out
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) dialect: Vec<String>,
    /// Only cases whose name matches
    #[arg(long, value_name = "GLOB")]
    pub(crate) filter: Vec<String>,
}
