//! Bots: a dialect spoken in verbs. A bot is a state machine that its owner drives by awaiting; it has no task of its own beside its
//! connection's.

mod asked;
mod config;
mod core;
mod drive;
mod event;
mod history;
mod line;
mod memory;

use std::{ops::ControlFlow, time::Duration};

use chatwright_protocol::{
    dialects::Dialect,
    vocabulary::{Audience, Command, Message, MessageId, MessageKind, RoomId, RoomKind, UserId},
};

pub use self::{
    config::{BotConfig, Identity},
    event::{AskError, BotEvent, Entered, Ticket},
};
use self::{
    core::{Bounds, Core},
    history::HistoryReader,
    line::Line,
};
use crate::{engine::Timings, error::ConnectError, socket::Socket};

/// A client of a chat server that speaks one dialect. Drop it to end it.
#[derive(Debug)]
pub struct Bot {
    dialect: &'static Dialect,
    identity: Identity,
    config: BotConfig,
    line: Line,
    core: Core,
    history: HistoryReader,
    /// Whether the bot has said who it is on this connection, as far as its dialect wants that.
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
    /// [`ConnectError`]: nobody there, refused, too late.
    pub async fn connect_with(
        dialect: &'static Dialect,
        identity: Identity,
        config: BotConfig,
    ) -> Result<Self, ConnectError> {
        let history = HistoryReader::new(dialect, &config, &identity)?;
        let (line, timings) = Line::open(dialect, &identity, config.socket.clone()).await?;
        let bounds = Bounds {
            answer_timeout: config.answer_timeout,
            silence_timeout: config.silence_timeout,
            pending_timeout: config.pending_timeout,
            rooms_max: config.rooms_max,
        };
        let core = Core::new(dialect, identity.member(), config.confirmation, bounds);
        Ok(Self { dialect, identity, config, line, core, history, introduced: false, stranded: false, timings })
    }

