//! The writing end of a session: what waits, and what takes it: a poll, a WebSocket, or nobody any more.

use std::io::{self, IoSlice};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    outbox::{Bounds, FRAMES_PER_WRITE_MAX, Outbox},
    packet::Packet,
};
use crate::{
    listener::{ConnectionHandle, CutReason, GuardedStream},
    transport::CannotTake,
};

/// Answers to a client's WebSocket pings are left out while so much waits for him: only the last one counts (RFC 6455, 5.5.3).
const PONG_BACKLOG_BYTES_MAX: usize = 64 * 1024;

/// What takes the packets.
enum Carrier {
    /// Polls: this one waits. Boxed, as a WebSocket needs less room.
    Polling { get: Option<Box<oneshot::Sender<Bytes>>> },
    /// A WebSocket. Blocked: a task waits until it takes something again.
    WebSocket { stream: GuardedStream, is_blocked: bool },
    /// Nobody.
    Closed,
}

/// What is held back, within the bounds of the queue that it will stand in.
type Held = Outbox;

/// The number of the first who asks to enter; a raw WebSocket has no other.
pub(super) const FIRST_ENTRY: u32 = 1;

/// The writing end.
pub(super) struct Outgoing {
    outbox: Outbox,
    carrier: Carrier,
    /// It is on the writer's list.
    is_marked: bool,
    /// Nothing more will be said.
    is_closing: bool,
    /// A WebSocket that may become the carrier. Boxed, as few have one.
    probe: Option<Box<ConnectionHandle>>,
    /// How often somebody asked to enter or left: packets for anybody else than the last are not for this client.
    entry: u32,
    /// What the one who asks to enter was told before he was let in. Boxed, as nobody asks for long.
    held: Option<Box<Held>>,
}

/// What a poll gets.
pub(super) enum Polled {
    /// These packets.
    Packets(Bytes),
    /// The next ones, when they come.
    Wait(oneshot::Receiver<Bytes>),
    /// The same, but not for long: a WebSocket is tried, and the client shall stop polling.
    WaitBriefly(oneshot::Receiver<Bytes>),
    /// Another poll waits: that ends the session.
    Conflict,
    /// The session is read over a WebSocket.
    Elsewhere,
    /// The session is over.
    Over,
}

impl Outgoing {
    /// Of a session that is read by polls.
    pub(super) fn polling() -> Self {
        Self::over(Carrier::Polling { get: None })
    }

    /// Of a session on a WebSocket.
    pub(super) fn websocket(stream: GuardedStream) -> Self {
        Self::over(Carrier::WebSocket { stream, is_blocked: false })
    }

    /// Of a session on a WebSocket whose client is in, without asking.
    pub(super) fn raw(stream: GuardedStream) -> Self {
        Self { entry: FIRST_ENTRY, ..Self::websocket(stream) }
    }

    fn over(carrier: Carrier) -> Self {
        let outbox = Outbox::default();
        Self { outbox, carrier, is_marked: false, is_closing: false, probe: None, entry: 0, held: None }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.is_closing && !matches!(self.carrier, Carrier::Closed)
    }

