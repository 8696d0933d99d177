//! How a bot moves: it sends what waits, takes in one thing that happens, and looks whether that is what its owner waits for.

use std::time::Instant;

use chatwright_protocol::vocabulary::Command;

use super::{AskError, Bot, BotEvent, line::Heard};
use crate::error::EmitError;

impl Bot {
    pub(super) async fn until(&mut self, mut wanted: impl FnMut(&BotEvent) -> bool) -> Result<BotEvent, AskError> {
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
    pub(super) async fn step(&mut self) -> bool {
        if self.flush().await.is_err() {
            return false;
        }
        if let Some(read) = self.core.deep_read() {
            self.history.begin(&read.room, read.settled);
        }
        let due = self.core.deadline();
        tokio::select! {
            biased;
            deep = self.history.finished() => self.core.deep_history(deep),
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                self.core.expire(Instant::now());
            }
            event = self.line.next() => match event {
                None => return false,
                Some(event) => self.hear(event),
            },
        }
        true
    }

    async fn flush(&mut self) -> Result<(), EmitError> {
        for ack in self.core.take_forgotten() {
            self.line.forget(ack);
        }
        if !self.introduced && self.core.online {
            let words = self.identity.introduction(self.dialect);
            if let Some(packet) = words.and_then(|words| (self.dialect.client.encode)(&words)) {
                self.line.say(packet).await?;
            }
            self.introduced = true;
        }
        while let Some((place, command)) = self.core.next_to_send() {
            match (self.dialect.client.encode)(&command) {
                Some(packet) => {
                    let ack = self.line.ask(packet).await?;
                    self.core.sent(place, ack, Instant::now());
                }
                None => self.core.unspeakable(place),
            }
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Connected => {
                self.introduced = false;
                self.history.returned();
                self.core.back();
            }
            Heard::Disconnected { reason, reconnecting } => {
                self.core.lost();
                self.core.inbox.push_back(BotEvent::Disconnected { reason, reconnecting });
                if !reconnecting {
                    self.strand(reason.to_string());
                }
            }
            Heard::Refused { message } => self.strand(format!("refused: {message}")),
            Heard::GaveUp { attempts } => self.strand(format!("no connection after {attempts} attempts")),
            Heard::Acknowledged { id, result } => self.core.acknowledged(id, result, Instant::now()),
            Heard::Packet(packet) => match (self.dialect.client.decode)(&packet) {
                Ok(event) => self.core.hear(event),
                Err(unreadable) => self.core.inbox.push_back(BotEvent::Unreadable(unreadable)),
            },
        }
    }

    fn strand(&mut self, reason: String) {
        self.stranded = true;
        self.core.strand(reason);
    }

    pub(super) async fn say(&mut self, command: &Command) -> Result<(), AskError> {
        let packet = (self.dialect.client.encode)(command).ok_or(AskError::Unspeakable)?;
        // Whoever speaks has been introduced, and what was asked before goes first.
        self.flush().await?;
        Ok(self.line.say(packet).await?)
    }

    pub(super) fn check_room_to_ask(&self) -> Result<(), AskError> {
        if self.stranded {
            return Err(AskError::Stranded);
        }
        if self.core.asked_count() >= self.config.asked_max {
            return Err(AskError::TooMany { what: "unanswered questions", max: self.config.asked_max });
        }
        Ok(())
    }
}
