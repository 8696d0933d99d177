//! Engine.IO over long-polling: one GET at a time that waits, one POST at a time that sends.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::sync::{Mutex, watch};

use super::{HttpRequest, Raw, http_send, link::Inlet};

/// Between the packets of a payload.
pub(super) const SEPARATOR: char = '\u{1e}';

/// The sending side, and what a GET needs.
pub(super) struct Poller {
    /// A GET of this session.
    request: HttpRequest,
    /// One POST at a time: two at once are a client's fault.
    posting: Mutex<()>,
    inlet: Inlet,
    upgrading: watch::Sender<bool>,
}

impl Poller {
    pub(super) fn new(request: HttpRequest, inlet: Inlet) -> Self {
        Self { request, posting: Mutex::new(()), inlet, upgrading: watch::Sender::new(false) }
    }

    /// `b` and base64.
    pub(super) fn binary(bytes: &[u8]) -> String {
        format!("b{}", STANDARD.encode(bytes))
    }

    /// A text packet and binary messages in one payload.
    pub(super) fn payload(text: &str, attachments: &[Vec<u8>]) -> String {
        let mut payload = text.to_owned();
        for attachment in attachments {
            payload.push(SEPARATOR);
            payload += &Self::binary(attachment);
        }
        payload
    }

    /// Posts such a payload.
    pub(super) async fn post_all(&self, text: &str, attachments: &[Vec<u8>]) -> Result<(), String> {
        self.post(Self::payload(text, attachments).into_bytes()).await
    }

    /// Sends a payload. A refusal ends the session, as an arrival: what follows from it is for the case to judge.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        let _turn = self.posting.lock().await;
        let mut request = self.request.clone();
        "POST".clone_into(&mut request.method);
        request.headers.push(("Content-Type".to_owned(), "text/plain;charset=UTF-8".to_owned()));
        request.body = body;
        let answer = http_send(request).await?;
        match (answer.status, answer.text().as_str()) {
            (200, "ok") => {}
            (200, other) => {
                let what = format!("a POST is answered `{}` instead of `ok`", crate::case::clipped(other));
                self.inlet.put(Raw::Broken { protocol: "engine-io", what }).await;
            }
            (status, body) => {
                self.inlet.put(Raw::End(format!("a POST is answered {status}: {}", crate::case::clipped(body)))).await;
            }
        }
        Ok(())
    }

    /// From here on no further GET is sent.
    pub(super) fn stop_polling(&self) {
        self.upgrading.send_replace(true);
    }

    /// Polls until the session ends or moves to a WebSocket.
    pub(super) async fn poll(self: Arc<Self>) {
        while !*self.upgrading.borrow() {
            self.inlet.until_reading().await;
            let answer = match http_send(self.request.clone()).await {
                Ok(answer) => answer,
                Err(why) => return self.inlet.put(Raw::End(why)).await,
            };
            if answer.status != 200 {
                let body = crate::case::clipped(answer.text());
                return self.inlet.put(Raw::End(format!("a GET is answered {}: {body}", answer.status))).await;
            }
            if !self.take(&answer.text()).await {
                return;
            }
        }
    }

    /// Hands on the packets of a payload; `false` when the session is over.
    pub(super) async fn take(&self, payload: &str) -> bool {
        for packet in payload.split(SEPARATOR) {
            match packet.as_bytes().first() {
                Some(b'6') if packet.len() == 1 => {}
                Some(b'2') if !self.inlet.manual_pings => {
                    self.inlet.pulse.pinged();
                    let pong = format!("3{}", &packet[1..]);
                    self.inlet.pulse.ponged();
                    if let Err(why) = self.post(pong.into_bytes()).await {
                        self.inlet.put(Raw::End(why)).await;
                        return false;
                    }
                }
                Some(b'1') => {
                    self.inlet.put(Raw::Packet(packet.to_owned())).await;
                    return false;
                }
                Some(b'0'..=b'6') => self.inlet.put(Raw::Packet(packet.to_owned())).await,
                Some(b'b') => match STANDARD.decode(&packet[1..]) {
                    Ok(bytes) => self.inlet.put(Raw::Binary(bytes)).await,
                    Err(e) => return self.broken(&format!("a binary packet that is no base64 ({e})"), packet).await,
                },
                Some(_) | None => return self.broken("a payload with something that is no packet", packet).await,
            }
        }
        true
    }

    async fn broken(&self, what: &str, packet: &str) -> bool {
        let what = format!("{what}: `{}`", crate::case::clipped(packet));
        self.inlet.put(Raw::Broken { protocol: "engine-io", what }).await;
        false
    }
}
