//! RFC 6455 frames, byte by byte: a client that can lie, and a reader that forgives a server nothing. Pure.

/// The longest message taken from a server; longer than any that a chat server has a reason to send.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Payload limit of control frames (RFC 6455 5.5).
const CONTROL_BYTES_MAX: usize = 125;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
const CONTINUATION: u8 = 0;

/// A frame to write, well-formed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// The length in the header, if it is to differ from the payload's.
    pub(crate) length: Option<u64>,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// A well-formed, unfragmented frame.
    pub(crate) fn whole(opcode: u8, mask: Option<[u8; 4]>, payload: Vec<u8>) -> Self {
        Self { fin: true, rsv: 0, opcode, mask, length: None, payload }
    }

    /// Close, ping, pong and what is reserved beside them (RFC 6455, 5.5).
    pub(crate) fn is_control(&self) -> bool {
        self.opcode & 8 != 0
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = self.length.unwrap_or(self.payload.len() as u64);
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        let mut out = vec![u8::from(self.fin) << 7 | (self.rsv & 7) << 4 | (self.opcode & 15)];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short), _) if short < 126 => out.push(masked | short),
            (_, Ok(middle)) => {
                out.push(masked | 126);
                out.extend(middle.to_be_bytes());
            }
            _ => {
                out.push(masked | 127);
                out.extend(length.to_be_bytes());
            }
        }
        match self.mask {
            Some(key) => {
                out.extend(key);
                out.extend(self.payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
            }
            None => out.extend(&self.payload),
        }
        out
    }
}

/// What a server has said: a whole message or a control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

/// Puts bytes together to messages. After an error it must not be fed again.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    /// Opcode and payload of a fragmented message so far.
    partial: Option<(u8, Vec<u8>)>,
    /// What is read comes from a client: each frame has to be masked (RFC 6455, 5.1).
    of_client: bool,
}

/// A server's frame: its first byte and its payload.
struct Head {
    fin: bool,
    opcode: u8,
    key: Option<[u8; 4]>,
    start: usize,
    end: usize,
}

