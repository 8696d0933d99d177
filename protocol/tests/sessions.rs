//! What `sessions` says, in the words of its document, read and written by both sides.

use chatwright_protocol::{
    dialects::{AppPacket, by_name, sessions::DIALECT},
    vocabulary::{Audience, Command, Event, Member, Message, MessageId, MessageKind, Refusal, RoomId, UserId},
};
use serde_json::{Value, json};

fn alice() -> Member {
    Member { user: UserId::from("user-123"), name: "Alice".to_owned() }
}

fn decode(name: &str, args: Vec<Value>) -> Result<Command, Refusal> {
    (DIALECT.server.decode)(&AppPacket::Event { name: name.to_owned(), args })
}

fn join() -> Command {
    Command::Join { room: RoomId::from("session-456"), kind: None, participants: Vec::new(), claimed: Some(alice()) }
}

fn hello() -> Command {
    Command::Send {
        to: Audience::Here,
        text: "Hello, world!".to_owned(),
        kind: MessageKind::Text,
        attachment: None,
        claimed: Some(alice()),
        sent_at_ms: Some(1_700_000_000_000),
    }
}

#[test]
fn the_registry_knows_it() {
    assert_eq!(by_name("sessions").unwrap().default_port, 5286);
}

#[test]
fn the_documents_own_examples_are_understood() {
    let asked = json!({"userId": "user-123", "username": "Alice", "roomId": "session-456"});
    assert_eq!(decode("join_room", vec![asked]), Ok(join()));
    let message = json!({"userId": "user-123", "username": "Alice", "content": "Hello, world!", "timestamp": 1_700_000_000_000_u64});
    assert_eq!(decode("send_message", vec![json!({"message": message})]), Ok(hello()));
    assert_eq!(decode("leave_session", Vec::new()), Ok(Command::Quit));
}

#[test]
fn what_a_client_says_is_what_its_server_reads() {
    for command in [join(), hello(), Command::Quit] {
        let packet = (DIALECT.client.encode)(&command).unwrap();
        assert_eq!((DIALECT.server.decode)(&packet), Ok(command));
    }
}

#[test]
fn a_client_cannot_say_what_the_dialect_has_no_words_for() {
    let elsewhere = Audience::Room(RoomId::from("another"));
    for command in [
        Command::join(RoomId::from("r")),
        Command::send(Audience::Here, "nobody says this"),
        Command::Send {
            to: elsewhere,
            text: "x".to_owned(),
            kind: MessageKind::Text,
            attachment: None,
            claimed: Some(alice()),
            sent_at_ms: Some(1),
        },
        Command::Leave { room: RoomId::from("r") },
    ] {
        assert_eq!((DIALECT.client.encode)(&command), None, "{command:?}");
    }
}

#[test]
fn a_field_that_is_missing_or_of_another_type_is_named() {
    let whole = json!({"userId": "u", "username": "n", "content": "c", "timestamp": 1});
    for (field, wrong) in
        [("userId", json!(7)), ("username", json!(null)), ("content", json!({})), ("timestamp", json!("1"))]
    {
        for changed in [Some(wrong), None] {
            let mut message = whole.clone();
            match changed {
                Some(value) => message[field] = value,
                None => drop(message.as_object_mut().unwrap().remove(field)),
            }
            let refusal = decode("send_message", vec![json!({"message": message})]).unwrap_err();
            assert!(matches!(refusal, Refusal::Invalid { field: named, .. } if named == field), "{refusal:?}");
        }
    }
    for args in [vec![], vec![json!("text")], vec![json!([])], vec![json!({"message": "text"})]] {
        assert!(matches!(decode("send_message", args), Err(Refusal::Invalid { .. })));
    }
    assert!(matches!(
        decode("join_room", vec![json!({"userId": "u", "username": "n"})]),
        Err(Refusal::Invalid { field: "roomId", .. })
    ));
    assert_eq!(decode("leave_room", vec![json!({})]), Err(Refusal::UnknownEvent));
}

#[test]
fn a_time_with_a_fraction_is_cut_and_one_before_1970_refused() {
    let sent = |timestamp: Value| {
        decode(
            "send_message",
            vec![json!({"message": {"userId": "u", "username": "n", "content": "c", "timestamp": timestamp}})],
        )
    };
    let Ok(Command::Send { sent_at_ms, .. }) = sent(json!(1_700_000_000_000.75)) else { panic!("it is refused") };
    assert_eq!(sent_at_ms, Some(1_700_000_000_000));
    for wrong in [json!(-1), json!(-0.5), json!(1e300)] {
        assert!(matches!(sent(wrong), Err(Refusal::Invalid { field: "timestamp", .. })));
    }
}

#[test]
fn events_are_said_as_documented_and_read_back() {
    let room = RoomId::from("");
    let message = Message {
        id: MessageId::from(""),
        room: room.clone(),
        sender: alice(),
        text: "Hello!".to_owned(),
        kind: MessageKind::Text,
        attachment: None,
        sent_at_ms: 5,
        sequence: 0,
        receiver: None,
        read_at_ms: None,
    };
    let alice_json = |kind: &str| json!({"eventType": kind, "userId": "user-123", "username": "Alice"});
    let cases = [
        (Event::Joined { room: room.clone(), member: alice() }, "system_message", alice_json("connect")),
        (Event::Returned { room: room.clone(), member: alice() }, "system_message", alice_json("reconnect")),
        (Event::Left { room: room.clone(), member: alice() }, "system_message", alice_json("disconnect")),
        (
            Event::Members { room, users: vec![alice()] },
            "system_message",
            json!({"eventType": "existing_users", "users": [{"userId": "user-123", "username": "Alice"}]}),
        ),
        (
            Event::Message(message),
            "receive_message",
            json!({"userId": "user-123", "username": "Alice", "content": "Hello!", "timestamp": 5}),
        ),
    ];
    for (event, name, payload) in cases {
        let packet = (DIALECT.server.encode)(&event).unwrap().packet();
        assert_eq!(packet, AppPacket::event(name, payload));
        assert_eq!((DIALECT.client.decode)(&packet), Ok(event));
    }
}

#[test]
fn an_event_of_another_shape_is_unreadable_by_name() {
    for (name, payload) in [
        ("system_message", json!({"eventType": "typing", "userId": "u", "username": "n"})),
        ("system_message", json!({"eventType": "connect", "userId": 7, "username": "n"})),
        ("receive_message", json!({"userId": "u", "username": "n", "content": "c", "timestamp": "now"})),
        ("user_joined", json!({})),
    ] {
        assert_eq!((DIALECT.client.decode)(&AppPacket::event(name, payload)).unwrap_err().packet, name);
    }
}
