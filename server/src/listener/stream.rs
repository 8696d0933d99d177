//! The stream that HTTP is spoken on, and WebSocket after it: it counts, a cut reaches it while it waits, and what passes may be encrypted.

use std::{
    fmt,
    io::{self, IoSlice, Read as _},
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use super::{
    ConnectionHandle, ConnectionId,
    connection::{Meter, Reading},
    registry::Membership,
    tls::{Raw, Session},
};

/// One accepted stream. Clones are the same stream: it closes when the last of them is dropped.
#[derive(Debug, Clone)]
pub struct GuardedStream(Arc<Guarded>);

/// What the clones share, in one place of memory: who writes to many streams finds each of them cold. What a write touches stands in front,
/// in one line of a cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Guarded {
    counted: Counted,
    /// `None`: nothing is encrypted.
    tls: Option<Box<Session>>,
    /// Where the handles find what the meter said last.
    last: Arc<OnceLock<Reading>>,
    /// Given back when the stream is dropped, wherever it was moved to by then.
    _membership: Membership,
    /// To be done if the stream is over before the peer has taken the last answer.
    if_broken: Mutex<Option<IfBroken>>,
}

/// What is to be done if a stream breaks.
struct IfBroken(Box<dyn FnOnce() + Send>);

impl fmt::Debug for IfBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IfBroken")
    }
}

/// The bytes as the system carries them.
#[derive(Debug)]
#[repr(C)]
struct Counted {
    stream: TcpStream,
    meter: Meter,
}

impl GuardedStream {
    /// Wraps an accepted stream; `enrol` registers its handle and returns the membership that the stream carries.
    pub(super) fn new(
        stream: TcpStream,
        tls: Option<Session>,
        id: ConnectionId,
        peer: SocketAddr,
        enrol: impl FnOnce(ConnectionHandle) -> Membership,
    ) -> (Self, ConnectionHandle) {
        let last = Arc::default();
        let mut handle = None;
        let guarded = Arc::new_cyclic(|guarded| {
            let known = handle.insert(ConnectionHandle::new(id, peer, guarded, &last));
            let _membership = enrol(known.clone());
            let (counted, tls) = (Counted { stream, meter: Meter::new() }, tls.map(Box::new));
            Guarded { counted, tls, last, _membership, if_broken: Mutex::default() }
        });
        (Self(guarded), handle.expect("made with the stream"))
    }

    /// Waits until there may be something to read, or the end. Read until [`io::ErrorKind::WouldBlock`] before: what is decrypted already
    /// rings no bell.
    ///
    /// # Errors
    /// What the system says.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.counted.stream.readable().await
    }

    /// The same for the one task that reads, which waits at less cost so; an error shows at the next read.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.counted.stream.poll_read_ready(context).map(drop)
    }

    /// Waits until the peer may take something, or the end.
    ///
    /// # Errors
    /// What the system says.
    pub async fn writable(&self) -> io::Result<()> {
        self.0.counted.stream.writable().await
    }

    /// Reads what is there: for owners who share a stream between a reader and a writer.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is, else what the system or TLS says.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0.tls {
            None => self.0.counted.receive(buffer),
            Some(tls) => tls.read(&self.0.counted, buffer),
        }
    }

    /// Writes as much as the system takes at once. With TLS some of it may still wait, until [`try_flush`](Self::try_flush) has sent it.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if it takes nothing (the peer's time runs from then on), else what the system says.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.0.tls {
            None => self.0.counted.send_vectored(slices),
            Some(tls) => tls.write(&self.0.counted, slices),
        }
    }

    /// Sends what waits between the writer and the system, if anything does.
    ///
    /// # Errors
    /// As [`try_write_vectored`](Self::try_write_vectored).
    pub fn try_flush(&self) -> io::Result<()> {
        self.0.tls.as_ref().map_or(Ok(()), |tls| tls.flush(&self.0.counted))
    }

    /// Whether it was cut: nothing passes any more.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.0.counted.meter.is_cut()
    }

    /// Nothing more will be written: the peer reads an end behind what was.
    pub fn finish(&self) {
        if let Some(tls) = &self.0.tls {
            let _ = tls.finish(&self.0.counted); // a peer that does not take it sees an end without a word
        }
        let _ = SockRef::from(&self.0.counted.stream).shutdown(Shutdown::Write); // fails only if the peer was quicker
    }

    /// Does what would block as soon as it would not.
    fn poll<T>(&self, cx: &mut Context<'_>, write: impl Fn(&Self) -> io::Result<T>) -> Poll<io::Result<T>> {
        loop {
            match write(self) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            ready!(self.0.counted.stream.poll_write_ready(cx))?;
        }
    }
}

impl Guarded {
    pub(super) fn tcp(&self) -> &TcpStream {
        &self.counted.stream
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.counted.meter
    }

    pub(super) fn if_broken(&self, act: Option<Box<dyn FnOnce() + Send>>) {
        *self.if_broken.lock().unwrap_or_else(PoisonError::into_inner) = act.map(IfBroken);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let act = self.if_broken.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(IfBroken(act)) = act.filter(|_| self.counted.meter.is_broken()) {
            act();
        }
        let _ = self.last.set(self.counted.meter.reading()); // once; before the membership goes, which asks for it
    }
}

impl Counted {
    fn check_uncut(&self) -> io::Result<()> {
        if self.meter.is_cut() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    fn sent(&self, sent: io::Result<usize>) -> io::Result<usize> {
        match &sent {
            Ok(bytes) => self.meter.wrote(*bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.meter.blocked(),
            Err(_) => {}
        }
        sent
    }

    /// The system is asked at once, not first whether it was ready when last heard of: nearly always it is, and to look that up costs every
    /// delivery a cold line of memory. One slice goes as such, because the system takes lists apart at a price.
    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_uncut()?;
        let socket = SockRef::from(&self.stream);
        let send = || match slices {
            [one] => socket.send(one),
            many => socket.send_vectored(many),
        };
        self.sent(match send() {
            // Asked again in the runtime's sight if it takes nothing: so whoever waits to write waits for the next news.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.try_io(Interest::WRITABLE, send),
            sent => sent,
        })
    }
}

impl Raw for Counted {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check_uncut()?;
        let socket = SockRef::from(&self.stream);
        let mut bytes = 0;
        let read = self.stream.try_io(Interest::READABLE, || {
            bytes = (&*socket).read(buffer)?;
            // Fewer bytes than asked for: that was all. Saying so here spares the call that would find nothing.
            if bytes > 0 && bytes < buffer.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match read {
            Err(error) if bytes == 0 => Err(error),
            Ok(()) | Err(_) => {
                self.meter.read(bytes);
                Ok(bytes)
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.check_uncut()?;
        self.sent(self.stream.try_write(bytes))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.0.tls.is_none() {
                ready!(self.0.counted.stream.poll_read_ready(cx))?;
            }
            match self.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(bytes) => {
                    buffer.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(self.0.counted.stream.poll_read_ready(cx))?;
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream| stream.try_write_vectored(&[IoSlice::new(bytes)]))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, Self::try_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}
