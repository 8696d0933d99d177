//! What one client has read of what the others of its room sent: nothing may be missing, double or out of order.

use std::time::Duration;

/// Counts of all clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    pub(crate) bytes: u64,
    /// Read behind a later one of the same sender, or twice.
    pub(crate) disordered: u64,
    /// Read by somebody else than a member.
    pub(crate) leaked: u64,
}

/// What a text says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sender: usize,
    /// From 1.
    pub(crate) number: u64,
    /// When it was to be sent, after the beginning.
    pub(crate) at: Duration,
}

/// Characters of a text.
const TEXT_CHARACTERS: usize = 100;

impl Mark {
    /// A text that carries it.
    pub(crate) fn text(&self) -> String {
        let head = format!("#{}:{}:{}#", self.sender, self.number, self.at.as_micros());
        format!("{head:x<TEXT_CHARACTERS$}")
    }

    /// The mark of the text somewhere in a frame.
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let from = frame.iter().position(|byte| *byte == b'#')? + 1;
        let mut numbers = [0_u64; 3];
        let mut index = 0;
        for byte in &frame[from..] {
            match byte {
                b'0'..=b'9' => numbers[index] = numbers[index] * 10 + u64::from(byte - b'0'),
                b':' if index < 2 => index += 1,
                b'#' if index == 2 => {
                    let [sender, number, at] = numbers;
                    return Some(Self { sender: usize::try_from(sender).ok()?, number, at: Duration::from_micros(at) });
                }
                _ => return None,
            }
        }
        None
    }
}

/// What one client has read.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The first member of its room.
    first: usize,
    /// The last number read of each member.
    last: Vec<u64>,
}

impl Ledger {
    /// Begins anew, in a room of these.
    pub(crate) fn open(&mut self, members: std::ops::Range<usize>) {
        self.first = members.start;
        self.last.clear();
        self.last.resize(members.len(), 0);
    }

    pub(crate) fn note(&mut self, mark: Mark, counts: &mut Counts) {
        let Some(last) = mark.sender.checked_sub(self.first).and_then(|seat| self.last.get_mut(seat)) else {
            counts.leaked += 1;
            return;
        };
        counts.received += 1;
        if mark.number <= *last {
            counts.disordered += 1;
        }
        *last = mark.number.max(*last);
    }
}
