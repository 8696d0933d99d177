//! One RabbitMQ as the adapters use it: a connection that comes back by itself, what is declared on it, confirmed publishing.

use std::{
    fmt,
    time::{Duration, Instant},
};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind, PublisherConfirm,
    options::{
        BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::sync::Mutex;

use crate::config::Secret;

/// AMQP's number for a message that a broker writes to its disk.
const PERSISTENT: u8 = 2;

/// For how long a broker that could not be reached is not asked again: otherwise everybody who publishes would wait for the time limit.
const SILENCE: Duration = Duration::from_millis(250);

/// Deliveries that a consumer holds at once.
pub(crate) const UNDER_WAY_MAX: u16 = 1;

/// The longest name and routing key that AMQP can carry.
const SHORT_BYTES_MAX: usize = 255;

/// The broker did not take it; the words never show a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("RabbitMQ: {0}")]
pub struct AmqpError(pub(crate) String);

impl From<lapin::Error> for AmqpError {
    fn from(problem: lapin::Error) -> Self {
        Self(problem.to_string())
    }
}

/// What an adapter finds or makes on the broker. Everything is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// A topic exchange with the keys that are routed to the queue; `None`: the default exchange, which routes by the queue's name.
    pub exchange: Option<(String, String)>,
    /// The queue.
    pub queue: String,
    /// The queue of what nobody could make use of.
    pub dead_letters: Option<String>,
    /// Whether one consumer at a time gets deliveries, however many wait.
    pub single_consumer: bool,
}

/// A connection with one channel. Nothing is connected before the first use; a lost connection is made again at the next.
pub struct AmqpLink {
    url: Secret,
    name: &'static str,
    topology: Topology,
    timeout: Duration,
    open: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<(Connection, Channel)>,
    /// Counts connections, so that who waited for one does not close its successor.
    opened: u64,
    silent_until: Option<Instant>,
}

/// A message on its way to the broker.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The routing key; without an exchange the queue's name.
    pub key: &'a str,
    /// The same when it is said again.
    pub id: &'a str,
    /// JSON.
    pub body: &'a [u8],
}

impl fmt::Debug for AmqpLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpLink").field("name", &self.name).field("topology", &self.topology).finish_non_exhaustive()
    }
}

impl AmqpLink {
    /// A link that gives each question this much time; `name` is what the broker's administrator sees.
    #[must_use]
    pub fn new(url: Secret, name: &'static str, topology: Topology, timeout: Duration) -> Self {
        Self { url, name, topology, timeout, open: Mutex::default() }
    }

    /// What is declared.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Hands a message over: `Ok` when the broker has written it and put it into a queue. Messages leave one after the other, so that the
    /// order stays; their confirmations are waited for side by side.
    ///
    /// # Errors
    /// The broker is away, too slow, or says no: it may or may not have the message.
    pub async fn publish(&self, publication: Publication<'_>) -> Result<(), AmqpError> {
        let sent = tokio::time::timeout(self.timeout, self.send(publication)).await;
        let (opened, confirm) = sent.unwrap_or_else(|_| Err(too_slow()))?;
        let confirmed = tokio::time::timeout(self.timeout, confirm).await;
        let confirmed = confirmed.map_err(|_| too_slow()).and_then(|confirmed| judged(confirmed?));
        if confirmed.is_err() {
            let mut state = self.open.lock().await;
            if state.opened == opened {
                state.open = None;
            }
        }
        confirmed
    }

    /// Whether the broker takes messages now.
    ///
    /// # Errors
    /// It is away, too slow, or says no.
    pub async fn ping(&self) -> Result<(), AmqpError> {
        let answered = async {
            let channel = self.usable(&mut *self.open.lock().await).await?;
            answers(&channel).await
        };
        tokio::time::timeout(self.timeout, answered).await.unwrap_or_else(|_| Err(too_slow()))
    }

