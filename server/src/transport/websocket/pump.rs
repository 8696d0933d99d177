//! The one owner of a stream: writes what waits, reads what comes while the core takes it, pings, and parts in good order.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use chatwright_protocol::dialects::AppPacket;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncReadExt as _,
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error, Message,
        error::ProtocolError,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::queue::Exit;
use crate::{
    connection::{Inbox, Incoming},
    transport::{EndReason, Frame},
};

/// A client's stream.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Packets that were read and wait for the core; while so many wait, nothing is read, and TCP holds the sender back.
const PACKETS_WAITING_MAX: usize = 32;

/// Frames written before they are flushed and the client is listened to again.
const BATCH_FRAMES_MAX: usize = 128;

/// After a close frame, this much of what the client still sends is thrown away before the stream is closed: closing it with something
/// unread would make the system throw away what the client has not read yet.
const LEFTOVER_BYTES_MAX: usize = 1 << 20;

/// How long the client may take for it.
const LEFTOVER_MAX: Duration = Duration::from_secs(1);

/// The last words.
pub(super) struct Goodbye {
    /// What the dialect says, if anything.
    pub(super) frame: Option<Frame>,
    /// The close code.
    pub(super) code: u16,
    /// The close frame's reason.
    pub(super) words: &'static str,
}

/// Packets on their way to the driver.
pub(super) struct Inlet {
    sender: mpsc::Sender<Incoming>,
    ended: Arc<OnceLock<EndReason>>,
}

/// The driver's end.
pub(super) struct Packets {
    receiver: mpsc::Receiver<Incoming>,
    ended: Arc<OnceLock<EndReason>>,
}

/// The way from the pump to the driver.
pub(super) fn inbox() -> (Inlet, Packets) {
    let (sender, receiver) = mpsc::channel(PACKETS_WAITING_MAX);
    let ended = Arc::new(OnceLock::new());
    (Inlet { sender, ended: Arc::clone(&ended) }, Packets { receiver, ended })
}

impl Inbox for Packets {
    async fn next(&mut self) -> Option<Incoming> {
        self.receiver.recv().await
    }

    fn end_reason(&self) -> EndReason {
        self.ended.get().copied().unwrap_or(EndReason::TransportClosed)
    }
}

/// A connection's stream with what waits for it.
pub(super) struct Pump {
    socket: Socket,
    exit: Exit,
    ping_interval: Duration,
    /// A ping is out that was not answered.
    unanswered: bool,
}

/// Room for one packet in the core's queue.
type Place<'a> = mpsc::Permit<'a, Incoming>;

/// What comes of one message of the client.
enum Heard {
    /// It says something.
    Packet(AppPacket),
    /// Nothing for the core.
    Nothing,
    /// The end, and why.
    End(EndReason),
}

impl Pump {
    pub(super) fn new(socket: Socket, exit: Exit, ping_interval: Duration) -> Self {
        Self { socket, exit, ping_interval, unanswered: false }
    }

