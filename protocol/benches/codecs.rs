//! What one chat message costs to write and to read, layer by layer: `cargo bench -p chatwright-protocol`.

use std::hint::black_box;

use chatwright_protocol::{
    dialects::{AppPacket, rooms::DIALECT},
    engine_io::{
        self,
        payload::{self, Writer},
    },
    socket_io::{Arg, Body, Decoder, Limits, Packet},
    vocabulary::{Event, Member, Message, MessageId, MessageKind, RoomId, UserId},
};
use criterion::{Criterion, criterion_group, criterion_main};

/// About 250 bytes on the wire, as in most chats.
fn message() -> Event {
    Event::Message(Message {
        id: MessageId::from("0193a7d0-6a2e-7c11-9b1e-2f7a51a6c3de"),
        room: RoomId::from("room-123"),
        sender: Member { user: UserId::from("user-uuid"), name: "jane_doe".to_owned() },
        text: "x".repeat(100),
        kind: MessageKind::Text,
        sent_at_ms: 1_697_280_000_000,
        sequence: 17,
        receiver: None,
        attachment: None,
        read_at_ms: None,
    })
}

fn packet(event: &Event) -> Packet {
    match (DIALECT.server.encode)(event).expect("rooms has words for a message").packet() {
        AppPacket::Event { name, args } => Packet::event(&name, args),
        AppPacket::Json(_) => unreachable!("rooms speaks Socket.IO"),
    }
}

fn codecs(criterion: &mut Criterion) {
    let event = message();
    let text = packet(&event).encode().expect("well-formed").text;
    let frame = format!("4{text}");
    criterion.bench_function("message: event -> socket.io text", |bencher| {
        bencher.iter(|| packet(black_box(&event)).encode().map(|encoded| encoded.text.len()));
    });
    criterion.bench_function("message: frame -> engine.io -> socket.io -> event", |bencher| {
        let mut decoder = Decoder::new(Limits::default());
        bencher.iter(|| {
            let Ok(engine_io::Packet::Text(text)) = engine_io::Packet::decode_text(black_box(&frame)) else {
                unreachable!("a message frame")
            };
            let Ok(Some(Packet { body: Body::Event { name, args, .. }, .. })) = decoder.text(&text) else {
                unreachable!("an event")
            };
            let args = args.into_iter().filter_map(Arg::into_json).collect();
            (DIALECT.client.decode)(&AppPacket::Event { name, args })
        });
    });
    criterion.bench_function("polling: 100 messages -> payload -> packets", |bencher| {
        bencher.iter(|| {
            let mut writer = Writer::new(payload::Limits::default());
            for _ in 0..100 {
                writer.push(&engine_io::Packet::text(black_box(&text))).expect("fits");
            }
            payload::decode(&writer.take(), payload::Limits::default()).map(|packets| packets.len())
        });
    });
}

criterion_group!(benches, codecs);
criterion_main!(benches);
