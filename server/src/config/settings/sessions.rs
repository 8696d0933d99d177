//! What only `sessions` has, and what its document (`002_6fac51585bee33bb.txt`) calls otherwise.

use super::{Setting, ms, secs, setting};

#[rustfmt::skip] // one line a setting
pub(super) const SETTINGS: &[Setting] = &[
    setting!("clocks.grace", Some("GRACE_PERIOD"), "how long a user may be away before the others are told", |d, v| d.config.grace = v.span(ms(0)..=secs(3600))?),
    setting!("redis.tls", Some("REDIS_TLS_ENABLED"), "whether connections to Redis are TLS", |d, v| d.redis_tls = v.flag()?),
    setting!("redis.tls_authority", Some("REDIS_TLS_CA"), "file with the PEM certificate of the authority that Redis shows; unset: those that everybody trusts", |d, v| d.redis_tls_authority = Some(v.text()?.into())),
];
