//! One Engine.IO session: opened, kept alive, upgraded, written and read in one place that a single task polls.

pub(crate) mod endpoint;
pub(crate) mod http_client;
mod polling;
mod upgrade;
pub(crate) mod websocket;

use std::{
    collections::VecDeque,
    fmt::Display,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use chatwright_protocol::engine_io::{Frame, Open, Packet};
use tokio::sync::OwnedSemaphorePermit;

use self::{endpoint::Endpoint, polling::PollingLink, upgrade::Upgrade, websocket::WebSocketLink};
use crate::{
    config::{Config, Direction, Tap, Transports},
    error::{ConnectError, DisconnectReason},
};

/// How long each step of opening a connection took.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    began: Instant,
    /// Until the TCP connection stood; with polling, part of `http`.
    pub tcp: Duration,
    /// Until the WebSocket handshake, or the first answer to a poll, was there.
    pub http: Duration,
    /// Until the Engine.IO session was open; without Engine.IO, until the server accepted the first frame.
    pub open: Duration,
}

impl Timings {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), tcp: Duration::ZERO, http: Duration::ZERO, open: Duration::ZERO }
    }

    fn tcp(&mut self) {
        self.tcp = self.began.elapsed();
    }

    fn http(&mut self) {
        self.http = self.began.elapsed();
    }

    pub(crate) fn opened(&mut self) {
        self.open = self.began.elapsed();
    }
}

/// Why a session ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) reason: DisconnectReason,
    pub(crate) detail: String,
}

impl Lost {
    fn closed(detail: impl Into<String>) -> Self {
        Self { reason: DisconnectReason::TransportClose, detail: detail.into() }
    }

    fn transport(error: &dyn Display) -> Self {
        Self { reason: DisconnectReason::TransportError, detail: error.to_string() }
    }

    pub(crate) fn parse(error: impl Display) -> Self {
        Self { reason: DisconnectReason::ParseError, detail: error.to_string() }
    }
}

/// A packet on its way out. Its permit is its place in the send queue, given back when it is written.
#[derive(Debug)]
pub(crate) struct Outgoing {
    frame: Frame,
    _place: Option<OwnedSemaphorePermit>,
}

/// What a session brings for the layer above.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Text(String),
    Binary(Bytes),
    /// The server asked for a sign of life and gets it; the watchdog starts anew.
    Heartbeat,
}

#[derive(Debug)]
enum Link {
    WebSocket(Box<WebSocketLink>),
    Polling(Box<PollingLink>),
    Upgrading(Box<PollingLink>, Box<Upgrade>),
}

/// A session that stands. [`Engine::poll`] does everything; nothing happens unless it is polled.
#[derive(Debug)]
pub(crate) struct Engine {
    link: Link,
    outbox: VecDeque<Outgoing>,
    /// Read from the wire but not handed up: at most the packets of one polling payload.
    inbox: VecDeque<Packet<'static>>,
    /// No ping for this long means that the server is gone.
    pub(crate) silence_max: Duration,
    pub(crate) timings: Timings,
    tap: Option<Tap>,
}

impl Engine {
    /// Opens a session within the configured time.
    pub(crate) async fn open(endpoint: &Endpoint, config: &Config) -> Result<Self, ConnectError> {
        let limit = endpoint.connect_timeout;
        tokio::time::timeout(limit, Self::open_unbounded(endpoint, config))
            .await
            .map_err(|_| ConnectError::Timeout(limit))?
    }

    async fn open_unbounded(endpoint: &Endpoint, config: &Config) -> Result<Self, ConnectError> {
        let mut timings = Timings::begin();
        let (link, mut inbox) = match config.transports {
            Transports::WebSocket => {
                let mut link = WebSocketLink::dial(endpoint, None, &mut timings).await?;
                let first = std::future::poll_fn(|cx| link.poll_read(cx)).await;
                let first = first.map_err(|lost| ConnectError::Protocol(lost.detail))?;
                (Link::WebSocket(Box::new(link)), VecDeque::from([first]))
            }
            Transports::Polling | Transports::PollingThenWebSocket => {
                let (link, packets) = PollingLink::open(endpoint).await?;
                timings.http();
                (Link::Polling(Box::new(link)), VecDeque::from(packets))
            }
        };
        timings.opened();
        let Some(Packet::Open(open)) = inbox.pop_front() else {
            return Err(ConnectError::Protocol("the first packet is not an open packet".to_owned()));
        };
        if let Some(tap) = &config.tap {
            tap.see(Direction::Received, &Packet::Open(open.clone()).to_frame());
        }
        Ok(Self {
            link: link.begin(endpoint, config.transports, &open),
            outbox: VecDeque::new(),
            inbox,
            silence_max: Duration::from_millis(open.ping_interval_ms.saturating_add(open.ping_timeout_ms)),
            timings,
            tap: config.tap.clone(),
        })
    }

