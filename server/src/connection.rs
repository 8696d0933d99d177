//! The driver of one connection: its commands one after the other, until something ends it.

use std::{borrow::Cow, pin::pin, sync::Arc};

use chatwright_protocol::{
    dialects::{AppPacket, ServerSide},
    vocabulary::{Command, Refusal},
};
use futures_util::future::{Either, select};
use serde::Serialize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    chat::{Confirmation, Connection, Core},
    metrics::Metrics,
    transport::{CannotTake, EndReason, Frame},
};

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
    let mut ending = pin!(ending(core, connection));
    let reason = loop {
        // What comes most is looked at first: a message asks neither clock nor bell.
        let incoming = match select(pin!(next(&mut inbox)), &mut ending).await {
            Either::Left((incoming, _)) => incoming,
            Either::Right((reason, _)) => break reason,
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

/// Returns the next thing that the client says. One that never pauses uses up his turn: then others have theirs, and the bell is heard.
async fn next(inbox: &mut impl Inbox) -> Option<Incoming> {
    tokio::task::consume_budget().await;
    inbox.next().await
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

/// Returns why the connection ends when that is asked for, or when its proof of identity ends: its last one, if it has brought another.
async fn ending(core: &Arc<dyn Core>, connection: &Arc<Connection>) -> EndReason {
    loop {
        if let Some(reason) = connection.ended() {
            return reason;
        }
        let _expected = core.registry().expect_expiry(connection);
        connection.rung().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chatwright_protocol::vocabulary::UserId;
    use tokio::time::timeout;

    use super::*;
    use crate::{
        auth::Identity,
        chat::gateway::Services,
        clock,
        store::{DeviceId, InstanceId},
        transport::Sink,
    };

    /// A client that always has something more to say, and takes everything.
    struct Endless;

    impl Inbox for Endless {
        async fn next(&mut self) -> Option<Incoming> {
            Some(Incoming { request: Request::Packet(AppPacket::Json(Value::Null)), reply: None })
        }

        fn end_reason(&self) -> EndReason {
            EndReason::ClientLeft
        }
    }

    impl Sink for Endless {
        fn send(&self, _: &Frame) -> Result<(), CannotTake> {
            Ok(())
        }

        fn carrier(&self) -> &'static str {
            "none"
        }
    }

    fn connection(expires_at_ms: Option<u64>) -> Arc<Connection> {
        let identity = Identity { user: UserId::from("u"), name: String::new(), email: None, expires_at_ms };
        let (id, instance) = (DeviceId::from("device"), InstanceId::from("here"));
        Arc::new(Connection::new(id, instance, Some(identity), Arc::new(Endless)))
    }

    async fn ended(connection: &Arc<Connection>) -> EndReason {
        let core: Arc<dyn Core> = Services::start(None, None);
        let metrics = Metrics::new();
        let driven = drive(&core, connection, &metrics, Endless);
        timeout(Duration::from_secs(10), driven).await.expect("it ends")
    }

    #[tokio::test]
    async fn who_never_pauses_is_ended_when_his_proof_ends() {
        assert_eq!(ended(&connection(Some(clock::unix_ms() + 50))).await, EndReason::TokenExpired);
    }

    #[tokio::test]
    async fn who_brings_another_proof_is_ended_when_that_one_ends() {
        let connection = connection(Some(clock::unix_ms() + 50));
        let (began, later) = (clock::unix_ms(), 300);
        connection.prove_until(Some(began + later));
        assert_eq!(ended(&connection).await, EndReason::TokenExpired);
        assert!(clock::unix_ms() >= began + later, "the first proof ended it");

        let connection = self::connection(None);
        let proved = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            connection.prove_until(Some(clock::unix_ms() + 50));
        };
        assert_eq!(tokio::join!(ended(&connection), proved).0, EndReason::TokenExpired);
    }

    #[tokio::test]
    async fn who_never_pauses_is_ended_when_that_is_asked_for() {
        let connection = connection(None);
        let asked = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            connection.end(EndReason::ServerStopping);
        };
        assert_eq!(tokio::join!(ended(&connection), asked).0, EndReason::ServerStopping);
    }
}
