//! What only `direct` has, and what its document (`003_5f29725af85c9ec0.txt`) calls otherwise.

use super::{Setting, setting};
use crate::config::Origins;

#[rustfmt::skip] // one line a setting
pub(super) const SETTINGS: &[Setting] = &[
    setting!("listen.port", Some("WEBSOCKET_PORT"), "port for sockets; 0: any free one", |d, v| d.config.listen.set_port(v.port()?)),
    setting!("listen.rest_port", Some("REST_PORT"), "port for REST; 0: any free one", |d, v| d.config.set_port("rest", v.port()?)),
    setting!("cors.origins", Some("CLIENT_URL"), "\"*\", or the exact origins of web pages that may connect, with credentials", |d, v| d.config.origins = Origins::read(&v.list()?)?),
    setting!("redis.url", Some("REDIS_URL"), "Redis as one address, redis://[user:password@]host[:port][/database]; unset: all in memory", |d, v| d.redis_url = Some(v.redis()?)),
    setting!("mongodb.uri", Some("DATABASE_URL"), "MongoDB, mongodb://host/database; unset: all in memory", |d, v| d.config.mongodb = Some(v.database(&["mongodb", "mongodb+srv"])?)),
];
