//! `chatwright serve`: the reference server, from its configuration to its orderly end. Each dialect is a server of its own in this process.

mod announce;
mod echo;
mod plan;

use std::{net::SocketAddr, time::Duration};

use chatwright_server::{Config, Server, StartError};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};

use crate::{
    args::{Global, ServeArgs},
    exit::{Outcome, UseError},
    logging, terminal,
};
use plan::Plan;

/// Ports below need a privilege.
const UNPRIVILEGED_PORT_MIN: u16 = 1024;
/// What a port is moved by when the privilege is missing: 80 becomes 8080.
const FALLBACK_OFFSET: u16 = 8000;

/// A dialect that is served.
struct Served {
    config: Config,
    server: Server,
}

pub(crate) async fn run(global: &Global, args: ServeArgs) -> Result<Outcome, UseError> {
    if args.dialect.iter().any(|name| name == echo::NAME) {
        return echo::run(global, &args).await;
    }
    let Plan { configs, secret, warnings } = plan::of(&args)?;
    let level = configs.iter().filter_map(|config| config.log_level).max();
    logging::start_server(global, level, configs.iter().all(|config| config.log_json));
    for warning in warnings {
        terminal::warning(&warning);
    }
    let mut signals =
        [stop_signal(SignalKind::terminate(), "SIGTERM")?, stop_signal(SignalKind::interrupt(), "SIGINT")?];
    let mut served = Vec::new();
    for config in configs {
        match start(config).await {
            Ok(one) => served.push(one),
            // In the registry for the tools, and not served yet.
            Err(problem @ StartError::Dialect(_)) if args.dialect.is_empty() => terminal::warning(&problem.to_string()),
            Err(problem) => return Err(UseError::new(problem.to_string())),
        }
    }
    announce::all(global, &served, secret.as_ref());
    asked(&mut signals).await;
    let limit = served.iter().map(|one| one.config.drain).max().unwrap_or_default();
    tracing::info!("stopping: no new connections, at most {limit:?}; a second signal stops at once");
    tokio::select! {
        () = drain(served) => {}
        () = asked(&mut signals) => {}
    }
    Ok(Outcome::Pass)
}

fn stop_signal(kind: SignalKind, name: &str) -> Result<Signal, UseError> {
    signal(kind).map_err(|problem| UseError::new(format!("failed to wait for {name}: {problem}")))
}

/// Waits for one of the signals.
async fn asked(signals: &mut [Signal; 2]) {
    let [terminate, interrupt] = signals;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Starts one server; a port for which the privilege is missing is moved, and that is said.
async fn start(mut config: Config) -> Result<Served, StartError> {
    loop {
        match Server::start(config.clone()).await {
            Ok(server) => return Ok(Served { config, server }),
            Err(StartError::Listen(problem)) => {
                let moved =
                    fallback(problem.address).filter(|_| problem.source.kind() == std::io::ErrorKind::PermissionDenied);
                let Some(address) = moved else { return Err(problem.into()) };
                let name = config.dialect.name;
                terminal::note(&format!(
                    "{name}: port {} needs a privilege; {} is taken",
                    problem.address.port(),
                    address.port()
                ));
                config.move_listener(problem.address, address);
            }
            Err(problem) => return Err(problem),
        }
    }
}

fn fallback(address: SocketAddr) -> Option<SocketAddr> {
    let port = address.port();
    (0 < port && port < UNPRIVILEGED_PORT_MIN).then(|| SocketAddr::new(address.ip(), port + FALLBACK_OFFSET))
}

/// Stops all at the same time, each within its own limit.
async fn drain(served: Vec<Served>) {
    let mut drains = JoinSet::new();
    for Served { config, server } in served {
        let limit: Duration = config.drain;
        drains.spawn(async move {
            server.drain(limit).await;
        });
    }
    while drains.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_needs_a_privilege_has_a_neighbour_that_does_not() {
        let moved = |address: &str| fallback(address.parse().expect("an address")).map(|address| address.to_string());
        assert_eq!(moved("127.0.0.1:80"), Some("127.0.0.1:8080".to_owned()));
        assert_eq!(moved("[::1]:1023"), Some("[::1]:9023".to_owned()));
        assert_eq!(moved("127.0.0.1:1024"), None);
        assert_eq!(moved("127.0.0.1:0"), None);
    }
}
