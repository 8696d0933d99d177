//! `direct` is said and read as `003_5f29725af85c9ec0.txt` shows it, by both sides.

use chatwright_protocol::{
    dialects::{
        AppPacket,
        direct::{DIALECT, conversation},
    },
    vocabulary::{Audience, Command, Event, Member, Message, MessageId, MessageKind, Refusal, RoomId, UserId},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn decode(name: &str, payload: Value) -> Result<Command, Refusal> {
    (DIALECT.server.decode)(&AppPacket::event(name, payload))
}

fn message() -> Message {
    Message {
        id: MessageId::from("65570f2a9c1b2d3e4f5a6b7c"),
        room: RoomId::from("alice_bob"),
        sender: Member::nameless(UserId::from("alice")),
        text: "Hi Bob!".to_owned(),
        kind: MessageKind::Image,
        attachment: Some("http://files.example/1.png".to_owned()),
        sent_at_ms: 1_731_753_000_000,
        sequence: 3,
        receiver: Some(UserId::from("bob")),
        read_at_ms: Some(1_731_753_001_000),
    }
}

#[test]
fn every_documented_client_event_is_understood() {
    let both = json!({"userId": "alice", "targetUserId": "bob"});
    let (alice, bob) = (UserId::from("alice"), UserId::from("bob"));
    let to = Audience::Users(vec![bob.clone()]);
    let claimed = Some(alice.clone());
    assert_eq!(
        decode("user_join", json!("alice")),
        Ok(Command::Authenticate { user: alice.clone(), name: String::new() })
    );
    assert_eq!(
        decode("start_chat", both.clone()),
        Ok(Command::OpenChat { peer: bob.clone(), claimed: claimed.clone() })
    );
    assert_eq!(decode("end_chat", both.clone()), Ok(Command::CloseChat { peer: bob, claimed: claimed.clone() }));
    let typing = |active| Ok(Command::Typing { to: to.clone(), active, claimed: claimed.clone() });
    assert_eq!(decode("user_typing", both.clone()), typing(true));
    assert_eq!(decode("user_stop_typing", both), typing(false));
    assert_eq!(
        decode("load_chat_history", json!({"userId": "alice", "targetUserId": "bob", "limit": 50})),
        Ok(Command::LoadHistory { of: to.clone(), before: None, limit: Some(50), claimed })
    );
    assert_eq!(
        decode("send_message", json!({"userId": "alice", "targetUserId": "bob", "message": "Hello!"})),
        Ok(Command::Send {
            to,
            text: "Hello!".to_owned(),
            kind: MessageKind::Text,
            attachment: None,
            claimed: Some(Member::nameless(alice)),
            sent_at_ms: None
        })
    );
    assert_eq!(
        decode("mark_as_read", json!({"conversationId": "alice_bob", "messageIds": ["m1", "m2"]})),
        Ok(Command::MarkRead {
            room: RoomId::from("alice_bob"),
            messages: vec![MessageId::from("m1"), MessageId::from("m2")]
        })
    );
}

#[test]
fn broken_payloads_are_refused_with_the_field_that_is_wrong() {
    for (name, payload) in [
        ("user_join", json!(7)),
        ("user_join", json!({})),
        ("send_message", json!("text")),
        ("send_message", json!({"userId": "a", "targetUserId": "b"})),
        ("send_message", json!({"targetUserId": 1, "message": "x"})),
        ("send_message", json!({"targetUserId": "b", "message": "x", "messageType": "system"})),
        ("load_chat_history", json!({"targetUserId": "b", "limit": "50"})),
        ("load_chat_history", json!({"targetUserId": "b", "limit": 1.5})),
        ("mark_as_read", json!({"conversationId": "a_b", "messageIds": "m1"})),
        ("mark_as_read", json!({"messageIds": []})),
    ] {
        assert!(matches!(decode(name, payload.clone()), Err(Refusal::Invalid { .. })), "{name} {payload}");
    }
    assert_eq!(decode("join_room", json!({})), Err(Refusal::UnknownEvent));
}

#[test]
fn a_new_message_holds_all_documented_fields() {
    let AppPacket::Event { name, args } = (DIALECT.server.encode)(&Event::Message(message())).unwrap().packet() else {
        panic!("a Socket.IO event was expected");
    };
    assert_eq!(name, "new_message");
    assert_eq!(
        args[0],
        json!({
            "_id": "65570f2a9c1b2d3e4f5a6b7c", "conversationId": "alice_bob", "senderId": "alice",
            "receiverId": "bob", "message": "Hi Bob!", "messageType": "image",
            "attachmentUrl": "http://files.example/1.png", "isRead": true, "readAt": "2024-11-16T10:30:01.000Z",
            "createdAt": "2024-11-16T10:30:00.000Z", "sequence": 3
        })
    );
}

#[test]
fn a_client_reads_what_the_server_says() {
    let events = [
        Event::Message(message()),
        Event::History { room: RoomId::from("alice_bob"), messages: vec![message()] },
        Event::Typing { room: RoomId::from("alice_bob"), member: Member::nameless(UserId::from("bob")), active: false },
        Event::Read {
            room: RoomId::from("alice_bob"),
            messages: vec![MessageId::from("m1")],
            read_at_ms: 1_731_753_000_123,
        },
        Event::ChatOpened { room: RoomId::from("alice_bob"), by: UserId::from("bob") },
        Event::ChatClosed { room: RoomId::from("alice_bob"), by: UserId::from("bob") },
        Event::Presence { user: UserId::from("bob"), online: false, at_ms: 1_731_753_000_123 },
        Event::Refused(Refusal::NotAuthenticated),
    ];
    for event in events {
        let packet = (DIALECT.server.encode)(&event).unwrap().packet();
        assert_eq!((DIALECT.client.decode)(&packet), Ok(event));
    }
    let sent = (DIALECT.server.encode)(&Event::Sent(message())).unwrap().packet();
    let Ok(Event::Sent(read)) = (DIALECT.client.decode)(&sent) else { panic!("message_sent was expected") };
    assert_eq!((read.id, read.text, read.sequence), (message().id, message().text, 3));
}

#[test]
fn a_strangers_populated_users_are_read() {
    let payload = json!({
        "_id": "m", "conversationId": "a_b", "senderId": {"_id": "a", "name": "Alice"},
        "receiverId": {"_id": "b"}, "message": "x", "createdAt": "2024-11-16T10:30:00Z"
    });
    let Ok(Event::Message(message)) = (DIALECT.client.decode)(&AppPacket::event("new_message", payload)) else {
        panic!("a message was expected");
    };
    assert_eq!(message.sender, Member { user: UserId::from("a"), name: "Alice".to_owned() });
    assert_eq!(message.receiver, Some(UserId::from("b")));
}

#[test]
fn two_pairs_whose_ids_join_alike_have_two_conversations() {
    let user = UserId::from;
    assert_ne!(conversation::id_of(&user("a_b"), &user("c")), conversation::id_of(&user("a"), &user("b_c")));
    assert_eq!(conversation::id_of(&user("b"), &user("a")).as_str(), "a_b");
    assert_eq!(conversation::id_of(&user("x:read"), &user("a")).as_str(), "a_x%3Aread");
    for odd in ["", "a", "_", "a_", "b_a", "a_b_c", "a%_b", "a%41_b", "a_%5f"] {
        assert_eq!(conversation::users_of(&RoomId::from(odd)), None, "{odd}");
    }
}

proptest! {
    #[test]
    fn a_conversation_names_its_two_users_whatever_their_ids_hold(one in ".{1,20}", other in "[_:%A-F0-9é]{1,20}") {
        let (one, other) = (UserId::from(one), UserId::from(other));
        let id = conversation::id_of(&one, &other);
        prop_assert_eq!(&id, &conversation::id_of(&other, &one));
        prop_assert_eq!(conversation::peer_of(&id, &one), Some(other.clone()));
        prop_assert_eq!(conversation::peer_of(&id, &other), Some(one));
        prop_assert_eq!(conversation::peer_of(&id, &UserId::from("somebody else, nobody here")), None);
    }
}
