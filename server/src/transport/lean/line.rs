//! The reading end of a session, owned by its one task: what the client says, in the order said, from polls or from a WebSocket. While a
//! command is carried out nothing is read, so a client that is quicker than the core is held back by TCP, and nobody else is.

use std::{io, sync::Arc};

use chatwright_protocol::socket_io::Limits;

use super::{
    Above, Shared, life,
    recovery::Return,
    session::{Said, Session, Taken},
    talk::{Step, Talk},
    ws::{self, Heard, Opcode, code},
};
use crate::{
    connection::{Acknowledgement, Inbox, Incoming, Reply},
    listener::{ConnectionHandle, CutReason, GuardedStream},
    transport::{EndReason, lean::packet::Packet},
};

/// Bytes read at once, into memory that no idle session keeps.
const CHUNK_BYTES: usize = 4 * 1024;

/// How deep a client's JSON may nest: as deep as the JSON reader goes, with room for what stands around the arguments.
const JSON_DEPTH_MAX: usize = 120;

/// A client whose answer to a ping is overdue is read on, because the answer may wait among the rest; after this many reads without it, it
/// is gone all the same.
const OVERDUE_READS_MAX: u32 = 1024;

/// A WebSocket with what was read of it.
pub(super) struct Wire {
    pub(super) stream: Arc<GuardedStream>,
    pub(super) handle: ConnectionHandle,
    pub(super) reader: ws::Reader,
}

/// What came of a look at a stream.
enum Look {
    Bytes,
    NothingYet,
    End,
}

/// How a session's WebSocket is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// It is broken already.
    Gone,
    /// By a close frame with this code.
    Close(Option<u16>),
    /// At once.
    Cut(CutReason),
}

/// Why and how a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) reason: EndReason,
    pub(super) parting: Parting,
}

impl Over {
    pub(super) fn gone() -> Self {
        Self { reason: EndReason::TransportClosed, parting: Parting::Gone }
    }

    fn closed(reason: EndReason, code: u16) -> Self {
        Self { reason, parting: Parting::Close(Some(code)) }
    }

    /// How the server ends a session for this reason.
    pub(super) fn by_us(reason: EndReason) -> Self {
        match reason {
            EndReason::SlowConsumer => Self { reason, parting: Parting::Cut(CutReason::QueueFull) },
            EndReason::TooManyRequests => Self { reason, parting: Parting::Cut(CutReason::Flooding) },
            EndReason::ServerStopping => Self::closed(reason, code::AWAY),
            EndReason::ProtocolViolation => Self::closed(reason, code::PROTOCOL),
            EndReason::ClientLeft
            | EndReason::EndAsked
            | EndReason::TransportClosed
            | EndReason::HeartbeatTimeout
            | EndReason::TokenExpired => Self::closed(reason, code::NORMAL),
        }
    }
}

/// The reading end.
pub(super) struct Line {
    pub(super) session: Arc<Session>,
    pub(super) talk: Talk,
    pub(super) over: Option<Over>,
    wire: Option<Wire>,
    overdue_reads: u32,
    /// The last words are said, and the wire is gone.
    pub(super) is_parted: bool,
}

impl Line {
    pub(super) fn new(shared: &Shared, session: Arc<Session>, wire: Option<Wire>) -> Self {
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
        Self { session, talk, over: None, wire, overdue_reads: 0, is_parted: false }
    }

