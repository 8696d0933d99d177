//! What is judged: a target file, a URL, or the reference server in each of its configurations.

use std::{collections::BTreeMap, net::IpAddr, path::Path, sync::Arc};

use chatwright_conformance::{
    dialect::Dialect,
    suite::Suite,
    target::{Auth, Control, Identity, StartOptions, Target, TargetFile, Template},
    tokens::{ClaimNames, Hmac},
};
use chatwright_server::transport::EngineKind;
use chatwright_simulator::backends::{Backends, Durability};

use crate::{
    args::{self, CheckArgs},
    backends,
    exit::UseError,
    fixtures,
    reference::{self, ORIGIN, Reference},
};

/// The variable that chooses the engine of the reference server.
const ENGINE: &str = "SOCKET_IO_ENGINE";

/// A dialect with everything that will be judged of it, in order.
pub(super) struct Sources {
    pub(super) dialect: String,
    pub(super) configurations: Vec<Source>,
    /// The dialect with which the protocols below this one are judged: an earlier one with the same carrier.
    pub(super) shared_with: Option<String>,
    /// Whether other dialects are judged in the same check.
    pub(super) among_others: bool,
    instances: usize,
    /// Keeps the reference's files.
    _reference: Option<Reference>,
}

/// One configuration of the target.
pub(super) struct Source {
    file: TargetFile,
    origin: Option<&'static str>,
    /// Whether what must be played alone is for the one behind it.
    pub(super) leaves_alone: bool,
}

/// What `args` ask for: one target, or the reference server in each dialect.
pub(super) fn of(suite: &Suite, args: &CheckArgs) -> Result<Vec<Sources>, UseError> {
    if let Some(url) = &args.url {
        let name = match args.dialect.as_slice() {
            [] => "rooms",
            [one] => one,
            _ => {
                return Err(UseError::new(format!(
                    "{url} is judged by one dialect at a time; name one with --dialect"
                )));
            }
        };
        let dialect = fixtures::dialect(suite, name)?;
        return Ok(vec![alone(running(url, &dialect.name, args.secret.as_deref())?)]);
    }
    if let Some(command) = &args.client {
        let file = TargetFile::for_client(command).map_err(|problem| UseError::new(problem.to_string()))?;
        return Ok(vec![alone(file)]);
    }
    if let Some(path) = &args.target {
        let target = of_file(suite, path)?;
        if let Some(other) = args.dialect.iter().find(|name| **name != target.dialect) {
            return Err(UseError::new(format!("{} speaks `{}`, not `{other}`", path.display(), target.dialect)));
        }
        return Ok(vec![target]);
    }
    let mut all: Vec<Sources> = Vec::new();
    for dialect in dialects(suite, args)? {
        let same = |other: &Sources| {
            let other = suite.dialects.get(&other.dialect)?;
            (other.carrier == dialect.carrier).then(|| other.name.clone())
        };
        let shared_with = all.iter().find_map(same);
        all.push(Sources { shared_with, ..of_reference(&dialect.name, args.backends)? });
    }
    let among_others = all.len() > 1;
    all.iter_mut().for_each(|sources| sources.among_others = among_others);
    Ok(all)
}

/// A target file.
pub(super) fn of_file(suite: &Suite, path: &Path) -> Result<Sources, UseError> {
    let file = TargetFile::load(path).map_err(|problem| UseError::new(problem.to_string()))?;
    fixtures::dialect(suite, &file.dialect)?;
    Ok(alone(file))
}

fn alone(file: TargetFile) -> Sources {
    let instances = if file.needs.is_empty() { 1 } else { 2 };
    Sources {
        dialect: file.dialect.clone(),
        configurations: vec![Source { file, origin: None, leaves_alone: false }],
        shared_with: None,
        among_others: false,
        instances,
        _reference: None,
    }
}

/// The dialects that are asked for, each once; all that the reference speaks where none is named.
fn dialects<'s>(suite: &'s Suite, args: &CheckArgs) -> Result<Vec<&'s Dialect>, UseError> {
    let mut names: Vec<&str> = if args.dialect.is_empty() { reference::dialects() } else { Vec::new() };
    for name in &args.dialect {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.into_iter().map(|name| fixtures::dialect(suite, name)).collect()
}

/// The reference server in each of its configurations.
pub(super) fn of_reference(dialect: &str, backends: args::Backends) -> Result<Sources, UseError> {
    let reference = Reference::lay_out(dialect)?;
    // What needs no backend comes last: it plays what the others could not.
    let (needing, others): (Vec<_>, Vec<_>) =
        reference.configurations()?.into_iter().partition(|(file, _)| !file.needs.is_empty());
    let (files, origin, instances) = match backends {
        args::Backends::Memory => (others, ORIGIN, 1),
        args::Backends::Containers => ([needing, others].concat(), "reference on containers", 2),
    };
    let source = |(file, leaves_alone)| Source { file, origin: Some(origin), leaves_alone };
    let configurations = files.into_iter().map(source).collect();
    Ok(Sources {
        dialect: dialect.to_owned(),
        configurations,
        shared_with: None,
        among_others: false,
        instances,
        _reference: Some(reference),
    })
}

