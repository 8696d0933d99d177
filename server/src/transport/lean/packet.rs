//! A packet for clients, encoded once: the same bytes serve a WebSocket (with the frame's header) and a poll (without it), and all
//! members of a room.

use std::{cell::RefCell, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::ws::{self, Opcode};

/// Engine.IO's type of a packet for the layer above, and Socket.IO's of an event.
const MESSAGE: char = '4';
const EVENT: char = '2';

/// Before an attachment in a poll, which carries it as base64.
const ATTACHMENT: char = 'b';

thread_local! {
    /// Where the frames of a thread are put together, one after the other: how long one gets is known behind its header.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A longer frame leaves no memory behind.
const SCRATCH_BYTES_KEPT_MAX: usize = 16 * 1024;

/// One Engine.IO text packet. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    /// One whole frame; what it is stands in its header. Half as long as a `Bytes`, of which a flood queues one for each who is told.
    frame: Arc<[u8]>,
}

impl Packet {
    /// A packet of this text, as it stands: for Socket.IO its Engine.IO type included.
    pub(crate) fn of(text: &str) -> Self {
        Self::in_frame(text.len(), |out| out.extend_from_slice(text.as_bytes()))
    }

    /// An event of the main namespace: its name as JSON, and its arguments as JSON.
    pub(crate) fn event<'a>(name: &str, args: impl Iterator<Item = &'a str> + Clone) -> Self {
        let name = serde_json::Value::from(name).to_string();
        let length = "42[]".len() + name.len() + args.clone().map(|arg| ",".len() + arg.len()).sum::<usize>();
        Self::in_frame(length, |out| {
            out.extend_from_slice(&[MESSAGE as u8, EVENT as u8, b'[']);
            out.extend_from_slice(name.as_bytes());
            for arg in args {
                out.push(b',');
                out.extend_from_slice(arg.as_bytes());
            }
            out.push(b']');
        })
    }

    /// A control frame of a WebSocket; a poll never takes it.
    pub(super) fn control(frame: Vec<u8>) -> Self {
        Self { frame: Arc::from(frame) }
    }

    /// An attachment of the packet before.
    pub(super) fn attachment(bytes: &[u8]) -> Self {
        Self::framed(Opcode::Binary, bytes.len(), |out| out.extend_from_slice(bytes))
    }

    fn in_frame(length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        Self::framed(Opcode::Text, length, write)
    }

    fn framed(opcode: Opcode, length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        SCRATCH.with_borrow_mut(|out| {
            out.clear();
            ws::header(out, opcode, length);
            let header_bytes = out.len();
            write(out);
            debug_assert_eq!(out.len(), length + header_bytes, "the header says another length");
            let frame = Arc::from(&out[..]);
            if out.capacity() > SCRATCH_BYTES_KEPT_MAX {
                *out = Vec::new();
            }
            Self { frame }
        })
    }

    /// As a WebSocket carries it.
    pub(super) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// A text as a poll carries it.
    pub(crate) fn text(&self) -> &[u8] {
        ws::payload(&self.frame)
    }

    /// Writes it as a poll carries it.
    pub(super) fn write_polled(&self, out: &mut Vec<u8>) {
        if !ws::is_binary(&self.frame) {
            out.extend_from_slice(self.text());
        } else {
            out.extend_from_slice(format!("{ATTACHMENT}{}", STANDARD.encode(self.text())).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_the_same_on_both_transports() {
        let packet = Packet::event("a \"b\"", ["1", "{\"x\":\"ä\"}"].into_iter());
        assert_eq!(packet.text(), r#"42["a \"b\"",1,{"x":"ä"}]"#.as_bytes());
        assert_eq!(packet.frame()[..2], [0x81, u8::try_from(packet.text().len()).expect("short")]);
        assert_eq!(packet.frame()[2..], *packet.text());
        assert_eq!(Packet::event("e", std::iter::empty()), Packet::of(r#"42["e"]"#));
    }
}
