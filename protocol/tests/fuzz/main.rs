//! Both codecs under fire: whatever a peer sends is read or refused, costs what the limits say, and what was read is written and read alike.

mod campaign;

use bytes::Bytes;
use campaign::{Seen, parts, run};
use chatwright_protocol::{
    engine_io::{
        FromClient, Packet as EnginePacket,
        payload::{self, Piece, Writer, decode, decode_from_client},
    },
    socket_io::{Decoder, EncodeError, Limits, Packet},
};

const ENGINE_WORDS: &[&str] =
    &["0", "1", "2", "3probe", "4", "5", "6", "b", "bAQID", "=", "\u{1e}", "{\"sid\":\"x\"}", "é"];

const SOCKET_WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "1-",
    "10-",
    "11-",
    "/",
    "/x,",
    "?",
    "12",
    "18446744073709551616",
    "[",
    "]",
    "{",
    "}",
    "\"",
    ",",
    ":",
    "null",
    "1e999",
    "-0",
    "\\u0000",
    "\\ud800",
    "{\"_placeholder\":true,\"num\":0}",
    "\"num\":-1",
    "\"connect\"",
];

#[test]
fn a_payload_is_read_or_refused_and_read_again_as_it_was_written() {
    run(include_str!("corpus/engine_io.txt"), ENGINE_WORDS, |input, seen| {
        let limits = payload::Limits { bytes_max: 2048, packets_max: 32 };
        let text = String::from_utf8_lossy(input);
        let read = decode(&text, limits);
        seen.note(read.as_ref().err().map(std::mem::discriminant));
        if let Ok(packets) = read {
            assert!(packets.len() <= limits.packets_max && text.len() <= limits.bytes_max);
            packets.iter().for_each(|packet| seen.note(std::mem::discriminant(packet)));
            let mut writer = Writer::new(payload::Limits::default());
            packets.iter().for_each(|packet| writer.push(packet).expect("what was in a payload fits into one"));
            assert_eq!(decode(&writer.take(), payload::Limits::default()).as_ref(), Ok(&packets));
        }
        if let Ok(pieces) = decode_from_client(&text, limits) {
            for piece in &pieces {
                if let Piece::Text(text) = piece {
                    assert!(FromClient::read(text).is_ok(), "a payload's packet is one by itself: {text:?}");
                }
            }
        }
        if let Ok(packet) = EnginePacket::decode_text(&text) {
            let again = packet.clone().into_owned();
            assert_eq!(again, packet);
        }
    });
}

/// As it would come back to whoever wrote it.
fn again(packet: &Packet) -> Result<Option<Packet>, EncodeError> {
    let encoded = packet.encode()?;
    let mut decoder = Decoder::new(Limits { attachments_max: 64, ..Limits::default() });
    let mut read = decoder.text(&encoded.text).expect("what we write we read");
    for attachment in encoded.attachments {
        assert!(read.is_none(), "complete only with the last attachment");
        read = decoder.binary(attachment).expect("what we write we read");
    }
    Ok(read)
}

fn note(seen: &mut Seen, packet: &Packet) {
    seen.note(packet.namespace.len().min(3));
    seen.note(std::mem::discriminant(&packet.body));
}

#[test]
fn a_stream_of_packets_is_read_or_refused_within_its_limits() {
    run(include_str!("corpus/socket_io.txt"), SOCKET_WORDS, |input, seen| {
        let limits =
            Limits { text_bytes_max: 2048, attachments_max: 10, attachment_bytes_max: 256, ..Limits::default() };
        let mut decoder = Decoder::new(limits);
        for part in parts(input) {
            let read = match part {
                Ok(text) => decoder.text(&text),
                Err(bytes) => decoder.binary(Bytes::copy_from_slice(bytes)),
            };
            assert!(decoder.waiting_bytes() <= limits.attachment_bytes_max);
            match read {
                Ok(None) => seen.note(0),
                Ok(Some(packet)) => {
                    note(seen, &packet);
                    assert_eq!(again(&packet), Ok(Some(packet.clone())), "{packet:?}");
                }
                Err(problem) => {
                    seen.note(std::mem::discriminant(&problem));
                    break;
                }
            }
        }
    });
}
