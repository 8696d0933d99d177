//! An upgraded connection: frames go both ways; packets and control frames among them are judged by the rules, everything else
//! passes byte by byte.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::mpsc,
    time::Instant,
};

use super::{
    Relay,
    http::session_id,
    session::{Session, Step},
};
use crate::wrong::{
    frames::{BINARY, CLOSE, PING, PONG, RawFrame, TEXT},
    rule::{Act, Direction, Rule, Subject, Transport},
};

/// Frames on their way to a slow peer; then the other side waits.
const QUEUE_FRAMES_MAX: usize = 1024;
/// A packet that was to go behind the next one goes alone when there is none.
const SWAP_PATIENCE: Duration = Duration::from_millis(200);

/// What goes to one side.
#[derive(Debug, Clone)]
pub(super) enum Outgoing {
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// A packet that came from elsewhere; only to clients.
    Packet(String),
    /// The end: nothing after it is written.
    End,
}

type Io = TokioIo<Upgraded>;

/// Relays until one side ends.
pub(super) async fn relay(relay: Arc<Relay>, session: Arc<Session>, (client, server): (Io, Io), fresh: bool) {
    let (client_in, client_out) = tokio::io::split(client);
    let (server_in, server_out) = tokio::io::split(server);
    let (to_client, client_queue) = mpsc::channel(QUEUE_FRAMES_MAX);
    let (to_server, server_queue) = mpsc::channel(QUEUE_FRAMES_MAX);
    if fresh {
        session.moves_to(to_client.clone());
    }
    let down = Flow {
        relay: Arc::clone(&relay),
        session: Arc::clone(&session),
        direction: Direction::Client,
        out: to_client.clone(),
        back: to_server.clone(),
    };
    let (whole, over) = (Arc::clone(&relay), Arc::clone(&session));
    let up = Flow { relay, session, direction: Direction::Server, out: to_server, back: to_client };
    let both = async { tokio::join!(write(client_out, client_queue), write(server_out, server_queue)) };
    tokio::join!(down.run(server_in), up.run(client_in), both);
    whole.tells_end(&over);
}

/// Writes what is queued until the end, or until nobody reads it.
async fn write(mut stream: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(outgoing) = queue.recv().await {
        let bytes = match outgoing {
            Outgoing::Bytes(bytes) => bytes,
            Outgoing::Packet(packet) => frame_of(&packet, false).encode(),
            Outgoing::End => break,
        };
        if stream.write_all(&bytes).await.is_err() || (queue.is_empty() && stream.flush().await.is_err()) {
            break;
        }
    }
    let _gone = stream.shutdown().await;
}

/// One direction.
struct Flow {
    relay: Arc<Relay>,
    session: Arc<Session>,
    direction: Direction,
    out: mpsc::Sender<Outgoing>,
    back: mpsc::Sender<Outgoing>,
}

/// Whether a flow goes on.
type Goes = Result<(), ()>;

impl Flow {
    async fn run(self, stream: impl AsyncRead + Unpin + Send) {
        let (frames, mut arriving) = mpsc::channel::<RawFrame>(1);
        let out = self.out.clone();
        let read = async {
            let mut stream = BufReader::new(stream);
            loop {
                tokio::select! {
                    frame = RawFrame::read(&mut stream) => {
                        let Ok(Some(frame)) = frame else { break };
                        if frames.send(frame).await.is_err() {
                            break;
                        }
                    }
                    // The other side is gone: nobody is left to read for.
                    () = out.closed() => break,
                }
            }
            drop(frames);
        };
        let judge = async {
            let mut held_until: Option<Instant> = None;
            loop {
                let next = match held_until {
                    None => arriving.recv().await,
                    Some(until) => match tokio::time::timeout_at(until, arriving.recv()).await {
                        Ok(next) => next,
                        Err(_) => {
                            held_until = None;
                            if self.let_go().await.is_err() { break } else { continue }
                        }
                    },
                };
                let Some(frame) = next else { break };
                if self.frame(frame, &mut held_until).await.is_err() {
                    break;
                }
            }
        };
        // The judge hears of the end of reading, not the other way round: it ends first when it cuts.
        tokio::select! {
            () = judge => {}
            () = async { read.await; std::future::pending().await } => {}
        }
        // One side that ends, ends both: behind a proxy, too, a connection has one end.
        for queue in [&self.out, &self.back] {
            let _gone = queue.send(Outgoing::End).await;
        }
    }

    async fn frame(&self, frame: RawFrame, held_until: &mut Option<Instant>) -> Goes {
        match frame.opcode {
            CLOSE | PING | PONG => self.control(frame).await,
            TEXT | BINARY if frame.fin && frame.rsv == 0 => match packet_of(&frame) {
                Some(packet) => self.packet(packet, frame, held_until).await,
                None => self.send(&frame).await,
            },
            _ => self.send(&frame).await,
        }
    }

