//! Polling payloads: several packets in one HTTP body, joined by the record separator, binary as base64.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;

use super::{DecodeError, FromClient, Packet};

/// Between two packets of a payload. The protocol assumes that no text holds it; JSON escapes it.
pub const SEPARATOR: char = '\x1e';

/// The standard alphabet; padding may be left out by the writer, is never left out by us.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What one payload may cost its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole payload.
    pub bytes_max: usize,
    /// Packets in it: each is a step of work and an entry in a queue.
    pub packets_max: usize,
}

impl Default for Limits {
    /// 1 MB, as the official server's `maxHttpBufferSize`; 16,384 packets, as many as a client could gather in half a minute of 500 a second.
    fn default() -> Self {
        Self { bytes_max: 1_000_000, packets_max: 16_384 }
    }
}

/// Reads a payload.
///
/// Memory: text borrows from `payload`; binary packets take three quarters of their base64.
///
/// # Errors
/// [`DecodeError`] when the payload is beyond `limits` or any packet in it is malformed; nothing of it is then to be believed.
pub fn decode(payload: &str, limits: Limits) -> Result<Vec<Packet<'_>>, DecodeError> {
    if payload.len() > limits.bytes_max {
        return Err(DecodeError::PayloadTooLarge { got: payload.len(), max: limits.bytes_max });
    }
    let mut packets = Vec::new();
    for packet in payload.split(SEPARATOR) {
        if packets.len() == limits.packets_max {
            return Err(DecodeError::TooManyPackets { max: limits.packets_max });
        }
        packets.push(decode_packet(packet)?);
    }
    Ok(packets)
}

/// One packet of a client's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A text packet that [`FromClient::read`] accepts.
    Text(&'a str),
    /// A binary packet.
    Binary(Bytes),
}

/// Reads a payload as a server does, for which some packets are none of its business.
///
/// # Errors
/// As [`decode`].
pub fn decode_from_client(payload: &str, limits: Limits) -> Result<Vec<Piece<'_>>, DecodeError> {
    if payload.len() > limits.bytes_max {
        return Err(DecodeError::PayloadTooLarge { got: payload.len(), max: limits.bytes_max });
    }
    let mut pieces = Vec::new();
    for packet in payload.split(SEPARATOR) {
        if pieces.len() == limits.packets_max {
            return Err(DecodeError::TooManyPackets { max: limits.packets_max });
        }
        pieces.push(match packet.strip_prefix('b') {
            Some(base64) => Piece::Binary(decode_binary(base64)?),
            None => FromClient::read(packet).map(|_| Piece::Text(packet))?,
        });
    }
    Ok(pieces)
}

fn decode_binary(base64: &str) -> Result<Bytes, DecodeError> {
    BASE64.decode(base64).map(Bytes::from).map_err(|_| DecodeError::MalformedBase64)
}

fn decode_packet(packet: &str) -> Result<Packet<'_>, DecodeError> {
    match packet.strip_prefix('b') {
        Some(base64) => decode_binary(base64).map(Packet::Binary),
        None => Packet::decode_text(packet),
    }
}

/// Gathers packets into payloads that their reader accepts.
#[derive(Debug)]
pub struct Writer {
    text: String,
    packets: usize,
    limits: Limits,
}

/// Why a packet was not added to a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// It goes into the next payload: take this one first.
    #[error("payload full")]
    Full,
    /// It is larger than any payload may be.
    #[error("packet of {got} bytes in a payload of at most {max}")]
    TooLarge {
        /// With its type digit or prefix, as encoded.
        got: usize,
        /// As the limit says.
        max: usize,
    },
    /// Its text holds the record separator and would be read as two packets.
    #[error("record separator in the text of a packet")]
    Separator,
}

impl Writer {
    /// An empty payload.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { text: String::new(), packets: 0, limits }
    }

    /// Adds a packet at the end.
    ///
    /// # Errors
    /// [`WriteError`]; the payload is then as it was before.
    pub fn push(&mut self, packet: &Packet<'_>) -> Result<(), WriteError> {
        let before = self.text.len();
        if self.packets > 0 {
            self.text.push(SEPARATOR);
        }
        let start = self.text.len();
        if let Packet::Binary(bytes) = packet {
            self.text.push('b');
            BASE64.encode_string(bytes, &mut self.text);
        } else {
            packet.write_text(&mut self.text);
        }
        let verdict = self.judge(start);
        match verdict {
            Ok(()) => self.packets += 1,
            Err(_) => self.text.truncate(before),
        }
        verdict
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// The payload as written; the writer is empty again.
    pub fn take(&mut self) -> String {
        self.packets = 0;
        std::mem::take(&mut self.text)
    }

    fn judge(&self, start: usize) -> Result<(), WriteError> {
        let got = self.text.len() - start;
        if self.text[start..].contains(SEPARATOR) {
            Err(WriteError::Separator)
        } else if got > self.limits.bytes_max {
            Err(WriteError::TooLarge { got, max: self.limits.bytes_max })
        } else if self.text.len() > self.limits.bytes_max || self.packets == self.limits.packets_max {
            Err(WriteError::Full)
        } else {
            Ok(())
        }
    }
}
