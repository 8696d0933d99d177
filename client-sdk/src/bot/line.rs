//! A bot's connection, whatever carries it: Socket.IO with acknowledgements, or JSON frames.

use chatwright_protocol::{
    dialects::{AppPacket, Carrier, Dialect},
    socket_io::{Arg, MAIN_NAMESPACE},
    vocabulary::Event,
};
use serde_json::Value;

use super::Identity;
use crate::{
    config::Config,
    engine::Timings,
    error::{AckError, ConnectError, DisconnectReason, EmitError},
    raw::{Judgement, Proof, RawEvent, RawSocket},
    socket::{AckId, Client, Socket, SocketEvent},
};

#[derive(Debug)]
pub(super) enum Line {
    SocketIo(Socket),
    Raw(RawSocket),
}

/// What happens on it.
#[derive(Debug)]
pub(super) enum Heard {
    /// It stands again.
    Connected,
    Packet(AppPacket),
    /// The answer to [`Line::ask`].
    Acknowledged {
        id: AckId,
        result: Result<Answer, AckError>,
    },
    Refused {
        message: String,
    },
    Disconnected {
        reason: DisconnectReason,
        reconnecting: bool,
    },
    GaveUp {
        attempts: u32,
    },
}

/// What an acknowledgement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done, as far as an acknowledgement can tell.
    Done,
    /// The server has the message and has not stored it yet: what confirms it comes later.
    Pending,
    /// It did not happen, in the server's words.
    Refused(String),
}

impl Line {
    pub(super) async fn open(
        dialect: &'static Dialect,
        identity: &Identity,
        config: Config,
    ) -> Result<(Self, Timings), ConnectError> {
        match dialect.carrier {
            Carrier::SocketIo => {
                let client = Client::connect(config).await?;
                let timings = client.timings();
                let socket = client.namespace(MAIN_NAMESPACE, identity.auth()).await?;
                Ok((Self::SocketIo(socket), timings))
            }
            Carrier::WebSocket => {
                let socket = RawSocket::open(config, proof(dialect, identity)).await?;
                let timings = socket.timings;
                Ok((Self::Raw(socket), timings))
            }
        }
    }

    /// The next thing that happens; `None` once the connection's task is gone. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        Some(match self {
            Self::SocketIo(socket) => match socket.next().await? {
                SocketEvent::Connected { .. } => Heard::Connected,
                SocketEvent::Event { name, args, .. } => {
                    let args = args.into_iter().filter_map(Arg::into_json).collect();
                    Heard::Packet(AppPacket::Event { name, args })
                }
                SocketEvent::Acknowledged { id, result } => {
                    Heard::Acknowledged { id, result: result.map(|args| Answer::of(&args)) }
                }
                SocketEvent::Refused { message, .. } => Heard::Refused { message },
                SocketEvent::Disconnected { reason, reconnecting } => Heard::Disconnected { reason, reconnecting },
                SocketEvent::GaveUp { attempts } => Heard::GaveUp { attempts },
            },
            Self::Raw(socket) => match socket.next().await? {
                RawEvent::Connected => Heard::Connected,
                RawEvent::Frame(frame) => Heard::Packet(AppPacket::Json(frame)),
                RawEvent::Refused { message } => Heard::Refused { message },
                RawEvent::Disconnected { reason, reconnecting } => Heard::Disconnected { reason, reconnecting },
                RawEvent::GaveUp { attempts } => Heard::GaveUp { attempts },
            },
        })
    }

    /// Sends a packet; while there is no connection it is dropped.
    pub(super) async fn say(&self, packet: AppPacket) -> Result<(), EmitError> {
        match (self, packet) {
            (Self::SocketIo(socket), AppPacket::Event { name, args }) => {
                socket.emitter().emit_volatile(&name, args.into_iter().map(Arg::from).collect()).await
            }
            (Self::Raw(socket), AppPacket::Json(frame)) => socket.send(&frame).await,
            (Self::SocketIo(_), AppPacket::Json(_)) | (Self::Raw(_), AppPacket::Event { .. }) => {
                Err(EmitError::OtherCarrier)
            }
        }
    }

    /// The same, and asks for an acknowledgement where the carrier has any.
    pub(super) async fn ask(&self, packet: AppPacket) -> Result<Option<AckId>, EmitError> {
        match (self, packet) {
            (Self::SocketIo(socket), AppPacket::Event { name, args }) => {
                socket.emitter().emit_tracked(&name, args.into_iter().map(Arg::from).collect()).await.map(Some)
            }
            (Self::Raw(_) | Self::SocketIo(_), packet) => self.say(packet).await.map(|()| None),
        }
    }

    /// Gives up an acknowledgement.
    pub(super) fn forget(&self, ack: AckId) {
        match self {
            Self::SocketIo(socket) => socket.emitter().forget(ack),
            Self::Raw(_) => {}
        }
    }

    /// Connects again after the server refused or ended it.
    pub(super) fn connect(&self) {
        match self {
            Self::SocketIo(socket) => socket.connect(),
            Self::Raw(socket) => socket.connect(),
        }
    }
}

/// The first frame of a dialect that wants one, and how its answer is read.
fn proof(dialect: &'static Dialect, identity: &Identity) -> Option<Proof> {
    let opening = dialect.client.opening?;
    let identity = identity.clone();
    Some(Proof {
        frame: Box::new(move || identity.make_token().map(|token| opening(&token))),
        judge: Box::new(|frame| match (dialect.client.decode)(&AppPacket::Json(frame.clone())) {
            Ok(Event::Authenticated { .. }) => Judgement::Accepted,
            Ok(Event::NotAuthenticated(words)) => Judgement::Refused(words),
            Ok(_) | Err(_) => Judgement::Silent,
        }),
    })
}

impl Answer {
    /// Reads `{"ok":false,"error":"..."}` as a refusal, `{"ok":false,"pending":true}` as a delay, and whatever else a server says as done.
    fn of(args: &[Arg]) -> Self {
        let Some(answer) = args.first().and_then(Arg::as_json) else { return Self::Done };
        let says = |field: &str, value: bool| answer.get(field) == Some(&Value::Bool(value));
        if !says("ok", false) {
            return Self::Done;
        }
        if says("pending", true) {
            return Self::Pending;
        }
        Self::Refused(answer.get("error").and_then(Value::as_str).unwrap_or("no reason given").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_plain_no_is_a_refusal() {
        let read = |answer: Value| Answer::of(&[Arg::from(answer)]);
        assert_eq!(read(json!({"ok": true, "messageId": "x"})), Answer::Done);
        assert_eq!(read(json!({"ok": false, "error": "too long"})), Answer::Refused("too long".to_owned()));
        assert_eq!(read(json!({"ok": false, "pending": false})), Answer::Refused("no reason given".to_owned()));
        assert_eq!(read(json!({"ok": false, "pending": true, "error": "not stored yet"})), Answer::Pending);
        assert_eq!(read(json!("thanks")), Answer::Done, "a server may answer as it likes");
        assert_eq!(Answer::of(&[]), Answer::Done);
    }
}