impl Reader {
    /// For what a client sends.
    pub(crate) fn of_client() -> Self {
        Self { of_client: true, ..Self::default() }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether bytes of an unfinished frame are left.
    pub(crate) fn is_amid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next message, `None` while bytes are missing.
    ///
    /// # Errors
    /// How the server broke RFC 6455.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, String> {
        while let Some(head) = self.head()? {
            let mut payload = self.buffer[head.start..head.end].to_vec();
            if let Some(key) = head.key {
                payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
            }
            self.buffer.drain(..head.end);
            if let Some(message) = self.take(head.fin, head.opcode, payload)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn head(&self) -> Result<Option<Head>, String> {
        let [first, second, ..] = *self.buffer.as_slice() else { return Ok(None) };
        let opcode = first & 15;
        if first & 0x70 != 0 {
            return Err(format!("a reserved bit is set (first byte {first:#04x}) although no extension was agreed"));
        }
        match (second & 0x80 != 0, self.of_client) {
            (true, false) => return Err("a frame from the server is masked".to_owned()),
            (false, true) => return Err("a frame from the client is not masked".to_owned()),
            (true, true) | (false, false) => {}
        }
        let second = second & 0x7f;
        let (start, length) = match (second, self.buffer.len()) {
            (126, 0..4) | (127, 0..10) => return Ok(None),
            (126, _) => (4, u64::from(u16::from_be_bytes([self.buffer[2], self.buffer[3]]))),
            (127, _) => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&self.buffer[2..10]);
                (10, u64::from_be_bytes(bytes))
            }
            (short, _) => (2, u64::from(short)),
        };
        if (second == 126 && length < 126) || (second == 127 && length <= u64::from(u16::MAX)) {
            return Err(format!("a frame of {length} bytes does not use the shortest length encoding"));
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
        let length = length.ok_or_else(|| format!("a frame is longer than {MESSAGE_BYTES_MAX} bytes"))?;
        let (key, start) = match (self.of_client, self.buffer.get(start..start + 4)) {
            (false, _) => (None, start),
            (true, Some(&[a, b, c, d])) => (Some([a, b, c, d]), start + 4),
            (true, _) => return Ok(None),
        };
        let end = start + length;
        Ok((self.buffer.len() >= end).then_some(Head { fin: first & 0x80 != 0, opcode, key, start, end }))
    }

    fn take(&mut self, fin: bool, opcode: u8, payload: Vec<u8>) -> Result<Option<Message>, String> {
        match opcode {
            CONTINUATION => {
                let Some((kind, mut so_far)) = self.partial.take() else {
                    return Err("a continuation frame with nothing to continue".to_owned());
                };
                if so_far.len() + payload.len() > MESSAGE_BYTES_MAX {
                    return Err(format!("a message is longer than {MESSAGE_BYTES_MAX} bytes"));
                }
                so_far.extend(payload);
                self.data(fin, kind, so_far)
            }
            TEXT | BINARY if self.partial.is_some() => Err("a new message inside a fragmented one".to_owned()),
            TEXT | BINARY => self.data(fin, opcode, payload),
            CLOSE | PING | PONG if !fin => Err("a fragmented control frame".to_owned()),
            CLOSE | PING | PONG if payload.len() > CONTROL_BYTES_MAX => {
                Err("a control frame of more than 125 bytes".to_owned())
            }
            PING => Ok(Some(Message::Ping(payload))),
            PONG => Ok(Some(Message::Pong(payload))),
            CLOSE => close(&payload).map(Some),
            reserved => Err(format!("the reserved opcode {reserved}")),
        }
    }

    fn data(&mut self, fin: bool, kind: u8, payload: Vec<u8>) -> Result<Option<Message>, String> {
        if !fin {
            self.partial = Some((kind, payload));
            return Ok(None);
        }
        if kind == BINARY {
            return Ok(Some(Message::Binary(payload)));
        }
        match String::from_utf8(payload) {
            Ok(text) => Ok(Some(Message::Text(text))),
            Err(e) => Err(format!("a text message is not UTF-8 at byte {}", e.utf8_error().valid_up_to())),
        }
    }
}

/// Codes that may stand in a close frame (RFC 6455 7.4, and the registry for 1012 to 1014).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn close(payload: &[u8]) -> Result<Message, String> {
    match *payload {
        [] => Ok(Message::Close(None, String::new())),
        [_] => Err("a close frame with half a code".to_owned()),
        [high, low, ref reason @ ..] => {
            let code = u16::from_be_bytes([high, low]);
            if !may_be_sent(code) {
                return Err(format!("a close frame with code {code}, which may not be sent"));
            }
            let reason =
                String::from_utf8(reason.to_vec()).map_err(|_| "a close reason that is not UTF-8".to_owned())?;
            Ok(Message::Close(Some(code), reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from_server(opcode: u8, payload: &[u8]) -> Vec<u8> {
        Frame { fin: true, rsv: 0, opcode, mask: None, length: None, payload: payload.to_vec() }.encode()
    }

    fn read(bytes: &[u8]) -> Result<Option<Message>, String> {
        let mut reader = Reader::default();
        reader.feed(bytes);
        reader.next()
    }

    #[test]
    fn what_a_server_may_not_do_is_an_error() {
        let cases: [(&[u8], &str); 12] = [
            (&[0x81, 0x80, 0, 0, 0, 0], "masked"),
            (&[0xC1, 0], "reserved bit"),
            (&[0x83, 0], "reserved opcode"),
            (&[0x8B, 0], "reserved opcode"),
            (&[0x81, 126, 0, 5], "shortest"),
            (&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], "shortest"),
            (&[0x81, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0], "longer"),
            (&[0x80, 0], "nothing to continue"),
            (&[0x09, 0], "fragmented control"),
            (&[0x88, 1, 3], "half a code"),
            (&[0x88, 2, 0x03, 0xED], "1005"),
            (&[0x81, 1, 0xFF], "UTF-8"),
        ];
        for (bytes, word) in cases {
            let refused = read(bytes).expect_err(word);
            assert!(refused.contains(word), "{refused} should say {word}");
        }
        let mut reader = Reader::default();
        reader.feed(&[0x01, 1, b'a', 0x81, 1, b'b']);
        assert!(reader.next().expect_err("new inside old").contains("inside"));
    }

    #[test]
    fn control_frames_may_stand_between_fragments() {
        let mut reader = Reader::default();
        reader.feed(&[0x01, 1, b'a', 0x89, 1, b'p', 0x80, 1, b'b']);
        assert_eq!(reader.next(), Ok(Some(Message::Ping(b"p".to_vec()))));
        assert_eq!(reader.next(), Ok(Some(Message::Text("ab".to_owned()))));
        assert_eq!(reader.next(), Ok(None));
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_whatever_the_pieces(text in ".{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..70_000), cut in 1usize..4096) {
            let mut wire = from_server(TEXT, text.as_bytes());
            wire.extend(from_server(BINARY, &bytes));
            let (mut reader, mut got) = (Reader::default(), Vec::new());
            for piece in wire.chunks(cut) {
                reader.feed(piece);
                while let Some(message) = reader.next().expect("well-formed") {
                    got.push(message);
                }
            }
            prop_assert_eq!(got, vec![Message::Text(text), Message::Binary(bytes)]);
            prop_assert!(!reader.is_amid_frame());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = Reader::default();
            reader.feed(&bytes);
            while let Ok(Some(_)) = reader.next() {}
        }

        #[test]
        fn a_mask_is_undone_by_itself(key in any::<[u8; 4]>(), payload in prop::collection::vec(any::<u8>(), 0..500)) {
            let encoded = Frame::whole(BINARY, Some(key), payload.clone()).encode();
            let start = encoded.len() - payload.len();
            let unmasked: Vec<u8> = encoded[start..].iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect();
            prop_assert_eq!(&unmasked, &payload);
            prop_assert_eq!(&encoded[start - 4..start], &key[..]);
            let mut reader = Reader::of_client();
            reader.feed(&encoded);
            prop_assert_eq!(reader.next(), Ok(Some(Message::Binary(payload))));
        }
    }
}
