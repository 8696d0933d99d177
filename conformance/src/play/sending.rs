//! Steps that send: events, acknowledgements, packets, frames, bytes; and leaving, dropping, not reading.

use tokio::time::timeout;

use super::{
    Blame, Go, Player, Site, Stop,
    actor::{Actor, Line},
    got::event_words,
};
use crate::{
    case::{Act, Outgoing, Payload, StepAct, Tail, Template, Value, bytes_of, eval, eval_template, eval_text},
    datum::Datum,
    target::show_duration,
    wire::{BINARY, Emitted, Frame, Link, TEXT, encode, nsp_part},
};

/// Something ready to be written.
enum Ready {
    Message(String, Vec<Vec<u8>>),
    Packet(String),
    Binary(Vec<u8>),
    Frame(Frame, bool),
    Bytes(Vec<u8>),
}

impl Ready {
    /// As the case would write it with every name filled in; `None` where the line itself says it better.
    fn words(&self) -> Option<String> {
        match self {
            Self::Packet(text) => Some(format!("sends packet {text}")),
            Self::Frame(frame, true) if frame.opcode == TEXT && frame.fin => {
                Some(format!("sends text {}", String::from_utf8_lossy(&frame.payload)))
            }
            Self::Message(..) | Self::Binary(_) | Self::Frame(..) | Self::Bytes(_) => None,
        }
    }
}

