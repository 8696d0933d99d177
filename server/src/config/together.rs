//! Several dialects in one process: a configuration for each from one file and one set of variables, and what they must not share.

use std::{collections::BTreeMap, net::SocketAddr};

use chatwright_protocol::dialects::Dialect;

use super::{Config, ConfigError, Configured, Secret, VerifierConfig, configure};
use crate::auth::jwt::JwtRules;

/// The configurations of several dialects, from the text of one file (if there is one) and from variables.
///
/// For one dialect the file's sections may stand at the top (`[redis]`) or below the dialect (`[rooms.redis]`), and variables have their
/// documented names. For several each section stands below its dialect, each variable carries its name (`ROOMS_PORT`), and so does each key
/// in Redis, unless a prefix is set. When nothing is changed any more, [`check_apart`] tells whether they can run beside each other.
///
/// # Errors
/// [`ConfigError`] for the first thing that is wrong.
pub fn configure_all(
    dialects: &[&'static Dialect],
    file: Option<&str>,
    variables: &BTreeMap<String, String>,
) -> Result<Vec<Configured>, ConfigError> {
    let alone = dialects.len() == 1;
    let each = dialects.iter().map(|dialect| {
        let prefix = (!alone).then(|| variable_prefix(dialect));
        configure(dialect, file, variables, prefix.as_deref())
    });
    each.collect()
}

/// Lets all dialects for which no way to verify tokens is configured accept tokens of one secret, which is made here; `None`: there are none.
pub fn share_secret(configs: &mut [Config]) -> Option<Secret> {
    let mut shared = None;
    for config in configs {
        if let VerifierConfig::Embedded(names) = &config.verifier {
            let secret = shared.get_or_insert_with(Secret::fresh);
            let rules = JwtRules { names: names.clone(), ..JwtRules::new(secret.expose().as_bytes()) };
            config.verifier = VerifierConfig::Jwt(rules);
        }
    }
    shared
}

/// What stands before a dialect's variables when it is not alone, without the `_` between.
#[must_use]
pub fn variable_prefix(dialect: &Dialect) -> String {
    dialect.name.to_ascii_uppercase()
}

/// Whether configurations can run beside each other: what would mix up two dialects is refused, one address for two listeners and one place
/// for two dialects' data.
///
/// # Errors
/// [`ConfigError`] that names both dialects and what they share.
pub fn check_apart<'a>(configs: impl Iterator<Item = &'a Config> + Clone) -> Result<(), ConfigError> {
    check_ports(configs.clone())?;
    for (index, config) in configs.clone().enumerate() {
        for other in configs.clone().take(index) {
            check_redis(config, other)?;
            check_mongodb(config, other)?;
        }
    }
    Ok(())
}

fn check_ports<'a>(configs: impl Iterator<Item = &'a Config>) -> Result<(), ConfigError> {
    let mut taken: BTreeMap<SocketAddr, String> = BTreeMap::new();
    for config in configs {
        for (listener, address) in config.all_listeners().filter(|(_, address)| address.port() != 0) {
            let name = format!("{} ({listener})", config.dialect.name);
            if let Some(other) = taken.insert(address, name.clone()) {
                let problem = format!("another port is expected: {other} listens on {address} already");
                return Err(ConfigError { place: name, problem });
            }
        }
    }
    Ok(())
}

/// Patterns are subscribed to and keys are read by what they begin with: of two prefixes neither may begin with the other.
fn check_redis(config: &Config, other: &Config) -> Result<(), ConfigError> {
    let (Some(redis), Some(others)) = (&config.redis, &other.redis) else { return Ok(()) };
    let is_same = redis.host.eq_ignore_ascii_case(&others.host) && redis.port == others.port;
    if !is_same || !(redis.prefix.starts_with(&others.prefix) || others.prefix.starts_with(&redis.prefix)) {
        return Ok(());
    }
    Err(ConfigError {
        place: format!("{}.redis.prefix", config.dialect.name),
        problem: format!(
            "a prefix that neither begins with {:?} (that of {}) nor is its beginning is expected, not {:?}: both use the Redis at {}:{}",
            others.prefix, other.dialect.name, redis.prefix, redis.host, redis.port
        ),
    })
}

fn check_mongodb(config: &Config, other: &Config) -> Result<(), ConfigError> {
    let is_same = config.mongodb.is_some() && config.mongodb == other.mongodb;
    let problem =
        format!("another database than that of {} is expected: names of collections collide", other.dialect.name);
    if is_same { Err(ConfigError { place: format!("{}.mongodb.uri", config.dialect.name), problem }) } else { Ok(()) }
}
