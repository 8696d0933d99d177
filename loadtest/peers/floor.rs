//! The floor: what the kernel alone costs. Lines over TCP, no protocol, one write per delivery; or one for all that a round brings, which is
//! what a flood cannot cost less than.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::Outcome;

/// Bytes of a delivery, as those of the others.
pub(crate) const LINE_BYTES: usize = 300;

/// Members written to in one round.
const ROUND_MAX: usize = 1000;

type Rooms = Arc<Mutex<HashMap<String, Vec<Arc<Member>>>>>;

struct Member {
    stream: TcpStream,
    /// What waits to be written: for the end of the round, or for the stream, which did not take it at once.
    backlog: Mutex<Vec<u8>>,
    /// Who writes at the end of the round; `None`: each delivery is written at once.
    writer: Option<mpsc::UnboundedSender<Arc<Member>>>,
}

/// How deliveries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// One write for each.
    PerDelivery,
    /// One write for all that are there when everybody who can read has read.
    PerRound,
}

pub(crate) async fn serve(port: u16, writes: Writes) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let rooms = Rooms::default();
    let (writer, dirty) = mpsc::unbounded_channel();
    let writer = (writes == Writes::PerRound).then_some(writer);
    tokio::spawn(write_rounds(dirty));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let member = Member { stream, backlog: Mutex::default(), writer: writer.clone() };
        tokio::spawn(read(Arc::new(member), Arc::clone(&rooms)));
    }
}

async fn write_rounds(mut dirty: mpsc::UnboundedReceiver<Arc<Member>>) {
    let mut round = Vec::new();
    while dirty.recv_many(&mut round, ROUND_MAX).await > 0 {
        tokio::task::yield_now().await; // who can read now adds to it
        for member in round.drain(..) {
            member.end_round();
        }
    }
}

/// `join ROOM` and `send ROOM TEXT`, a line each.
async fn read(member: Arc<Member>, rooms: Rooms) -> io::Result<()> {
    let mut begun = Vec::new();
    loop {
        member.stream.readable().await?;
        let mut chunk = [0; 4096];
        match member.stream.try_read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(bytes) => begun.extend_from_slice(&chunk[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        let Some(end) = begun.iter().rposition(|byte| *byte == b'\n') else { continue };
        for line in begun[..end].split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok()) {
            act(&member, &rooms, line);
        }
        begun.drain(..=end);
        if begun.is_empty() {
            begun = Vec::new();
        }
    }
}

fn act(member: &Arc<Member>, rooms: &Rooms, line: &str) {
    let mut rooms = rooms.lock().expect("no code panics while it holds the rooms");
    if let Some(room) = line.strip_prefix("join ") {
        rooms.entry(room.to_owned()).or_default().push(Arc::clone(member));
        member.write(b"joined\n");
    } else if let Some((room, text)) = line.strip_prefix("send ").and_then(|rest| rest.split_once(' ')) {
        let delivery = format!("{text:.<width$}\n", width = LINE_BYTES - 1);
        for member in rooms.get(room).into_iter().flatten() {
            member.write(delivery.as_bytes());
        }
    }
}

impl Member {
    fn backlog(&self) -> MutexGuard<'_, Vec<u8>> {
        self.backlog.lock().expect("no code panics while it holds the backlog")
    }

    fn write(self: &Arc<Self>, bytes: &[u8]) {
        let mut backlog = self.backlog();
        if !backlog.is_empty() {
            backlog.extend_from_slice(bytes);
        } else if let Some(writer) = &self.writer {
            backlog.extend_from_slice(bytes);
            writer.send(Arc::clone(self)).expect("the writer lives as long as the program");
        } else {
            let written = self.try_write(bytes);
            if written < bytes.len() {
                backlog.extend_from_slice(&bytes[written..]);
                tokio::spawn(Arc::clone(self).catch_up());
            }
        }
    }

    fn end_round(self: &Arc<Self>) {
        let mut backlog = self.backlog();
        let written = self.try_write(&backlog);
        backlog.drain(..written);
        if !backlog.is_empty() {
            tokio::spawn(Arc::clone(self).catch_up());
        }
    }

    fn try_write(&self, bytes: &[u8]) -> usize {
        self.stream.try_write(bytes).unwrap_or(0) // who is gone is found out by the reader
    }

    async fn catch_up(self: Arc<Self>) {
        while self.stream.writable().await.is_ok() {
            let mut backlog = self.backlog();
            match self.stream.try_write(&backlog) {
                Ok(bytes) => drop(backlog.drain(..bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            if backlog.is_empty() {
                *backlog = Vec::new();
                return;
            }
        }
    }
}
