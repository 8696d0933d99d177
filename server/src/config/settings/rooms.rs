//! What only `rooms` has.

use super::{Setting, setting};

#[rustfmt::skip] // one line a setting
pub(super) const SETTINGS: &[Setting] = &[
    setting!("events.file", Some("EVENTS_FILE"), "file to which an event per message is appended as a line of JSON; unset: no events", |d, v| d.config.events_file = Some(v.text()?.into())),
    setting!("mongodb.uri", Some("MONGODB_URI"), "MongoDB behind Redis, mongodb://host/database: keeps all messages and rooms; unset: Redis alone", |d, v| d.config.mongodb = Some(v.database(&["mongodb", "mongodb+srv"])?)),
    setting!("rabbitmq.url", Some("RABBITMQ_URL"), "RabbitMQ for the notification service, amqp://[user:password@]host[:port][/vhost]; unset: no events", |d, v| d.config.rabbitmq = Some(v.database(&["amqp", "amqps"])?)),
    setting!("rabbitmq.queue", Some("RABBITMQ_QUEUE_NEW_MESSAGE"), "its queue for new messages", |d, v| d.config.rabbitmq_queue = v.text()?.to_owned()),
];