    /// Puts a packet into the queue; [`Engine::poll`] writes it.
    pub(crate) fn push(&mut self, packet: &Packet<'_>, place: Option<OwnedSemaphorePermit>) {
        self.push_frame(packet.to_frame(), place);
    }

    /// The same for a frame made to order.
    pub(crate) fn push_frame(&mut self, frame: Frame, place: Option<OwnedSemaphorePermit>) {
        if let Some(tap) = &self.tap {
            tap.see(Direction::Sent, &frame);
        }
        self.outbox.push_back(Outgoing { frame, _place: place });
    }

    /// Writes what waits, advances an upgrade, and reads the next packet if `reading`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Result<Incoming, Lost>> {
        loop {
            self.poll_link(cx)?;
            if !reading {
                return Poll::Pending;
            }
            let packet = match self.inbox.pop_front() {
                Some(packet) => packet,
                None => ready!(self.poll_read(cx))?,
            };
            if let Some(tap) = &self.tap {
                tap.see(Direction::Received, &packet.to_frame());
            }
            match packet {
                Packet::Text(text) => return Poll::Ready(Ok(Incoming::Text(text.into_owned()))),
                Packet::Binary(bytes) => return Poll::Ready(Ok(Incoming::Binary(bytes))),
                Packet::Ping(data) => {
                    self.push(&Packet::Pong(data), None);
                    return Poll::Ready(Ok(Incoming::Heartbeat));
                }
                Packet::Close => return Poll::Ready(Err(Lost::closed("closed by the server"))),
                Packet::Noop | Packet::Pong(_) => {}
                Packet::Open(_) | Packet::Upgrade => {
                    return Poll::Ready(Err(Lost::parse("open or upgrade packet in the middle of a session")));
                }
            }
        }
    }

    /// Ends the session in good order: what waits is written first.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = match &mut self.link {
            Link::WebSocket(link) => link.poll_write(cx, &mut self.outbox),
            Link::Polling(link) | Link::Upgrading(link, _) => link.poll_write(cx, &mut self.outbox),
        };
        match (ready!(written), &mut self.link) {
            (Ok(()), Link::WebSocket(link)) => link.poll_close(cx),
            (Ok(()) | Err(_), _) => Poll::Ready(()),
        }
    }

    /// Polling has no end of its own: it says so with a packet.
    pub(crate) fn say_goodbye(&mut self) {
        match &self.link {
            Link::WebSocket(_) => {}
            Link::Polling(_) | Link::Upgrading(..) => self.push(&Packet::Close, None),
        }
    }

    fn poll_link(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        let written = match &mut self.link {
            Link::WebSocket(link) => link.poll_write(cx, &mut self.outbox),
            Link::Polling(link) | Link::Upgrading(link, _) => link.poll_write(cx, &mut self.outbox),
        };
        if let Poll::Ready(outcome) = written {
            outcome?;
        }
        let Link::Upgrading(polling, upgrade) = &mut self.link else { return Ok(()) };
        match upgrade.poll(cx, polling) {
            Poll::Pending => Ok(()),
            Poll::Ready(Some(websocket)) => {
                self.outbox.push_front(Outgoing { frame: Packet::Upgrade.to_frame(), _place: None });
                self.link = Link::WebSocket(websocket);
                self.poll_link(cx)
            }
            Poll::Ready(None) => {
                self.link.give_up_upgrade();
                Ok(())
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet<'static>, Lost>> {
        let polling = match &mut self.link {
            Link::WebSocket(link) => return link.poll_read(cx),
            Link::Polling(link) | Link::Upgrading(link, _) => link,
        };
        loop {
            self.inbox.extend(ready!(polling.poll_read(cx))?);
            if let Some(packet) = self.inbox.pop_front() {
                // A paused link has just become idle: the upgrade wants to be polled again.
                cx.waker().wake_by_ref();
                return Poll::Ready(Ok(packet));
            }
        }
    }
}

impl Link {
    fn begin(self, endpoint: &Endpoint, transports: Transports, open: &Open) -> Self {
        let Self::Polling(mut link) = self else { return self };
        link.set_session(&open.sid, open.max_payload_bytes);
        let wanted = transports == Transports::PollingThenWebSocket;
        if wanted && open.upgrades.iter().any(|name| name == "websocket") {
            let upgrade = Upgrade::begin(endpoint.clone(), open.sid.clone());
            Self::Upgrading(link, Box::new(upgrade))
        } else {
            Self::Polling(link)
        }
    }

    fn give_up_upgrade(&mut self) {
        // A link cannot be moved out of `self` without something in its place: an upgrade that failed is simply never polled to success.
        if let Self::Upgrading(_, upgrade) = self {
            upgrade.abandon();
        }
    }
}

/// The beginning of a body, for an error message.
fn excerpt(body: &[u8]) -> String {
    const EXCERPT_BYTES: usize = 200;
    String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES)]).into_owned()
}
