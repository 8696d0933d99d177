//! One value as it was written, in a file or in a variable, and the ways to read it. Each way says what it expects.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use http::Uri;
use toml::de::DeValue;

use super::{RedisConfig, Secret};

/// The documented port of Redis.
pub(super) const REDIS_PORT: u16 = 6379;

/// A value before it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// Text, or whatever stands in a variable.
    Text(String),
    /// A number in a file.
    Number(String),
    /// `true` or `false` in a file.
    Flag(bool),
    /// A list of texts in a file.
    List(Vec<String>),
}

/// What was expected instead.
pub(super) type Read<T> = Result<T, String>;

impl Raw {
    /// A value of a TOML file, if it is of a kind that settings have.
    pub(super) fn of_toml(value: &DeValue<'_>) -> Read<Self> {
        match value {
            DeValue::String(text) => Ok(Self::Text(text.to_string())),
            DeValue::Integer(number) => Ok(Self::Number(number.as_str().replace('_', ""))),
            DeValue::Boolean(flag) => Ok(Self::Flag(*flag)),
            DeValue::Array(values) => values
                .iter()
                .map(|value| {
                    value.get_ref().as_str().map(str::to_owned).ok_or("a list of texts is expected".to_owned())
                })
                .collect::<Read<_>>()
                .map(Self::List),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
                Err(format!("a text, whole number, true or false, or list is expected, not a {}", value.type_str()))
            }
        }
    }

    pub(super) fn text(&self) -> Read<&str> {
        match self {
            Self::Text(text) if !text.trim().is_empty() => Ok(text.trim()),
            Self::Text(_) | Self::Number(_) | Self::Flag(_) | Self::List(_) => Err("a text is expected".to_owned()),
        }
    }

    pub(super) fn count(&self, allowed: RangeInclusive<u64>) -> Read<u64> {
        let wrong = || format!("a whole number from {} to {} is expected", allowed.start(), allowed.end());
        match self {
            Self::Text(text) | Self::Number(text) => {
                text.trim().parse().ok().filter(|number| allowed.contains(number)).ok_or_else(wrong)
            }
            Self::Flag(_) | Self::List(_) => Err(wrong()),
        }
    }

    /// A count that is used as a size in memory.
    pub(super) fn size(&self, allowed: RangeInclusive<u64>) -> Read<usize> {
        self.count(allowed).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    pub(super) fn port(&self) -> Read<u16> {
        self.count(0..=u64::from(u16::MAX)).map(|number| u16::try_from(number).unwrap_or(u16::MAX))
    }

    /// A time: `"500ms"`, `"25s"`, `"5m"`, `"12h"`, `"7d"`, or a number of seconds.
    pub(super) fn span(&self, allowed: RangeInclusive<Duration>) -> Read<Duration> {
        let wrong = || {
            let (from, to) = (written(*allowed.start()), written(*allowed.end()));
            format!("a time from {from} to {to} is expected, such as \"500ms\", \"25s\" or \"7d\"")
        };
        let (Self::Text(text) | Self::Number(text)) = self else { return Err(wrong()) };
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit_ms = match unit.trim() {
            "ms" => 1,
            "" | "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let span = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms)).map(Duration::from_millis);
        span.filter(|span| allowed.contains(span)).ok_or_else(wrong)
    }

    pub(super) fn flag(&self) -> Read<bool> {
        match self {
            Self::Flag(flag) => Ok(*flag),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
            Self::Text(_) | Self::Number(_) | Self::List(_) => Err("true or false is expected".to_owned()),
        }
    }

    /// A list; in a variable its items are separated by commas.
    pub(super) fn list(&self) -> Read<Vec<String>> {
        let items: Vec<String> = match self {
            Self::List(items) => items.iter().map(|item| item.trim().to_owned()).collect(),
            Self::Text(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            Self::Number(_) | Self::Flag(_) => return Err("a list of texts is expected".to_owned()),
        };
        Ok(items.into_iter().filter(|item| !item.is_empty()).collect())
    }

    pub(super) fn ip(&self) -> Read<IpAddr> {
        self.text()?.parse().map_err(|_| "an IP address is expected, such as 127.0.0.1 or 0.0.0.0".to_owned())
    }

    /// A list of `http` addresses of instances of another service.
    pub(super) fn services(&self) -> Read<Vec<Uri>> {
        let addresses: Vec<Uri> =
            self.list()?.into_iter().map(|item| Self::Text(item).service()).collect::<Read<_>>()?;
        if addresses.is_empty() { Err("at least one address is expected".to_owned()) } else { Ok(addresses) }
    }

    /// An `http` address of another service.
    pub(super) fn service(&self) -> Read<Uri> {
        let wrong =
            "an address such as http://auth:3000 is expected (TLS is not spoken here; no user or password in it)";
        let uri: Uri = self.text()?.parse().map_err(|_| wrong.to_owned())?;
        let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        if uri.scheme_str() != Some("http") || has_user || uri.query().is_some() {
            return Err(wrong.to_owned());
        }
        Ok(uri)
    }

    /// The address of a database or broker, in one of these schemes. Kept as it is and shown to nobody: passwords stand in it.
    pub(super) fn database(&self, schemes: &[&str]) -> Read<Secret> {
        let wrong =
            || format!("an address that begins with {}:// and names a host is expected", schemes.join(":// or "));
        let text = self.text().map_err(|_| wrong())?;
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let is_one = schemes.contains(&scheme) && !rest.is_empty() && !rest.starts_with('/');
        is_one.then(|| Secret::new(text)).ok_or_else(wrong)
    }

    /// Kafka's brokers: `host:port`, several with commas between.
    pub(super) fn brokers(&self) -> Read<Vec<String>> {
        let wrong = "host:port is expected, such as kafka:9092; several with commas between";
        let brokers = self.list()?;
        let is_one = |broker: &String| {
            broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if brokers.is_empty() || !brokers.iter().all(is_one) { Err(wrong.to_owned()) } else { Ok(brokers) }
    }

    /// Redis as one address. User and password may be percent-encoded.
    pub(super) fn redis(&self) -> Read<RedisConfig> {
        let wrong = || "an address such as redis://user:password@redis:6379/0 is expected".to_owned();
        let uri: Uri = self.text()?.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("redis")).ok_or_else(wrong)?;
        let mut config = RedisConfig::at(authority.host(), authority.port_u16().unwrap_or(REDIS_PORT));
        if let Some((who, _)) = authority.as_str().rsplit_once('@') {
            let (user, password) = who.split_once(':').ok_or_else(wrong)?;
            config.user = Some(percent_decoded(user).ok_or_else(wrong)?).filter(|user| !user.is_empty());
            config.password = Some(Secret::new(percent_decoded(password).ok_or_else(wrong)?));
        }
        config.database = match uri.path().trim_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| wrong())?,
        };
        Ok(config)
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

fn written(span: Duration) -> String {
    if span.as_millis() < 1000 { format!("{}ms", span.as_millis()) } else { format!("{}s", span.as_secs()) }
}
