//! Engine.IO codec: the vectors of the protocol text, and what must hold for any input.

use std::borrow::Cow;

use bytes::Bytes;
use chatwright_protocol::engine_io::{
    DecodeError, Frame, Open, Packet,
    payload::{self, Limits, WriteError, Writer},
};
use proptest::prelude::*;

fn open() -> Open {
    Open {
        sid: "lv_VI97HAXpY6yYWAAAB".to_owned(),
        upgrades: vec!["websocket".to_owned()],
        ping_interval_ms: 25_000,
        ping_timeout_ms: 20_000,
        max_payload_bytes: 1_000_000,
    }
}

fn write(packets: &[Packet<'_>]) -> String {
    let mut writer = Writer::new(Limits::default());
    for packet in packets {
        writer.push(packet).expect("small packets fit");
    }
    writer.take()
}

#[test]
fn the_open_packet_of_the_protocol_text_is_read() {
    let text = r#"0{"sid":"lv_VI97HAXpY6yYWAAAB","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    assert_eq!(Packet::decode_text(text), Ok(Packet::Open(open())));
    assert_eq!(Packet::Open(open()).to_frame(), Frame::Text(text.to_owned()));
}

#[test]
fn an_open_packet_without_a_mandatory_field_is_malformed() {
    for text in ["0", "0{}", "0[]", r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#] {
        assert_eq!(Packet::decode_text(text), Err(DecodeError::MalformedOpen), "{text}");
    }
}

#[test]
fn each_type_of_the_protocol_text_is_read_from_a_frame() {
    let cases = [
        ("1", Packet::Close),
        ("2", Packet::Ping(Cow::Borrowed(""))),
        ("2probe", Packet::Ping(Cow::Borrowed("probe"))),
        ("3probe", Packet::Pong(Cow::Borrowed("probe"))),
        ("4hello", Packet::text("hello")),
        ("4", Packet::text("")),
        ("4€\u{1f600}\u{feff}\u{2028}\0", Packet::text("€\u{1f600}\u{feff}\u{2028}\0")),
        ("5", Packet::Upgrade),
        ("6", Packet::Noop),
    ];
    for (text, packet) in cases {
        assert_eq!(Packet::decode_text(text), Ok(packet.clone()));
        assert_eq!(packet.to_frame(), Frame::Text(text.to_owned()));
    }
}

#[test]
fn what_is_no_packet_is_refused_with_its_reason() {
    let cases = [
        ("", DecodeError::Empty),
        ("7abc", DecodeError::UnknownType('7')),
        ("abc", DecodeError::UnknownType('a')),
        ("bAQID", DecodeError::UnknownType('b')),
        ("€", DecodeError::UnknownType('€')),
        ("1x", DecodeError::UnexpectedData('1')),
        ("5probe", DecodeError::UnexpectedData('5')),
        ("6 ", DecodeError::UnexpectedData('6')),
    ];
    for (text, error) in cases {
        assert_eq!(Packet::decode_text(text), Err(error), "{text}");
    }
}

#[test]
fn the_payload_of_the_protocol_text_is_read_and_written() {
    let packets = [Packet::text("hello"), Packet::Ping(Cow::Borrowed("")), Packet::text("world")];
    assert_eq!(payload::decode("4hello\x1e2\x1e4world", Limits::default()), Ok(packets.to_vec()));
    assert_eq!(write(&packets), "4hello\x1e2\x1e4world");
    let packets = [Packet::text("hello"), Packet::Binary(Bytes::from_static(&[1, 2, 3, 4]))];
    assert_eq!(payload::decode("4hello\x1ebAQIDBA==", Limits::default()), Ok(packets.to_vec()));
    assert_eq!(write(&packets), "4hello\x1ebAQIDBA==");
}

#[test]
fn base64_may_lack_its_padding_and_be_empty_but_nothing_else() {
    let binary = |bytes: &'static [u8]| Ok(vec![Packet::Binary(Bytes::from_static(bytes))]);
    assert_eq!(payload::decode("bAQIDBA", Limits::default()), binary(&[1, 2, 3, 4]));
    assert_eq!(payload::decode("b", Limits::default()), binary(&[]));
    for wrong in ["b-_-_", "bAQ ID", "b!", "bA"] {
        assert_eq!(payload::decode(wrong, Limits::default()), Err(DecodeError::MalformedBase64), "{wrong}");
    }
}

#[test]
fn separators_that_separate_nothing_are_empty_packets() {
    for text in ["", "\x1e", "4a\x1e", "\x1e4a", "4a\x1e\x1e4b"] {
        assert_eq!(payload::decode(text, Limits::default()), Err(DecodeError::Empty), "{text:?}");
    }
}

#[test]
fn a_payload_beyond_its_limits_is_refused() {
    let limits = Limits { bytes_max: 10, packets_max: 3 };
    assert_eq!(payload::decode("4€€€", limits).map(|packets| packets.len()), Ok(1), "ten bytes");
    let too_large = Err(DecodeError::PayloadTooLarge { got: 11, max: 10 });
    assert_eq!(payload::decode("4€€€x", limits), too_large, "bytes, not characters");
    assert_eq!(payload::decode("2\x1e2\x1e2\x1e2", limits), Err(DecodeError::TooManyPackets { max: 3 }));
}

#[test]
fn a_writer_splits_before_the_limit_and_refuses_what_never_fits() {
    let mut writer = Writer::new(Limits { bytes_max: 7, packets_max: 2 });
    assert_eq!(writer.push(&Packet::text("ab")), Ok(()));
    assert_eq!(writer.push(&Packet::text("abc")), Err(WriteError::Full), "3 + 1 + 4 is 8");
    assert_eq!(writer.push(&Packet::text("ab")), Ok(()));
    assert_eq!(writer.push(&Packet::text("")), Err(WriteError::Full));
    assert_eq!(writer.take(), "4ab\x1e4ab");
    assert!(writer.is_empty());
    assert_eq!(writer.push(&Packet::text("abcdefg")), Err(WriteError::TooLarge { got: 8, max: 7 }));
    assert_eq!(writer.push(&Packet::text("a\x1eb")), Err(WriteError::Separator));
    assert_eq!(writer.take(), "");
}

fn any_packet() -> impl Strategy<Value = Packet<'static>> {
    let text = "[^\x1e]{0,24}";
    prop_oneof![
        Just(Packet::Open(open())),
        Just(Packet::Close),
        text.prop_map(|data| Packet::Ping(Cow::Owned(data))),
        text.prop_map(|data| Packet::Pong(Cow::Owned(data))),
        text.prop_map(|data| Packet::Text(Cow::Owned(data))),
        proptest::collection::vec(any::<u8>(), 0..48).prop_map(|bytes| Packet::Binary(Bytes::from(bytes))),
        Just(Packet::Upgrade),
        Just(Packet::Noop),
    ]
}

