//! Engine.IO over WebSocket: one packet per frame.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use chatwright_protocol::engine_io::{Frame, Packet};
use futures_util::{Sink, Stream};
use http::header;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error, Message, Utf8Bytes, handshake::client::generate_key, protocol::WebSocketConfig},
};

use super::{Lost, Outgoing, Timings, endpoint::Endpoint};
use crate::error::{ConnectError, DisconnectReason};

/// Enough for most messages of a chat; the default of 128 KiB would be most of what a connection costs.
const READ_BUFFER_BYTES: usize = 4096;
/// Frames are gathered up to this before they are written.
const WRITE_BUFFER_BYTES: usize = 16 << 10;

/// A TCP connection, and the handshake of RFC 6455 on it with this request.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    request: http::request::Builder,
    timings: &mut Timings,
) -> Result<WebSocketStream<TcpStream>, ConnectError> {
    let stream = endpoint.dial().await?;
    timings.tcp();
    let request = request
        .header(header::HOST, endpoint.authority())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .body(())
        .map_err(|error| ConnectError::Protocol(error.to_string()))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES + 2 * endpoint.message_bytes_max)
        .max_message_size(Some(endpoint.message_bytes_max))
        .max_frame_size(Some(endpoint.message_bytes_max));
    let (stream, _) = client_async_with_config(request, stream, Some(config))
        .await
        .map_err(|error| handshake_error(endpoint, error))?;
    timings.http();
    Ok(stream)
}

#[derive(Debug)]
pub(super) struct WebSocketLink {
    stream: WebSocketStream<TcpStream>,
    needs_flush: bool,
}

impl WebSocketLink {
    pub(super) async fn dial(
        endpoint: &Endpoint,
        sid: Option<&str>,
        timings: &mut Timings,
    ) -> Result<Self, ConnectError> {
        let stream = dial(endpoint, endpoint.request("ws", "websocket", sid), timings).await?;
        Ok(Self { stream, needs_flush: false })
    }

    /// Writes what waits, as far as the connection takes it.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        outbox: &mut VecDeque<Outgoing>,
    ) -> Poll<Result<(), Lost>> {
        while !outbox.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_ready(cx)).map_err(lost)?;
            let Some(outgoing) = outbox.pop_front() else { break };
            let message = match outgoing.frame {
                Frame::Text(text) => Message::Text(Utf8Bytes::from(text)),
                Frame::Binary(bytes) => Message::Binary(bytes),
            };
            Pin::new(&mut self.stream).start_send(message).map_err(lost)?;
            self.needs_flush = true;
        }
        if self.needs_flush {
            ready!(Pin::new(&mut self.stream).poll_flush(cx)).map_err(lost)?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet<'static>, Lost>> {
        loop {
            let message = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                Some(message) => message.map_err(lost)?,
                None => return Poll::Ready(Err(Lost::closed("end of the stream"))),
            };
            return Poll::Ready(match message {
                Message::Text(text) => Packet::decode_text(&text).map(Packet::into_owned).map_err(Lost::parse),
                Message::Binary(bytes) => Ok(Packet::Binary(bytes)),
                Message::Close(frame) => {
                    // The answer (RFC 6455, 5.5.1) waits to be written. A server that is gone already does not get it.
                    let _ = Pin::new(&mut self.stream).poll_flush(cx);
                    Err(Lost::closed(frame.map_or_else(|| "close frame".to_owned(), |frame| frame.to_string())))
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            });
        }
    }

    /// The closing handshake of RFC 6455, as far as this side can do it.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.stream).poll_close(cx).map(|_| ())
    }
}

/// A connection that ends counts as closed however it ends, as the official client sees it; broken frames are errors.
pub(crate) fn lost(error: Error) -> Lost {
    let reason = match &error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) => DisconnectReason::TransportClose,
        Error::Protocol(tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            DisconnectReason::TransportClose
        }
        Error::Protocol(_)
        | Error::Tls(_)
        | Error::Capacity(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => DisconnectReason::TransportError,
    };
    Lost { reason, detail: error.to_string() }
}

fn handshake_error(endpoint: &Endpoint, error: Error) -> ConnectError {
    match error {
        Error::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            ConnectError::Handshake { status: response.status().as_u16(), body: super::excerpt(body) }
        }
        Error::Io(source) => ConnectError::Unreachable { address: endpoint.authority(), source },
        other @ (Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Tls(_)
        | Error::Capacity(_)
        | Error::Protocol(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::HttpFormat(_)) => ConnectError::Protocol(other.to_string()),
    }
}
