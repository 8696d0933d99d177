//! The seam for an application that is no chat core: one of several namespaces, attachments, and questions to clients. No dialect needs that;
//! the echo application does, with which the protocols are judged.

use std::sync::Arc;

use chatwright_protocol::socket_io::{self, Encoded};

use super::{line::Line, over::Over, packet::Packet, session::Session, talk::Step};
use crate::transport::{CannotTake, EndReason};

/// What takes sessions.
pub(crate) trait Application: Send + Sync {
    /// A session has begun.
    fn begin(&self, outlet: Outlet) -> Box<dyn Conversation>;
}

/// What takes one session's packets, in the order sent.
pub(crate) trait Conversation: Send {
    /// The client has said something.
    ///
    /// # Errors
    /// The rule that is broken by it: the session ends.
    fn said(&mut self, packet: socket_io::Packet) -> Result<(), &'static str>;

    /// The session is over.
    fn ended(&mut self, reason: EndReason);
}

/// The way to one session's client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outlet {
    session: Arc<Session>,
}

/// A packet with its attachments, made once for all who read it.
#[derive(Clone)]
pub(crate) struct Prepared(Vec<Packet>);

impl Prepared {
    pub(crate) fn new(encoded: &Encoded) -> Self {
        let text = Packet::of(&format!("4{}", encoded.text));
        let attachments = encoded.attachments.iter().map(|bytes| Packet::attachment(bytes));
        Self(std::iter::once(text).chain(attachments).collect())
    }

    /// What it costs to keep.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|packet| packet.frame().len()).sum()
    }
}

impl Outlet {
    /// Queues a packet, attachments and all. A client that reads too slowly is cut.
    pub(crate) fn send(&self, packet: &Prepared) {
        match self.session.say_all(&packet.0) {
            Ok(()) | Err(CannotTake::Closed) => {}
            Err(CannotTake::Full) => self.session.stop(EndReason::SlowConsumer),
        }
    }

    /// The client is in some namespace, and need not hurry any more.
    pub(crate) fn entered(&self) {
        self.session.settle();
    }

    /// Ends the session, and lets its client read the last words.
    pub(crate) fn end(&self) {
        self.session.stop_softly(EndReason::EndAsked);
    }
}

/// A session's life with an application.
pub(super) async fn converse(application: &dyn Application, line: &mut Line) -> Over {
    let mut conversation = application.begin(Outlet { session: Arc::clone(&line.session) });
    let over = loop {
        match line.next().await {
            Some(Step::Said(packet)) => {
                if let Err(rule) = conversation.said(packet) {
                    tracing::debug!(session = line.session.number(), rule, "the client broke the protocol");
                    break Over::by_us(EndReason::ProtocolViolation);
                }
            }
            Some(
                Step::Nothing
                | Step::Pong
                | Step::Close
                | Step::Broken(_)
                | Step::Enter(_)
                | Step::EnterElsewhere(_)
                | Step::Event { .. }
                | Step::Leave,
            ) => {} // not with an application
            None => break line.over.unwrap_or_else(Over::gone),
        }
    };
    conversation.ended(over.reason);
    over
}
