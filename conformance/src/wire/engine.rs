//! Engine.IO v4 sessions: opened over a WebSocket or polling, moved from one to the other.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use tokio::{io::AsyncReadExt, net::tcp::OwnedReadHalf, sync::Mutex, task::JoinHandle};

use super::{
    Answer, Dial, HttpRequest, Raw,
    frame::{Message, Reader, TEXT},
    http_send,
    link::{Link, Way, connect_websocket, read_frames},
    polling::Poller,
    websocket::{FrameWriter, Handshake, handshake},
};
use crate::{case::percent_encoded, datum::Datum};

/// How to open a session.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) dial: Dial,
    /// `/socket.io/`.
    pub(crate) path: String,
    /// Parameters besides, or instead of, the protocol's own.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    /// Begin with polling.
    pub(crate) polling: bool,
    pub(crate) manual_pings: bool,
    pub(crate) rng: ChaCha8Rng,
}

/// An open session.
pub(crate) struct Session {
    pub(crate) link: Link,
    pub(crate) sid: String,
    /// What the open packet says.
    pub(crate) open: Datum,
    opening: Opening,
    polling: Option<(Arc<Poller>, JoinHandle<()>)>,
}

impl Opening {
    fn url(&self, transport: &str, sid: Option<&str>) -> String {
        let mut url = format!("{}{}?", self.dial.address.path, self.path);
        for (name, value) in [("EIO", "4"), ("transport", transport)] {
            if !self.query.iter().any(|(given, _)| given == name) {
                url += &format!("{name}={value}&");
            }
        }
        for (name, value) in &self.query {
            url += &format!("{}={}&", percent_encoded(name), percent_encoded(value));
        }
        match sid {
            Some(sid) => url + "sid=" + &percent_encoded(sid),
            None => url.trim_end_matches('&').to_owned(),
        }
    }

    fn get(&self, sid: Option<&str>) -> HttpRequest {
        HttpRequest {
            dial: self.dial.clone(),
            method: "GET".to_owned(),
            path: self.url("polling", sid),
            headers: self.headers.clone(),
            body: Vec::new(),
        }
    }
}

/// Opens a session.
///
/// # Errors
/// What came instead of an open packet.
pub(crate) async fn open(opening: Opening) -> Result<Session, Raw> {
    if opening.polling { open_polling(opening).await } else { open_websocket(opening).await }
}

async fn open_websocket(opening: Opening) -> Result<Session, Raw> {
    let url = opening.url("websocket", None);
    let framing = (true, opening.manual_pings);
    let connected = connect_websocket(&opening.dial, &url, &opening.headers, framing, opening.rng.clone()).await;
    let mut link = match connected {
        Ok((Some(link), _)) => link,
        Ok((None, answer)) => return Err(Raw::Refused(answer)),
        Err(why) => return Err(Raw::End(why)),
    };
    match link.arrivals.recv().await.map(|arrival| arrival.raw) {
        Some(Raw::Packet(packet)) => {
            let (sid, open) = open_packet(&packet)?;
            Ok(Session { link, sid, open, opening, polling: None })
        }
        Some(other) => Err(other),
        None => Err(Raw::End("the connection is gone".to_owned())),
    }
}

async fn open_polling(opening: Opening) -> Result<Session, Raw> {
    let answer = http_send(opening.get(None)).await.map_err(Raw::End)?;
    if answer.status != 200 {
        return Err(Raw::Refused(answer));
    }
    let text = answer.text();
    let (first, rest) = text.split_once('\u{1e}').map_or((text.as_str(), None), |(first, rest)| (first, Some(rest)));
    let (sid, open) = open_packet(first)?;
    let get = opening.get(Some(&sid));
    let mut poller = None;
    let mut link = Link::new(true, opening.manual_pings, &opening.dial.beats, |inlet| {
        let made = Arc::new(Poller::new(get, inlet.clone()));
        poller = Some(Arc::clone(&made));
        Way::Polling(made)
    });
    let polling = match poller {
        Some(poller) if rest.is_none() => {
            let task = tokio::spawn(Arc::clone(&poller).poll());
            link.adopt(&task);
            Some((poller, task))
        }
        Some(_) => return Err(broken("the handshake's answer holds more than the open packet", first)),
        None => None,
    };
    Ok(Session { link, sid, open, opening, polling })
}