/// A target that runs, on backends of its own.
pub(super) struct Running {
    pub(super) target: Target,
    backends: Option<Backends>,
}

impl Running {
    /// Stops it, then what it stood on.
    pub(super) async fn stop(self) {
        self.target.stop().await;
        if let Some(backends) = self.backends {
            backends.stop().await;
        }
    }
}

impl Sources {
    /// The configuration that is judged first.
    pub(super) fn first(&self) -> Result<&Source, UseError> {
        self.configurations.first().ok_or_else(|| UseError::new("there is nothing to judge"))
    }
}

impl Sources {
    /// The same on one of our engines, which its name then says. A dialect without Socket.IO has none.
    pub(super) fn on_engine(mut self, engine: Option<EngineKind>) -> Result<Self, UseError> {
        let Some(engine) = engine else { return Ok(self) };
        for source in &mut self.configurations {
            if let Some(start) = &mut source.file.start {
                let name = Template::parse(engine.as_str()).map_err(UseError::new)?;
                start.env.insert(ENGINE.to_owned(), name);
            }
            source.file.name = format!("{}, engine {}", source.file.name, engine.as_str());
        }
        Ok(self)
    }
}

impl Sources {
    /// How many backends have to be started for it.
    pub(super) fn weight(&self) -> usize {
        self.configurations.iter().map(|source| source.file.needs.len()).sum()
    }
}

impl Source {
    /// The same without anything that runs, where it would have to wait for backends; `None` where it would not, or where nothing can be
    /// judged so.
    pub(super) fn vacant(&self) -> Option<Target> {
        let mut target = Target::vacant(&self.file).filter(|_| !self.file.needs.is_empty())?;
        if let Some(origin) = self.origin {
            origin.clone_into(&mut target.origin);
        }
        Some(target)
    }

    /// Starts it with whatever it needs.
    pub(super) async fn start(&self, sources: &Sources) -> Result<Running, UseError> {
        let instances = if self.file.needs.is_empty() { 1 } else { sources.instances };
        let backends = started(&self.file).await?;
        let options = StartOptions {
            instances,
            backends: backends.as_ref().map_or_else(BTreeMap::new, Backends::values),
            control: backends.as_ref().map(Backends::control) as Option<Arc<dyn Control>>,
        };
        let mut target =
            Target::start(&self.file, options).await.map_err(|problem| UseError::new(problem.to_string()))?;
        if let Some(origin) = self.origin {
            origin.clone_into(&mut target.origin);
        }
        if let Some(backends) = &backends {
            target.name = format!("{} ({})", target.name, backends.images().join(", "));
        }
        Ok(Running { target, backends })
    }
}

/// The backends that a target needs, each in a container of its own.
async fn started(file: &TargetFile) -> Result<Option<Backends>, UseError> {
    if file.needs.is_empty() {
        return Ok(None);
    }
    Backends::start_secured(&file.needs, &file.tls, &backends::images(), Durability::Durable)
        .await
        .map(Some)
        .map_err(|problem| UseError::new(format!("{}: {problem}", file.name)))
}

/// A running server at a URL, with tokens signed by its secret.
pub(crate) fn running(url: &str, dialect: &str, secret: Option<&str>) -> Result<TargetFile, UseError> {
    let mut file = TargetFile::for_url(url, dialect).map_err(|problem| UseError::new(problem.to_string()))?;
    if let Some(secret) = secret {
        file.auth = Auth::Secret { secret: secret.to_owned(), algorithm: Hmac::HS256, names: ClaimNames::default() };
        file.identity = Identity::Token;
    }
    Ok(file)
}

/// The host of a URL that is not this machine, if it is not.
pub(crate) fn not_loopback(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = if let Some(bracketed) = authority.strip_prefix('[') {
        bracketed.split(']').next().unwrap_or_default()
    } else {
        authority.rsplit_once(':').map_or(authority, |(host, _)| host)
    };
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    (!local).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::not_loopback;

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for url in ["http://127.0.0.1:5004", "ws://localhost/x", "http://[::1]:80", "127.0.0.2:1"] {
            assert_eq!(not_loopback(url), None, "{url}");
        }
        assert_eq!(not_loopback("http://192.0.2.1:5004/x"), Some("192.0.2.1".to_owned()));
        assert_eq!(not_loopback("http://127.0.0.1.example.com"), Some("127.0.0.1.example.com".to_owned()));
    }
}
