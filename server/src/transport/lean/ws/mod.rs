//! RFC 6455 frames without IO: what a client sends is put together and judged ([`Reader`]), what a server sends gets its header
//! ([`header`]). A server does not mask, so a frame is the same for all who read it, and is made once.

mod reader;

pub(super) use reader::{Heard, Reader};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        [Self::Continuation, Self::Text, Self::Binary, Self::Close, Self::Ping, Self::Pong]
            .into_iter()
            .find(|opcode| opcode.bits() == bits)
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn is_control(self) -> bool {
        self.bits() >= 8
    }
}

/// Why a client's stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// A rule of the protocol is broken.
    Protocol,
    /// A text is not UTF-8.
    NotUtf8,
    /// A message is larger than allowed.
    TooBig,
}

/// Codes of close frames (RFC 6455, 7.4.1).
pub(super) mod code {
    pub(in super::super) const NORMAL: u16 = 1000;
    pub(in super::super) const AWAY: u16 = 1001;
    pub(in super::super) const PROTOCOL: u16 = 1002;
    pub(in super::super) const NOT_UTF8: u16 = 1007;
    pub(in super::super) const POLICY: u16 = 1008;
    pub(in super::super) const TOO_BIG: u16 = 1009;
    pub(in super::super) const AGAIN: u16 = 1013;
}

impl Broken {
    /// With which code the client is told.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Protocol => code::PROTOCOL,
            Self::NotUtf8 => code::NOT_UTF8,
            Self::TooBig => code::TOO_BIG,
        }
    }
}

/// The longest payload of a control frame (5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// The longest header of a server's frame.
const HEADER_BYTES_MAX: usize = 10;

/// Appends the header of a whole, unmasked message of this length.
pub(super) fn header(out: &mut Vec<u8>, opcode: Opcode, length: usize) {
    out.push(0x80 | opcode.bits());
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short <= 125 => out.push(short),
        (_, Ok(medium)) => {
            out.push(126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        (_, Err(_)) => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// What stands behind the header of a whole, unmasked frame.
pub(super) fn payload(frame: &[u8]) -> &[u8] {
    let header_bytes = match frame.get(1) {
        Some(126) => 4,
        Some(127) => HEADER_BYTES_MAX,
        Some(_) | None => 2,
    };
    frame.get(header_bytes..).unwrap_or_default()
}

/// Whether a frame holds a binary message.
pub(super) fn is_binary(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 0x0f == Opcode::Binary.bits())
}

/// A whole frame.
pub(super) fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES_MAX + payload.len());
    header(&mut out, opcode, payload.len());
    out.extend_from_slice(payload);
    out
}

/// A close frame with this code; `None`: without one.
pub(super) fn close(code: Option<u16>) -> Vec<u8> {
    close_saying(code, "")
}

/// The same with a reason in words, of which as many are said as a control frame holds. Without a code there can be none.
pub(super) fn close_saying(code: Option<u16>, words: &str) -> Vec<u8> {
    let Some(code) = code else { return frame(Opcode::Close, &[]) };
    let room = CONTROL_BYTES_MAX - size_of::<u16>();
    let words = &words[..words.floor_char_boundary(room)];
    frame(Opcode::Close, &[&code.to_be_bytes(), words.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_has_its_shortest_form() {
        for (length, expected) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            header(&mut out, Opcode::Text, length);
            assert_eq!(out.len(), expected, "{length}");
            out.resize(expected + length, b'x');
            assert_eq!(payload(&out).len(), length);
        }
        assert_eq!(frame(Opcode::Text, b"hi"), [0x81, 2, b'h', b'i']);
        assert_eq!(close(Some(1001)), [0x88, 2, 3, 0xe9]);
        assert_eq!(close(None), [0x88, 0]);
        assert_eq!(close_saying(Some(1001), "bye"), [0x88, 5, 3, 0xe9, b'b', b'y', b'e']);
        let long = close_saying(Some(1001), &"ä".repeat(100));
        assert_eq!((long[1], long.len()), (124, 126), "a control frame holds 125 bytes, and no half of a letter");
    }
}
