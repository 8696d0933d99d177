//! The bots of a run: each in a task of its own, over the client SDK; what they send, hear and suffer goes into the history.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chatwright_client_sdk::{
    AskError, Bot as Client, BotConfig, BotEvent, Direction, Identity, Reconnection, Tap, Ticket,
    protocol::{
        dialects::{AppPacket, Carrier, Dialect},
        engine_io::Frame,
        vocabulary::{Audience, Event, Message, UserId},
    },
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    history::{Recorder, Source, What},
    promises::Promises,
};

/// Sends that wait for their bot. A bot reads them at once unless it is joining; then this many lie ahead of it at most.
const ORDERS_MAX: usize = 1_000;
/// After a server ended the connection on purpose (it drains), a client may come back after this.
const RETURN_AFTER: Duration = Duration::from_millis(500);
/// Faster than the official client's 1 to 5 s, so that a return meets traffic.
const RECONNECTION: Reconnection = Reconnection {
    delay_min: Duration::from_millis(100),
    delay_max: Duration::from_millis(800),
    jitter: 0.5,
    attempts_max: None,
};

/// Where and as whom a bot connects.
pub(crate) struct Seat {
    /// Its index in the plan.
    pub(crate) bot: usize,
    /// Who it is.
    pub(crate) user: String,
    /// The address of its instance.
    pub(crate) url: String,
    /// The address that tells histories, if that is another one.
    pub(crate) rest_url: Option<String>,
    /// What proves who it is; `None` where identity is open.
    pub(crate) token: Option<String>,
    /// What may be asked of the target.
    pub(crate) promises: Promises,
    /// The rooms that it belongs to, and who else does.
    pub(crate) places: Vec<(String, Vec<UserId>)>,
    /// Seed of its reconnections.
    pub(crate) seed: u64,
    /// How long it waits for a confirmation.
    pub(crate) confirm_within: Duration,
}

/// A bot at work.
pub(crate) struct Bot {
    index: usize,
    orders: mpsc::Sender<Order>,
    recorder: Arc<Recorder>,
    task: JoinHandle<()>,
}

enum Order {
    Post { op: usize, room: String, text: String },
    Quit,
}

impl Bot {
    /// Connects and joins the rooms.
    ///
    /// # Errors
    /// What went wrong, as a fragment.
    pub(crate) async fn connect(seat: Seat, recorder: Arc<Recorder>) -> Result<Self, String> {
        let dialect = seat.promises.dialect;
        let mut config = BotConfig::new(dialect, &seat.url);
        (config.answer_timeout, config.pending_timeout) = (seat.confirm_within, seat.confirm_within);
        config.confirmation = Some(seat.promises.confirmation);
        config.rest_url.clone_from(&seat.rest_url);
        config.socket.seed = seat.seed;
        config.socket.reconnection = Some(RECONNECTION);
        let repeats = Repeats { dialect, bot: seat.bot, recorder: Arc::clone(&recorder), seen: Mutex::default() };
        config.socket.tap = Some(Tap::new(move |direction, frame| repeats.see(direction, frame)));
        let identity = match &seat.token {
            Some(token) => Identity::token(seat.user.as_str(), token.as_str()),
            None => Identity::open(seat.user.as_str(), seat.user.as_str()),
        };
        let mut client = Client::connect_with(dialect, identity, config).await.map_err(|error| error.to_string())?;
        let mut places = BTreeMap::new();
        for (room, others) in seat.places {
            let audience = client.meet(room.as_str(), &others).await.map_err(|error| error.to_string())?;
            places.insert(room, audience);
        }
        recorder.record(What::Online { bot: seat.bot });
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let worker = Worker {
            bot: seat.bot,
            client,
            places,
            recorder: Arc::clone(&recorder),
            under_way: BTreeMap::new(),
            unsettled: BTreeMap::new(),
        };
        Ok(Self { index: seat.bot, orders, recorder, task: tokio::spawn(worker.work(inbox)) })
    }

    /// Sends a message; what becomes of it stands in the history.
    pub(crate) fn send(&self, op: usize, room: &str, text: &str) {
        self.recorder.record(What::Invoked { op });
        let order = Order::Post { op, room: room.to_owned(), text: text.to_owned() };
        if self.orders.try_send(order).is_err() {
            self.recorder.record(What::Refused { op, reason: format!("bot {} takes no more orders", self.index + 1) });
        }
    }

