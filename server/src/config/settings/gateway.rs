//! What only `gateway` has, and what its document (`004_920c0bc2ef256b0d.txt`) calls otherwise.

use super::{Setting, setting};
use crate::config::{
    Role,
    raw::{Raw, Read},
};

#[rustfmt::skip] // one line a setting
pub(super) const SETTINGS: &[Setting] = &[
    setting!("services.role", Some("ROLE"), "which service this process plays: user, message, chat, gateway, or all", |d, v| d.config.role = role(v)?),
    setting!("services.user", Some("USER_SERVICE_URL"), "addresses of the user service, for the gateway; unset: in this process", |d, v| d.config.upstreams.user = v.services()?),
    setting!("services.message", Some("MESSAGE_SERVICE_URL"), "addresses of the message service, for the gateway; unset: in this process", |d, v| d.config.upstreams.message = v.services()?),
    setting!("services.chat", Some("CHAT_SERVICE_URL"), "addresses of the chat service, for the gateway; unset: in this process", |d, v| d.config.upstreams.chat = v.services()?),
    setting!("listen.user_port", Some("USER_PORT"), "port of the user service", |d, v| d.config.set_port("user", v.port()?)),
    setting!("listen.message_port", Some("MESSAGE_PORT"), "port of the message service", |d, v| d.config.set_port("message", v.port()?)),
    setting!("listen.gateway_port", Some("GATEWAY_PORT"), "port of the API gateway", |d, v| d.config.set_port("gateway", v.port()?)),
    setting!("listen.web_port", Some("WEB_PORT"), "port of the web page", |d, v| d.config.set_port("web", v.port()?)),
    setting!("redis.url", Some("REDIS_URL"), "Redis as one address, redis://[user:password@]host[:port][/database]; unset: all in memory", |d, v| d.redis_url = Some(v.redis()?)),
    setting!("mongodb.uri", Some("MONGO_URI"), "MongoDB, mongodb://host/database; unset: all in memory", |d, v| d.config.mongodb = Some(v.database(&["mongodb", "mongodb+srv"])?)),
    setting!("rabbitmq.url", Some("RABBITMQ_URL"), "RabbitMQ, amqp://[user:password@]host[:port][/vhost]; unset: a queue in memory", |d, v| d.config.rabbitmq = Some(v.database(&["amqp", "amqps"])?)),
];

fn role(raw: &Raw) -> Read<Role> {
    Role::by_name(raw.text()?).ok_or_else(|| "user, message, chat, gateway or all is expected".to_owned())
}
