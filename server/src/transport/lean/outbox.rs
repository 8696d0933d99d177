//! What waits for one client to take: packets in the order told, bounded in number and in bytes. Knows no sockets.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;
use chatwright_protocol::engine_io::payload::SEPARATOR;

use super::packet::Packet;

/// What a packet costs beside its bytes: its place in the queue.
const PACKET_OVERHEAD: usize = size_of::<Packet>();

/// Frames of one write, of which the system takes at most 1,024: about as many as wait for each member of a large room in a flood.
pub(super) const FRAMES_PER_WRITE_MAX: usize = 128;

/// An empty queue that once was long gives its memory back above this many places.
const PLACES_KEPT_MAX: usize = 4;

/// Places that a queue gets at once when those are full: who has so many waiting will mostly have many more.
const PLACES_OF_MANY: usize = 64;

/// The bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) packets_max: usize,
    pub(super) bytes_max: u64,
}

/// There is no room for the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

/// Packets behind the first.
type Rest = VecDeque<Packet>;

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The first packet, in place: mostly it is the only one, and a delivery then touches no memory beside the session's own.
    first: Option<Packet>,
    /// Those behind it; none without it. Boxed, as mostly there are none, and not looked at while there are none.
    rest: Option<Box<Rest>>,
    /// All of them.
    packets: usize,
    bytes: usize,
    /// Bytes of the first packet that are written already.
    written: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, packet: Packet, bounds: Bounds) -> Result<(), NoRoom> {
        let cost = cost(&packet);
        if self.packets >= bounds.packets_max || (self.bytes + cost) as u64 > bounds.bytes_max {
            return Err(NoRoom);
        }
        self.put(packet, cost);
        Ok(())
    }

    /// Adds a packet that must be said whatever waits: pings, answers to them, and last words, of which there are only a few.
    pub(super) fn push_anyway(&mut self, packet: Packet) {
        let cost = cost(&packet);
        self.put(packet, cost);
    }

    fn put(&mut self, packet: Packet, cost: usize) {
        self.bytes += cost;
        self.packets += 1;
        if self.packets == 1 {
            self.first = Some(packet);
        } else {
            let rest = self.rest.get_or_insert_default();
            if rest.len() == rest.capacity() && rest.len() >= PLACES_KEPT_MAX {
                rest.reserve(PLACES_OF_MANY);
            }
            rest.push_back(packet);
        }
    }

    /// Everything that waits, of which nothing was written.
    pub(super) fn into_packets(self) -> impl Iterator<Item = Packet> {
        self.first.into_iter().chain(self.rest.into_iter().flat_map(|rest| *rest))
    }

    fn packets(&self) -> impl Iterator<Item = &Packet> {
        self.first.iter().chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// What waits, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is to be written, if it is one frame.
    pub(super) fn only(&self) -> Option<&[u8]> {
        self.first.as_ref().filter(|_| self.packets == 1).map(|first| &first.frame()[self.written..])
    }

    /// The frames to write next; returns how many.
    pub(super) fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>; FRAMES_PER_WRITE_MAX]) -> usize {
        let Some(first) = &self.first else { return 0 };
        slices[0] = IoSlice::new(&first.frame()[self.written..]);
        let Some(rest) = &self.rest else { return 1 };
        for (slice, packet) in slices[1..].iter_mut().zip(rest.iter()) {
            *slice = IoSlice::new(packet.frame());
        }
        self.packets.min(FRAMES_PER_WRITE_MAX)
    }

    /// So many bytes of the frames are written.
    pub(super) fn wrote(&mut self, mut bytes: usize) {
        while let Some(first) = &self.first {
            let left = first.frame().len() - self.written;
            if bytes < left {
                self.written += bytes;
                return;
            }
            bytes -= left;
            self.written = 0;
            self.bytes -= cost(first);
            self.packets -= 1;
            self.first = if self.packets == 0 { None } else { self.next() };
        }
    }

    /// Everything that waits as one polling payload; `None` if nothing does.
    pub(super) fn take_payload(&mut self) -> Option<Bytes> {
        if self.is_empty() {
            return None;
        }
        let mut payload = Vec::with_capacity(self.packets().map(|packet| packet.text().len() + 1).sum());
        for packet in self.packets() {
            if !payload.is_empty() {
                payload.push(SEPARATOR as u8);
            }
            packet.write_polled(&mut payload);
        }
        self.clear();
        Some(Bytes::from(payload))
    }

    /// Throws away what waits.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The one behind the first.
    fn next(&mut self) -> Option<Packet> {
        let rest = self.rest.as_mut()?;
        let next = rest.pop_front();
        if rest.is_empty() && rest.capacity() > PLACES_KEPT_MAX {
            self.rest = None;
        }
        next
    }
}

fn cost(packet: &Packet) -> usize {
    packet.frame().len() + PACKET_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { packets_max: 100, bytes_max: 10_000 };

    fn filled(texts: &[&str]) -> Outbox {
        let mut outbox = Outbox::default();
        for text in texts {
            outbox.push(Packet::of(text), BOUNDS).expect("there is room");
        }
        outbox
    }

    /// Writes everything, at most so many bytes at a time.
    fn written(mut outbox: Outbox, bytes_max: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE_MAX];
            let count = outbox.fill(&mut slices);
            let bytes: Vec<u8> =
                slices[..count].iter().flat_map(|slice| slice.iter().copied()).take(bytes_max).collect();
            outbox.wrote(bytes.len());
            all.extend(bytes);
        }
        assert_eq!(outbox.bytes(), 0);
        all
    }

    #[test]
    fn writes_that_end_anywhere_lose_and_double_nothing() {
        let texts = ["2", "42[\"a\",1]", "3", "42[\"longer than the room\"]"].repeat(25);
        let whole: Vec<u8> = texts.iter().flat_map(|text| Packet::of(text).frame().to_vec()).collect();
        for bytes_max in [1, 2, 5, 100, 10_000] {
            assert_eq!(written(filled(&texts), bytes_max), whole, "{bytes_max} at a time");
        }
    }

    #[test]
    fn a_payload_joins_what_waits_and_leaves_nothing() {
        let mut outbox = filled(&["2", "44/x,{}"]);
        assert_eq!(outbox.take_payload().as_deref(), Some("2\u{1e}44/x,{}".as_bytes()));
        assert_eq!((outbox.take_payload(), outbox.bytes()), (None, 0));
    }

    #[test]
    fn more_packets_or_bytes_than_allowed_do_not_fit() {
        let bounds = Bounds { packets_max: 2, bytes_max: 200 };
        let mut outbox = filled(&["2"]);
        assert_eq!(outbox.push(Packet::of(&"x".repeat(200)), bounds), Err(NoRoom));
        assert_eq!(outbox.push(Packet::of("3"), bounds), Ok(()));
        assert_eq!(outbox.push(Packet::of("3"), bounds), Err(NoRoom));
    }
}
