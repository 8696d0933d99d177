//! What is served: arguments over variables over the file, for each dialect a configuration.

use std::{collections::BTreeMap, path::Path};

use chatwright_protocol::dialects::{self, Dialect};
use chatwright_server::{
    auth::IdentityMode,
    config::{
        Config, ConfigError, Secret, TlsFiles, check_apart, configure_all, parse_env_file, share_secret,
        variable_prefix,
    },
};

use crate::{
    args::{Identity, ServeArgs},
    exit::UseError,
    reference,
};

/// Variables of a `.env` file in the working directory count like the process's own, below them.
const ENV_FILE: &str = ".env";

/// What will be started.
pub(super) struct Plan {
    /// One per dialect, in the registry's order.
    pub(super) configs: Vec<Config>,
    /// What signs the tokens of all dialects for which nothing was configured.
    pub(super) secret: Option<Secret>,
    /// What the reader should know, one line each.
    pub(super) warnings: Vec<String>,
}

pub(super) fn of(args: &ServeArgs) -> Result<Plan, UseError> {
    let dialects = chosen(&args.dialect)?;
    let path = args.config.as_deref();
    let file = path.map(read).transpose()?;
    let mut variables = variables()?;
    if let Some(role) = &args.role {
        variables.insert(role_variable(&dialects)?, role.clone()); // what is typed counts more than what is set
    }
    let configured = configure_all(&dialects, file.as_deref(), &variables).map_err(|problem| placed(&problem, path))?;
    let several = dialects.len() > 1;
    let (mut configs, mut warnings) = (Vec::new(), Vec::new());
    for one in configured {
        let name = one.config.dialect.name;
        warnings.extend(one.warnings.iter().map(|text| if several { format!("{name}: {text}") } else { text.clone() }));
        configs.push(one.config);
    }
    let mut next = args.port_base;
    let mut next_admin = args.admin_port;
    for config in &mut configs {
        overrule(config, args);
        next = next.map(|port| number(config, port)).transpose()?;
        next_admin = next_admin.map(|port| number_admin(config, port)).transpose()?;
    }
    if args.identity == Some(Identity::Open) {
        warnings
            .push("identity is open: everybody is who they say, as the documents have it; for tests only".to_owned());
    }
    check_apart(configs.iter()).map_err(|problem| placed(&problem, path))?;
    let secret = share_secret(&mut configs);
    Ok(Plan { configs, secret, warnings })
}

fn chosen(names: &[String]) -> Result<Vec<&'static Dialect>, UseError> {
    if let Some(unknown) = names.iter().find(|name| dialects::by_name(name).is_none()) {
        let spoken = reference::spoken();
        return Err(UseError::new(format!("the server speaks no dialect `{unknown}`; it speaks {spoken}")));
    }
    let is_chosen = |dialect: &&Dialect| names.is_empty() || names.iter().any(|name| name == dialect.name);
    Ok(dialects::ALL.iter().filter(is_chosen).collect())
}

/// The variable that says which service a process of `gateway` is.
fn role_variable(dialects: &[&Dialect]) -> Result<String, UseError> {
    let gateway = dialects.iter().find(|dialect| dialect.name == "gateway");
    let gateway = gateway.ok_or_else(|| UseError::new("--role is for gateway: add --dialect gateway"))?;
    Ok(if dialects.len() == 1 { "ROLE".to_owned() } else { format!("{}_ROLE", variable_prefix(gateway)) })
}

fn read(path: &Path) -> Result<String, UseError> {
    std::fs::read_to_string(path)
        .map_err(|problem| UseError::new(format!("failed to read {}: {problem}", path.display())))
}

pub(super) fn variables() -> Result<BTreeMap<String, String>, UseError> {
    let mut variables = match std::fs::read_to_string(ENV_FILE) {
        Ok(text) => parse_env_file(&text).map_err(|problem| UseError::new(format!("{ENV_FILE}: {problem}")))?,
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(problem) => return Err(UseError::new(format!("failed to read {ENV_FILE}: {problem}"))),
    };
    let own =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    variables.extend(own);
    Ok(variables)
}

/// A problem in the file is named with the file.
fn placed(problem: &ConfigError, path: Option<&Path>) -> UseError {
    match path {
        Some(path) if problem.place.starts_with("line") => UseError::new(format!("{}: {problem}", path.display())),
        Some(_) | None => UseError::new(problem.to_string()),
    }
}

/// What is typed counts more than files and variables.
fn overrule(config: &mut Config, args: &ServeArgs) {
    if let Some(host) = args.host {
        config.set_ip(host);
    }
    if let Some(kind) = args.engine {
        config.engine_kind = kind;
    }
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        config.tls = Some(TlsFiles { certificate: certificate.clone(), key: key.clone() });
    }
    match args.identity {
        Some(Identity::Token) => config.identity = IdentityMode::Token,
        Some(Identity::Open) => config.identity = IdentityMode::Open,
        None => {}
    }
}

/// Gives a dialect's listeners the ports from `port` on: its sockets, then the others in the documented order. Returns the next port.
fn number(config: &mut Config, port: u16) -> Result<u16, UseError> {
    config.listen.set_port(port);
    let mut next = following(port)?;
    for (name, _) in config.dialect.further_ports {
        if let Some(address) = config.listeners.get_mut(name) {
            address.set_port(next);
            next = following(next)?;
        }
    }
    Ok(next)
}

fn number_admin(config: &mut Config, port: u16) -> Result<u16, UseError> {
    let ip = config.admin.map_or_else(|| std::net::Ipv4Addr::LOCALHOST.into(), |admin| admin.ip());
    config.admin = Some(std::net::SocketAddr::new(ip, port));
    following(port)
}

/// 0 is any free port, again and again.
fn following(port: u16) -> Result<u16, UseError> {
    let problem = || UseError::new("--port-base and --admin-port: lower numbers are expected, the last port is 65535");
    if port == 0 { Ok(0) } else { port.checked_add(1).ok_or_else(problem) }
}
