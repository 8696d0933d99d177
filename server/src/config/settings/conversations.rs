//! What only `conversations` has, and what its document (`001_66541cd422f9770e.txt`) calls otherwise.

use super::{Setting, setting};
use crate::config::Secret;

#[rustfmt::skip] // one line a setting
pub(super) const SETTINGS: &[Setting] = &[
    setting!("identity.jwt_secret", Some("ACCESS_TOKEN_SECRET"), "shared secret of HS256 tokens", |d, v| d.jwt_secret = Some(Secret::new(v.text()?))),
    setting!("redis.url", Some("REDIS_URL"), "Redis as one address, redis://[user:password@]host[:port][/database]; unset: all in memory", |d, v| d.redis_url = Some(v.redis()?)),
    setting!("postgres.url", Some("DATABASE_URL"), "PostgreSQL, postgresql://user:password@host/database; unset: all in memory", |d, v| d.config.postgres = Some(v.database(&["postgres", "postgresql"])?)),
    setting!("kafka.brokers", Some("KAFKA_BROKER"), "Kafka's brokers, host:port; unset: no events", |d, v| d.config.kafka_brokers = v.brokers()?),
];
