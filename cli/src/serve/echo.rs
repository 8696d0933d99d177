//! `chatwright serve --dialect echo`: the application with which the protocols below the dialects are judged, on either engine. Its variables
//! are those of `fixtures/targets/echo-node`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use chatwright_server::{EchoConfig, EchoServer, transport::UnknownEngine};

use super::{asked, plan, stop_signal};
use crate::{
    args::{Global, ServeArgs},
    exit::{Outcome, UseError},
    logging, terminal,
};
use tokio::signal::unix::SignalKind;

/// How it is asked for.
pub(super) const NAME: &str = "echo";

/// Where it is if nobody says otherwise.
const PORT: u16 = 3000;

/// How long a stop may take.
const DRAIN: Duration = Duration::from_secs(4);

pub(super) async fn run(global: &Global, args: &ServeArgs) -> Result<Outcome, UseError> {
    if args.dialect.len() > 1 {
        return Err(UseError::new("echo is no dialect: serve it alone"));
    }
    refuse_others(args)?;
    let config = config(args, &plan::variables()?)?;
    logging::start_server(global, None, false);
    let mut signals =
        [stop_signal(SignalKind::terminate(), "SIGTERM")?, stop_signal(SignalKind::interrupt(), "SIGINT")?];
    let server = EchoServer::start(&config).map_err(|problem| UseError::new(problem.to_string()))?;
    let engine = config.engine_kind.as_str();
    terminal::out(&format!("chatwright serves the echo application at http://{} (engine {engine})", server.address()));
    asked(&mut signals).await;
    tokio::select! {
        () = server.drain(DRAIN) => {}
        () = asked(&mut signals) => {}
    }
    Ok(Outcome::Pass)
}

/// What dialects know and echo does not is no option of it, rather than none of effect.
fn refuse_others(args: &ServeArgs) -> Result<(), UseError> {
    let given = [
        ("--config", args.config.is_some()),
        ("--admin-port", args.admin_port.is_some()),
        ("--identity", args.identity.is_some()),
        ("--tls-cert", args.tls_cert.is_some()),
        ("--role", args.role.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(UseError::new(format!("echo is no dialect: it does not know {option}"))),
        None => Ok(()),
    }
}

fn config(args: &ServeArgs, variables: &BTreeMap<String, String>) -> Result<EchoConfig, UseError> {
    let host = match (args.host, variables.get("HOST")) {
        (Some(host), _) => host,
        (None, Some(host)) => host.parse().map_err(|_| UseError::new("HOST: an IP address is expected"))?,
        (None, None) => IpAddr::from(Ipv4Addr::LOCALHOST),
    };
    let number = |name: &str| -> Result<Option<u64>, UseError> {
        let problem = || UseError::new(format!("{name}: a whole number is expected"));
        variables.get(name).map(|text| text.trim().parse().map_err(|_| problem())).transpose()
    };
    let port = match args.port_base {
        Some(port) => port,
        None => number("PORT")?.map_or(Ok(PORT), u16::try_from).map_err(|_| UseError::new("PORT: 0 to 65535"))?,
    };
    let mut config = EchoConfig::new(SocketAddr::new(host, port));
    if let Some(name) = variables.get("SOCKET_IO_ENGINE") {
        let problem = |problem: UnknownEngine| UseError::new(format!("SOCKET_IO_ENGINE: {problem}"));
        config.engine_kind = name.parse().map_err(problem)?;
    }
    if let Some(kind) = args.engine {
        config.engine_kind = kind;
    }
    let engine = &mut config.engine;
    let clocks = [
        ("PING_INTERVAL", &mut engine.ping_interval),
        ("PING_TIMEOUT", &mut engine.ping_timeout),
        ("CONNECT_TIMEOUT", &mut engine.connect_timeout),
        ("UPGRADE_TIMEOUT", &mut engine.upgrade_timeout),
        ("RECOVERY", &mut engine.recovery_window),
    ];
    for (name, clock) in clocks {
        if let Some(milliseconds) = number(name)? {
            *clock = Duration::from_millis(milliseconds);
        }
    }
    if let Some(bytes) = number("MAX_PAYLOAD")? {
        engine.packet_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    Ok(config)
}