impl Player<'_> {
    pub(super) async fn send(&mut self, actor: &mut Actor, does: &Act, (line, shown): (u32, &str), site: &Site) -> Go {
        let act = shown.split_once(' ').map_or(shown, |(_, act)| act);
        let (ready, words) = match does {
            Act::Emits { event, args, ack, nsp } => {
                let name = eval_template(event, &self.names).map_err(Stop::Unplayable)?;
                actor.greeted |= self.is_greeting(event);
                let mut args = self.evaluated(args)?;
                let words = event_words(&name, &args);
                let ears = self.ears();
                let shaped = ears.adapt.leaving(&name, &mut args);
                args.iter_mut().for_each(|arg| ears.theirs(arg));
                let name = shaped.unwrap_or(name);
                let emitted = Emitted::Event { name: ears.their_event(&name), args: &args, ack: *ack };
                (message(nsp.as_deref(), &emitted), ack.map_or(words.clone(), |id| format!("{words} ack={id}")))
            }
            Act::Acknowledges { name, args, nsp } => {
                let id = match self.names.unbind(name) {
                    Some(Datum::Number(n)) if n.is_u64() => n.as_u64().unwrap_or(0),
                    _ => return Err(Stop::Unplayable(format!("${name} holds no acknowledgement's id"))),
                };
                self.names.bind(name, Datum::Number(id.into()));
                let args = self.arguments(args)?;
                (message(nsp.as_deref(), &Emitted::Ack { id, args: &args }), event_words(&format!("ack={id}"), &args))
            }
            Act::SendsJson(value) => {
                let mut datum = eval(value, &self.names).map_err(Stop::Unplayable)?;
                let words = datum.to_string();
                self.ears().their_frame(&mut datum);
                (Ready::Packet(datum.to_plain_json().to_string()), words)
            }
            Act::Sends(outgoing) => {
                let ready = self.outgoing(outgoing)?;
                let words = ready.words().unwrap_or_else(|| act.to_owned());
                (ready, words)
            }
            Act::Leaves(nsp) => {
                actor.over |= nsp.is_none();
                (Ready::Packet(format!("41{}", nsp_part(nsp.as_deref().unwrap_or("/")))), act.to_owned())
            }
            Act::Drops
            | Act::StopsReading
            | Act::ResumesReading
            | Act::Connects(..)
            | Act::Tries(_)
            | Act::Opens(..)
            | Act::Refused(..)
            | Act::Expects { .. }
            | Act::Never(_)
            | Act::Allows(_)
            | Act::AllowsEnd { .. }
            | Act::Quiet(..)
            | Act::Disconnected(..)
            | Act::Upgrades(_)
            | Act::Closed(..)
            | Act::Gets(..)
            | Act::Requests(_)
            | Act::Answered(..)
            | Act::Dials { .. }
            | Act::Serves(_)
            | Act::Returns(_) => {
                self.recorder.sent(&actor.key, act, line);
                hold(actor, does);
                return Ok(());
            }
        };
        self.recorder.sent(&actor.key, &words, line);
        self.write(actor, ready, (line, shown), site).await
    }

    /// Whether this is how the dialect's connections say who they are.
    fn is_greeting(&self, event: &Template) -> bool {
        self.stage.dialect.hello.iter().any(
            |step| matches!(&step.act, StepAct::Actor { does: Act::Emits { event: hello, .. }, .. } if hello == event),
        )
    }

    /// Arguments in the words of the target.
    fn arguments(&self, args: &[Value]) -> Go<Vec<Datum>> {
        let ears = self.ears();
        let mut args = self.evaluated(args)?;
        args.iter_mut().for_each(|arg| ears.theirs(arg));
        Ok(args)
    }

    fn evaluated(&self, args: &[Value]) -> Go<Vec<Datum>> {
        args.iter().map(|arg| eval(arg, &self.names)).collect::<Result<Vec<_>, _>>().map_err(Stop::Unplayable)
    }

    fn outgoing(&mut self, outgoing: &Outgoing) -> Go<Ready> {
        let text = |payload: &Payload| eval_text(payload, &self.names).map_err(Stop::Unplayable);
        let bytes = |payload: &Payload| bytes_of(payload, &self.names).map_err(Stop::Unplayable);
        let maybe = |payload: &Option<Payload>| payload.as_ref().map_or(Ok(Vec::new()), bytes);
        let frame = |opcode, payload| Ready::Frame(Frame::whole(opcode, None, payload), true);
        Ok(match outgoing {
            Outgoing::Packet(payload) => Ready::Packet(self.ears().their_packet(text(payload)?)),
            Outgoing::Binary(payload) => Ready::Binary(bytes(payload)?),
            Outgoing::Text(payload) => frame(TEXT, bytes(payload)?),
            Outgoing::Ping(payload) => frame(9, maybe(payload)?),
            Outgoing::Pong(payload) => frame(10, maybe(payload)?),
            Outgoing::Close(code, reason) => {
                let mut payload = code.map(|code| code.to_be_bytes().to_vec()).unwrap_or_default();
                payload.extend(maybe(reason)?);
                frame(8, payload)
            }
            Outgoing::Frame { fin, rsv, opcode, mask, length, payload } => {
                let is_bytes = matches!(payload, Payload::Value(Value::Call(_)));
                let opcode = opcode.unwrap_or(if is_bytes { BINARY } else { TEXT });
                let frame =
                    Frame { fin: *fin, rsv: *rsv, opcode, mask: None, length: *length, payload: bytes(payload)? };
                Ready::Frame(frame, *mask)
            }
            Outgoing::Bytes(payload) => Ready::Bytes(self.routed_request(bytes(payload)?)),
        })
    }

    /// Writes. A connection that is gone is noted, not judged: what follows from it is for the lines that expect.
    async fn write(&mut self, actor: &mut Actor, ready: Ready, (line, shown): (u32, &str), site: &Site) -> Go {
        let patience = self.patience(&Tail::default())?;
        let key = actor.key.clone();
        let was_connected =
            actor.over || !actor.seen.is_empty() || actor.options != crate::case::ConnectOptions::default();
        let Some(link) = actor.link() else {
            if !was_connected && actor.decoder.is_none() {
                return Err(Stop::Unplayable(format!("{key} has no connection")));
            }
            self.recorder.note(&key, "not sent: the connection is gone", Some(line));
            return Ok(());
        };
        match timeout(patience, put(link, ready)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => {
                self.recorder.note(&key, &why, Some(line));
                Ok(())
            }
            Err(_) => {
                let tail = Tail::default();
                Err(self.failure(
                    site,
                    Blame {
                        line,
                        step: shown,
                        tail: &tail,
                        expected: "that the target reads what it is sent".to_owned(),
                        got: format!("it took nothing more for {}", show_duration(patience)),
                        timed: false,
                        why: String::new(),
                    },
                ))
            }
        }
    }
}

async fn put(link: &mut Link, ready: Ready) -> Result<(), String> {
    match ready {
        Ready::Message(text, attachments) => link.message(&text, attachments).await,
        Ready::Packet(text) => link.packet(&text).await,
        Ready::Binary(bytes) => link.binary(bytes).await,
        Ready::Frame(frame, mask) => link.frame(frame, mask).await,
        Ready::Bytes(bytes) => link.bytes(&bytes).await,
    }
}

fn message(nsp: Option<&str>, emitted: &Emitted) -> Ready {
    let (text, attachments) = encode(nsp.unwrap_or("/"), emitted);
    Ready::Message(format!("4{text}"), attachments)
}

/// Steps that send nothing.
fn hold(actor: &mut Actor, does: &Act) {
    if matches!(does, Act::Drops) {
        actor.hang_up();
        actor.line = Line::None;
        actor.over = true;
        return;
    }
    let paused = matches!(does, Act::StopsReading);
    actor.deaf = paused;
    if let Some(link) = actor.link() {
        link.pause(paused);
    }
}