    /// The dialect that it speaks.
    #[must_use]
    pub fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// The bot's own id.
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.core.user()
    }

    /// Meets others, as the dialect has it: in a room of this name, which the bot joins, or in the conversation with these users, which
    /// is opened where the dialect has words for that. The answer is whom to [`Bot::send_to`].
    ///
    /// # Errors
    /// As [`Bot::join`]; [`AskError::Unspeakable`] where the dialect has no conversation of so many.
    pub async fn meet(&mut self, room: impl Into<RoomId>, others: &[UserId]) -> Result<Audience, AskError> {
        if !self.core.addresses_users() {
            return self.join(room).await.map(|entered| Audience::Room(entered.room));
        }
        let audience = self.core.address(&Audience::Users(others.to_vec()))?;
        if let Audience::Users(users) = &audience
            && let [peer] = users.as_slice()
        {
            match self.open_chat(peer.clone()).await {
                Ok(()) | Err(AskError::Unspeakable) => {}
                Err(error) => return Err(error),
            }
            self.check_room_to_ask()?;
            self.core.meet(peer);
        }
        Ok(audience)
    }

    /// Enters a room, and returns to it after each lost connection.
    ///
    /// # Errors
    /// [`AskError`]: refused, too late, too much under way, stranded, or the dialect has no rooms to enter.
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
        if self.core.addresses_users() {
            return Err(AskError::Unspeakable);
        }
        if self.core.is_full_for(&room) {
            return Err(AskError::TooMany { what: "rooms", max: self.core.rooms_max() });
        }
        self.core.join(Command::Join { room: room.clone(), kind, participants, claimed: None }, room.clone());
        let answer = self.until(|event| event.enters_or_not(&room)).await?;
        if let BotEvent::Entered(entered) = answer { Ok(entered) } else { Err(answer.into_error()) }
    }

    /// Leaves a room. Where the only way to leave is to go for good, that is what happens.
    ///
    /// # Errors
    /// [`AskError`]: not in it, the dialect has no words for it, or the packet could not be emitted.
    pub async fn leave(&mut self, room: &RoomId) -> Result<(), AskError> {
        if !self.core.belongs_to(room) {
            return Err(AskError::NotEntered(room.clone()));
        }
        let leave = Command::Leave { room: room.clone() };
        let command = if (self.dialect.client.encode)(&leave).is_some() { leave } else { Command::Quit };
        self.say(&command).await?;
        self.core.leave(room);
        Ok(())
    }

    /// Sends a message to a room or a conversation and waits until it is confirmed, as the dialect confirms: by its echo, an
    /// acknowledgement or an event; where it confirms nothing, this returns at once. What else happens meanwhile is kept for
    /// [`Bot::next_event`]. While the bot is away this waits for its return, however long that takes.
    ///
    /// # Errors
    /// [`AskError`]: refused, unknown, too late, not in the room, too much under way, stranded.
    pub async fn send(&mut self, room: &RoomId, text: &str) -> Result<Option<Message>, AskError> {
        self.send_to(&Audience::Room(room.clone()), text).await
    }

    /// The same to whoever is named: a room that the bot is in, or users.
    ///
    /// # Errors
    /// As [`Bot::send`]; [`AskError::Unspeakable`] where the dialect cannot name them.
    pub async fn send_to(&mut self, to: &Audience, text: &str) -> Result<Option<Message>, AskError> {
        let mine = self.post_to(to, text)?;
        let answer = self.until(|event| event.ticket() == Some(mine)).await?;
        if let BotEvent::Confirmed { message, .. } = answer { Ok(message) } else { Err(answer.into_error()) }
    }

    /// Sends a message without waiting: [`BotEvent::Confirmed`] or [`BotEvent::Failed`] tells what became of it. It leaves with the next
    /// await on this bot; while the bot is away it waits.
    ///
    /// # Errors
    /// [`AskError`]: not in the room, too much under way, stranded.
    pub fn post(&mut self, room: &RoomId, text: &str) -> Result<Ticket, AskError> {
        self.post_to(&Audience::Room(room.clone()), text)
    }

    /// The same to whoever is named.
    ///
    /// # Errors
    /// As [`Bot::post`]; [`AskError::Unspeakable`] where the dialect cannot name them.
    pub fn post_to(&mut self, to: &Audience, text: &str) -> Result<Ticket, AskError> {
        self.check_room_to_ask()?;
        let to = self.core.address(to)?;
        Ok(self.core.post(to, text.to_owned(), MessageKind::Text))
    }

    /// Tells the others of a room or a conversation that the bot starts or stops typing. Dropped while it is away.
    ///
    /// # Errors
    /// [`AskError`]: not in the room, the dialect has no words for it, or the packet could not be emitted.
    pub async fn typing(&mut self, room: &RoomId, active: bool) -> Result<(), AskError> {
        self.typing_to(&Audience::Room(room.clone()), active).await
    }

    /// The same to whoever is named. A conversation that nothing was said in has no name yet in some dialects.
    ///
    /// # Errors
    /// As [`Bot::typing`].
    pub async fn typing_to(&mut self, to: &Audience, active: bool) -> Result<(), AskError> {
        let address = self.core.address(to)?;
        let claimed = Some(self.core.user().clone());
        // A dialect names the users or the conversation: whatever it has words for.
        let conversation = self.core.conversation_with(&address).map(Audience::Room);
        let ways = [Some(address), conversation].into_iter().flatten();
        let mut commands = ways.map(|to| Command::Typing { to, active, claimed: claimed.clone() });
        let spoken = commands.find(|command| (self.dialect.client.encode)(command).is_some());
        self.say(&spoken.ok_or(AskError::Unspeakable)?).await
    }

    /// Tells that messages were read. Dropped while the bot is away.
    ///
    /// # Errors
    /// [`AskError`]: the dialect has no words for it, or the packet could not be emitted.
    pub async fn mark_read(&mut self, room: &RoomId, messages: Vec<MessageId>) -> Result<(), AskError> {
        self.say(&Command::MarkRead { room: room.clone(), messages }).await
    }

    /// Opens a conversation with another user. Dropped while the bot is away.
    ///
    /// # Errors
    /// As [`Bot::mark_read`].
    pub async fn open_chat(&mut self, peer: impl Into<UserId>) -> Result<(), AskError> {
        let claimed = Some(self.core.user().clone());
        self.say(&Command::OpenChat { peer: peer.into(), claimed }).await
    }

    /// Ends a conversation with another user. Dropped while the bot is away.
    ///
    /// # Errors
    /// As [`Bot::mark_read`].
    pub async fn close_chat(&mut self, peer: impl Into<UserId>) -> Result<(), AskError> {
        let claimed = Some(self.core.user().clone());
        self.say(&Command::CloseChat { peer: peer.into(), claimed }).await
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
        self.line.connect();
    }

    /// How long the steps of the first connection took.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// The connection below, for what a bot has no words for; `None` where the dialect is not carried by Socket.IO. Events that it
    /// brings are the bot's.
    #[must_use]
    pub fn socket(&self) -> Option<&Socket> {
        match &self.line {
            Line::SocketIo(socket) => Some(socket),
            Line::Raw(_) => None,
        }
    }
}
