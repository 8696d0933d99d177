//! Who a bot is, how it connects, and what it bounds.

use std::{sync::Arc, time::Duration};

use chatwright_protocol::{
    dialects::{Confirmation, Dialect, Introduction},
    vocabulary::{Command, Member, UserId},
};
use serde_json::Value;

use crate::config::{Auth, Config};

/// Who a bot is.
#[derive(Clone)]
pub struct Identity {
    user: UserId,
    name: String,
    token: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

impl Identity {
    /// A user that a token proves. `user` is the id that the server makes of it: the bot knows its own messages by it.
    pub fn token(user: impl Into<String>, token: impl Into<String>) -> Self {
        let (user, token) = (user.into(), token.into());
        Self { name: user.clone(), user: user.into(), token: Some(Arc::new(move || token.clone())) }
    }

    /// The same with a token that is made anew for each connection.
    pub fn fresh_token(user: impl Into<String>, make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        let user = user.into();
        Self { name: user.clone(), user: user.into(), token: Some(Arc::new(make)) }
    }

    /// A user who says who he is: for servers with open identity.
    pub fn open(user: impl Into<String>, name: impl Into<String>) -> Self {
        Self { user: user.into().into(), name: name.into(), token: None }
    }

    /// With another name to show than the id; a verified token's name counts more.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    pub(super) fn member(&self) -> Member {
        Member { user: self.user.clone(), name: self.name.clone() }
    }

    /// What the bot says first on each connection, if anything.
    pub(super) fn introduction(&self, dialect: &Dialect) -> Option<Command> {
        let wanted = match dialect.capabilities.introduction {
            Introduction::Never => false,
            Introduction::Open => self.token.is_none(),
            Introduction::Always => true,
        };
        wanted.then(|| Command::Authenticate { user: self.user.clone(), name: self.name.clone() })
    }

    pub(super) fn make_token(&self) -> Option<String> {
        self.token.as_ref().map(|make| make())
    }

    pub(super) fn bearer(&self) -> Option<String> {
        self.make_token().map(|token| format!("Bearer {token}"))
    }

    pub(super) fn auth(&self) -> Auth {
        match &self.token {
            None => Auth::None,
            Some(make) => {
                let make = Arc::clone(make);
                Auth::Fresh(Arc::new(move || serde_json::Map::from_iter([("token".to_owned(), Value::from(make()))])))
            }
        }
    }
}

impl std::fmt::Debug for Identity {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How a bot connects and what it bounds.
#[derive(Debug, Clone)]
pub struct BotConfig {
    /// The connection. Its path is the dialect's unless set otherwise.
    pub socket: Config,
    /// Scheme, host and port of the listener that serves the dialect's history; `None`: the same as the connection's.
    pub rest_url: Option<String>,
    /// What confirms a send, where a server does otherwise than its dialect.
    pub confirmation: Option<Confirmation>,
    /// How long a join or a confirmation may take.
    pub answer_timeout: Duration,
    /// How long a message may wait for its confirmation from when a server acknowledged that it has it and has not stored it yet
    /// (`{"ok":false,"pending":true}`): until its store is back. A server need not say so; then `answer_timeout` is all that counts.
    pub pending_timeout: Duration,
    /// How long a silent server is waited for after a question that its dialect need not answer: a join that nothing confirms, an
    /// extension. Then the join counts as done, and the extension as unknown.
    pub silence_timeout: Duration,
    /// Events that wait to be read while the bot waits for something else. When it is full, what waits fails with
    /// [`AskError::TooMany`](super::AskError::TooMany).
    pub inbox_max: usize,
    /// Messages and joins that are not answered yet.
    pub asked_max: usize,
    /// Rooms that the bot belongs to, and conversations that it remembers. Messages of further conversations are told, and not
    /// remembered: they cannot be caught up with.
    pub rooms_max: usize,
}

impl BotConfig {
    /// The defaults for a server of this dialect.
    #[must_use]
    pub fn new(dialect: &Dialect, url: &str) -> Self {
        let mut socket = Config::new(url);
        dialect.path.clone_into(&mut socket.path);
        Self {
            socket,
            rest_url: None,
            confirmation: None,
            answer_timeout: Duration::from_secs(10),
            pending_timeout: Duration::from_secs(60),
            silence_timeout: Duration::from_secs(1),
            inbox_max: 10_000,
            asked_max: 1000,
            rooms_max: 1000,
        }
    }
}
