//! Bots: a dialect spoken in verbs. A bot is a state machine that its owner drives by awaiting; it has no task of its own beside its
//! connection's.

mod asked;
mod config;
mod core;
mod event;
mod history;
mod memory;

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use chatwright_protocol::{
    dialects::{AppPacket, Carrier, Dialect},
    socket_io::{Arg, MAIN_NAMESPACE},
    vocabulary::{Audience, Command, Message, MessageKind, RoomId, RoomKind, UserId},
};
use serde_json::Value;

pub use self::{
    config::{BotConfig, Identity},
    event::{AskError, BotEvent, Entered, Ticket},
};
use self::{core::Core, history::HistoryReader};
use crate::{
    engine::Timings,
    error::{ConnectError, EmitError},
    socket::{Client, Socket, SocketEvent},
};

/// A client of a chat server that speaks one dialect. Drop it to end it.
#[derive(Debug)]
pub struct Bot {
    dialect: &'static Dialect,
    identity: Identity,
    config: BotConfig,
    socket: Socket,
    core: Core,
    history: HistoryReader,
    /// In open identity the bot says who it is before anything else.
    introduced: bool,
    stranded: bool,
    timings: Timings,
}

impl Bot {
    /// Connects with the defaults.
    ///
    /// # Errors
    /// [`ConnectError`]: nobody there, refused, too late.
    pub async fn connect(dialect: &'static Dialect, url: &str, identity: Identity) -> Result<Self, ConnectError> {
        Self::connect_with(dialect, identity, BotConfig::new(dialect, url)).await
    }

    /// Connects as configured.
    ///
    /// # Errors
    /// [`ConnectError`]: nobody there, refused, too late, a carrier that bots do not speak yet.
    pub async fn connect_with(
        dialect: &'static Dialect,
        identity: Identity,
        config: BotConfig,
    ) -> Result<Self, ConnectError> {
        match dialect.carrier {
            Carrier::SocketIo => {}
            Carrier::WebSocket => {
                return Err(ConnectError::Protocol("bots speak Socket.IO dialects only".to_owned()));
            }
        }
        let history = HistoryReader::new(dialect, &config, &identity)?;
        let client = Client::connect(config.socket.clone()).await?;
        let timings = client.timings();
        let socket = client.namespace(MAIN_NAMESPACE, identity.auth()).await?;
        let core = Core::new(dialect, identity.user().clone(), config.answer_timeout);
        Ok(Self { dialect, identity, config, socket, core, history, introduced: false, stranded: false, timings })
    }