proptest! {
    #[test]
    fn a_frame_is_read_as_it_was_written(packet in any_packet()) {
        match packet.to_frame() {
            Frame::Text(text) => prop_assert_eq!(Packet::decode_text(&text).map(Packet::into_owned), Ok(packet)),
            Frame::Binary(bytes) => prop_assert_eq!(Packet::Binary(bytes), packet),
        }
    }

    #[test]
    fn a_payload_is_read_as_it_was_written(packets in proptest::collection::vec(any_packet(), 1..12)) {
        let text = write(&packets);
        let read: Vec<_> = payload::decode(&text, Limits::default())
            .expect("what we write we read").into_iter().map(Packet::into_owned).collect();
        prop_assert_eq!(read, packets);
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_the_limits(
        bytes in proptest::collection::vec(prop_oneof![Just(0x1e_u8), Just(b'b'), b'0'..b'8', any::<u8>()], 0..256),
        bytes_max in 0_usize..300,
        packets_max in 0_usize..20,
    ) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(packets) = payload::decode(&text, Limits { bytes_max, packets_max }) {
            prop_assert!(text.len() <= bytes_max && packets.len() <= packets_max);
            let carried: usize = packets.iter().map(|packet| match packet {
                Packet::Text(data) | Packet::Ping(data) | Packet::Pong(data) => data.len(),
                Packet::Binary(bytes) => bytes.len(),
                Packet::Open(_) | Packet::Close | Packet::Upgrade | Packet::Noop => 0,
            }).sum();
            prop_assert!(carried <= text.len(), "nothing grows by being read");
        }
        let _ = Packet::decode_text(&text);
    }
}

#[test]
fn a_server_hears_what_a_client_may_say_and_ignores_its_own_kinds() {
    use chatwright_protocol::engine_io::FromClient;
    for (text, heard) in [
        ("1", Ok(FromClient::Close)),
        ("2probe", Ok(FromClient::Ping("probe"))),
        ("3", Ok(FromClient::Pong)),
        ("3probe", Ok(FromClient::Pong)),
        ("4", Ok(FromClient::Text(""))),
        ("42[\"ä\"]", Ok(FromClient::Text("2[\"ä\"]"))),
        ("5", Ok(FromClient::Upgrade)),
        ("0{\"sid\":\"mine\"}", Ok(FromClient::Ignored)),
        ("6", Ok(FromClient::Ignored)),
        ("", Err(DecodeError::Empty)),
        ("1x", Err(DecodeError::UnexpectedData('1'))),
        ("7", Err(DecodeError::UnknownType('7'))),
        ("bAQ==", Err(DecodeError::UnknownType('b'))),
    ] {
        assert_eq!(FromClient::read(text), heard, "{text}");
    }
}
