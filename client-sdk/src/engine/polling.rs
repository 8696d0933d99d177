//! Engine.IO over long polling: one GET waits for packets, one POST at a time brings them.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use chatwright_protocol::engine_io::{
    Frame, Packet,
    payload::{self, Limits, WriteError, Writer},
};
use http::{Request, header};
use hyper_util::client::legacy::Client;

use super::{
    Lost, Outgoing,
    endpoint::Endpoint,
    http_client::{self, HttpClient},
};
use crate::error::{ConnectError, DisconnectReason};

type Fetching = Pin<Box<dyn Future<Output = Result<String, Lost>> + Send>>;

/// Packets that one POST carries at most: a server may limit them without saying so.
const PACKETS_PER_POST_MAX: usize = 256;

pub(super) struct PollingLink {
    client: HttpClient,
    endpoint: Endpoint,
    sid: String,
    payload_bytes_max: usize,
    get: Option<Fetching>,
    post: Option<Fetching>,
    /// While a WebSocket takes over: what is in flight is finished, nothing new begins.
    paused: bool,
}

impl PollingLink {
    /// Asks for a session; the link has no session yet, the packets of the answer come with it.
    pub(super) async fn open(endpoint: &Endpoint) -> Result<(Self, Vec<Packet<'static>>), ConnectError> {
        let client = http_client::new(endpoint.local_address());
        let request = endpoint.request("http", "polling", None).body(http_client::body(""));
        let request = request.map_err(|error| ConnectError::Protocol(error.to_string()))?;
        let (status, body) = http_client::fetch(&client, request, endpoint).await?;
        if status != 200 {
            return Err(ConnectError::Handshake { status, body: super::excerpt(body.as_bytes()) });
        }
        let packets = decode(&body, endpoint).map_err(|error| ConnectError::Protocol(error.to_string()))?;
        let endpoint = endpoint.clone();
        let link = Self {
            client,
            endpoint,
            sid: String::new(),
            payload_bytes_max: usize::MAX,
            get: None,
            post: None,
            paused: false,
        };
        Ok((link, packets))
    }

    pub(super) fn set_session(&mut self, sid: &str, payload_bytes_max: usize) {
        sid.clone_into(&mut self.sid);
        self.payload_bytes_max = payload_bytes_max;
    }

    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.get.is_none() && self.post.is_none()
    }

    /// Brings what waits, one POST after the other. Ready when nothing is left to bring.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        outbox: &mut VecDeque<Outgoing>,
    ) -> Poll<Result<(), Lost>> {
        loop {
            if let Some(post) = &mut self.post {
                match post.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(outcome) => {
                        self.post = None;
                        outcome?;
                    }
                }
            }
            if self.paused || outbox.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let body = self.gather(outbox)?;
            self.post = Some(self.request(Some(body))?);
        }
    }

    /// Waits for the packets of one GET.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Packet<'static>>, Lost>> {
        let get = match &mut self.get {
            Some(get) => get,
            None if self.paused => return Poll::Pending,
            None => {
                let request = self.request(None)?;
                self.get.insert(request)
            }
        };
        match get.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(outcome) => {
                self.get = None;
                Poll::Ready(decode(&outcome?, &self.endpoint).map_err(Lost::parse))
            }
        }
    }

    fn gather(&self, outbox: &mut VecDeque<Outgoing>) -> Result<String, Lost> {
        let limits = Limits { bytes_max: self.payload_bytes_max, packets_max: PACKETS_PER_POST_MAX };
        let mut writer = Writer::new(limits);
        while let Some(next) = outbox.front() {
            let pushed = match &next.frame {
                Frame::Text(text) => Packet::decode_text(text).map_err(Lost::parse).map(|packet| writer.push(&packet)),
                Frame::Binary(bytes) => Ok(writer.push(&Packet::Binary(bytes.clone()))),
            }?;
            match pushed {
                Ok(()) => drop(outbox.pop_front()),
                Err(WriteError::Full) => break,
                Err(error @ (WriteError::TooLarge { .. } | WriteError::Separator)) => {
                    return Err(Lost { reason: DisconnectReason::TransportError, detail: error.to_string() });
                }
            }
        }
        Ok(writer.take())
    }

    /// A GET, or a POST of `body`.
    fn request(&self, body: Option<String>) -> Result<Fetching, Lost> {
        let builder = self.endpoint.request("http", "polling", Some(&self.sid));
        let request: Request<http_client::Body> = match body {
            None => builder.body(http_client::body("")),
            Some(body) => builder
                .method("POST")
                .header(header::CONTENT_TYPE, "text/plain;charset=UTF-8")
                .body(http_client::Body::new(Bytes::from(body))),
        }
        .map_err(|error| Lost::transport(&error))?;
        let (client, endpoint): (Client<_, _>, _) = (self.client.clone(), self.endpoint.clone());
        Ok(Box::pin(async move {
            let (status, body) =
                http_client::fetch(&client, request, &endpoint).await.map_err(|error| Lost::transport(&error))?;
            if status == 200 { Ok(body) } else { Err(Lost::transport(&format!("status {status}"))) }
        }))
    }
}

impl fmt::Debug for PollingLink {
    /// Without the session id, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollingLink").field("paused", &self.paused).finish_non_exhaustive()
    }
}

fn decode(
    body: &str,
    endpoint: &Endpoint,
) -> Result<Vec<Packet<'static>>, chatwright_protocol::engine_io::DecodeError> {
    let limits = Limits { bytes_max: endpoint.message_bytes_max, ..Limits::default() };
    Ok(payload::decode(body, limits)?.into_iter().map(Packet::into_owned).collect())
}