    /// Runs until the client is gone, or until good-bye was said.
    pub(super) async fn run(mut self, inlet: Inlet, mut goodbye: oneshot::Receiver<Goodbye>) {
        let mut ping = tokio::time::interval_at(Instant::now() + self.ping_interval, self.ping_interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut place = None;
        let ended = loop {
            tokio::select! {
                last = &mut goodbye => {
                    if let Ok(last) = last {
                        self.say(last).await;
                    }
                    return;
                }
                _ = ping.tick() => {
                    if let Some(reason) = self.heartbeat(&mut place).await {
                        break reason;
                    }
                }
                Some(frame) = self.exit.next() => {
                    if self.write(frame).await.is_err() {
                        break EndReason::TransportClosed;
                    }
                }
                free = inlet.sender.reserve(), if place.is_none() => match free {
                    Ok(free) => place = Some(free),
                    Err(_) => {
                        // The driver has ended and its good-bye is on its way.
                        if let Ok(last) = (&mut goodbye).await {
                            self.say(last).await;
                        }
                        return;
                    }
                },
                message = self.socket.next(), if place.is_some() => {
                    if let Some(reason) = self.hand_over(message, &mut place).await {
                        break reason;
                    }
                }
            }
        };
        let _ = inlet.ended.set(ended);
    }

    /// Pings; the reason to end if the last ping was not answered.
    ///
    /// Whoever has sent something that was not read yet is not judged: the answer may stand behind it, and why it waits is that the core is
    /// busy. Who has been read to the end and did not answer is dead, however much he said.
    async fn heartbeat(&mut self, place: &mut Option<Place<'_>>) -> Option<EndReason> {
        if self.unanswered && place.is_some() {
            match self.socket.next().now_or_never() {
                None => return Some(EndReason::HeartbeatTimeout),
                Some(message) => {
                    if let Some(reason) = self.hand_over(message, place).await {
                        return Some(reason);
                    }
                }
            }
        }
        self.unanswered = true;
        let sent = self.socket.send(Message::Ping(Bytes::new())).await;
        sent.is_err().then_some(EndReason::TransportClosed)
    }

    /// Gives the core what a message says; the reason to end if it is the last one.
    async fn hand_over(
        &mut self,
        message: Option<Result<Message, Error>>,
        place: &mut Option<Place<'_>>,
    ) -> Option<EndReason> {
        match self.hear(message).await {
            Heard::Packet(packet) => {
                if let Some(place) = place.take() {
                    place.send(Incoming { packet, reply: None });
                }
                None
            }
            Heard::Nothing => None,
            Heard::End(reason) => Some(reason),
        }
    }

    /// Writes a frame and those that wait behind it.
    async fn write(&mut self, frame: Frame) -> Result<(), Error> {
        let mut written = Exit::cost(&frame);
        self.socket.feed(Message::Text(frame.text())).await?;
        for _ in 1..BATCH_FRAMES_MAX {
            let Some(frame) = self.exit.waiting() else { break };
            written += Exit::cost(&frame);
            self.socket.feed(Message::Text(frame.text())).await?;
        }
        self.socket.flush().await?;
        self.exit.written(written);
        Ok(())
    }

    async fn hear(&mut self, message: Option<Result<Message, Error>>) -> Heard {
        match message {
            Some(Ok(Message::Text(text))) => Heard::Packet(packet(&text)),
            Some(Ok(Message::Binary(_))) => Heard::Packet(AppPacket::Json(serde_json::Value::Null)),
            Some(Ok(Message::Pong(_))) => {
                self.unanswered = false;
                Heard::Nothing
            }
            Some(Ok(Message::Ping(_))) => match self.socket.flush().await {
                Ok(()) => Heard::Nothing, // the library's answer is out
                Err(_) => Heard::End(EndReason::TransportClosed),
            },
            Some(Ok(Message::Frame(_))) => Heard::Nothing,
            Some(Ok(Message::Close(_))) => {
                let _ = self.socket.flush().await; // the library's answer
                Heard::End(EndReason::ClientLeft)
            }
            Some(Err(error)) => match code_of(&error) {
                Some(code) => {
                    let _ = tokio::time::timeout(LEFTOVER_MAX, part(&mut self.socket, None, code, "")).await;
                    Heard::End(EndReason::ProtocolViolation)
                }
                None => Heard::End(EndReason::TransportClosed),
            },
            None => Heard::End(EndReason::TransportClosed),
        }
    }

    /// Writes what waits, then the last words.
    async fn say(&mut self, last: Goodbye) {
        if let Some(frame) = self.exit.waiting()
            && self.write(frame).await.is_err()
        {
            return;
        }
        while let Some(frame) = self.exit.waiting() {
            if self.write(frame).await.is_err() {
                return;
            }
        }
        part(&mut self.socket, last.frame, last.code, last.words).await;
    }
}

/// A text as a packet: what is no JSON is one that no dialect accepts.
pub(super) fn packet(text: &str) -> AppPacket {
    AppPacket::Json(serde_json::from_str(text).unwrap_or(serde_json::Value::Null))
}

/// The close code for a client's mistake; `None` if the stream is simply over.
pub(super) fn code_of(error: &Error) -> Option<u16> {
    if matches!(error, Error::Capacity(_)) {
        return Some(CloseCode::Size.into());
    }
    if matches!(error, Error::Utf8(_)) {
        return Some(CloseCode::Invalid.into());
    }
    let is_over = matches!(
        error,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Io(_)
    );
    (!is_over).then(|| CloseCode::Protocol.into())
}

/// Says the last frame, closes with this code, and waits for the client to have read it.
pub(super) async fn part(socket: &mut Socket, frame: Option<Frame>, code: u16, words: &str) {
    if let Some(frame) = frame
        && socket.send(Message::Text(frame.text())).await.is_err()
    {
        return;
    }
    let close = CloseFrame { code: CloseCode::from(code), reason: words.into() };
    if socket.close(Some(close)).await.is_err() {
        return;
    }
    let drained = tokio::time::timeout(LEFTOVER_MAX, drain(socket)).await;
    drop(drained);
}

/// Throws away what the client still sends, until it closes.
async fn drain(socket: &mut Socket) {
    let mut left = LEFTOVER_BYTES_MAX;
    let mut buffer = [0; 4096];
    while left > 0 {
        match socket.get_mut().read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(bytes) => left = left.saturating_sub(bytes),
        }
    }
}
