//! A client without a session: it waits, tries again, and keeps or refuses what it is asked meanwhile.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{
    driver::Driver,
    emitter::Command,
    namespace::{Namespace, Phase},
};
use crate::{engine::Engine, error::DisconnectReason};

/// What a command means for a client without a session.
enum Then {
    GoOn,
    /// A namespace wants to be connected: at once, without the delay of a reconnection.
    Dial,
    Close,
}

impl Driver {
    /// Until there is a session again; `None` when the client is closed.
    pub(super) async fn offline(&mut self) -> Option<Engine> {
        loop {
            self.wait_for_turn().await?;
            match self.dial().await? {
                Some(engine) => {
                    if let Some(backoff) = &mut self.backoff {
                        backoff.reset();
                    }
                    return Some(engine);
                }
                None if self.backoff.is_none() => self.give_up(1),
                None => {}
            }
        }
    }

    /// Until it is time to dial. `None`: closed meanwhile.
    async fn wait_for_turn(&mut self) -> Option<()> {
        let next = if self.wants_session() { self.backoff.as_mut().map(|backoff| backoff.next()) } else { None };
        let due = match next {
            Some(Some((attempt, delay))) => {
                tracing::debug!(attempt, ?delay, "reconnecting");
                Some(Instant::now() + delay)
            }
            Some(None) => {
                let attempts = self.config.reconnection.and_then(|rule| rule.attempts_max).unwrap_or(0);
                self.give_up(attempts);
                None
            }
            None => None,
        };
        loop {
            let command = match due {
                None => self.commands_or_mail().await,
                Some(due) => tokio::select! {
                    () = sleep_until(due) => return Some(()),
                    command = self.commands_or_mail() => command,
                },
            };
            match self.note(command) {
                Then::GoOn => {}
                Then::Dial => {
                    if let Some(backoff) = &mut self.backoff {
                        backoff.reset();
                    }
                    return Some(());
                }
                Then::Close => return None,
            }
        }
    }

    /// One attempt. `None`: closed meanwhile.
    async fn dial(&mut self) -> Option<Option<Engine>> {
        let (endpoint, config) = (self.endpoint.clone(), self.config.clone());
        let opening = Engine::open(&endpoint, &config);
        tokio::pin!(opening);
        loop {
            tokio::select! {
                opened = &mut opening => {
                    return Some(opened.inspect_err(|error| tracing::debug!(%error, "no reconnection")).ok());
                }
                command = self.commands_or_mail() => {
                    if matches!(self.note(command), Then::Close) {
                        return None;
                    }
                }
            }
        }
    }

    /// The next command, while kept events go on being delivered. Cancel safe.
    async fn commands_or_mail(&mut self) -> Option<Command> {
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => return command,
                () = self.mail.deliver() => {}
            }
        }
    }

    fn note(&mut self, command: Option<Command>) -> Then {
        match command {
            None | Some(Command::Close) => return Then::Close,
            Some(Command::Open { handle, auth, events, ready }) => {
                let name = Arc::clone(&handle.namespace);
                self.namespaces.insert(name, Namespace::new(handle, auth, events, ready));
                return Then::Dial;
            }
            Some(Command::Emit(emission)) => {
                if let Some(namespace) = self.namespaces.get_mut(&emission.namespace) {
                    namespace.emit(emission, None, &mut self.mail);
                }
            }
            Some(Command::Forget { namespace, id }) => self.forget(&namespace, id),
            Some(Command::Connect { namespace }) => {
                if let Some(namespace) = self.namespaces.get_mut(&namespace)
                    && namespace.phase == Phase::Inactive
                {
                    namespace.phase = Phase::Connecting;
                    return Then::Dial;
                }
            }
            Some(Command::Disconnect { namespace }) => {
                if let Some(namespace) = self.namespaces.get_mut(&namespace) {
                    namespace.disconnected(DisconnectReason::ClientDisconnect, false, &mut self.mail);
                }
            }
            Some(Command::Raw(_)) => {}
        }
        Then::GoOn
    }

    fn wants_session(&self) -> bool {
        self.namespaces.values().any(|namespace| namespace.phase == Phase::Connecting)
    }

    fn give_up(&mut self, attempts: u32) {
        for namespace in self.namespaces.values_mut() {
            namespace.gave_up(attempts, &mut self.mail);
        }
    }
}
