//! A client's bytes -> its messages, to the letter of RFC 6455, in whatever pieces they come. Knows no sockets and no clocks.
//!
//! Memory: nothing between messages; within one at most the limit and a header, whatever length a frame announces.

use std::mem;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{Broken, CONTROL_BYTES_MAX, Opcode};

/// Fragments without content in one message: they cost their sender seven bytes and would never reach the limit of its size.
const EMPTY_FRAGMENTS_MAX: u32 = 1000;

/// What a client has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Heard {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A ping, to be answered with the same payload.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// The end, with the code to answer with; nothing comes behind it.
    Close(Option<u16>),
}

/// Puts one client's messages together.
#[derive(Debug)]
pub(in super::super) struct Reader {
    message_bytes_max: usize,
    /// Bytes that are not read yet.
    buffer: BytesMut,
    /// The beginning of a message whose last fragment has not come.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    is_text: bool,
    content: BytesMut,
    empty_fragments: u32,
}

/// A frame's header.
#[derive(Debug, Clone, Copy)]
struct Header {
    is_last: bool,
    opcode: Opcode,
    mask: [u8; 4],
    /// Bytes of the header itself.
    size: usize,
    /// Bytes of the payload.
    length: usize,
}

impl Reader {
    pub(in super::super) fn new(message_bytes_max: usize) -> Self {
        Self { message_bytes_max, buffer: BytesMut::new(), begun: None }
    }

