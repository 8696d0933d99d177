//! WebSocket frames as they stand on the wire, for servers that must be able to be wrong: read leniently, written as told.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longer frames are nobody's business here.
const FRAME_BYTES_MAX: u64 = 32 << 20;
/// The key does not hide anything from anybody here.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// One frame, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawFrame {
    pub(super) fin: bool,
    pub(super) rsv: u8,
    pub(super) opcode: u8,
    pub(super) masked: bool,
    pub(super) payload: Vec<u8>,
    /// As it was read; empty for a frame of our own.
    pub(super) wire: Vec<u8>,
}

impl RawFrame {
    /// A whole frame of our own.
    pub(super) fn new(opcode: u8, payload: impl Into<Vec<u8>>, masked: bool) -> Self {
        Self { fin: true, rsv: 0, opcode, masked, payload: payload.into(), wire: Vec::new() }
    }

    /// A close frame of our own; without a code where there is none.
    pub(super) fn close(code: Option<u16>, reason: &str, masked: bool) -> Self {
        let payload = code.map(|code| [&code.to_be_bytes()[..], reason.as_bytes()].concat()).unwrap_or_default();
        Self::new(CLOSE, payload, masked)
    }

    /// The next frame; `None` at the end of the stream between two frames.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut wire = vec![0; 2];
        if stream.read(&mut wire[..1]).await? == 0 {
            return Ok(None);
        }
        stream.read_exact(&mut wire[1..]).await?;
        let (first, second) = (wire[0], wire[1]);
        let more = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        Self::read_more(stream, &mut wire, more).await?;
        let length = match more {
            0 => u64::from(second & 0x7f),
            _ => wire[2..].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let masked = second & 0x80 != 0;
        if masked {
            Self::read_more(stream, &mut wire, 4).await?;
        }
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
        }
        let head = wire.len();
        Self::read_more(stream, &mut wire, usize::try_from(length).map_err(io::Error::other)?).await?;
        let mut payload = wire[head..].to_vec();
        if masked {
            let key = [wire[head - 4], wire[head - 3], wire[head - 2], wire[head - 1]];
            payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        }
        Ok(Some(Self { fin: first & 0x80 != 0, rsv: first >> 4 & 7, opcode: first & 15, masked, payload, wire }))
    }

    async fn read_more(stream: &mut (impl AsyncRead + Unpin), wire: &mut Vec<u8>, more: usize) -> io::Result<()> {
        let so_far = wire.len();
        wire.resize(so_far + more, 0);
        stream.read_exact(&mut wire[so_far..]).await.map(drop)
    }

    /// The bytes on the wire: those that were read, or made from the fields.
    pub(super) fn encode(&self) -> Vec<u8> {
        if !self.wire.is_empty() {
            return self.wire.clone();
        }
        let mask = if self.masked { 0x80 } else { 0 };
        let mut out = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        match (u8::try_from(self.payload.len()), u16::try_from(self.payload.len())) {
            (Ok(short), _) if short < 126 => out.push(mask | short),
            (_, Ok(middle)) => {
                out.push(mask | 126);
                out.extend(middle.to_be_bytes());
            }
            (_, Err(_)) => {
                out.push(mask | 127);
                out.extend((self.payload.len() as u64).to_be_bytes());
            }
        }
        if self.masked {
            out.extend(MASK);
            out.extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            out.extend(&self.payload);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_read_as_they_were_written() {
        for (size, masked) in [(0, true), (5, false), (125, true), (126, false), (65_535, true), (65_536, false)] {
            let frame = RawFrame::new(TEXT, vec![b'x'; size], masked);
            let bytes = frame.encode();
            let read = RawFrame::read(&mut &bytes[..]).await.expect("a frame").expect("not the end");
            assert_eq!((read.fin, read.opcode, read.masked, &read.payload), (true, TEXT, masked, &frame.payload));
            assert_eq!(read.encode(), bytes);
        }
    }

    #[tokio::test]
    async fn the_end_between_frames_is_no_error_and_the_end_inside_one_is() {
        assert_eq!(RawFrame::read(&mut &b""[..]).await.expect("the end"), None);
        assert!(RawFrame::read(&mut &b"\x81\x05ab"[..]).await.is_err());
        assert!(RawFrame::read(&mut &b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"[..]).await.is_err());
    }
}
