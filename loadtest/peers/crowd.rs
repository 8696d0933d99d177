//! Clients in one thread: a task each that reads, one buffer for all, and nothing kept of what was read but its account.

use std::{
    cell::{Cell, Ref, RefCell},
    io, iter,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use hdrhistogram::Histogram;
use tokio::net::TcpStream;

use crate::{
    Outcome,
    ledger::{Counts, Ledger, Mark},
    speech::{Heard, Speech, room},
};

/// Connections opened at once.
const OPENED_AT_ONCE: usize = 64;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Messages of one burst: the next one is sent when all of it is back.
const BURST_MESSAGES: u64 = 32;

/// How long everybody may take to be in the rooms, and then what was sent to arrive without any progress.
const JOIN_MAX: Duration = Duration::from_secs(60);
const PROGRESS_MAX: Duration = Duration::from_secs(3);

/// The key that frames are masked with.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// All clients of one server.
pub(crate) struct Crowd {
    clients: Vec<Rc<Client>>,
    desk: Rc<Desk>,
}

/// What they share.
struct Desk {
    speech: Speech,
    /// The sizes of the rooms that everybody is in.
    rooms: &'static [usize],
    /// The zero of times in texts.
    epoch: Instant,
    room_size: Cell<usize>,
    counts: Cell<Counts>,
    latencies: RefCell<Histogram<u64>>,
    is_flooding: Cell<bool>,
    joined: Cell<usize>,
    closed: Cell<usize>,
    chunk: RefCell<Vec<u8>>,
}

struct Client {
    index: usize,
    stream: TcpStream,
    /// What the stream did not take at once.
    backlog: RefCell<Vec<u8>>,
    ledger: RefCell<Ledger>,
    /// What stands before and behind the text of a message to the room.
    words: RefCell<(String, String)>,
    sent: Cell<u64>,
}

impl Crowd {
    pub(crate) async fn connect(
        speech: Speech,
        server: SocketAddr,
        clients: usize,
        rooms: &'static [usize],
    ) -> Outcome<Self> {
        let desk = Rc::new(Desk {
            speech,
            rooms,
            epoch: Instant::now(),
            room_size: Cell::new(0),
            counts: Cell::default(),
            latencies: RefCell::new(Histogram::new_with_max(60_000_000, 3)?),
            is_flooding: Cell::new(false),
            joined: Cell::new(0),
            closed: Cell::new(0),
            chunk: RefCell::new(vec![0; CHUNK_BYTES]),
        });
        let opened = stream::iter(0..clients).map(|index| Client::open(index, speech, server));
        let mut opened = opened.buffered(OPENED_AT_ONCE);
        let mut crowd = Self { clients: Vec::with_capacity(clients), desk };
        while let Some(client) = opened.next().await {
            let (client, rest) = client?;
            let client = Rc::new(client);
            tokio::task::spawn_local(Rc::clone(&client).read(Rc::clone(&crowd.desk), rest));
            speech.hello(client.index, rooms).iter().for_each(|words| client.say(speech, words));
            crowd.clients.push(client);
        }
        let since = Instant::now();
        while crowd.desk.joined.get() < clients * speech.joins_count(rooms) {
            if since.elapsed() > JOIN_MAX || crowd.desk.closed.get() > 0 {
                let joined = crowd.desk.joined.get();
                return Err(
                    format!("of {clients} clients {} were closed; {joined} joins", crowd.desk.closed.get()).into()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(crowd)
    }

    /// Begins a load in rooms of this size.
    pub(crate) fn begin(&self, room_size: usize) {
        self.desk.room_size.set(room_size);
        self.desk.counts.set(Counts::default());
        for client in &self.clients {
            let (_, members) = room(room_size, client.index, self.clients.len());
            client.ledger.borrow_mut().open(members);
            *client.words.borrow_mut() = self.desk.speech.message(room_size, client.index, self.clients.len());
            client.sent.set(0);
        }
    }

    /// So many messages a second for this long, each sent at its time, by everybody in turn.
    pub(crate) async fn pace(&self, rate: f64, seconds: f64) {
        let start = Instant::now();
        let count = (rate * seconds) as usize;
        for number in 0..count {
            let due = start + Duration::from_secs_f64(number as f64 / rate);
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            // Neighbours in time sit far apart: 7919 is prime.
            let client = &self.clients[number * 7919 % self.clients.len()];
            client.send(&self.desk, due);
            if number % 64 == 0 {
                tokio::task::yield_now().await; // a crowd that is late still reads
            }
        }
    }

    /// In each room so many members send bursts, until [`stop`](Self::stop).
    pub(crate) fn flood(&self, senders_per_room: usize) {
        self.desk.is_flooding.set(true);
        let room_size = self.desk.room_size.get();
        self.clients
            .iter()
            .filter(|client| client.index % room_size < senders_per_room)
            .for_each(|client| client.burst(&self.desk));
    }

    /// Sends nothing more, and waits for what is on its way. Returns how many deliveries are missing.
    pub(crate) async fn stop(&self) -> u64 {
        self.desk.is_flooding.set(false);
        let members =
            |client: &Client| room(self.desk.room_size.get(), client.index, self.clients.len()).1.len() as u64;
        let (mut before, mut since) = (self.counts().received, Instant::now());
        loop {
            let expected: u64 = self.clients.iter().map(|client| client.sent.get() * members(client)).sum();
            let received = self.counts().received;
            if received != before {
                (before, since) = (received, Instant::now());
            }
            if received >= expected || since.elapsed() > PROGRESS_MAX {
                return expected.saturating_sub(received);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.desk.counts.get()
    }

    /// Clients that the server closed.
    pub(crate) fn closed(&self) -> usize {
        self.desk.closed.get()
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Microseconds from when a message was to be sent until it arrived.
    pub(crate) fn latencies(&self) -> Ref<'_, Histogram<u64>> {
        self.desk.latencies.borrow()
    }

    pub(crate) fn forget_latencies(&self) {
        self.desk.latencies.borrow_mut().reset();
    }
}

impl Client {
    async fn open(index: usize, speech: Speech, server: SocketAddr) -> io::Result<(Self, Vec<u8>)> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let mut read = Vec::new();
        if let Some(opening) = speech.opening(server) {
            stream.writable().await?;
            stream.try_write(opening.as_bytes())?; // it fits into a fresh socket's buffer
            let end = loop {
                if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                    break end + 4;
                }
                stream.readable().await?;
                match stream.try_read_buf(&mut read) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    Ok(_) | Err(_) => {}
                }
            };
            if !read.starts_with(b"HTTP/1.1 101") {
                return Err(io::Error::other(String::from_utf8_lossy(&read[..end]).into_owned()));
            }
            read.drain(..end);
        }
        let (backlog, ledger, words) = (RefCell::default(), RefCell::default(), RefCell::default());
        Ok((Self { index, stream, backlog, ledger, words, sent: Cell::new(0) }, read))
    }

    async fn read(self: Rc<Self>, desk: Rc<Desk>, rest: Vec<u8>) {
        let mut begun = rest;
        self.take(&desk, &mut begun, &[]);
        while self.stream.readable().await.is_ok() {
            let mut chunk = desk.chunk.borrow_mut();
            match self.stream.try_read(&mut chunk) {
                Ok(0) => break,
                Ok(bytes) => self.take(&desk, &mut begun, &chunk[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        desk.closed.set(desk.closed.get() + 1);
    }

    /// Takes what came; what is no whole frame yet is kept in `begun`.
    fn take(self: &Rc<Self>, desk: &Desk, begun: &mut Vec<u8>, chunk: &[u8]) {
        if begun.is_empty() {
            let used = self.frames(desk, chunk);
            begun.extend_from_slice(&chunk[used..]);
        } else {
            begun.extend_from_slice(chunk);
            let used = self.frames(desk, begun);
            begun.drain(..used);
        }
    }

    /// Takes the whole frames; returns their bytes.
    fn frames(self: &Rc<Self>, desk: &Desk, bytes: &[u8]) -> usize {
        let (mut used, now) = (0, desk.epoch.elapsed());
        while let Some((header, length, end)) = frame(desk.speech, &bytes[used..]) {
            let payload = &bytes[used + header..used + header + length];
            if desk.speech != Speech::Floor && bytes[used] == 0x89 {
                let mut pong = Vec::new();
                write_frame(&mut pong, 0x8a, iter::once(payload));
                self.write(pong);
            } else {
                self.hear(desk, payload, now);
            }
            used += end;
        }
        used
    }

    fn hear(self: &Rc<Self>, desk: &Desk, payload: &[u8], now: Duration) {
        match desk.speech.hear(self.index, desk.rooms, payload) {
            Heard::Delivery => {
                let Some(mark) = Mark::read(payload) else { return };
                let mut counts = desk.counts.get();
                counts.bytes += payload.len() as u64;
                self.ledger.borrow_mut().note(mark, &mut counts);
                desk.counts.set(counts);
                let latency = now.saturating_sub(mark.at).as_micros();
                desk.latencies.borrow_mut().saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
                if desk.is_flooding.get() && mark.sender == self.index && mark.number == self.sent.get() {
                    self.burst(desk);
                }
            }
            Heard::Joined => desk.joined.set(desk.joined.get() + 1),
            Heard::Answer(words) => words.iter().for_each(|words| self.say(desk.speech, words)),
            Heard::Other => {}
        }
    }

    fn send(self: &Rc<Self>, desk: &Desk, due: Instant) {
        let mut bytes = Vec::new();
        self.write_next(&mut bytes, desk, due);
        self.write(bytes);
    }

    fn burst(self: &Rc<Self>, desk: &Desk) {
        let now = Instant::now();
        let mut bytes = Vec::new();
        (0..BURST_MESSAGES).for_each(|_| self.write_next(&mut bytes, desk, now));
        self.write(bytes);
    }

    /// The next message.
    fn write_next(&self, bytes: &mut Vec<u8>, desk: &Desk, due: Instant) {
        self.sent.set(self.sent.get() + 1);
        let text = Mark { sender: self.index, number: self.sent.get(), at: due - desk.epoch }.text();
        let (before, behind) = &*self.words.borrow();
        write_words(bytes, desk.speech, &[before, &text, behind]);
    }

    fn say(self: &Rc<Self>, speech: Speech, words: &str) {
        let mut bytes = Vec::new();
        write_words(&mut bytes, speech, &[words]);
        self.write(bytes);
    }

    fn write(self: &Rc<Self>, bytes: Vec<u8>) {
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.is_empty() {
            backlog.extend(bytes);
            return;
        }
        let written = self.stream.try_write(&bytes).unwrap_or(0); // an end is seen by the reader
        if written < bytes.len() {
            backlog.extend_from_slice(&bytes[written..]);
            tokio::task::spawn_local(Rc::clone(self).catch_up());
        }
    }

    async fn catch_up(self: Rc<Self>) {
        while self.stream.writable().await.is_ok() {
            let mut backlog = self.backlog.borrow_mut();
            match self.stream.try_write(&backlog) {
                Ok(bytes) => drop(backlog.drain(..bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            if backlog.is_empty() {
                return;
            }
        }
    }
}

/// What a client says, of these parts: a line, or a text frame.
fn write_words(out: &mut Vec<u8>, speech: Speech, parts: &[&str]) {
    let parts = parts.iter().map(|part| part.as_bytes());
    if speech == Speech::Floor {
        parts.for_each(|part| out.extend_from_slice(part));
        out.push(b'\n');
    } else {
        write_frame(out, 0x81, parts);
    }
}

/// A masked frame, whose first byte says what it is.
fn write_frame<'a>(out: &mut Vec<u8>, first: u8, payload: impl Iterator<Item = &'a [u8]> + Clone) {
    out.push(first);
    let length = payload.clone().map(<[u8]>::len).sum::<usize>();
    match u8::try_from(length) {
        Ok(short) if short <= 125 => out.push(0x80 | short),
        Ok(_) | Err(_) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(length).expect("no message is as long").to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    payload.for_each(|part| out.extend_from_slice(part));
    out[start..].iter_mut().enumerate().for_each(|(place, byte)| *byte ^= MASK[place % MASK.len()]);
}

/// A server's frame at the beginning of these bytes: bytes before its payload, of it, and in all.
fn frame(speech: Speech, bytes: &[u8]) -> Option<(usize, usize, usize)> {
    if speech == Speech::Floor {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        return Some((0, end, end + 1));
    }
    let (header, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..10)?.first_chunk()?)).ok()?),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= header + length).then_some((header, length, header + length))
}
