//! Socket.IO codec: what must hold for any packet and any bytes.

use bytes::Bytes;
use chatwright_protocol::socket_io::{Arg, Body, Decoder, Limits, Packet, RESERVED_EVENTS};
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Number, Value, json};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("JSON has no infinity", |number| Number::from_f64(number).map(Value::from)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((any::<String>(), inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_arg() -> impl Strategy<Value = Arg> {
    let leaf = prop_oneof![
        any_json().prop_map(Arg::from),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Arg::from(Bytes::from(bytes))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Arg::array),
            proptest::collection::hash_map("[a-z]{1,6}", inner, 0..3)
                .prop_map(|fields| Arg::object(fields.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    vec((any::<String>(), any_json()), 0..4).prop_map(|fields| fields.into_iter().collect())
}

fn any_body() -> impl Strategy<Value = Body> {
    let name = any::<String>().prop_filter("reserved", |name| !RESERVED_EVENTS.contains(&name.as_str()));
    prop_oneof![
        proptest::option::of(any_object()).prop_map(Body::Connect),
        Just(Body::Disconnect),
        (name, vec(any_arg(), 0..4), proptest::option::of(any::<u64>())).prop_map(|(name, args, id)| Body::Event {
            name,
            args,
            id
        }),
        (any::<u64>(), vec(any_arg(), 0..4)).prop_map(|(id, args)| Body::Ack { id, args }),
        (any::<String>(), proptest::option::of(any_object()))
            .prop_map(|(message, data)| Body::ConnectError { message, data: data.map(Value::Object) }),
    ]
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let namespace = prop_oneof![Just("/".to_owned()), "/[^,]{0,12}"];
    (namespace, any_body()).prop_map(|(namespace, body)| Packet { namespace, body })
}

fn roomy() -> Limits {
    Limits { attachments_max: 200, ..Limits::default() }
}

proptest! {
    #[test]
    fn a_packet_is_read_as_it_was_written(packet in any_packet()) {
        let encoded = packet.encode().expect("generated packets are well-formed");
        let mut decoder = Decoder::new(roomy());
        let mut read = decoder.text(&encoded.text).expect("what we write we read");
        for attachment in encoded.attachments {
            prop_assert!(read.is_none(), "complete only with the last attachment");
            read = decoder.binary(attachment).expect("what we write we read");
        }
        prop_assert_eq!(read, Some(packet));
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = Decoder::new(Limits::default()).text(&text);
    }

    #[test]
    fn almost_packets_are_read_or_refused(
        text in r#"[0-7](1?[0-9]{0,2}-)?(/[a-z?]{0,3},?)?[0-9]{0,22}[\[{"x,:0-9}\] ]{0,40}"#,
        attachment in vec(any::<u8>(), 0..8),
    ) {
        let mut decoder = Decoder::new(Limits::default());
        if decoder.text(&text) == Ok(None) {
            let _ = decoder.binary(Bytes::from(attachment));
        }
    }

    #[test]
    fn a_stream_of_anything_never_holds_more_than_the_limits(
        steps in vec(prop_oneof![
            vec(any::<u8>(), 0..40).prop_map(Err),
            (0_usize..6).prop_map(|number| Ok(format!(r#"5{number}-["x",{{"_placeholder":true,"num":0}}]"#))),
        ], 0..30),
    ) {
        let limits = Limits { attachments_max: 4, attachment_bytes_max: 64, ..Limits::default() };
        let mut decoder = Decoder::new(limits);
        for step in steps {
            let result = match step {
                Ok(text) => decoder.text(&text),
                Err(bytes) => decoder.binary(Bytes::from(bytes)),
            };
            prop_assert!(decoder.waiting_bytes() <= limits.attachment_bytes_max);
            if result.is_err() {
                decoder = Decoder::new(limits);
            }
        }
    }

    #[test]
    fn a_payload_that_is_accepted_has_no_more_values_and_depth_than_allowed(
        json in any_json(), depth_max in 1_usize..8, values_max in 1_usize..30,
    ) {
        let limits = Limits { json_depth_max: depth_max, json_values_max: values_max, ..Limits::default() };
        let text = format!("2{}", json!(["x", json]));
        let accepted = Decoder::new(limits).text(&text).is_ok();
        let (values, depth) = measure(&json);
        prop_assert_eq!(accepted, depth < depth_max && values + 2 <= slack(values_max, &json));
    }
}

/// The scan counts an empty container as if it held a value: too strict by their number, never too lax.
fn slack(values_max: usize, json: &Value) -> usize {
    values_max - empties(json).min(values_max)
}

fn empties(json: &Value) -> usize {
    match json {
        Value::Array(items) => usize::from(items.is_empty()) + items.iter().map(empties).sum::<usize>(),
        Value::Object(map) => usize::from(map.is_empty()) + map.values().map(empties).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn measure(json: &Value) -> (usize, usize) {
    let below = |values: Vec<(usize, usize)>| {
        let depth = values.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
        (1 + values.iter().map(|(values, _)| *values).sum::<usize>(), 1 + depth)
    };
    match json {
        Value::Array(items) => below(items.iter().map(measure).collect()),
        Value::Object(map) => below(map.values().map(measure).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (1, 0),
    }
}
