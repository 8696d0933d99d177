//! Where the libraries' tracing goes: standard error, filtered. Dependencies that print handshakes at debug level stay quiet, since tokens
//! travel there.

use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::args::Global;

/// Starts logging. A server logs its life at `info`; the tools stay quiet unless asked.
pub(crate) fn start(global: &Global, server: bool) {
    let default = match (global.verbose, server) {
        (0, false) => "warn",
        (0, true) => "info",
        (1, _) => "info,chatwright=debug",
        (_, _) => "debug",
    };
    // Appended last, so that no RUST_LOG can make these print auth payloads.
    let directives = std::env::var("CHATWRIGHT_LOG").unwrap_or_else(|_| default.to_owned())
        + ",socketioxide=warn,engineioxide=warn,hyper=warn,h2=warn,tungstenite=warn,tokio_tungstenite=warn";
    let filter = EnvFilter::builder().parse_lossy(directives);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never);
    let layer = if global.log_json { layer.json().boxed() } else { layer.boxed() };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
}
