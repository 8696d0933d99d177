//! Where the libraries' tracing goes: standard error, filtered. Dependencies that print handshakes at debug level stay quiet, since tokens
//! travel there.

use chatwright_server::config::LogLevel;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::args::Global;

/// Starts logging for a tool: quiet unless asked.
pub(crate) fn start(global: &Global) {
    // A broker that is not up yet, or has no such queue, is told by who asked it.
    with(global, if global.verbose == 0 { "warn,lapin=off,rskafka=off" } else { louder(global) }, false);
}

/// Starts logging for a server, which logs its life at `info` unless its configuration says otherwise.
pub(crate) fn start_server(global: &Global, level: Option<LogLevel>, json: bool) {
    let configured = match level {
        Some(LogLevel::Error) => "error",
        Some(LogLevel::Warn) => "warn",
        Some(LogLevel::Info) | None => "info",
        Some(LogLevel::Debug) => "debug",
        Some(LogLevel::Trace) => "trace",
    };
    with(global, if global.verbose == 0 { configured } else { louder(global) }, json);
}

fn louder(global: &Global) -> &'static str {
    // These tell of each connection, and of each attempt to make one.
    if global.verbose == 1 { "info,chatwright=debug,lapin=warn,rskafka=warn" } else { "debug" }
}

fn with(global: &Global, default: &str, json: bool) {
    // Appended last, so that no RUST_LOG can make these print auth payloads.
    let directives = std::env::var("CHATWRIGHT_LOG").unwrap_or_else(|_| default.to_owned())
        + ",socketioxide=warn,engineioxide=warn,hyper=warn,h2=warn,tungstenite=warn,tokio_tungstenite=warn";
    let filter = EnvFilter::builder().parse_lossy(directives);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never);
    let layer = if global.log_json || json { layer.json().boxed() } else { layer.boxed() };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
}
