//! What no setting can know alone: which verifier was meant, which figures must fit together, what deserves a warning.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use chatwright_protocol::dialects::Dialect;
use http::Uri;

use super::{
    Config, ConfigError, Configured, Origins, RedisConfig, RedisTls, Role, Secret, TlsFiles, Upstreams, VerifierConfig,
    raw::REDIS_PORT,
};
use crate::{
    auth::{ClaimNames, IdentityMode, jwt::JwtRules, service::ServiceRules},
    transport::EngineKind,
};

/// RFC 7518, 3.2: a key of HS256 has at least the size of its hash.
const SECRET_BYTES_WANTED: usize = 32;
/// One character can become two escapes of six bytes in JSON; beside the text stands at most this much.
const JSON_BYTES_PER_CHARACTER: usize = 12;
const JSON_BYTES_BESIDE: usize = 8 * 1024;

/// A configuration in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) production: bool,
    pub(super) host: Option<IpAddr>,
    pub(super) admin_host: Option<IpAddr>,
    pub(super) admin_port: Option<u16>,
    pub(super) tls_certificate: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) names: ClaimNames,
    pub(super) jwt_secret: Option<Secret>,
    pub(super) jwt_issuer: Option<String>,
    pub(super) jwt_audience: Option<String>,
    pub(super) jwt_expiry_required: bool,
    pub(super) auth_service: Option<Uri>,
    pub(super) auth_grpc: Option<Uri>,
    pub(super) auth_timeout: Duration,
    pub(super) redis_url: Option<RedisConfig>,
    pub(super) redis_host: Option<String>,
    pub(super) redis_port: Option<u16>,
    pub(super) redis_password: Option<Secret>,
    pub(super) redis_tls: bool,
    pub(super) redis_tls_authority: Option<PathBuf>,
    pub(super) redis_prefix: String,
    /// Where each setting that was set was set, by its key.
    pub(super) places: BTreeMap<&'static str, String>,
}

impl Draft {
    pub(super) fn of(dialect: &'static Dialect) -> Self {
        let config = Config::of(dialect);
        let names = match &config.verifier {
            VerifierConfig::Embedded(names) => names.clone(),
            VerifierConfig::Jwt(_) | VerifierConfig::Service(_) | VerifierConfig::Grpc { .. } => ClaimNames::default(),
        };
        Self {
            config,
            production: false,
            host: None,
            admin_host: None,
            admin_port: None,
            tls_certificate: None,
            tls_key: None,
            names,
            jwt_secret: None,
            jwt_issuer: None,
            jwt_audience: None,
            jwt_expiry_required: true,
            auth_service: None,
            auth_grpc: None,
            auth_timeout: Duration::from_secs(3),
            redis_url: None,
            redis_host: None,
            redis_port: None,
            redis_password: None,
            redis_tls: false,
            redis_tls_authority: None,
            redis_prefix: String::new(),
            places: BTreeMap::new(),
        }
    }

    fn error(&self, key: &'static str, problem: impl Into<String>) -> ConfigError {
        ConfigError { place: self.places.get(key).cloned().unwrap_or_else(|| key.to_owned()), problem: problem.into() }
    }

    fn is_set(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }
}

/// The configuration, if its parts fit together.
pub(super) fn finish(mut draft: Draft) -> Result<Configured, ConfigError> {
    // Who keeps fewer messages than a history usually shows has set all that there is to set.
    if !draft.is_set("limits.history_default") {
        let limits = &mut draft.config.limits;
        limits.history_default = limits.history_default.min(limits.history_max);
    }
    check_sizes(&draft)?;
    let verifier = verifier(&draft)?;
    let warnings = warnings(&draft, &verifier);
    let everywhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let mut config = draft.config.clone();
    config.verifier = verifier;
    config.set_ip(draft.host.unwrap_or(if draft.production { everywhere } else { config.listen.ip() }));
    let admin_host = draft.admin_host.unwrap_or(IpAddr::from(Ipv4Addr::LOCALHOST));
    config.admin = draft.admin_port.map(|port| SocketAddr::new(admin_host, port));
    config.settle_role(draft.is_set("listen.port"));
    check_upstreams(&draft, &config)?;
    check_ports(&draft, &config)?;
    config.redis = redis(&draft)?;
    config.tls = tls(&draft)?;
    Ok(Configured { config, warnings })
}

