//! A connection as the player holds it: a bounded queue of what arrives, and ways to send. Dropping it cuts the connection.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, mpsc, watch},
    task::{AbortHandle, JoinHandle},
};

use super::{
    ARRIVALS_MAX, Answer, Arrival, Beats, Dial, Frame, Raw,
    beats::Pulse,
    dial,
    frame::{self, BINARY, Message, Reader, TEXT},
    polled::Polled,
    polling::Poller,
    websocket::{FrameWriter, Handshake, handshake},
};

/// How much is read at once: small, so that `stops reading` takes effect soon.
const READ_BYTES: usize = 8 << 10;

/// A connection.
pub(crate) struct Link {
    pub(crate) arrivals: mpsc::Receiver<Arrival>,
    pub(super) inlet: Inlet,
    pub(super) way: Way,
    paused: watch::Sender<bool>,
    tasks: Tasks,
}

/// How it is sent.
pub(super) enum Way {
    Web(Arc<Mutex<FrameWriter>>),
    Tcp(OwnedWriteHalf),
    Polling(Arc<Poller>),
    /// A polling session that the judge serves.
    Polled(Arc<Polled>),
    /// A program that is listened to: nothing is sent to it.
    Program,
}

/// Where readers put what they see, and how they behave.
#[derive(Clone)]
pub(crate) struct Inlet {
    pub(super) sink: mpsc::Sender<Arrival>,
    pub(super) paused: watch::Receiver<bool>,
    /// Pings are shown, not answered.
    pub(super) manual_pings: bool,
    /// Text and binary frames are Engine.IO packets.
    pub(super) engine: bool,
    /// It is the server's side: packets that ask for an answer are the client's to answer.
    pub(super) serves: bool,
    pub(super) pulse: Pulse,
}

impl Inlet {
    /// Waits for room in the queue, so that a connection that nobody looks at stops reading instead of growing.
    pub(crate) async fn put(&self, raw: Raw) {
        // A closed queue means that the player has dropped the connection: nobody is left to tell.
        let _ = self.sink.send(Arrival::now(raw)).await;
    }

    /// The same at once; where there is no room, nobody is listening.
    pub(crate) fn note(&self, raw: Raw) {
        let _full = self.sink.try_send(Arrival::now(raw));
    }

    pub(super) async fn until_reading(&self) {
        // An error means that the player has dropped the connection, which aborts the caller.
        let _ = self.paused.clone().wait_for(|paused| !*paused).await;
    }
}

