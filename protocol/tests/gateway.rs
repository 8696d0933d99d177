//! The translations of `gateway`, checked against frames written by hand from the document.

use chatwright_protocol::{
    dialects::{
        AppPacket,
        gateway::{DIALECT, client},
    },
    vocabulary::{Audience, Command, Event, Member, Message, MessageId, MessageKind, Refusal, RoomId, UserId},
};
use serde_json::{Value, json};

fn decoded(event: &str, payload: Value) -> Result<Command, Refusal> {
    (DIALECT.server.decode)(&AppPacket::event(event, payload))
}

fn message() -> Message {
    Message {
        id: MessageId::from("65f0c0ffee65f0c0ffee65f0"),
        room: RoomId::from("general"),
        sender: Member { user: UserId::from("7"), name: "Ann".to_owned() },
        text: "hi".to_owned(),
        kind: MessageKind::Text,
        attachment: None,
        sent_at_ms: 1_728_887_400_123,
        sequence: 0,
        receiver: None,
        read_at_ms: None,
    }
}

#[test]
fn a_room_is_joined_by_its_bare_name_or_by_an_object() {
    let wanted = Ok(Command::join(RoomId::from("general")));
    assert_eq!(decoded("joinRoom", json!("general")), wanted);
    assert_eq!(decoded("joinRoom", json!({"roomId": "general"})), wanted);
    for payload in [json!(7), json!(null), json!({}), json!({"roomId": 7}), json!(["general"])] {
        assert!(matches!(decoded("joinRoom", payload), Err(Refusal::Invalid { field: "roomId", .. })));
    }
}

#[test]
fn a_message_names_its_speaker_as_a_claim() {
    let payload = json!({"roomId": "r", "userId": "7", "username": "Ann", "text": "hi", "timestamp": 12});
    let wanted = Command::Send {
        to: Audience::Room(RoomId::from("r")),
        text: "hi".to_owned(),
        kind: MessageKind::Text,
        attachment: None,
        claimed: Some(Member { user: UserId::from("7"), name: "Ann".to_owned() }),
        sent_at_ms: Some(12),
    };
    assert_eq!(decoded("sendMessage", payload.clone()), Ok(wanted.clone()));
    assert_eq!(
        client::encode(&wanted),
        Some(AppPacket::event(
            "sendMessage",
            json!({
                "roomId": "r", "text": "hi", "userId": "7", "username": "Ann", "timestamp": 12
            })
        ))
    );
}

#[test]
fn fields_of_another_type_are_refused() {
    for payload in [
        json!("text"),
        json!({"text": "hi"}),
        json!({"roomId": "r"}),
        json!({"roomId": 1, "text": "hi"}),
        json!({"roomId": "r", "text": ["hi"]}),
        json!({"roomId": "r", "text": "hi", "userId": 7}),
        json!({"roomId": "r", "text": "hi", "username": {}}),
        json!({"roomId": "r", "text": "hi", "timestamp": {}}),
    ] {
        assert!(matches!(decoded("sendMessage", payload.clone()), Err(Refusal::Invalid { .. })), "{payload}");
    }
    assert_eq!(decoded("leaveRoom", json!("r")), Err(Refusal::UnknownEvent));
}

#[test]
fn what_the_server_writes_the_client_reads_again() {
    let packet = (DIALECT.server.encode)(&Event::Message(message())).expect("the dialect has words for it").packet();
    assert_eq!(
        packet,
        AppPacket::event(
            "receiveMessage",
            json!({
                "_id": "65f0c0ffee65f0c0ffee65f0", "roomId": "general", "userId": "7", "username": "Ann", "text": "hi",
                "timestamp": 1_728_887_400_123_u64
            })
        )
    );
    assert_eq!(client::decode(&packet), Ok(Event::Message(message())));
}

#[test]
fn a_stranger_may_leave_out_the_id_and_write_the_time_as_text() {
    let packet = AppPacket::event(
        "receiveMessage",
        json!({
            "roomId": "general", "userId": "7", "username": "Ann", "text": "hi", "timestamp": "2024-10-14T06:30:00Z"
        }),
    );
    let Ok(Event::Message(read)) = client::decode(&packet) else { panic!("it is readable") };
    assert_eq!((read.text.as_str(), read.sent_at_ms, read.id.as_str()), ("hi", 0, ""));
    assert!(client::decode(&AppPacket::event("receiveMessage", json!({"text": "hi"}))).is_err());
}

#[test]
fn a_room_of_any_characters_stands_in_the_path_of_its_history() {
    let history = DIALECT.client.history.expect("the dialect has one");
    assert_eq!((history.target)(&RoomId::from("a/b ?"), 5), "/messages/history/a%2Fb%20%3F?limit=5");
    assert_eq!((history.decode)(&json!([])), Ok(Vec::new()));
}