/// The id and the data of an open packet. What else must stand in it is for cases to say.
fn open_packet(packet: &str) -> Result<(String, Datum), Raw> {
    let open =
        packet.strip_prefix('0').and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok()).map(Datum::from);
    let open = open.ok_or_else(|| broken("the first packet is no open packet", packet))?;
    match open.field("sid").and_then(Datum::as_text).filter(|sid| !sid.is_empty()).map(ToOwned::to_owned) {
        Some(sid) => Ok((sid, open)),
        None => Err(broken("an open packet without a `sid`", packet)),
    }
}

fn broken(what: &str, packet: &str) -> Raw {
    Raw::Broken { protocol: "engine-io", what: format!("{what}: `{}`", crate::case::clipped(packet)) }
}

impl Session {
    /// Moves the session from polling to a WebSocket, as the protocol text says: probe, wait for the pending GET to end, then `5`.
    ///
    /// # Errors
    /// What came instead.
    pub(crate) async fn upgrade(&mut self) -> Result<(), Raw> {
        let Some((poller, task)) = self.polling.take() else {
            return Err(Raw::End("the session is not on polling".to_owned()));
        };
        let url = self.opening.url("websocket", Some(&self.sid));
        let shaken = handshake(&self.opening.dial, &url, &self.opening.headers, &mut self.opening.rng).await;
        let (stream, rest) = match shaken {
            Ok(Handshake::Accepted(stream, rest, _)) => (stream, rest),
            Ok(Handshake::Refused(answer)) => return Err(Raw::Refused(Answer { ..answer })),
            Err(why) => return Err(Raw::End(why)),
        };
        let (mut read, write) = stream.into_split();
        let mut writer = FrameWriter::new(write, self.opening.rng.clone());
        poller.stop_polling();
        let unsent = |e: std::io::Error| Raw::End(format!("the upgrade breaks off: {e}"));
        writer.whole(TEXT, b"2probe".to_vec()).await.map_err(unsent)?;
        let mut reader = Reader::default();
        reader.feed(&rest);
        probe_answer(&mut read, &mut reader).await?;
        task.await.map_err(|_| Raw::End("the pending GET broke off".to_owned()))?;
        writer.whole(TEXT, b"5".to_vec()).await.map_err(unsent)?;
        let writer = Arc::new(Mutex::new(writer));
        let task = tokio::spawn(read_frames(read, reader, Arc::clone(&writer), self.link.inlet.clone()));
        self.link.adopt(&task);
        self.link.way = Way::Web(writer);
        Ok(())
    }
}

async fn probe_answer(read: &mut OwnedReadHalf, reader: &mut Reader) -> Result<(), Raw> {
    loop {
        match reader.next() {
            Ok(Some(Message::Text(text))) if text == "3probe" => return Ok(()),
            Ok(Some(other)) => {
                return Err(Raw::Broken {
                    protocol: "engine-io",
                    what: format!("`2probe` is answered by {other:?} instead of `3probe`"),
                });
            }
            Err(what) => return Err(Raw::Broken { protocol: "rfc6455", what }),
            Ok(None) => {}
        }
        let mut buffer = Vec::with_capacity(1024);
        match read.read_buf(&mut buffer).await {
            Ok(0) => return Err(Raw::End("the WebSocket was closed instead of `3probe`".to_owned())),
            Ok(_) => reader.feed(&buffer),
            Err(e) => return Err(Raw::End(e.to_string())),
        }
    }
}
