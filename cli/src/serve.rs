//! `chatwright serve`: the reference server, from its configuration to its orderly end.

use std::{collections::BTreeMap, path::Path};

use chatwright_protocol::dialects::Dialect;
use chatwright_server::{
    Server,
    auth::IdentityMode,
    config::{Config, ConfigError, Configured, configure, parse_env_file},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::{Global, Identity, ServeArgs},
    exit::{Outcome, UseError},
    reference, terminal,
};

/// Variables of a `.env` file in the working directory count like the process's own, below them.
const ENV_FILE: &str = ".env";

pub(crate) async fn run(global: &Global, args: ServeArgs) -> Result<Outcome, UseError> {
    let dialect = chatwright_protocol::dialects::by_name(&args.dialect).ok_or_else(|| {
        let spoken = reference::spoken();
        UseError::new(format!("the server speaks no dialect `{}`; it speaks {spoken}", args.dialect))
    })?;
    let Configured { mut config, warnings } = configured(dialect, args.config.as_deref())?;
    overrule(&mut config, &args);
    for warning in warnings {
        terminal::warning(&warning);
    }
    let drain = config.drain;
    let identity = config.identity;
    let place = if config.redis.is_some() { "on Redis" } else { "everything in memory" };
    let mut term =
        signal(SignalKind::terminate()).map_err(|e| UseError::new(format!("failed to wait for SIGTERM: {e}")))?;
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|e| UseError::new(format!("failed to wait for SIGINT: {e}")))?;
    let server = Server::start(config).await.map_err(|problem| UseError::new(problem.to_string()))?;
    announce(global, &args, &server, place, identity);
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new connections, at most {drain:?}; a second signal stops at once");
    tokio::select! {
        () = async { server.drain(drain).await; } => {}
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(Outcome::Pass)
}

fn configured(dialect: &'static Dialect, path: Option<&Path>) -> Result<Configured, UseError> {
    let text = path
        .map(|path| {
            std::fs::read_to_string(path)
                .map_err(|problem| UseError::new(format!("failed to read {}: {problem}", path.display())))
        })
        .transpose()?;
    let mut variables = env_file()?;
    variables.extend(
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    configure(dialect, text.as_deref(), &variables, None).map_err(|problem| placed(&problem, path))
}

/// A problem in the file is named with the file.
fn placed(problem: &ConfigError, path: Option<&Path>) -> UseError {
    match path {
        Some(path) if problem.place.starts_with("line") => UseError::new(format!("{}: {problem}", path.display())),
        Some(_) | None => UseError::new(problem.to_string()),
    }
}

fn env_file() -> Result<BTreeMap<String, String>, UseError> {
    match std::fs::read_to_string(ENV_FILE) {
        Ok(text) => parse_env_file(&text).map_err(|problem| UseError::new(format!("{ENV_FILE}: {problem}"))),
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(problem) => Err(UseError::new(format!("failed to read {ENV_FILE}: {problem}"))),
    }
}

/// What is typed counts more than files and variables.
fn overrule(config: &mut Config, args: &ServeArgs) {
    if let Some(port) = args.port_base {
        config.listen.set_port(port);
    }
    if let Some(host) = args.host {
        config.listen.set_ip(host);
    }
    match args.identity {
        Some(Identity::Token) => config.identity = IdentityMode::Token,
        Some(Identity::Open) => {
            config.identity = IdentityMode::Open;
            terminal::warning("identity is open: everybody is who they say, as the document has it; for tests only");
        }
        None => {}
    }
}

fn announce(global: &Global, args: &ServeArgs, server: &Server, place: &str, identity: IdentityMode) {
    let addresses = server.addresses();
    let url = format!("http://{}", addresses.listen);
    let metrics = addresses.admin.map(|admin| format!("http://{admin}/metrics"));
    let secret = server.embedded_secret().filter(|_| identity == IdentityMode::Token);
    if global.json {
        let line = serde_json::json!({
            "dialect": args.dialect, "url": url, "metrics": metrics, "secret": secret.map(|secret| secret.expose()),
        });
        terminal::out(&line.to_string());
        return;
    }
    let dialect = &args.dialect;
    terminal::out(&format!("chatwright serves {dialect}, {place}\n"));
    terminal::out(&format!("  clients  {url}   Socket.IO at /socket.io, REST at /api/chat"));
    terminal::out(&format!("  health   {url}/health"));
    if let Some(metrics) = metrics {
        terminal::out(&format!("  metrics  {metrics}"));
    }
    if let Some(secret) = secret {
        terminal::out(&format!("  token    chatwright token --user alice --secret {}", secret.expose()));
        terminal::out(&format!("  talk     chatwright chat {url} --user alice --secret {}", secret.expose()));
        terminal::out(&format!("  judge    chatwright check --url {url} --secret {}", secret.expose()));
    }
    terminal::out("\nCtrl-C stops it.");
}
