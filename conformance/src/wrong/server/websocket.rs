//! A WebSocket of the small server: frames are checked as RFC 6455 asks, unless that is what it does wrong.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, WriteHalf},
    sync::Mutex,
};

use super::{
    House, Misbehaviour, PAYLOAD_BYTES_MAX, http,
    session::{Carrier, Packet, Session},
};
use crate::wrong::frames::{BINARY, CLOSE, CONTINUATION, PING, PONG, RawFrame, TEXT};

/// RFC 6455 5.5.
const CONTROL_BYTES_MAX: usize = 125;
/// A probed WebSocket that is not upgraded to by then is closed.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves one WebSocket to its end. `first` is the open packet of a new session; without it, an upgrade is under way.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Send>(
    house: Arc<House>,
    session: Arc<Session>,
    stream: S,
    first: Option<String>,
) {
    let (input, output) = tokio::io::split(stream);
    let socket = Socket { house: &house, session: &session, output: Mutex::new(output) };
    let is_new = first.is_some();
    if let Some(open) = first {
        socket.text(&open).await;
    }
    tokio::select! {
        () = socket.read(BufReader::new(input), is_new) => {}
        () = socket.write(is_new) => {}
        () = upgrade_in_time(&session, is_new) => {}
    }
    match session.carrier() {
        // A failed upgrade leaves the polling session as it is.
        Carrier::Upgrading => session.set_carrier(Carrier::Polling),
        Carrier::WebSocket | Carrier::Closed => house.end(&session),
        Carrier::Polling => {}
    }
    let _gone = socket.output.lock().await.shutdown().await;
}

/// Comes back only when an upgrade has taken too long.
async fn upgrade_in_time(session: &Session, is_new: bool) {
    if !is_new {
        tokio::time::sleep(UPGRADE_TIMEOUT).await;
        if session.carrier() == Carrier::Upgrading {
            return;
        }
    }
    std::future::pending().await
}

struct Socket<'a, S> {
    house: &'a Arc<House>,
    session: &'a Arc<Session>,
    output: Mutex<WriteHalf<S>>,
}

/// The connection is over, with this close code if any.
struct Over(Option<u16>);