#[derive(Default)]
struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Link {
    pub(super) fn new(engine: bool, manual_pings: bool, beats: &Beats, way: impl FnOnce(&Inlet) -> Way) -> Self {
        let (sink, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let (paused, watching) = watch::channel(false);
        let pulse = Pulse::new(beats.clone());
        let inlet = Inlet { sink, paused: watching, manual_pings, engine, serves: false, pulse };
        let way = way(&inlet);
        Self { arrivals, inlet, way, paused, tasks: Tasks::default() }
    }

    /// The server's side of a WebSocket, whose first bytes may have been read with the handshake.
    pub(crate) fn serving(stream: TcpStream, first: &[u8], manual_pings: bool) -> Self {
        let (read, write) = stream.into_split();
        let writer = Arc::new(Mutex::new(FrameWriter::of_server(write)));
        let mut link = Self::new(true, manual_pings, &Beats::default(), |_| Way::Web(Arc::clone(&writer)));
        link.inlet.serves = true;
        let mut reader = Reader::of_client();
        reader.feed(first);
        let task = tokio::spawn(read_frames(read, reader, writer, link.inlet.clone()));
        link.adopt(&task);
        link
    }

    /// The server's side of a polling session.
    pub(super) fn polled(make: impl FnOnce(Inlet) -> Arc<Polled>) -> Self {
        Self::new(true, true, &Beats::default(), |inlet| Way::Polled(make(inlet.clone())))
    }

    /// A program, of which this task tells.
    pub(crate) fn program<F: Future<Output = ()> + Send + 'static>(tell: impl FnOnce(Inlet) -> F) -> Self {
        let mut link = Self::new(false, true, &Beats::default(), |_| Way::Program);
        let task = tokio::spawn(tell(link.inlet.clone()));
        link.adopt(&task);
        link
    }

    pub(super) fn adopt<T>(&mut self, task: &JoinHandle<T>) {
        self.tasks.0.push(task.abort_handle());
    }

    /// Stops or resumes reading.
    pub(crate) fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// One Engine.IO packet.
    ///
    /// # Errors
    /// Why it could not be written.
    pub(crate) async fn packet(&mut self, text: &str) -> Result<(), String> {
        match &mut self.way {
            Way::Web(writer) => writer.lock().await.whole(TEXT, text.as_bytes().to_vec()).await.map_err(unsent),
            Way::Polling(poller) => poller.post(text.as_bytes().to_vec()).await,
            Way::Polled(polled) => {
                polled.push(text.to_owned());
                Ok(())
            }
            Way::Tcp(_) | Way::Program => Err("this actor has no packets".to_owned()),
        }
    }

    /// Several Engine.IO messages, attachments included, in one payload where the transport has payloads.
    ///
    /// # Errors
    /// Why they could not be written.
    pub(crate) async fn message(&mut self, text: &str, attachments: Vec<Vec<u8>>) -> Result<(), String> {
        if let Way::Polling(poller) = &self.way {
            return poller.post_all(text, &attachments).await;
        }
        if let Way::Polled(polled) = &self.way {
            polled.push(Poller::payload(text, &attachments));
            return Ok(());
        }
        self.packet(text).await?;
        for attachment in attachments {
            self.binary(attachment).await?;
        }
        Ok(())
    }

    /// One binary message.
    ///
    /// # Errors
    /// Why it could not be written.
    pub(crate) async fn binary(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        match &mut self.way {
            Way::Web(writer) => writer.lock().await.whole(BINARY, bytes).await.map_err(unsent),
            Way::Polling(poller) => poller.post(Poller::binary(&bytes).into_bytes()).await,
            Way::Polled(polled) => {
                polled.push(Poller::binary(&bytes));
                Ok(())
            }
            Way::Tcp(_) | Way::Program => Err("this actor has no messages".to_owned()),
        }
    }

    /// One frame; `mask` asks for a key.
    ///
    /// # Errors
    /// Why it could not be written.
    pub(crate) async fn frame(&mut self, mut frame: Frame, mask: bool) -> Result<(), String> {
        let Way::Web(writer) = &self.way else { return Err("this actor has no WebSocket".to_owned()) };
        let mut writer = writer.lock().await;
        if mask {
            frame.mask = writer.key();
        }
        writer.frame(&frame).await.map_err(unsent)
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// Why they could not be written.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        match &mut self.way {
            Way::Web(writer) => writer.lock().await.bytes(bytes).await.map_err(unsent),
            Way::Tcp(half) => half.write_all(bytes).await.map_err(unsent),
            Way::Polling(_) | Way::Polled(_) => {
                Err("a polling session has no bytes of its own; use `requests`".to_owned())
            }
            Way::Program => Err("nothing is sent to a program".to_owned()),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fits `map_err`")]
fn unsent(error: std::io::Error) -> String {
    format!("could not be written: {error}")
}

/// A bare TCP connection.
///
/// # Errors
/// Why there is none.
pub(crate) async fn connect_tcp(to: &Dial) -> Result<Link, String> {
    let (read, write) = dial(to).await?.into_split();
    let mut link = Link::new(false, true, &to.beats, |_| Way::Tcp(write));
    let task = tokio::spawn(read_bytes(read, link.inlet.clone()));
    link.adopt(&task);
    Ok(link)
}

async fn read_bytes(mut half: OwnedReadHalf, inlet: Inlet) {
    loop {
        inlet.until_reading().await;
        let mut buffer = Vec::with_capacity(READ_BYTES);
        match half.read_buf(&mut buffer).await {
            Ok(0) => return inlet.put(Raw::End("the connection was closed".to_owned())).await,
            Ok(_) => inlet.put(Raw::Bytes(buffer)).await,
            Err(e) => return inlet.put(Raw::End(e.to_string())).await,
        }
    }
}

/// A WebSocket, or the answer that refused it.
///
/// # Errors
/// No connection, or an answer that RFC 6455 forbids.
pub(crate) async fn connect_websocket(
    to: &Dial,
    path: &str,
    headers: &[(String, String)],
    (engine, manual_pings): (bool, bool),
    mut rng: ChaCha8Rng,
) -> Result<(Option<Link>, Answer), String> {
    match handshake(to, path, headers, &mut rng).await? {
        Handshake::Refused(answer) => Ok((None, answer)),
        Handshake::Accepted(stream, rest, answer) => {
            let (read, write) = stream.into_split();
            let writer = Arc::new(Mutex::new(FrameWriter::new(write, rng)));
            let mut link = Link::new(engine, manual_pings, &to.beats, |_| Way::Web(Arc::clone(&writer)));
            let mut reader = Reader::default();
            reader.feed(&rest);
            let task = tokio::spawn(read_frames(read, reader, writer, link.inlet.clone()));
            link.adopt(&task);
            Ok((Some(link), answer))
        }
    }
}

/// Reads to the end of the stream, or to the first thing that RFC 6455 forbids.
pub(super) async fn read_frames(
    mut half: OwnedReadHalf,
    mut reader: Reader,
    writer: Arc<Mutex<FrameWriter>>,
    inlet: Inlet,
) {
    loop {
        loop {
            match reader.next() {
                Ok(Some(message)) => deliver(message, &writer, &inlet).await,
                Ok(None) => break,
                Err(what) => return inlet.put(Raw::Broken { protocol: "rfc6455", what }).await,
            }
        }
        inlet.until_reading().await;
        let mut buffer = Vec::with_capacity(READ_BYTES);
        match half.read_buf(&mut buffer).await {
            Ok(0) => {
                // Who has ended his side may wait for ours, and his whole orderly stop with him.
                let _ = writer.lock().await.end().await;
                let place = if reader.is_amid_frame() { " inside a frame" } else { "" };
                return inlet.put(Raw::End(format!("the connection was closed{place}"))).await;
            }
            Ok(_) => reader.feed(&buffer),
            Err(e) => return inlet.put(Raw::End(e.to_string())).await,
        }
    }
}

async fn deliver(message: Message, writer: &Mutex<FrameWriter>, inlet: &Inlet) {
    // A write that fails here is followed by the end of the stream, which the reader reports.
    match message {
        Message::Ping(payload) if !inlet.manual_pings => {
            let _ = writer.lock().await.answer(frame::PONG, payload).await;
        }
        Message::Ping(payload) => inlet.put(Raw::Ping(payload)).await,
        Message::Pong(payload) => inlet.put(Raw::Pong(payload)).await,
        Message::Close(code, reason) => {
            let echo = code.map(|code| code.to_be_bytes().to_vec()).unwrap_or_default();
            let mut writer = writer.lock().await;
            let _ = writer.close_once(echo).await;
            if inlet.serves {
                // Both sides have said it: the server ends the connection first (RFC 6455, 7.1.1).
                let _ = writer.end().await;
            }
            drop(writer);
            inlet.put(Raw::Close(code, reason)).await;
        }
        Message::Binary(bytes) => inlet.put(Raw::Binary(bytes)).await,
        Message::Text(text) if !inlet.engine => inlet.put(Raw::Text(text)).await,
        Message::Text(text) => match text.as_bytes().first() {
            Some(b'2') if !inlet.manual_pings && !inlet.serves => {
                inlet.pulse.pinged();
                let pong = format!("3{}", &text[1..]);
                inlet.pulse.ponged();
                let _ = writer.lock().await.answer(TEXT, pong.into_bytes()).await;
            }
            Some(b'0'..=b'6') => inlet.put(Raw::Packet(text)).await,
            Some(_) | None => {
                let what = format!("a text frame that is no packet: `{}`", crate::case::clipped(&text));
                inlet.put(Raw::Broken { protocol: "engine-io", what }).await;
            }
        },
    }
}