    /// What the client asks for next; `None` when the session is over. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Step> {
        loop {
            tokio::task::consume_budget().await; // a client that never pauses leaves room for the others
            let step = match self.said().await {
                Ok(Said::Text(text)) => self.talk.text(&text),
                Ok(Said::Binary(bytes)) => self.talk.binary(bytes),
                Err(over) => {
                    self.over = Some(over);
                    return None;
                }
            };
            match step {
                Step::Nothing => {}
                Step::Pong => {
                    self.overdue_reads = 0;
                    self.session.pong();
                }
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

    async fn said(&mut self) -> Result<Said, Over> {
        loop {
            if let Some(said) = self.waiting()? {
                return Ok(said);
            }
            if let Some(reason) = self.session.stopped() {
                return Err(Over::by_us(reason));
            }
            match self.wire.as_mut().map_or(Look::NothingYet, Wire::look) {
                Look::Bytes if self.session.is_overdue() && self.overdue_reads >= OVERDUE_READS_MAX => {
                    return Err(Over::by_us(EndReason::HeartbeatTimeout));
                }
                Look::Bytes => {
                    self.overdue_reads += u32::from(self.session.is_overdue());
                    continue;
                }
                Look::End => return Err(Over::gone()),
                Look::NothingYet if self.session.is_overdue() && !self.session.is_posting() => {
                    return Err(Over::by_us(EndReason::HeartbeatTimeout)); // all that was sent is read
                }
                Look::NothingYet => {}
            }
            match &self.wire {
                None => self.session.bell.notified().await,
                Some(wire) => tokio::select! {
                    biased;
                    () = self.session.bell.notified() => {}
                    _ = wire.stream.readable() => {} // an error shows at the next read
                },
            }
        }
    }

    /// The next packet that is here already.
    fn waiting(&mut self) -> Result<Option<Said>, Over> {
        if self.wire.is_none() {
            match self.session.take() {
                Taken::Said(said) => return Ok(Some(said)),
                Taken::Wire(wire) => self.wire = Some(wire),
                Taken::Nothing => return Ok(None),
            }
        }
        let Some(wire) = &mut self.wire else { return Ok(None) };
        loop {
            match wire.reader.next() {
                Ok(None) => return Ok(None),
                Ok(Some(Heard::Text(text))) => return Ok(Some(Said::Text(text))),
                Ok(Some(Heard::Binary(bytes))) => return Ok(Some(Said::Binary(bytes))),
                Ok(Some(Heard::Pong)) => {}
                Ok(Some(Heard::Ping(payload))) => {
                    let is_new = self.session.out().pong(ws::frame(Opcode::Pong, &payload));
                    self.session.mark_if(is_new);
                }
                Ok(Some(Heard::Close(code))) => {
                    return Err(Over { reason: EndReason::TransportClosed, parting: Parting::Close(code) });
                }
                Err(broken) => return Err(Over::closed(EndReason::ProtocolViolation, broken.code())),
            }
        }
    }

    /// The WebSocket, for whoever ends it.
    pub(super) fn take_wire(&mut self) -> Option<Wire> {
        self.wire.take()
    }
}

impl Wire {
    fn look(&mut self) -> Look {
        let mut chunk = [0; CHUNK_BYTES];
        match self.stream.try_read(&mut chunk) {
            Ok(0) => Look::End,
            Ok(bytes) => {
                self.reader.feed(&chunk[..bytes]);
                Look::Bytes
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Look::NothingYet,
            Err(_) => Look::End,
        }
    }

    /// The next message of a client that is not read by a session yet; `None`: the end, or nonsense.
    pub(super) async fn hear(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.reader.next().ok()? {
                return Some(heard);
            }
            match self.look() {
                Look::Bytes => {}
                Look::End => return None,
                Look::NothingYet => self.stream.readable().await.ok()?,
            }
        }
    }

    /// Throws away what the client still sends, until it closes: closing with something unread would make the system throw away what the
    /// client has not read yet.
    pub(super) async fn drain(&self) {
        let mut chunk = [0; 512];
        loop {
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.stream.readable().await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}

/// The line as the driver of a connection reads it.
pub(super) struct Inside<'a> {
    pub(super) line: &'a mut Line,
    pub(super) entry: u32,
    /// How its client may come back after the transport broke off, if it may.
    pub(super) back: Option<Return>,
}

impl Inside<'_> {
    /// The transport broke off: waits for the client. `false`: it does not come.
    async fn is_back(&mut self) -> bool {
        let Some(back) = &self.back else { return false };
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
        match back.wait().await {
            Some((line, entry)) => {
                (*self.line, self.entry) = (line, entry);
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
                    return Some(Incoming { packet, reply });
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
