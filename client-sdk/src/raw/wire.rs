//! One WebSocket connection with JSON text frames: the handshake, the proof, and a heartbeat of its own.

use std::time::Duration;

use chatwright_protocol::{dialects::AppPacket, engine_io::Frame};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, Utf8Bytes, protocol::CloseFrame},
};

use super::{Judgement, Proof};
use crate::{
    config::{Config, Direction, Tap},
    engine::{Timings, endpoint::Endpoint, websocket},
    error::{ConnectError, DisconnectReason},
};

/// Silence after which the server is asked for a sign of life: as long as the documented server waits between its own.
const ASK_AFTER: Duration = Duration::from_secs(30);
/// How long it may take to give it: RFC 6455 wants a pong as soon as practical.
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// A frame that the network does not take for this long: the server is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(20);
/// How long closing may take before the connection is simply dropped.
const CLOSE_GRACE: Duration = Duration::from_secs(1);
/// Close codes of applications (RFC 6455, 7.4.2): the server meant it, so there is no reconnection.
const MEANT: std::ops::RangeInclusive<u16> = 4000..=4999;

/// A connection that stands.
#[derive(Debug)]
pub(super) struct Wire {
    stream: WebSocketStream<TcpStream>,
    tap: Option<Tap>,
    /// When the server was last heard.
    heard: Instant,
    /// Whether it was asked for a sign of life since.
    asked: bool,
    pub(super) timings: Timings,
}

impl Wire {
    /// Connects and proves within the configured time.
    pub(super) async fn open(
        endpoint: &Endpoint,
        config: &Config,
        proof: Option<&Proof>,
    ) -> Result<Self, ConnectError> {
        let limit = config.connect_timeout;
        timeout(limit, Self::open_unbounded(endpoint, config, proof)).await.map_err(|_| ConnectError::Timeout(limit))?
    }

    async fn open_unbounded(endpoint: &Endpoint, config: &Config, proof: Option<&Proof>) -> Result<Self, ConnectError> {
        let mut timings = Timings::begin();
        let stream = websocket::dial(endpoint, endpoint.bare_request("ws"), &mut timings).await?;
        let mut wire = Self { stream, tap: config.tap.clone(), heard: Instant::now(), asked: false, timings };
        if let Some(proof) = proof {
            wire.prove(proof).await?;
        }
        wire.timings.opened();
        Ok(wire)
    }

    async fn prove(&mut self, proof: &Proof) -> Result<(), ConnectError> {
        if let Some(AppPacket::Json(frame)) = (proof.frame)() {
            // The tap does not see it: it holds the token.
            let sent = self.stream.send(Message::Text(Utf8Bytes::from(frame.to_string()))).await;
            sent.map_err(|error| ConnectError::Lost(websocket::lost(error).reason))?;
        }
        loop {
            let message = match self.stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(ConnectError::Lost(websocket::lost(error).reason)),
                None => return Err(ConnectError::Lost(DisconnectReason::TransportClose)),
            };
            match message {
                Message::Text(text) => match (proof.judge)(&self.frame(&text)) {
                    Judgement::Accepted => return Ok(()),
                    Judgement::Refused(message) => return Err(ConnectError::Refused { message, data: None }),
                    Judgement::Silent => {}
                },
                Message::Close(Some(close)) if MEANT.contains(&u16::from(close.code)) => {
                    return Err(ConnectError::Refused { message: words(&close), data: None });
                }
                Message::Close(_) => return Err(ConnectError::Lost(DisconnectReason::TransportClose)),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The next frame. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Value, DisconnectReason> {
        loop {
            let message = match self.stream.next().await {
                Some(message) => message.map_err(|error| websocket::lost(error).reason)?,
                None => return Err(DisconnectReason::TransportClose),
            };
            self.heard = Instant::now();
            self.asked = false;
            match message {
                Message::Text(text) => return Ok(self.frame(&text)),
                Message::Close(close) => {
                    tracing::debug!(close = close.as_ref().map(words), "closed by the server");
                    // The answer to it leaves with the next read; whether it arrives is the server's concern.
                    let _ = timeout(CLOSE_GRACE, self.stream.next()).await;
                    let meant = close.is_some_and(|close| MEANT.contains(&u16::from(close.code)));
                    return Err(if meant {
                        DisconnectReason::ServerDisconnect
                    } else {
                        DisconnectReason::TransportClose
                    });
                }
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    pub(super) async fn send(&mut self, text: String) -> Result<(), DisconnectReason> {
        if let Some(tap) = &self.tap {
            tap.see(Direction::Sent, &Frame::Text(text.clone()));
        }
        self.write(Message::Text(Utf8Bytes::from(text))).await
    }

    /// When something has to be done about the server's silence.
    pub(super) fn silence_due(&self) -> Instant {
        self.heard + if self.asked { ASK_AFTER + PONG_WITHIN } else { ASK_AFTER }
    }

    /// That time has come.
    pub(super) async fn silence(&mut self) -> Result<(), DisconnectReason> {
        if self.asked {
            return Err(DisconnectReason::PingTimeout);
        }
        self.asked = true;
        self.write(Message::Ping(bytes::Bytes::new())).await
    }

    /// It was not read meanwhile, so its silence says nothing.
    pub(super) fn excuse_silence(&mut self) {
        self.heard = Instant::now();
        self.asked = false;
    }

    /// The closing handshake, within bounded time.
    pub(super) async fn close(&mut self) {
        // Too late: dropping the connection closes it as well.
        let _ = timeout(CLOSE_GRACE, self.stream.close(None)).await;
    }

    async fn write(&mut self, message: Message) -> Result<(), DisconnectReason> {
        match timeout(WRITE_WITHIN, self.stream.send(message)).await {
            Ok(sent) => sent.map_err(|error| websocket::lost(error).reason),
            Err(_) => Err(DisconnectReason::TransportError),
        }
    }

    fn frame(&self, text: &Utf8Bytes) -> Value {
        if let Some(tap) = &self.tap {
            tap.see(Direction::Received, &Frame::Text(text.to_string()));
        }
        serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_string()))
    }
}

fn words(close: &CloseFrame) -> String {
    format!("closed with {}: {}", u16::from(close.code), close.reason)
}