    /// Takes what came from the client.
    pub(in super::super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message; `None` until more has come.
    pub(in super::super) fn next(&mut self) -> Result<Option<Heard>, Broken> {
        while let Some(header) = self.header()? {
            if self.buffer.len() < header.size + header.length {
                return Ok(None);
            }
            self.buffer.advance(header.size);
            let mut payload = if self.buffer.len() == header.length {
                mem::take(&mut self.buffer) // mostly: nothing is copied or shared, and an idle client costs no buffer
            } else {
                self.buffer.split_to(header.length)
            };
            unmask(&mut payload, header.mask);
            if let Some(heard) = self.take(header, payload)? {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }

    fn header(&self) -> Result<Option<Header>, Broken> {
        let bytes = &self.buffer[..];
        let [first, second, ..] = *bytes else { return Ok(None) };
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(Broken::Protocol)?;
        let is_last = first & 0x80 != 0;
        let (has_reserved_bits, is_masked) = (first & 0x70 != 0, second & 0x80 != 0);
        if has_reserved_bits || !is_masked || (opcode.is_control() && !is_last) {
            return Err(Broken::Protocol);
        }
        let (length, start) = match second & 0x7f {
            126 => match bytes.get(2..4) {
                Some(two) => (u64::from(u16::from_be_bytes([two[0], two[1]])), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
                Some(eight) => (u64::from_be_bytes(eight), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        let is_shortest = match start {
            4 => length > CONTROL_BYTES_MAX as u64,
            10 => length > u64::from(u16::MAX) && length >> 63 == 0,
            _ => true,
        };
        if !is_shortest || (opcode.is_control() && length > CONTROL_BYTES_MAX as u64) {
            return Err(Broken::Protocol);
        }
        self.check_sequence(opcode)?;
        let before = self.begun.as_ref().map_or(0, |begun| begun.content.len());
        let room = if opcode.is_control() { usize::MAX } else { self.message_bytes_max.saturating_sub(before) };
        let length = usize::try_from(length).ok().filter(|length| *length <= room).ok_or(Broken::TooBig)?;
        let Some(mask) = bytes.get(start..start + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()) else {
            return Ok(None);
        };
        Ok(Some(Header { is_last, opcode, mask, size: start + 4, length }))
    }

    /// A continuation needs a beginning, and a beginning an end before the next.
    fn check_sequence(&self, opcode: Opcode) -> Result<(), Broken> {
        let fits = match opcode {
            Opcode::Continuation => self.begun.is_some(),
            Opcode::Text | Opcode::Binary => self.begun.is_none(),
            Opcode::Close | Opcode::Ping | Opcode::Pong => true,
        };
        fits.then_some(()).ok_or(Broken::Protocol)
    }

    fn take(&mut self, header: Header, payload: BytesMut) -> Result<Option<Heard>, Broken> {
        match header.opcode {
            Opcode::Ping => Ok(Some(Heard::Ping(payload.freeze()))),
            Opcode::Pong => Ok(Some(Heard::Pong)),
            Opcode::Close => close_code(&payload).map(|code| Some(Heard::Close(code))),
            Opcode::Text | Opcode::Binary if header.is_last => {
                whole(header.opcode == Opcode::Text, payload.freeze()).map(Some)
            }
            Opcode::Text | Opcode::Binary => {
                let is_text = header.opcode == Opcode::Text;
                self.begun = Some(Begun { is_text, content: payload, empty_fragments: 0 });
                Ok(None)
            }
            Opcode::Continuation => self.go_on(header.is_last, &payload),
        }
    }

    fn go_on(&mut self, is_last: bool, payload: &[u8]) -> Result<Option<Heard>, Broken> {
        let Some(begun) = &mut self.begun else { return Err(Broken::Protocol) };
        begun.empty_fragments += u32::from(payload.is_empty());
        if begun.empty_fragments > EMPTY_FRAGMENTS_MAX {
            return Err(Broken::TooBig);
        }
        begun.content.extend_from_slice(payload);
        if !is_last {
            return Ok(None);
        }
        let Some(begun) = self.begun.take() else { return Err(Broken::Protocol) };
        whole(begun.is_text, begun.content.freeze()).map(Some)
    }
}

fn whole(is_text: bool, content: Bytes) -> Result<Heard, Broken> {
    if is_text {
        Utf8Bytes::try_from(content).map(Heard::Text).map_err(|_| Broken::NotUtf8)
    } else {
        Ok(Heard::Binary(content))
    }
}

/// The code to answer a close frame with: its own.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Broken> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(Broken::Protocol) };
    };
    let code = u16::from_be_bytes(*code);
    // What may be sent: the RFC's own, the registry's (1012 to 1014), libraries' and applications'.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Broken::Protocol);
    }
    str::from_utf8(reason).map(|_| Some(code)).map_err(|_| Broken::NotUtf8)
}

/// Eight bytes at a time: the compiler makes vectors of it.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1000;

    /// A masked frame of a client.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        super::super::header(&mut out, Opcode::Text, payload.len());
        out[0] = first;
        out[1] |= 0x80;
        let mask = [7, 200, 13, 99];
        out.extend_from_slice(&mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        out
    }

    /// What is heard when these bytes come `piece` at a time.
    fn heard(bytes: &[u8], piece: usize) -> Result<Vec<Heard>, Broken> {
        let mut reader = Reader::new(MAX);
        let mut all = Vec::new();
        for piece in bytes.chunks(piece) {
            reader.feed(piece);
            while let Some(heard) = reader.next()? {
                all.push(heard);
            }
        }
        Ok(all)
    }

    #[test]
    fn messages_are_the_same_in_whatever_pieces_they_come() {
        let long = "ä".repeat(400);
        let bytes = [
            frame(0x01, "4f\u{1f6}".as_bytes()),
            frame(0x89, b"now?"),
            frame(0x00, b""),
            frame(0x80, b"oo"),
            frame(0x82, &[0, 255]),
            frame(0x81, long.as_bytes()),
            frame(0x88, &[3, 232, b'b']),
        ]
        .concat();
        let expected = vec![
            Heard::Ping(Bytes::from_static(b"now?")),
            Heard::Text("4f\u{1f6}oo".into()),
            Heard::Binary(Bytes::from_static(&[0, 255])),
            Heard::Text(long.as_str().into()),
            Heard::Close(Some(1000)),
        ];
        for piece in [1, 2, 3, 7, 64, bytes.len()] {
            assert_eq!(heard(&bytes, piece).as_ref(), Ok(&expected), "pieces of {piece}");
        }
    }

    #[test]
    fn each_broken_rule_is_told_by_its_code() {
        let continued = frame(0x01, b"a");
        for (bytes, broken) in [
            (vec![0x81, 1, b'x'], Broken::Protocol),                             // unmasked
            (frame(0xc1, b"x"), Broken::Protocol),                               // a reserved bit
            (frame(0x83, b"x"), Broken::Protocol),                               // a reserved opcode
            (frame(0x80, b"x"), Broken::Protocol),                               // a continuation of nothing
            (frame(0x09, b"x"), Broken::Protocol),                               // a control frame in fragments
            (frame(0x89, &[b'x'; 126]), Broken::Protocol),                       // a long control frame
            ([continued.clone(), frame(0x81, b"b")].concat(), Broken::Protocol), // a message inside a message
            (vec![0x81, 0xfe, 0, 5], Broken::Protocol),                          // a length in too long a form
            (vec![0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0], Broken::Protocol),     // a length beyond all
            (vec![0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0], Broken::TooBig),          // 4 GiB are announced
            (frame(0x81, &[b'x'; MAX + 1]), Broken::TooBig),                     // one byte too many
            ([frame(0x01, &[b'x'; MAX]), frame(0x80, b"x")].concat(), Broken::TooBig), // in two fragments
            ([continued, frame(0x00, b"").repeat(1001)].concat(), Broken::TooBig), // fragments for ever
            (frame(0x81, b"\xed\xa0\x80"), Broken::NotUtf8),                     // a surrogate
            (frame(0x88, &[3]), Broken::Protocol),                               // half a code
            (frame(0x88, &[3, 0xed]), Broken::Protocol),                         // 1005 must not be sent
            (frame(0x88, &[3, 0xe8, 0xff]), Broken::NotUtf8),                    // a reason that is no text
        ] {
            assert_eq!(heard(&bytes, bytes.len()), Err(broken), "{:?}", &bytes[..bytes.len().min(12)]);
        }
    }

    #[test]
    fn an_announced_length_costs_nothing_before_it_comes() {
        let mut reader = Reader::new(1 << 30);
        reader.feed(&[0x82, 0xff, 0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.buffer.capacity() < 1024, "{}", reader.buffer.capacity());
    }

    proptest::proptest! {
        /// What the rest of the suite says of single inputs, of any input: no panic, the same in any pieces, and no more memory than the limit.
        #[test]
        fn any_bytes_are_read_the_same_in_any_pieces_within_the_limit(
            frames in proptest::collection::vec((proptest::prelude::any::<u8>(), proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)), 0..8),
            noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
            piece in 1_usize..64,
        ) {
            // First bytes that often make sense, so that not every input ends at its first byte.
            let bytes: Vec<u8> = frames
                .iter()
                .flat_map(|(kind, payload)| frame([0x81, 0x01, 0x80, 0x00, 0x82, 0x89, 0x8a, *kind][usize::from(kind % 8)], payload))
                .chain(noise)
                .collect();
            let mut reader = Reader::new(MAX);
            let mut all = Vec::new();
            let mut ended = None;
            'pieces: for piece in bytes.chunks(piece) {
                reader.feed(piece);
                loop {
                    match reader.next() {
                        Ok(Some(heard)) => all.push(heard),
                        Ok(None) => break,
                        Err(broken) => { ended = Some(broken); break 'pieces; }
                    }
                }
                let held = reader.buffer.len() + reader.begun.as_ref().map_or(0, |begun| begun.content.len());
                proptest::prop_assert!(held <= 2 * MAX + 14, "{held} bytes are kept");
            }
            let whole = heard(&bytes, bytes.len().max(1));
            match ended {
                Some(broken) => proptest::prop_assert_eq!(whole, Err(broken)),
                None => proptest::prop_assert_eq!(whole, Ok(all)),
            }
        }
    }
}