    /// Goes for good, without a word to anybody; what it does not know by then it will never know.
    pub(crate) fn quit(&self) {
        // A bot that takes no orders any more has gone already.
        let _ = self.orders.try_send(Order::Quit);
    }
}

/// A run that ends, however it ends, leaves no bot behind.
impl Drop for Bot {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Worker {
    bot: usize,
    client: Client,
    /// Whom it means by each room.
    places: BTreeMap<String, Audience>,
    recorder: Arc<Recorder>,
    under_way: BTreeMap<Ticket, Sent>,
    /// Texts that were not confirmed in time, or were answered with a no, with their operations. Their echo confirms them all the same: a
    /// server may take longer than anybody waits, and one that knows no word for "not yet" may say no first and write the message later.
    unsettled: BTreeMap<String, usize>,
}

struct Sent {
    op: usize,
    text: String,
}

impl Worker {
    async fn work(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Post { op, room, text }) => self.post(op, &room, &text),
                    Some(Order::Quit) => return self.quit(),
                    None => return,
                },
                event = self.client.next_event() => match event {
                    Some(event) => self.hear(event).await,
                    None => return,
                },
            }
        }
    }

    fn post(&mut self, op: usize, room: &str, text: &str) {
        let posted = match self.places.get(room) {
            Some(audience) => self.client.post_to(audience, text),
            None => Err(AskError::NotEntered(room.into())),
        };
        match posted {
            Ok(ticket) => {
                self.under_way.insert(ticket, Sent { op, text: text.to_owned() });
            }
            Err(error) => self.recorder.record(What::Refused { op, reason: error.to_string() }),
        }
    }

    fn quit(self) {
        self.recorder.record(What::Offline { bot: self.bot, reason: "quits".to_owned() });
        for Sent { op, .. } in self.under_way.into_values() {
            self.recorder.record(What::Unknown { op, reason: "its sender is gone".to_owned() });
        }
    }

    async fn hear(&mut self, event: BotEvent) {
        match event {
            BotEvent::Message { message, missed } => self.hear_message(message, missed),
            BotEvent::Confirmed { ticket, .. } => {
                if let Some(Sent { op, .. }) = self.under_way.remove(&ticket) {
                    self.recorder.record(What::Confirmed { op });
                }
            }
            BotEvent::Failed { ticket, error } => {
                if let Some(Sent { op, text }) = self.under_way.remove(&ticket) {
                    self.recorder.record(fate(op, &error));
                    self.unsettled.insert(text, op);
                }
            }
            BotEvent::Disconnected { reason, .. } => {
                self.recorder.record(What::Offline { bot: self.bot, reason: reason.to_string() });
            }
            BotEvent::Reconnected { gaps, .. } => {
                if !gaps.is_empty() {
                    tracing::debug!(bot = self.bot + 1, ?gaps, "came back and could not read what it had missed");
                    let rooms = gaps.iter().map(ToString::to_string).collect();
                    self.recorder.record(What::Unread { bot: self.bot, rooms });
                }
                self.recorder.record(What::Online { bot: self.bot });
            }
            BotEvent::Stranded { reason } => {
                tracing::debug!(bot = self.bot, reason, "stranded");
                tokio::time::sleep(RETURN_AFTER).await;
                self.client.reconnect();
            }
            BotEvent::Unreadable(unreadable) => tracing::warn!(bot = self.bot, ?unreadable, "not in the dialect"),
            BotEvent::Entered(_)
            | BotEvent::NotEntered { .. }
            | BotEvent::Joined { .. }
            | BotEvent::Left { .. }
            | BotEvent::Typing { .. }
            | BotEvent::Returned { .. }
            | BotEvent::Members { .. }
            | BotEvent::Read { .. }
            | BotEvent::ChatOpened { .. }
            | BotEvent::ChatClosed { .. }
            | BotEvent::Presence { .. }
            | BotEvent::Stopping
            | BotEvent::Refused { .. } => {}
        }
    }

    fn hear_message(&mut self, message: Message, missed: bool) {
        let is_own = message.sender.user == *self.client.user();
        let settled = if is_own { self.unsettled.remove(&message.text) } else { None };
        let source = if missed { Source::CatchUp } else { Source::Live };
        let room = message.room.as_str().to_owned();
        self.recorder.record(What::Delivered { bot: self.bot, room, text: message.text, source });
        if let Some(op) = settled {
            self.recorder.record(What::Confirmed { op });
        }
    }
}