    pub(super) fn carrier_name(&self) -> &'static str {
        match self.carrier {
            Carrier::Polling { .. } => "polling",
            Carrier::WebSocket { .. } | Carrier::Closed => "websocket",
        }
    }

    // Each of these says whether the session is now to be put on the writer's list.

    pub(super) fn push_anyway(&mut self, packet: Packet) -> bool {
        if !self.is_open() {
            return false;
        }
        self.outbox.push_anyway(packet);
        self.mark()
    }

    pub(super) fn tell(&mut self, entry: u32, packet: &Packet, bounds: Bounds) -> Result<bool, CannotTake> {
        if !self.is_open() || entry != self.entry {
            return Err(CannotTake::Closed);
        }
        if let Some(held) = &mut self.held {
            return held.push(packet.clone(), bounds).map(|()| false).map_err(|_| CannotTake::Full);
        }
        self.outbox.push(packet.clone(), bounds).map_err(|_| CannotTake::Full)?;
        Ok(self.mark())
    }

    /// Queues packets that belong together, whatever the client has entered.
    pub(super) fn say_all(&mut self, packets: &[Packet], bounds: Bounds) -> Result<bool, CannotTake> {
        if !self.is_open() {
            return Err(CannotTake::Closed);
        }
        for packet in packets {
            self.outbox.push(packet.clone(), bounds).map_err(|_| CannotTake::Full)?;
        }
        Ok(self.mark())
    }

    pub(super) fn enter(&mut self, welcome: Packet) -> bool {
        if !self.is_open() {
            return false;
        }
        self.outbox.push_anyway(welcome);
        for packet in self.held.take().into_iter().flat_map(|held| held.into_packets()) {
            self.outbox.push_anyway(packet);
        }
        self.mark()
    }

    /// Answers a client's WebSocket ping.
    pub(super) fn pong(&mut self, frame: Vec<u8>) -> bool {
        self.outbox.bytes() < PONG_BACKLOG_BYTES_MAX && self.push_anyway(Packet::control(frame))
    }

    /// The stream takes something again.
    pub(super) fn unblocked(&mut self) -> bool {
        if let Carrier::WebSocket { is_blocked, .. } = &mut self.carrier {
            *is_blocked = false;
        }
        self.mark()
    }

    fn mark(&mut self) -> bool {
        let can_write = match &self.carrier {
            Carrier::Polling { get } => get.is_some(),
            // That it is asked here, and not when it is written to, brings its memory near while there is time.
            Carrier::WebSocket { stream, is_blocked } => !is_blocked && !stream.is_cut(),
            Carrier::Closed => false,
        };
        can_write && !std::mem::replace(&mut self.is_marked, true)
    }

    /// A new number for whoever asks to enter; what he is told is held.
    pub(super) fn knock(&mut self) -> u32 {
        self.entry += 1;
        self.held = Some(Box::default());
        self.entry
    }

    /// Writes what waits; the stream if it takes no more for now.
    pub(super) fn flush(&mut self) -> Option<GuardedStream> {
        self.is_marked = false;
        match &mut self.carrier {
            Carrier::Polling { get } => {
                if get.is_some()
                    && let Some(payload) = self.outbox.take_payload()
                    && let Some(get) = get.take()
                {
                    let _ = get.send(payload); // a poll that is gone has ended the session
                }
                if self.is_closing && self.outbox.is_empty() {
                    self.carrier = Carrier::Closed;
                }
                None
            }
            Carrier::WebSocket { is_blocked: true, .. } | Carrier::Closed => None,
            Carrier::WebSocket { stream, is_blocked } => match write(&mut self.outbox, stream) {
                Ok(()) => {
                    if self.is_closing {
                        stream.finish();
                        self.carrier = Carrier::Closed;
                    }
                    None
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *is_blocked = true;
                    Some(stream.clone())
                }
                Err(_) => {
                    self.close(); // the reading end sees it as well
                    None
                }
            },
        }
    }

    // Polls.

    pub(super) fn poll(&mut self) -> Polled {
        let Carrier::Polling { get } = &mut self.carrier else {
            return if matches!(self.carrier, Carrier::Closed) { Polled::Over } else { Polled::Elsewhere };
        };
        if get.is_some() {
            return Polled::Conflict;
        }
        if let Some(payload) = self.outbox.take_payload() {
            if self.is_closing {
                self.carrier = Carrier::Closed;
            }
            return Polled::Packets(payload);
        }
        let (sender, receiver) = oneshot::channel();
        *get = Some(Box::new(sender));
        if self.probe.is_some() { Polled::WaitBriefly(receiver) } else { Polled::Wait(receiver) }
    }

    /// Lets the poll that waits go with a noop, if one does.
    pub(super) fn release_poll(&mut self, noop: &Packet) {
        if let Carrier::Polling { get } = &mut self.carrier
            && let Some(get) = get.take()
        {
            let payload = self.outbox.take_payload().unwrap_or_else(|| Bytes::copy_from_slice(noop.text()));
            let _ = get.send(payload); // a poll that is gone has ended the session
        }
    }

    pub(super) fn is_polling(&self) -> bool {
        matches!(self.carrier, Carrier::Polling { .. })
    }

    // The move to a WebSocket.

    /// Takes note of a WebSocket that is tried. `false`: another one is, or the session has one.
    pub(super) fn begin_probe(&mut self, handle: ConnectionHandle) -> bool {
        let is_free = self.is_open() && self.is_polling() && self.probe.is_none();
        if is_free {
            self.probe = Some(Box::new(handle));
        }
        is_free
    }

    pub(super) fn end_probe(&mut self) {
        self.probe = None;
    }

    /// The WebSocket takes over; a poll that came while it was tried is refused. `false`: the session is over.
    pub(super) fn switch(&mut self, stream: GuardedStream) -> bool {
        if !self.is_open() || !self.is_polling() {
            return false;
        }
        self.probe = None;
        self.carrier = Carrier::WebSocket { stream, is_blocked: false };
        true
    }

    // The end.

    /// Says the last words; nothing is said behind them.
    pub(super) fn part(&mut self, last: Option<Packet>) -> bool {
        let is_new = match last {
            Some(last) => self.push_anyway(last),
            None => self.mark(),
        };
        self.is_closing = true;
        is_new
    }

    /// Nobody takes anything any more.
    pub(super) fn close(&mut self) {
        self.carrier = Carrier::Closed;
        self.is_closing = true;
        self.held = None;
        self.outbox.clear();
        if let Some(probe) = self.probe.take() {
            probe.cut(CutReason::Shutdown);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.carrier, Carrier::Closed)
    }
}

/// Writes until nothing waits, or the stream takes no more.
pub(super) fn write(outbox: &mut Outbox, stream: &GuardedStream) -> io::Result<()> {
    while !outbox.is_empty() {
        let bytes = match outbox.only() {
            Some(frame) => stream.try_write_vectored(&[IoSlice::new(frame)])?,
            None => {
                let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE_MAX];
                let count = outbox.fill(&mut slices);
                stream.try_write_vectored(&slices[..count])?
            }
        };
        outbox.wrote(bytes);
    }
    stream.try_flush()
}
