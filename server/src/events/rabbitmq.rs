//! Events in a durable queue of RabbitMQ, persistent and confirmed by the broker.

use futures_util::future::BoxFuture;

use super::{EventSink, MessageSent, NotTaken};
use crate::amqp_link::{AmqpLink, Publication};

/// Publishes to the queue of a link.
#[derive(Debug)]
pub struct RabbitmqEvents {
    link: AmqpLink,
    to_json: fn(&MessageSent) -> String,
}

impl RabbitmqEvents {
    /// A sink over this link; `to_json` is the dialect's documented form.
    #[must_use]
    pub fn new(link: AmqpLink, to_json: fn(&MessageSent) -> String) -> Self {
        Self { link, to_json }
    }
}

impl EventSink for RabbitmqEvents {
    fn offer<'a>(&'a self, event: &'a MessageSent) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            let body = (self.to_json)(event);
            let key = self.link.topology().queue.as_str();
            let publication = Publication { key, id: event.message.as_str(), body: body.as_bytes() };
            self.link.publish(publication).await.map_err(|problem| NotTaken(problem.to_string()))
        })
    }

    fn technology(&self) -> &'static str {
        "rabbitmq"
    }
}