/// What an error says about a message: it surely did not happen, or nobody knows.
fn fate(op: usize, error: &AskError) -> What {
    let reason = error.to_string();
    match error {
        AskError::Refused(_) | AskError::NotEntered(_) | AskError::TooMany { .. } | AskError::Unspeakable => {
            What::Refused { op, reason }
        }
        AskError::Unknown | AskError::Timeout(_) | AskError::Stranded | AskError::Emit(_) => {
            What::Unknown { op, reason }
        }
    }
}

/// The SDK drops what a server repeats on one connection, so that a bot hears it once; the judge of the server has to know of it. So this
/// looks below the SDK, and records each repetition as one more delivery.
struct Repeats {
    dialect: &'static Dialect,
    bot: usize,
    recorder: Arc<Recorder>,
    /// Room and text of what came on this connection.
    seen: Mutex<BTreeSet<(String, String)>>,
}

impl Repeats {
    fn see(&self, direction: Direction, frame: &Frame) {
        let (Direction::Received, Frame::Text(packet)) = (direction, frame) else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (room, text) = match told(self.dialect, packet) {
            Some(Told::Connected) => return seen.clear(),
            Some(Told::Message { room, text }) => (room, text),
            None => return,
        };
        if !seen.insert((room.clone(), text.clone())) {
            self.recorder.record(What::Delivered { bot: self.bot, room, text, source: Source::Live });
        }
    }
}

/// An Engine.IO message with a Socket.IO CONNECT: a new connection of the main namespace.
const CONNECTED: &str = "40";
/// An Engine.IO message with a Socket.IO EVENT of the main namespace.
const EVENT: &str = "42";

/// What a packet tells that matters here.
enum Told {
    /// A connection is new.
    Connected,
    /// A chat message came live.
    Message { room: String, text: String },
}

fn told(dialect: &Dialect, packet: &str) -> Option<Told> {
    let packet = match dialect.carrier {
        Carrier::WebSocket => AppPacket::Json(serde_json::from_str(packet).ok()?),
        Carrier::SocketIo if packet.starts_with(CONNECTED) => return Some(Told::Connected),
        Carrier::SocketIo => {
            let mut args: Vec<serde_json::Value> = serde_json::from_str(packet.strip_prefix(EVENT)?).ok()?;
            let name = args.first()?.as_str()?.to_owned();
            args.remove(0);
            AppPacket::Event { name, args }
        }
    };
    match (dialect.client.decode)(&packet) {
        Ok(Event::Message(message)) => Some(Told::Message { room: message.room.to_string(), text: message.text }),
        Ok(Event::Authenticated { .. }) => Some(Told::Connected),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use chatwright_client_sdk::protocol::dialects;

    use super::*;

    const ONE: &str =
        r#"42["new_message",{"roomId":"r","userId":"u","username":"n","message":"hi","timestamp":1,"messageId":"x"}]"#;

    fn heard(packets: &[&str]) -> usize {
        let recorder = Arc::new(Recorder::new());
        let dialect = dialects::by_name("rooms").expect("it is built in");
        let repeats = Repeats { dialect, bot: 0, recorder: Arc::clone(&recorder), seen: Mutex::default() };
        for packet in packets {
            repeats.see(Direction::Received, &Frame::Text((*packet).to_owned()));
        }
        recorder.records().len()
    }

    #[test]
    fn a_message_that_comes_twice_on_one_connection_is_recorded_once_more() {
        assert_eq!(heard(&[ONE]), 0);
        assert_eq!(heard(&[ONE, ONE]), 1);
        assert_eq!(heard(&[ONE, ONE, ONE]), 2);
    }

    #[test]
    fn after_a_new_connection_nothing_is_a_repetition_yet() {
        assert_eq!(heard(&[ONE, r#"40{"sid":"s"}"#, ONE]), 0);
    }

    #[test]
    fn a_timeout_leaves_open_what_happened_and_a_refusal_does_not() {
        assert!(matches!(fate(1, &AskError::Timeout(Duration::from_secs(1))), What::Unknown { op: 1, .. }));
        assert!(matches!(fate(1, &AskError::Refused("full".to_owned())), What::Refused { op: 1, .. }));
    }
}
