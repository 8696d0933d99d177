//! From polling to WebSocket: dial, probe, pause polling, move. Until the move, polling carries everything; a failure leaves it there.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use chatwright_protocol::engine_io::Packet;

use super::{Outgoing, Timings, endpoint::Endpoint, polling::PollingLink, websocket::WebSocketLink};
use crate::error::ConnectError;

const PROBE: &str = "probe";

type Dialing = Pin<Box<dyn Future<Output = Result<WebSocketLink, ConnectError>> + Send>>;

pub(super) enum Upgrade {
    /// The WebSocket handshake runs.
    Dialing(Dialing),
    /// `2probe` is sent or about to be; `3probe` is awaited.
    Probing(Box<WebSocketLink>, VecDeque<Outgoing>),
    /// `3probe` came; the last GET and POST come to their end.
    Pausing(Option<Box<WebSocketLink>>),
    /// It failed: polling stays.
    Abandoned,
}

impl Upgrade {
    pub(super) fn begin(endpoint: Endpoint, sid: String) -> Self {
        let limit = endpoint.connect_timeout;
        Self::Dialing(Box::pin(async move {
            let mut timings = Timings::begin();
            tokio::time::timeout(limit, WebSocketLink::dial(&endpoint, Some(&sid), &mut timings))
                .await
                .map_err(|_| ConnectError::Timeout(limit))?
        }))
    }

    pub(super) fn abandon(&mut self) {
        *self = Self::Abandoned;
    }

    /// `Some`: the WebSocket to move to, its first packet is to be `5`. `None`: it failed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, polling: &mut PollingLink) -> Poll<Option<Box<WebSocketLink>>> {
        loop {
            match self {
                Self::Dialing(dialing) => match dialing.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(%error, "no upgrade");
                        return Poll::Ready(None);
                    }
                    Poll::Ready(Ok(link)) => {
                        let frame = Packet::Ping(PROBE.into()).to_frame();
                        *self = Self::Probing(Box::new(link), VecDeque::from([Outgoing { frame, _place: None }]));
                    }
                },
                Self::Probing(link, outbox) => {
                    if let Poll::Ready(Err(_)) = link.poll_write(cx, outbox) {
                        return Poll::Ready(None);
                    }
                    match link.poll_read(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(Packet::Pong(data))) if data == PROBE => {}
                        Poll::Ready(_) => return Poll::Ready(None),
                    }
                    polling.pause();
                    let Self::Probing(link, _) = std::mem::replace(self, Self::Abandoned) else { continue };
                    *self = Self::Pausing(Some(link));
                }
                Self::Pausing(link) if polling.is_idle() => return Poll::Ready(link.take()),
                Self::Pausing(_) | Self::Abandoned => return Poll::Pending,
            }
        }
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dialing(_) => "Dialing",
            Self::Probing(..) => "Probing",
            Self::Pausing(_) => "Pausing",
            Self::Abandoned => "Abandoned",
        })
    }
}
