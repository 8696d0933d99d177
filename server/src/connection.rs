//! The driver of one connection, and the only `select!` in its life: its commands one after the other, until something ends it.

use std::{borrow::Cow, sync::Arc, time::Duration};

use chatwright_protocol::{
    dialects::{AppPacket, ServerSide},
    vocabulary::{Command, Refusal},
};
use serde::Serialize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    chat::{Confirmation, Connection, Core},
    clock,
    metrics::Metrics,
    transport::{CannotTake, EndReason, Frame},
};

/// The longest single sleep of the expiry clock: tokens may be good for years, timers need not be.
const EXPIRY_LOOK: Duration = Duration::from_secs(3600);

/// One packet with the way to answer it, if its sender asked for an answer.
pub(crate) struct Incoming {
    /// What was said.
    pub(crate) request: Request,
    /// Takes the acknowledgement.
    pub(crate) reply: Option<Reply>,
}

/// What was said, as its carrier hands it over.
pub(crate) enum Request {
    /// A packet.
    Packet(AppPacket),
    /// A text frame.
    Frame(Utf8Bytes),
}

impl Request {
    /// The packet: of a frame that is no JSON, one that no dialect accepts.
    pub(crate) fn packet(&self) -> Cow<'_, AppPacket> {
        match self {
            Self::Packet(packet) => Cow::Borrowed(packet),
            Self::Frame(text) => Cow::Owned(AppPacket::Json(serde_json::from_str(text).unwrap_or(Value::Null))),
        }
    }

    fn command(&self, server: &ServerSide) -> Result<Command, Refusal> {
        let at_once = match self {
            Self::Packet(_) => None,
            Self::Frame(text) => server.decode_text.and_then(|decode| decode(text)),
        };
        at_once.map_or_else(|| (server.decode)(&self.packet()), Ok)
    }
}

/// Sends an acknowledgement.
pub(crate) type Reply = Box<dyn FnOnce(&Acknowledgement) -> Result<(), CannotTake> + Send>;

/// Where a connection's packets come from, in the order sent.
pub(crate) trait Inbox: Send {
    /// The next packet; `None` when all that was sent before the end has been taken. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Incoming>> + Send;

    /// The connection is about to be taken out of the core, for this reason.
    fn parting(&mut self, reason: EndReason) -> impl Future<Output = ()> + Send {
        let _ = reason;
        std::future::ready(())
    }

    /// Why there are no more; asked after `None`.
    fn end_reason(&self) -> EndReason;
}

/// The acknowledgement of an event: `{"ok":true,...}`, `{"ok":false,"error":"..."}`, or `{"ok":false,"pending":true,"error":"..."}` of what is
/// taken and not stored yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Acknowledgement {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
}

/// What a pending message is acknowledged with, for people: not refused, and not confirmed either. Programs read `pending`.
const PENDING: &str = "Not stored yet; it will be confirmed when it is";

impl Acknowledgement {
    fn of(outcome: &Result<Confirmation, Refusal>) -> Self {
        let plain = |ok, error| Self { ok, pending: None, error, message_id: None, timestamp: None, sequence: None };
        match outcome {
            Ok(Confirmation::Sent(message)) => Self {
                message_id: Some(message.id.to_string()),
                timestamp: Some(message.sent_at_ms),
                sequence: Some(message.sequence),
                ..plain(true, None)
            },
            Ok(Confirmation::Pending) => Self { pending: Some(true), ..plain(false, Some(PENDING.to_owned())) },
            Ok(
                Confirmation::Authenticated
                | Confirmation::Joined
                | Confirmation::Left
                | Confirmation::Typing
                | Confirmation::History
                | Confirmation::Read
                | Confirmation::Opened
                | Confirmation::Closed,
            ) => plain(true, None),
            Err(refusal) => plain(false, Some(refusal.to_string())),
        }
    }
}

/// Drives a connection to its end and takes it out of the core; returns why it ended.
///
/// What was sent before the client left takes effect; what waits when the server ends a connection does not.
pub(crate) async fn drive(
    core: &Arc<dyn Core>,
    connection: &Arc<Connection>,
    metrics: &Metrics,
    mut inbox: impl Inbox,
) -> EndReason {
    let mut asked_to_end = std::pin::pin!(connection.asked_to_end());
    let mut expired = std::pin::pin!(expired(connection));
    let reason = loop {
        // What comes most is looked at first: a message asks neither clock nor bell.
        let incoming = tokio::select! {
            biased;
            incoming = inbox.next() => incoming,
            reason = &mut asked_to_end => break reason,
            () = &mut expired => break EndReason::TokenExpired,
        };
        match (connection.ended(), incoming) {
            (Some(reason), _) => break reason,
            (None, Some(incoming)) => handle(core, connection, metrics, incoming).await,
            (None, None) => break inbox.end_reason(),
        }
    };
    inbox.parting(reason).await;
    core.disconnect(connection, reason).await;
    reason
}

async fn handle(core: &Arc<dyn Core>, connection: &Arc<Connection>, metrics: &Metrics, incoming: Incoming) {
    let server = &core.dialect().server;
    let outcome = match incoming.request.command(server) {
        Ok(command) => core.handle(connection, command).await,
        Err(refusal) => Err(refusal),
    };
    metrics.command(name_of(&outcome), if outcome.is_ok() { "done" } else { "refused" });
    let acknowledgement = incoming.reply.map(|reply| reply(&Acknowledgement::of(&outcome)));
    if acknowledgement == Some(Err(CannotTake::Full)) {
        connection.end(EndReason::SlowConsumer);
    }
    if let Err(refusal) = outcome {
        tracing::debug!(connection = %connection.id(), %refusal, "refused");
        if let Some(words) = (server.refuse)(&incoming.request.packet(), &refusal) {
            connection.tell(&Frame::from(words));
        }
    }
}

fn name_of(outcome: &Result<Confirmation, Refusal>) -> &'static str {
    match outcome {
        Ok(Confirmation::Authenticated) => "authenticate",
        Ok(Confirmation::Joined) => "join",
        Ok(Confirmation::Left) => "leave",
        Ok(Confirmation::Sent(_) | Confirmation::Pending) => "send",
        Ok(Confirmation::Typing) => "typing",
        Ok(Confirmation::History) => "history",
        Ok(Confirmation::Read) => "read",
        Ok(Confirmation::Opened) => "open",
        Ok(Confirmation::Closed) => "close",
        Err(_) => "any",
    }
}

/// Returns when the connection's proof of identity ends; never, if it has no end.
async fn expired(connection: &Connection) {
    let Some(expires_at_ms) = connection.identity().and_then(|identity| identity.expires_at_ms) else {
        return std::future::pending().await;
    };
    loop {
        let left = Duration::from_millis(expires_at_ms.saturating_sub(clock::unix_ms()));
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(EXPIRY_LOOK)).await;
    }
}