    async fn packet(&self, packet: String, frame: RawFrame, held_until: &mut Option<Instant>) -> Goes {
        self.relay.tells(&self.session, self.direction, Transport::Websocket, &packet);
        if self.direction == Direction::Client
            && let Some(sid) = session_id(&packet)
        {
            self.relay.remember(&sid, &self.session);
        }
        if self.direction == Direction::Server && packet == "5" {
            self.session.moves_to(self.back.clone());
        }
        let steps = self.session.decide(&self.relay.rules, self.direction, Transport::Websocket, packet.clone());
        let mut sent = false;
        for step in steps {
            match step {
                // Untouched, it keeps its bytes.
                Step::Send(same) if same == packet => {
                    self.passed(&same);
                    self.send(&frame).await?;
                    sent = true;
                }
                Step::Send(other) => {
                    self.passed(&other);
                    self.send(&frame_of(&other, frame.masked)).await?;
                    sent = true;
                }
                Step::Later(by, packet) => {
                    let (out, bytes) = (self.out.clone(), frame_of(&packet, frame.masked).encode());
                    tokio::spawn(async move {
                        tokio::time::sleep(by).await;
                        let _gone = out.send(Outgoing::Bytes(bytes)).await;
                    });
                }
                Step::Wait(by) => tokio::time::sleep(by).await,
                Step::Hold(packet) => {
                    *held_until = Some(Instant::now() + SWAP_PATIENCE);
                    if let Some(before) = self.session.hold(self.direction, packet) {
                        self.send(&frame_of(&before, frame.masked)).await?;
                    }
                }
                Step::Copy(packet) => self.relay.copy_to_others(&self.session, &packet),
                Step::Cut => return Err(()),
                Step::Close(code) => {
                    let close = RawFrame::close(Some(code), "", self.direction == Direction::Server);
                    self.send(&close).await?;
                    return Err(());
                }
            }
        }
        if sent {
            *held_until = None;
            self.let_go().await?;
        }
        Ok(())
    }

    fn passed(&self, packet: &str) {
        if self.direction == Direction::Client {
            self.session.passed(packet);
        }
    }

    async fn let_go(&self) -> Goes {
        match self.session.held(self.direction) {
            Some(held) => self.send(&frame_of(&held, self.direction == Direction::Server)).await,
            None => Ok(()),
        }
    }

    async fn control(&self, frame: RawFrame) -> Goes {
        let shown = show_control(&frame);
        let fits = |rule: &Rule| {
            rule.subject == Subject::Frame && rule.direction == self.direction && rule.pattern.is_match(&shown)
        };
        let rule = self.relay.rules.iter().enumerate().find(|(_, rule)| fits(rule));
        let Some((_, rule)) = rule.filter(|(index, rule)| self.session.counts(*index, rule)) else {
            return self.send(&frame).await;
        };
        match &rule.act {
            Act::Drop => Ok(()),
            Act::Cut => Err(()),
            Act::Duplicate => {
                self.send(&frame).await?;
                self.send(&frame).await
            }
            Act::Delay(by) | Act::Stall(by) => {
                tokio::time::sleep(*by).await;
                self.send(&frame).await
            }
            Act::Rewrite { find, with, .. } => {
                match read_control(&find.replace_all(&shown, with.as_str()), frame.masked) {
                    Some(rewritten) => self.send(&rewritten).await,
                    None => Ok(()),
                }
            }
            Act::Swap | Act::Before(_) | Act::After(_) | Act::Copy | Act::Close(_) => self.send(&frame).await,
        }
    }

    async fn send(&self, frame: &RawFrame) -> Goes {
        self.out.send(Outgoing::Bytes(frame.encode())).await.map_err(drop)
    }
}

/// A packet as rules see it; `None` for text that is none.
fn packet_of(frame: &RawFrame) -> Option<String> {
    match frame.opcode {
        BINARY => Some(format!("b{}", STANDARD.encode(&frame.payload))),
        _ => String::from_utf8(frame.payload.clone()).ok(),
    }
}

fn frame_of(packet: &str, masked: bool) -> RawFrame {
    match packet.strip_prefix('b').and_then(|data| STANDARD.decode(data).ok()) {
        Some(data) => RawFrame::new(BINARY, data, masked),
        None => RawFrame::new(TEXT, packet, masked),
    }
}

fn show_control(frame: &RawFrame) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shown = match (frame.opcode, frame.payload.as_slice()) {
        (PING, payload) => format!("ping {}", text(payload)),
        (PONG, payload) => format!("pong {}", text(payload)),
        (_, [high, low, reason @ ..]) => format!("close {} {}", u16::from_be_bytes([*high, *low]), text(reason)),
        (_, _) => "close".to_owned(),
    };
    shown.trim_end().to_owned()
}

fn read_control(shown: &str, masked: bool) -> Option<RawFrame> {
    let (kind, rest) = shown.split_once(' ').unwrap_or((shown, ""));
    match kind {
        "ping" => Some(RawFrame::new(PING, rest, masked)),
        "pong" => Some(RawFrame::new(PONG, rest, masked)),
        "close" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            Some(RawFrame::close(code.parse().ok(), reason, masked))
        }
        _ => None,
    }
}
