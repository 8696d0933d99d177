//! A session's events, read by its one task: what the client says and what that means. While a command is carried out nothing is read, so
//! a client that is quicker than the core is held back by TCP, and nobody else is.

use std::sync::Arc;

use chatwright_protocol::socket_io::Limits;

use super::{
    Above, Shared,
    ear::{Ear, Manners},
    life,
    over::Over,
    recovery::Return,
    session::{Said, Session},
    shelf::Returned,
    talk::{Step, Talk},
    wire::Wire,
    ws::code,
};
use crate::{
    chat::Connection,
    connection::{Acknowledgement, Inbox, Incoming, Reply, Request},
    transport::{EndReason, lean::packet::Packet},
};

/// How deep a client's JSON may nest: as deep as the JSON reader goes, with room for what stands around the arguments.
const JSON_DEPTH_MAX: usize = 120;

/// The reading end of a session. It stands in a box: every future that it is handed to would keep room for it, for the life of the session.
pub(super) struct Line {
    pub(super) session: Arc<Session>,
    pub(super) talk: Talk,
    pub(super) over: Option<Over>,
    ear: Ear,
    /// The last words are said, and the wire is gone.
    pub(super) is_parted: bool,
}

impl Line {
    pub(super) fn new(shared: &Shared, session: Arc<Session>, wire: Option<Wire>) -> Box<Self> {
        let rules = &shared.rules;
        let limits = Limits {
            text_bytes_max: rules.packet_bytes_max,
            attachments_max: rules.attachments_max,
            attachment_bytes_max: rules.packet_bytes_max,
            namespace_bytes_max: rules.packet_bytes_max,
            json_depth_max: JSON_DEPTH_MAX,
            ..Limits::default()
        };
        let talk = match &shared.above {
            Above::Core(_) => Talk::new(limits),
            Above::Application(_) => Talk::raw(limits),
        };
        let ear = Ear::new(Arc::clone(&session), wire, Manners::SOCKET_IO);
        Box::new(Self { session, talk, over: None, ear, is_parted: false })
    }

    /// What the client asks for next; `None` when the session is over. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Step> {
        loop {
            tokio::task::consume_budget().await; // a client that never pauses leaves room for the others
            let step = match self.ear.said().await {
                Ok(Said::Text(text)) => self.talk.text(&text),
                Ok(Said::Binary(bytes)) => self.talk.binary(bytes),
                Err(over) => {
                    self.over = Some(over);
                    return None;
                }
            };
            match step {
                Step::Nothing => {}
                Step::Pong => self.ear.answered(),
                Step::Close => {
                    self.session.out().release_poll(&self.session.shared().noop);
                    self.over = Some(Over::closed(EndReason::TransportClosed, code::NORMAL));
                    return None;
                }
                Step::Broken(rule) => {
                    tracing::debug!(session = self.session.number(), rule, "the client broke the protocol");
                    self.over = Some(Over::by_us(EndReason::ProtocolViolation));
                    return None;
                }
                Step::Enter(_) | Step::EnterElsewhere(_) | Step::Event { .. } | Step::Leave | Step::Said(_) => {
                    return Some(step);
                }
            }
        }
    }

    /// The WebSocket, for whoever ends it.
    pub(super) fn take_wire(&mut self) -> Option<Wire> {
        self.ear.take_wire()
    }
}

/// The line as the driver of a connection reads it.
pub(super) struct Inside<'a> {
    pub(super) line: &'a mut Line,
    pub(super) entry: u32,
    /// How its client may come back after the transport broke off, if it may.
    pub(super) back: Option<Return>,
    pub(super) connection: &'a Connection,
}

impl Inside<'_> {
    /// The transport broke off: waits for the client. `false`: it does not come.
    async fn is_back(&mut self) -> bool {
        let Some(back) = &mut self.back else { return false };
        let is_accident = |over: &Over| match over.reason {
            EndReason::TransportClosed | EndReason::HeartbeatTimeout => true,
            EndReason::ClientLeft
            | EndReason::EndAsked
            | EndReason::ProtocolViolation
            | EndReason::TokenExpired
            | EndReason::SlowConsumer
            | EndReason::TooManyRequests
            | EndReason::ServerStopping => false,
        };
        let Some(over) = self.line.over.filter(is_accident) else { return false };
        life::part_now(self.line, over);
        match back.wait(self.connection).await {
            Some(Returned { line, entry, identity }) => {
                (*self.line, self.entry) = (*line, entry);
                if let Some(identity) = identity {
                    self.connection.prove_until(identity.expires_at_ms);
                }
                true
            }
            None => false,
        }
    }
}

impl Inbox for Inside<'_> {
    async fn next(&mut self) -> Option<Incoming> {
        loop {
            let Some(step) = self.line.next().await else {
                if self.is_back().await {
                    continue;
                }
                return None;
            };
            match step {
                Step::Event { packet, ack } => {
                    let reply = ack.map(|id| reply(Arc::clone(&self.line.session), self.entry, id));
                    return Some(Incoming { request: Request::Packet(packet), reply });
                }
                Step::EnterElsewhere(namespace) => {
                    if !super::life::refuse_namespace(self.line, &namespace) {
                        return None;
                    }
                }
                Step::Leave => return None,
                Step::Nothing | Step::Pong | Step::Close | Step::Broken(_) | Step::Enter(_) | Step::Said(_) => {} // not while inside
            }
        }
    }

    async fn parting(&mut self, reason: EndReason) {
        let Some(back) = &mut self.back else { return };
        back.give_up();
        if reason == EndReason::ServerStopping {
            back.leave_behind(self.connection).await;
        }
    }

    fn end_reason(&self) -> EndReason {
        self.line.over.map_or(EndReason::ClientLeft, |over| over.reason)
    }
}

fn reply(session: Arc<Session>, entry: u32, id: u64) -> Reply {
    Box::new(move |acknowledgement: &Acknowledgement| {
        let json = serde_json::to_string(acknowledgement).expect("flags, numbers and texts always serialise");
        session.tell(entry, &Packet::of(&format!("43{id}[{json}]")))
    })
}
