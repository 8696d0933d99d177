//! Socket.IO codec: the vectors of the protocol text, the strictness of the official parser, and its limits.

use bytes::Bytes;
use chatwright_protocol::socket_io::{Arg, Body, DecodeError, Decoder, EncodeError, Limits, Packet};
use serde_json::{Value, json};

fn decode(text: &str) -> Result<Option<Packet>, DecodeError> {
    Decoder::new(Limits::default()).text(text)
}

fn packet(namespace: &str, body: Body) -> Packet {
    Packet { namespace: namespace.to_owned(), body }
}

fn event(name: &str, args: Vec<Arg>, id: Option<u64>) -> Body {
    Body::Event { name: name.to_owned(), args, id }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().expect("the test wrote an object").clone()
}

#[test]
fn the_text_packets_of_the_protocol_text_are_read_and_written() {
    let cases = [
        (r#"0"#, packet("/", Body::Connect(None))),
        (
            r#"0{"sid":"oSO0OpakMV_3jnilAAAA"}"#,
            packet("/", Body::Connect(Some(object(json!({"sid": "oSO0OpakMV_3jnilAAAA"}))))),
        ),
        (r#"0/admin,{"token":"123"}"#, packet("/admin", Body::Connect(Some(object(json!({"token": "123"})))))),
        (r#"1/admin,"#, packet("/admin", Body::Disconnect)),
        (r#"2["foo"]"#, packet("/", event("foo", vec![], None))),
        (r#"2/admin,["bar"]"#, packet("/admin", event("bar", vec![], None))),
        (r#"212["foo",{"a":[1,null]}]"#, packet("/", event("foo", vec![json!({"a": [1, null]}).into()], Some(12)))),
        (r#"3/admin,13["bar"]"#, packet("/admin", Body::Ack { id: 13, args: vec![json!("bar").into()] })),
        (r#"30[]"#, packet("/", Body::Ack { id: 0, args: vec![] })),
        (
            r#"4{"message":"Not authorized"}"#,
            packet("/", Body::ConnectError { message: "Not authorized".to_owned(), data: None }),
        ),
        (
            r#"4/x,{"message":"no","data":{"code":"E"}}"#,
            packet("/x", Body::ConnectError { message: "no".to_owned(), data: Some(json!({"code": "E"})) }),
        ),
    ];
    for (text, packet) in cases {
        assert_eq!(decode(text), Ok(Some(packet.clone())), "{text}");
        let encoded = packet.encode().expect("well-formed");
        assert_eq!((encoded.text.as_str(), encoded.attachments.len()), (text, 0));
    }
}

#[test]
fn spellings_that_only_readers_need_are_read() {
    let cases = [
        ("1/admin", packet("/admin", Body::Disconnect)),
        ("0/a?x=1,", packet("/a?x=1", Body::Connect(None))),
        (r#"2007["x"]"#, packet("/", event("x", vec![], Some(7)))),
        ("2[1]", packet("/", event("1", vec![], None))),
        (r#"4"refused""#, packet("/", Body::ConnectError { message: "refused".to_owned(), data: None })),
        (r#"50-["x",1]"#, packet("/", event("x", vec![json!(1).into()], None))),
        (
            r#"2["x",{"_placeholder":true,"num":0}]"#,
            packet("/", event("x", vec![json!({"_placeholder": true, "num": 0}).into()], None)),
        ),
    ];
    for (text, packet) in cases {
        assert_eq!(decode(text), Ok(Some(packet)), "{text}");
    }
}

#[test]
fn binary_packets_of_the_protocol_text_are_put_together_and_taken_apart() {
    let bytes = |bytes: &'static [u8]| Bytes::from_static(bytes);
    let cases = [
        (
            r#"51-["baz",{"_placeholder":true,"num":0}]"#,
            vec![bytes(&[1, 2, 3])],
            packet("/", event("baz", vec![bytes(&[1, 2, 3]).into()], None)),
        ),
        (
            r#"61-/admin,15["bar",{"_placeholder":true,"num":0}]"#,
            vec![bytes(&[4])],
            packet("/admin", Body::Ack { id: 15, args: vec![json!("bar").into(), bytes(&[4]).into()] }),
        ),
        (
            r#"52-456["deep",{"a":[{"_placeholder":true,"num":0},1],"b":{"c":{"_placeholder":true,"num":1}},"d":"x"}]"#,
            vec![bytes(&[]), bytes(b"b")],
            packet("/", event("deep", vec![deep(bytes(&[]), bytes(b"b"))], Some(456))),
        ),
    ];
    for (text, attachments, packet) in cases {
        let mut decoder = Decoder::new(Limits::default());
        assert_eq!(decoder.text(text), Ok(None), "{text}");
        let last = attachments.len() - 1;
        for (number, attachment) in attachments.iter().enumerate() {
            let expected = (number == last).then(|| packet.clone());
            assert_eq!(decoder.binary(attachment.clone()), Ok(expected), "{text}");
        }
        let encoded = packet.encode().expect("well-formed");
        assert_eq!((encoded.text.as_str(), encoded.attachments), (text, attachments));
    }
}

fn deep(first: Bytes, second: Bytes) -> Arg {
    Arg::object(vec![
        ("a".to_owned(), Arg::array(vec![first.into(), json!(1).into()])),
        ("b".to_owned(), Arg::object(vec![("c".to_owned(), second.into())])),
        ("d".to_owned(), json!("x").into()),
    ])
}

#[test]
fn attachments_may_be_named_twice_in_any_order_or_not_at_all() {
    let mut decoder = Decoder::new(Limits::default());
    let text = r#"53-["x",{"_placeholder":true,"num":2},{"_placeholder":true,"num":0},{"_placeholder":true,"num":2}]"#;
    assert_eq!(decoder.text(text), Ok(None));
    assert_eq!(decoder.binary(Bytes::from_static(b"0")), Ok(None));
    assert_eq!(decoder.binary(Bytes::from_static(b"1")), Ok(None));
    let args = [b"2", b"0", b"2"].map(|bytes| Arg::from(Bytes::from_static(bytes))).to_vec();
    assert_eq!(decoder.binary(Bytes::from_static(b"2")), Ok(Some(packet("/", event("x", args, None)))));
}

#[test]
fn what_breaks_the_protocol_is_refused_with_its_reason() {
    let payload = |expected| DecodeError::UnexpectedPayload { expected };
    let cases = [
        ("", DecodeError::Empty),
        ("7", DecodeError::UnknownType('7')),
        ("abc", DecodeError::UnknownType('a')),
        ("0[]", payload("an object")),
        ("0null", payload("an object")),
        (r#"1{"a":1}"#, payload("none")),
        ("2", payload("an array")),
        ("2{}", payload("an array")),
        ("2[]", payload("an array with the event's name")),
        ("2[null]", payload("a name that is a string or a number")),
        ("2[{}]", payload("a name that is a string or a number")),
        (r#"2["disconnect"]"#, DecodeError::ReservedEvent),
        (r#"2["x"]y"#, DecodeError::MalformedJson),
        (r#"2abc["x"]"#, DecodeError::MalformedJson),
        (r#"2 1["x"]"#, DecodeError::MalformedJson),
        (r#"2["x"#, DecodeError::MalformedJson),
        ("3[]", DecodeError::AckId),
        ("31", payload("an array")),
        ("31{}", payload("an array")),
        ("399999999999999999999[]", DecodeError::AckId),
        ("4", payload("a string, or an object with a message")),
        ("41", payload("a string, or an object with a message")),
        (r#"51["x"]"#, DecodeError::AttachmentCount),
        (r#"5-["x"]"#, DecodeError::AttachmentCount),
        (r#"51x-["x"]"#, DecodeError::AttachmentCount),
        ("51", DecodeError::AttachmentCount),
        ("51-", payload("an array")),
        (r#"511-["x"]"#, DecodeError::TooLarge { what: "attachments", max: 10 }),
        (r#"599999999999999999999-["x"]"#, DecodeError::TooLarge { what: "attachments", max: 10 }),
        (r#"50-["x",{"_placeholder":true,"num":0}]"#, DecodeError::IllegalPlaceholder),
    ];
    for (text, error) in cases {
        let error = match text {
            "41" => DecodeError::UnexpectedPayload { expected: "a string, or an object with a message" },
            _ => error,
        };
        assert_eq!(decode(text), Err(error), "{text}");
    }
}

#[test]
fn placeholders_outside_the_attachments_are_illegal() {
    for num in ["1", "-1", "0.5", r#""0""#, "null"] {
        let mut decoder = Decoder::new(Limits::default());
        let text = format!(r#"51-["x",{{"_placeholder":true,"num":{num}}}]"#);
        assert_eq!(decoder.text(&text), Ok(None));
        assert_eq!(decoder.binary(Bytes::new()), Err(DecodeError::IllegalPlaceholder), "{num}");
    }
}

#[test]
fn text_between_attachments_and_attachments_without_a_packet_are_refused() {
    let mut decoder = Decoder::new(Limits::default());
    assert_eq!(decoder.binary(Bytes::new()), Err(DecodeError::UnexpectedAttachment));
    assert_eq!(decoder.text(r#"52-["x",{"_placeholder":true,"num":0}]"#), Ok(None));
    assert_eq!(decoder.binary(Bytes::new()), Ok(None));
    assert_eq!(decoder.text("2[\"y\"]"), Err(DecodeError::MissingAttachments { missing: 1 }));
}

#[test]
fn each_limit_holds_exactly() {
    let limits = Limits {
        text_bytes_max: 40,
        attachments_max: 1,
        attachment_bytes_max: 4,
        json_depth_max: 3,
        json_values_max: 6,
        namespace_bytes_max: 4,
    };
    let decode = |text: &str| Decoder::new(limits).text(text).map(|_| ());
    let beyond = |what, max| Err(DecodeError::TooLarge { what, max });
    assert_eq!(decode(&format!("2[\"{}\"]", "x".repeat(35))), Ok(()));
    assert_eq!(decode(&format!("2[\"{}\"]", "x".repeat(36))), beyond("bytes of text", 40));
    assert_eq!(decode(r#"2["[[[[[",[[]]]"#), Ok(()), "brackets in strings do not nest");
    assert_eq!(decode(r#"2["x",[[[]]]]"#), beyond("depth of the JSON payload", 3));
    assert_eq!(decode(r#"2["x",1,2,3,4]"#), Ok(()));
    assert_eq!(decode(r#"2["x",1,2,3,4,5]"#), beyond("values in the JSON payload", 6));
    assert_eq!(decode("0/abc,"), Ok(()));
    assert_eq!(decode("0/abcd,"), beyond("bytes of a namespace", 4));
    let mut decoder = Decoder::new(limits);
    assert_eq!(decoder.text(r#"51-["x",{"_placeholder":true}]"#), Ok(None));
    assert_eq!(decoder.binary(Bytes::from_static(b"12345")), beyond("bytes of attachments", 4).map(|()| None));
    assert_eq!(decoder.waiting_bytes(), 0, "nothing is kept after a refusal");
}

#[test]
fn what_a_reader_would_misunderstand_is_not_written() {
    let reserved = packet("/", event("disconnect", vec![], None));
    assert_eq!(reserved.encode(), Err(EncodeError::ReservedEvent("disconnect".to_owned())));
    for namespace in ["", "admin", "/a,b"] {
        let wrong = packet(namespace, Body::Disconnect);
        assert_eq!(wrong.encode(), Err(EncodeError::MalformedNamespace(namespace.to_owned())));
    }
    let lookalike = Arg::from(json!([{"_placeholder": true}]));
    let alone = packet("/", event("x", vec![lookalike.clone()], None));
    assert!(alone.encode().is_ok(), "without attachments nobody looks for placeholders");
    let beside = packet("/", event("x", vec![lookalike, Bytes::new().into()], None));
    assert_eq!(beside.encode(), Err(EncodeError::LooksLikePlaceholder));
}