impl<S: AsyncRead + AsyncWrite + Send> Socket<'_, S> {
    async fn frame(&self, frame: RawFrame) {
        let frame = RawFrame { masked: self.house.is(Misbehaviour::MasksItsFrames), ..frame };
        let mut output = self.output.lock().await;
        let _gone = output.write_all(&frame.encode()).await;
        let _gone = output.flush().await;
    }

    async fn text(&self, packet: &str) {
        self.frame(RawFrame::new(TEXT, packet, false)).await;
    }

    /// Writes what is queued, once the session has come over to this WebSocket.
    async fn write(&self, is_new: bool) {
        let mut here = is_new;
        loop {
            let news = self.session.news.notified();
            here |= self.session.carrier() == Carrier::WebSocket;
            if here {
                for packet in self.session.take() {
                    match packet {
                        Packet::Text(text) => self.text(&text).await,
                        Packet::Binary(data) => self.frame(RawFrame::new(BINARY, data, false)).await,
                    }
                }
            }
            if self.session.carrier() == Carrier::Closed {
                return self.frame(RawFrame::close(Some(1000), "", false)).await;
            }
            let _either = tokio::time::timeout(Duration::from_millis(20), news).await;
        }
    }

    async fn read(&self, mut input: impl AsyncRead + Unpin, is_new: bool) {
        let mut partial: Option<RawFrame> = None;
        let mut upgraded = is_new;
        loop {
            let Ok(Some(frame)) = RawFrame::read(&mut input).await else { return };
            let message = match self.check(frame, &mut partial).await {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(Over(code)) => {
                    if let Some(code) = code {
                        self.frame(RawFrame::close(Some(code), "", false)).await;
                    }
                    return;
                }
            };
            if upgraded {
                if http::receive(self.house, self.session, message).is_err()
                    && !self.house.is(Misbehaviour::GarbageIgnored)
                {
                    self.house.end(self.session);
                }
            } else if !self.upgrade(&message, &mut upgraded).await {
                return;
            }
        }
    }

    /// A packet on a WebSocket that is still being tried; `false` ends it.
    async fn upgrade(&self, message: &Packet, upgraded: &mut bool) -> bool {
        match message {
            Packet::Text(text) if text == "2probe" => {
                if !self.house.is(Misbehaviour::ProbeUnanswered) {
                    self.text("3probe").await;
                }
                true
            }
            Packet::Text(text) if text == "5" => {
                self.session.upgraded(self.house);
                *upgraded = true;
                true
            }
            Packet::Text(_) | Packet::Binary(_) => false,
        }
    }

    /// What RFC 6455 asks of a frame; a whole message when there is one.
    async fn check(&self, frame: RawFrame, partial: &mut Option<RawFrame>) -> Result<Option<Packet>, Over> {
        let lenient = |misbehaviour| self.house.is(misbehaviour);
        if (!frame.masked && !lenient(Misbehaviour::UnmaskedAccepted))
            || (frame.rsv != 0 && !lenient(Misbehaviour::RsvAccepted))
        {
            return Err(Over(Some(1002)));
        }
        match frame.opcode {
            CLOSE | PING | PONG => self.control(&frame).await.map(|()| None),
            TEXT | BINARY if partial.is_none() => self.collect(frame, partial),
            CONTINUATION => {
                let mut whole = partial.take().ok_or(Over(Some(1002)))?;
                whole.payload.extend(frame.payload);
                whole.fin = frame.fin;
                self.collect(whole, partial)
            }
            TEXT | BINARY => Err(Over(Some(1002))),
            _ if lenient(Misbehaviour::OpcodeAccepted) => Ok(None),
            _ => Err(Over(Some(1002))),
        }
    }

    fn collect(&self, frame: RawFrame, partial: &mut Option<RawFrame>) -> Result<Option<Packet>, Over> {
        if frame.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Over(Some(1009)));
        }
        if !frame.fin {
            *partial = Some(frame);
            return Ok(None);
        }
        if frame.opcode == BINARY {
            return Ok(Some(Packet::Binary(frame.payload)));
        }
        match String::from_utf8(frame.payload) {
            Ok(text) => Ok(Some(Packet::Text(text))),
            Err(e) if self.house.is(Misbehaviour::InvalidUtf8Accepted) => {
                Ok(Some(Packet::Text(String::from_utf8_lossy(e.as_bytes()).into_owned())))
            }
            Err(_) => Err(Over(Some(1007))),
        }
    }

    async fn control(&self, frame: &RawFrame) -> Result<(), Over> {
        let whole = frame.fin || self.house.is(Misbehaviour::ControlFragmentsAccepted);
        if !whole || frame.payload.len() > CONTROL_BYTES_MAX {
            return Err(Over(Some(1002)));
        }
        match frame.opcode {
            PING if self.house.is(Misbehaviour::PongMissing) => Ok(()),
            PING => {
                let payload = if self.house.is(Misbehaviour::PongEmpty) { Vec::new() } else { frame.payload.clone() };
                self.frame(RawFrame::new(PONG, payload, false)).await;
                Ok(())
            }
            CLOSE if self.house.is(Misbehaviour::CloseNotEchoed) => Err(Over(None)),
            CLOSE => Err(self.close(&frame.payload).await),
            _ => Ok(()),
        }
    }

    async fn close(&self, payload: &[u8]) -> Over {
        let unchecked = self.house.is(Misbehaviour::CloseCodesUnchecked);
        match *payload {
            [] => {
                self.frame(RawFrame::close(None, "", false)).await;
                Over(None)
            }
            [high, low, ref reason @ ..] => {
                let code = u16::from_be_bytes([high, low]);
                let good = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
                if !good && !unchecked {
                    return Over(Some(1002));
                }
                Over(Some(if std::str::from_utf8(reason).is_ok() { code } else { 1007 }))
            }
            [_] => Over(Some(1002)),
        }
    }
}