    /// A connection and a channel of one's own, with everything declared: for a consumer, who must not wait behind publishers.
    ///
    /// # Errors
    /// The broker is away, too slow, or says no.
    pub async fn connect(&self) -> Result<(Connection, Channel), AmqpError> {
        let opened = tokio::time::timeout(self.timeout, self.open()).await;
        opened.unwrap_or_else(|_| Err(too_slow()))
    }

    async fn send(&self, publication: Publication<'_>) -> Result<(u64, PublisherConfirm), AmqpError> {
        let mut state = self.open.lock().await;
        let channel = self.usable(&mut state).await?;
        match publish(&channel, &self.topology, publication).await {
            Ok(confirm) => Ok((state.opened, confirm)),
            Err(problem) => {
                state.open = None;
                Err(problem)
            }
        }
    }

    /// The channel, opened anew if it is gone.
    async fn usable(&self, state: &mut State) -> Result<Channel, AmqpError> {
        if let Some((_, channel)) = state.open.as_ref().filter(|(_, channel)| channel.status().connected()) {
            return Ok(channel.clone());
        }
        state.open = None;
        if state.silent_until.is_some_and(|until| Instant::now() < until) {
            return Err(AmqpError("no answer lately".to_owned()));
        }
        // Set first: who is given up while he waits leaves word as well.
        state.silent_until = Some(Instant::now() + SILENCE);
        let (connection, channel) = self.open().await?;
        *state = State { open: Some((connection, channel.clone())), opened: state.opened + 1, silent_until: None };
        Ok(channel)
    }

    async fn open(&self) -> Result<(Connection, Channel), AmqpError> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.into());
        let connection = Connection::connect(self.url.expose(), properties).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        self.declare(&channel).await?;
        Ok((connection, channel))
    }

    async fn declare(&self, channel: &Channel) -> Result<(), AmqpError> {
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        if let Some(dead) = &self.topology.dead_letters {
            channel.queue_declare(short(dead)?, durable, FieldTable::default()).await?;
            arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
            arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(dead.as_str().into()));
        }
        if self.topology.single_consumer {
            arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        }
        channel.queue_declare(short(&self.topology.queue)?, durable, arguments).await?;
        if let Some((exchange, keys)) = &self.topology.exchange {
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(short(exchange)?, ExchangeKind::Topic, options, FieldTable::default()).await?;
            let (queue, binding) = (short(&self.topology.queue)?, QueueBindOptions::default());
            channel.queue_bind(queue, short(exchange)?, short(keys)?, binding, FieldTable::default()).await?;
        }
        Ok(())
    }
}

/// Whether the broker answers over this channel now: an open connection alone says nothing of a broker that hangs. The question changes
/// nothing.
pub(crate) async fn answers(channel: &Channel) -> Result<(), AmqpError> {
    Ok(channel.basic_qos(UNDER_WAY_MAX, BasicQosOptions::default()).await?)
}

async fn publish(
    channel: &Channel,
    topology: &Topology,
    publication: Publication<'_>,
) -> Result<PublisherConfirm, AmqpError> {
    let exchange = topology.exchange.as_ref().map_or("", |(exchange, _)| exchange.as_str());
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(short(publication.id)?);
    // Mandatory: a message that reaches no queue is an error and not a confirmation.
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let key = short(publication.key)?;
    Ok(channel.basic_publish(short(exchange)?, key, options, publication.body, properties).await?)
}

fn judged(confirmation: Confirmation) -> Result<(), AmqpError> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err(AmqpError("no queue takes the message".to_owned())),
        Confirmation::Nack(_) => Err(AmqpError("the message was not taken".to_owned())),
        Confirmation::NotRequested => Err(AmqpError("the broker confirms nothing".to_owned())),
    }
}

fn too_slow() -> AmqpError {
    AmqpError("no answer in time".to_owned())
}

fn short(text: &str) -> Result<ShortString, AmqpError> {
    if text.len() > SHORT_BYTES_MAX {
        return Err(AmqpError(format!("{} bytes are more than a name or a routing key can have", text.len())));
    }
    Ok(text.into())
}
