//! What is judged: a target file, a URL, or the reference server in each of its configurations.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use chatwright_conformance::{
    suite::Suite,
    target::{Auth, BackendName, Control, Identity, StartOptions, Target, TargetFile},
    tokens::{ClaimNames, Hmac},
};
use chatwright_simulator::backends::{Backends, Durability};

use crate::{
    args::{self, CheckArgs},
    backends,
    exit::UseError,
    fixtures,
    reference::{ORIGIN, Reference},
};

/// Everything that will be judged, in order.
pub(super) struct Sources {
    pub(super) configurations: Vec<Source>,
    instances: usize,
    /// Keeps the reference's files.
    _reference: Option<Reference>,
}

/// One configuration of the target.
pub(super) struct Source {
    file: TargetFile,
    origin: Option<&'static str>,
}

/// What `args` ask for.
pub(super) fn of(suite: &Suite, args: &CheckArgs) -> Result<Sources, UseError> {
    if let Some(url) = &args.url {
        let dialect = fixtures::dialect(suite, args.dialect.as_deref().unwrap_or("rooms"))?;
        let file = running(url, &dialect.name, args.secret.as_deref())?;
        return Ok(Sources { configurations: vec![Source { file, origin: None }], instances: 1, _reference: None });
    }
    if let Some(path) = &args.target {
        let file = TargetFile::load(path).map_err(|problem| UseError::new(problem.to_string()))?;
        fixtures::dialect(suite, &file.dialect)?;
        let shared = !file.needs.is_empty();
        let instances = if shared { 2 } else { 1 };
        return Ok(Sources { configurations: vec![Source { file, origin: None }], instances, _reference: None });
    }
    let dialect = fixtures::dialect(suite, args.dialect.as_deref().unwrap_or("rooms"))?;
    let reference = Reference::lay_out(&dialect.name)?;
    // What needs no backend comes last: it plays what the others could not.
    let (needing, others): (Vec<_>, Vec<_>) =
        reference.configurations()?.into_iter().partition(|file| !file.needs.is_empty());
    let (files, origin, instances) = match args.backends {
        args::Backends::Memory => (others, ORIGIN, 1),
        args::Backends::Containers => ([needing, others].concat(), "reference on containers", 2),
    };
    let configurations = files.into_iter().map(|file| Source { file, origin: Some(origin) }).collect();
    Ok(Sources { configurations, instances, _reference: Some(reference) })
}

impl Source {
    /// Starts it with whatever it needs.
    pub(super) async fn start(&self, sources: &Sources) -> Result<Target, UseError> {
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
        if let Some(backends) = backends {
            target.name = format!("{} ({})", target.name, backends.images().join(", "));
            target.keep(backends);
        }
        Ok(target)
    }
}

/// The backends that a target needs, each in a container of its own.
async fn started(file: &TargetFile) -> Result<Option<Backends>, UseError> {
    if file.needs.is_empty() {
        return Ok(None);
    }
    let needs: std::collections::BTreeSet<BackendName> = file.needs.clone();
    Backends::start(&needs, &backends::images(), Durability::Durable)
        .await
        .map(Some)
        .map_err(|problem| UseError::new(format!("{}: {problem}", file.path.display())))
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