    /// The bot's own id.
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.core.user()
    }

    /// Enters a room, and returns to it after each lost connection.
    ///
    /// # Errors
    /// [`AskError`]: refused, too late, too much under way, stranded.
    pub async fn join(&mut self, room: impl Into<RoomId>) -> Result<Entered, AskError> {
        self.join_as(room, None, Vec::new()).await
    }

    /// Enters a room and says what it is, if nobody has done so before.
    ///
    /// # Errors
    /// As [`Bot::join`].
    pub async fn join_as(
        &mut self,
        room: impl Into<RoomId>,
        kind: Option<RoomKind>,
        participants: Vec<UserId>,
    ) -> Result<Entered, AskError> {
        let room = room.into();
        self.check_room_to_ask()?;
        if self.core.rooms_count() >= self.config.rooms_max {
            return Err(AskError::TooMany { what: "rooms", max: self.config.rooms_max });
        }
        self.core.join(Command::Join { room: room.clone(), kind, participants, claimed: None }, room.clone());
        let answer = self.until(|event| event.enters_or_not(&room)).await?;
        if let BotEvent::Entered(entered) = answer { Ok(entered) } else { Err(answer.into_error()) }
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`AskError`]: not in it, or the packet could not be emitted.
    pub async fn leave(&mut self, room: &RoomId) -> Result<(), AskError> {
        self.check_entered(room)?;
        self.core.leave(room);
        self.say(&Command::Leave { room: room.clone() }).await
    }

    /// Sends a message and waits until it is confirmed, as the dialect confirms: by its echo, an acknowledgement or an event. What else
    /// happens meanwhile is kept for [`Bot::next_event`]. While the bot is away this waits for its return, however long that takes.
    ///
    /// # Errors
    /// [`AskError`]: refused, unknown, too late, not in the room, too much under way, stranded.
    pub async fn send(&mut self, room: &RoomId, text: &str) -> Result<Option<Message>, AskError> {
        let mine = self.post(room, text)?;
        let answer = self.until(|event| event.ticket() == Some(mine)).await?;
        if let BotEvent::Confirmed { message, .. } = answer { Ok(message) } else { Err(answer.into_error()) }
    }

    /// Sends a message without waiting: [`BotEvent::Confirmed`] or [`BotEvent::Failed`] tells what became of it. It leaves with the next
    /// await on this bot; while the bot is away it waits.
    ///
    /// # Errors
    /// [`AskError`]: not in the room, too much under way, stranded.
    pub fn post(&mut self, room: &RoomId, text: &str) -> Result<Ticket, AskError> {
        self.check_room_to_ask()?;
        self.check_entered(room)?;
        Ok(self.core.post(room.clone(), text.to_owned(), MessageKind::Text))
    }

    /// Tells the others of a room that the bot starts or stops typing. Dropped while it is away.
    ///
    /// # Errors
    /// [`AskError`]: not in the room, or the packet could not be emitted.
    pub async fn typing(&mut self, room: &RoomId, active: bool) -> Result<(), AskError> {
        self.check_entered(room)?;
        self.say(&Command::typing(Audience::Room(room.clone()), active)).await
    }

    /// The next thing that the bot is told; `None` once it is stranded or closed and all is told. Cancel safe.
    pub async fn next_event(&mut self) -> Option<BotEvent> {
        loop {
            if let Some(event) = self.core.inbox.pop_front() {
                return Some(event);
            }
            if self.stranded || !self.step().await {
                return self.core.inbox.pop_front();
            }
        }
    }

    /// Waits for the first event that satisfies `wanted`; the others stay for [`Bot::next_event`], in order.
    ///
    /// # Errors
    /// [`AskError`]: not in time, too many other events, stranded.
    pub async fn wait_for(
        &mut self,
        wanted: impl FnMut(&BotEvent) -> bool,
        timeout: Duration,
    ) -> Result<BotEvent, AskError> {
        tokio::time::timeout(timeout, self.until(wanted)).await.map_err(|_| AskError::Timeout(timeout))?
    }

    /// Hands each event to `handler` until that breaks off or the bot ends.
    ///
    /// # Errors
    /// The handler's.
    pub async fn run<E>(
        &mut self,
        mut handler: impl AsyncFnMut(&mut Self, BotEvent) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        while let Some(event) = self.next_event().await {
            if handler(self, event).await?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// After [`BotEvent::Stranded`]: tries to connect again.
    pub fn reconnect(&mut self) {
        self.stranded = false;
        self.socket.connect();
    }

    /// How long the steps of the first connection took.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// The connection below, for what a bot has no words for. Events that it brings are the bot's.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    async fn until(&mut self, mut wanted: impl FnMut(&BotEvent) -> bool) -> Result<BotEvent, AskError> {
        let mut looked_at = 0;
        loop {
            while looked_at < self.core.inbox.len() {
                if wanted(&self.core.inbox[looked_at])
                    && let Some(event) = self.core.inbox.remove(looked_at)
                {
                    return Ok(event);
                }
                looked_at += 1;
            }
            if looked_at >= self.config.inbox_max {
                return Err(AskError::TooMany { what: "unread events", max: self.config.inbox_max });
            }
            if self.stranded || !self.step().await {
                return Err(AskError::Stranded);
            }
        }
    }

    /// Sends what waits, then takes in one thing that happens. `false`: the client is closed. Cancel safe.
    async fn step(&mut self) -> bool {
        if self.flush().await.is_err() {
            return false;
        }
        if let Some(read) = self.core.deep_read() {
            self.history.begin(&read.room);
        }
        let due = self.core.deadline();
        tokio::select! {
            biased;
            deep = self.history.finished() => self.core.deep_history(deep),
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                self.core.expire(Instant::now());
            }
            event = self.socket.next() => match event {
                None => return false,
                Some(event) => self.hear(event),
            },
        }
        true
    }

    async fn flush(&mut self) -> Result<(), EmitError> {
        for ack in self.core.take_forgotten() {
            self.socket.emitter().forget(ack);
        }
        if !self.introduced && self.core.online && self.identity.is_open() {
            if let Some((name, args)) = self.packet(&self.identity.introduction()) {
                self.socket.emitter().emit_volatile(&name, args).await?;
            }
            self.introduced = true;
        }
        while let Some((place, command)) = self.core.next_to_send() {
            let Some((name, args)) = self.packet(&command) else { return Ok(()) };
            let ack = self.socket.emitter().emit_tracked(&name, args).await?;
            self.core.sent(place, ack, Instant::now());
        }
        Ok(())
    }

    fn hear(&mut self, event: SocketEvent) {
        match event {
            SocketEvent::Connected { .. } => {
                self.introduced = false;
                self.core.back();
            }
            SocketEvent::Disconnected { reason, reconnecting } => {
                self.core.lost();
                self.core.inbox.push_back(BotEvent::Disconnected { reason, reconnecting });
                if !reconnecting {
                    self.strand(reason.to_string());
                }
            }
            SocketEvent::Refused { message, .. } => self.strand(format!("refused: {message}")),
            SocketEvent::GaveUp { attempts } => self.strand(format!("no connection after {attempts} attempts")),
            SocketEvent::Acknowledged { id, result } => self.core.acknowledged(id, result.map(|args| refusal(&args))),
            SocketEvent::Event { name, args, .. } => {
                let args = args.into_iter().filter_map(Arg::into_json).collect();
                match (self.dialect.client.decode)(&AppPacket::Event { name, args }) {
                    Ok(event) => self.core.hear(event),
                    Err(unreadable) => self.core.inbox.push_back(BotEvent::Unreadable(unreadable)),
                }
            }
        }
    }

    fn strand(&mut self, reason: String) {
        self.stranded = true;
        self.core.strand(reason);
    }

    async fn say(&self, command: &Command) -> Result<(), AskError> {
        let (name, args) = self.packet(command).ok_or(AskError::Unspeakable)?;
        Ok(self.socket.emitter().emit_volatile(&name, args).await?)
    }

    fn packet(&self, command: &Command) -> Option<(String, Vec<Arg>)> {
        match (self.dialect.client.encode)(command)? {
            AppPacket::Event { name, args } => Some((name, args.into_iter().map(Arg::from).collect())),
            AppPacket::Json(_) => None,
        }
    }

    fn check_room_to_ask(&self) -> Result<(), AskError> {
        if self.stranded {
            return Err(AskError::Stranded);
        }
        if self.core.asked_count() >= self.config.asked_max {
            return Err(AskError::TooMany { what: "unanswered questions", max: self.config.asked_max });
        }
        Ok(())
    }

    fn check_entered(&self, room: &RoomId) -> Result<(), AskError> {
        if self.core.belongs_to(room) { Ok(()) } else { Err(AskError::NotEntered(room.clone())) }
    }
}

/// The words of a negative acknowledgement: `{"ok":false,"error":"..."}`.
fn refusal(args: &[Arg]) -> Option<String> {
    let answer = args.first()?.as_json()?;
    if answer.get("ok")? != &Value::Bool(false) {
        return None;
    }
    Some(answer.get("error").and_then(Value::as_str).unwrap_or("no reason given").to_owned())
}