/// Each listener needs an address of its own; said here with the key, and not by the system with a number.
fn check_ports(draft: &Draft, config: &Config) -> Result<(), ConfigError> {
    let mut taken = BTreeMap::new();
    for (name, address) in config.all_listeners() {
        let Some(other) = taken.insert(address, name).filter(|_| address.port() != 0) else { continue };
        let keys = [name, other].map(port_key);
        let culprit = keys.iter().find(|key| draft.is_set(key)).copied().unwrap_or(keys[0]);
        let problem = format!("another port is expected: {name} and {other} cannot both listen on {}", address.port());
        return Err(ConfigError {
            place: draft.places.get(culprit).cloned().unwrap_or_else(|| culprit.to_owned()),
            problem,
        });
    }
    Ok(())
}

/// A gateway without services is of no use.
fn check_upstreams(draft: &Draft, config: &Config) -> Result<(), ConfigError> {
    let Upstreams { user, message, chat } = &config.upstreams;
    let all = [("services.user", user), ("services.message", message), ("services.chat", chat)];
    match all.into_iter().find(|(_, addresses)| addresses.is_empty()) {
        Some((key, _)) if config.role == Role::Gateway => {
            Err(draft.error(key, "the role gateway needs the addresses of all three services"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The key that sets a listener's port.
fn port_key(listener: &'static str) -> &'static str {
    match listener {
        "admin" => "listen.admin_port",
        "rest" => "listen.rest_port",
        "user" => "listen.user_port",
        "message" => "listen.message_port",
        "gateway" => "listen.gateway_port",
        "web" => "listen.web_port",
        _ => "listen.port",
    }
}

fn tls(draft: &Draft) -> Result<Option<TlsFiles>, ConfigError> {
    match (draft.tls_certificate.clone(), draft.tls_key.clone()) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (Some(_), None) => Err(draft.error("listen.tls_cert", "listen.tls_key is expected beside it")),
        (None, Some(_)) => Err(draft.error("listen.tls_key", "listen.tls_cert is expected beside it")),
    }
}

fn redis(draft: &Draft) -> Result<Option<RedisConfig>, ConfigError> {
    let named = match (&draft.redis_url, &draft.redis_host) {
        (Some(_), Some(_)) => {
            return Err(draft.error("redis.url", "either redis.url or redis.host is expected, not both"));
        }
        (Some(url), None) => url.clone(),
        (None, Some(host)) => RedisConfig::at(host.clone(), REDIS_PORT),
        (None, None) => return Ok(None),
    };
    Ok(Some(RedisConfig {
        port: draft.redis_port.unwrap_or(named.port),
        password: draft.redis_password.clone().or(named.password),
        tls: draft.redis_tls.then(|| RedisTls { authority: draft.redis_tls_authority.clone() }),
        prefix: draft.redis_prefix.clone(),
        ..named
    }))
}

fn check_sizes(draft: &Draft) -> Result<(), ConfigError> {
    let Config { limits, engine, .. } = &draft.config;
    let wanted = limits.text_characters_max * JSON_BYTES_PER_CHARACTER + JSON_BYTES_BESIDE;
    if engine.packet_bytes_max < wanted {
        let problem = format!("at least {wanted} bytes are expected: a message of limits.text characters must fit");
        let culprit = if draft.is_set("limits.packet") { "limits.packet" } else { "limits.text" };
        return Err(draft.error(culprit, format!("limits.packet is {}; {problem}", engine.packet_bytes_max)));
    }
    if draft.config.rest_body_bytes_max < wanted {
        let culprit = if draft.is_set("limits.rest_body") { "limits.rest_body" } else { "limits.text" };
        let problem =
            format!("limits.rest_body is {}; at least {wanted} bytes are expected", draft.config.rest_body_bytes_max);
        return Err(draft.error(culprit, problem));
    }
    if limits.history_default > limits.history_max {
        let problem = format!("must not be above limits.history, which is {}", limits.history_max);
        return Err(draft.error("limits.history_default", problem));
    }
    Ok(())
}

fn verifier(draft: &Draft) -> Result<VerifierConfig, ConfigError> {
    let names = draft.names.clone();
    match (&draft.jwt_secret, &draft.auth_service, &draft.auth_grpc) {
        (None, None, None) => Ok(VerifierConfig::Embedded(names)),
        (Some(secret), None, None) => Ok(VerifierConfig::Jwt(JwtRules {
            secret: secret.expose().as_bytes().to_vec(),
            names,
            expiry_required: draft.jwt_expiry_required,
            issuer: draft.jwt_issuer.clone(),
            audience: draft.jwt_audience.clone(),
        })),
        (None, Some(base), None) => {
            Ok(VerifierConfig::Service(ServiceRules { base: base.clone(), names, timeout: draft.auth_timeout }))
        }
        (None, None, Some(address)) => {
            if address.path() != "/" {
                return Err(draft.error("identity.auth_service_grpc", "http://host:port without a path is expected"));
            }
            Ok(VerifierConfig::Grpc { address: address.clone(), timeout: draft.auth_timeout })
        }
        (_, Some(_), _) => Err(draft.error("identity.auth_service", "only one way to verify tokens can be chosen")),
        (_, None, Some(_)) => {
            Err(draft.error("identity.auth_service_grpc", "only one way to verify tokens can be chosen"))
        }
    }
}

fn warnings(draft: &Draft, verifier: &VerifierConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |condition: bool, text: &str| {
        if condition {
            warnings.push(text.to_owned());
        }
    };
    let engine = &draft.config.engine;
    let recovers = !engine.recovery_window.is_zero() && draft.config.engine_kind != EngineKind::Lean;
    warn(recovers, "clocks.recovery is for the engine lean: with another one nobody is recovered");
    let speaks = |dialect: &str| draft.config.dialect.name == dialect;
    let has_redis = draft.redis_host.is_some() || draft.redis_url.is_some();
    let archives = draft.config.mongodb.is_some() && has_redis;
    let no_front = "MongoDB is configured without Redis, behind which it stands: nothing is written to it";
    warn(speaks("rooms") && draft.config.mongodb.is_some() && !has_redis, no_front);
    let no_outbox = "RabbitMQ is configured without an archive: events that wait for it are lost with the process";
    warn(speaks("rooms") && draft.config.rabbitmq.is_some() && !archives, no_outbox);
    let storeless = (speaks("conversations") && draft.config.postgres.is_none())
        || (speaks("direct") && draft.config.mongodb.is_none());
    warn(
        has_redis && storeless,
        "Redis is configured without a database: messages stay in this process, which must be the only one",
    );
    warn(draft.config.identity == IdentityMode::Open, "identity is open: clients say who they are and are believed");
    let any_page = draft.config.origins == Origins::Any && (draft.is_set("cors.origins") || draft.production);
    warn(any_page, "any web page may connect (origin *), without credentials");
    let short = matches!(verifier, VerifierConfig::Jwt(rules) if rules.secret.len() < SECRET_BYTES_WANTED);
    warn(short, "the JWT secret has fewer than 32 bytes: tokens can be guessed");
    let embedded = matches!(verifier, VerifierConfig::Embedded(_));
    warn(embedded && draft.production, "no way to verify tokens is configured: the secret is made at each start");
    let only_jwt = ["identity.jwt_issuer", "identity.jwt_audience", "identity.jwt_expiry_required"];
    let ignored = only_jwt.iter().any(|key| draft.is_set(key)) && !matches!(verifier, VerifierConfig::Jwt(_));
    warn(ignored, "rules for JWTs are configured without identity.jwt_secret: they have no effect");
    let redis = draft.redis_port.is_some() || draft.redis_password.is_some() || draft.is_set("redis.prefix");
    warn(
        redis && draft.redis_host.is_none() && draft.redis_url.is_none(),
        "Redis is configured without a host: everything stays in memory",
    );
    warnings
}
