//! The dialect `rooms`: what one side says, the other side understands.

use chatwright_protocol::{
    dialects::{AppPacket, rooms::DIALECT},
    vocabulary::{
        Audience, Command, Event, Member, Message, MessageId, MessageKind, Refusal, RoomId, RoomKind, UserId,
    },
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

fn command(name: &str, payload: Value) -> Result<Command, Refusal> {
    (DIALECT.server.decode)(&AppPacket::event(name, payload))
}

fn event(name: &str, payload: Value) -> Result<Event, String> {
    (DIALECT.client.decode)(&AppPacket::event(name, payload)).map_err(|unreadable| unreadable.packet)
}

fn message() -> Message {
    Message {
        id: MessageId::from(""),
        room: RoomId::from("room-123"),
        sender: Member { user: UserId::from("user-uuid"), name: "jane_doe".to_owned() },
        text: "Hi!".to_owned(),
        kind: MessageKind::Text,
        sent_at_ms: 1_697_280_000_000,
        sequence: 0,
        receiver: None,
        attachment: None,
        read_at_ms: None,
    }
}

fn documented_message() -> Value {
    json!({"roomId": "room-123", "userId": "user-uuid", "username": "jane_doe", "message": "Hi!", "timestamp": 1_697_280_000_000_u64})
}

#[test]
fn the_documented_client_events_are_understood() {
    let room = RoomId::from("room-123");
    let cases = [
        (
            command("authenticate", json!({"userId": "user-uuid", "username": "john_doe"})),
            Command::Authenticate { user: UserId::from("user-uuid"), name: "john_doe".to_owned() },
        ),
        (command("join_room", json!({"roomId": "room-123"})), Command::join(room.clone())),
        (command("leave_room", json!({"roomId": "room-123"})), Command::Leave { room: room.clone() }),
        (
            command("send_message", json!({"roomId": "room-123", "message": "Hello everyone!"})),
            Command::send(Audience::Room(room.clone()), "Hello everyone!"),
        ),
        (
            command("typing", json!({"roomId": "room-123", "isTyping": false})),
            Command::typing(Audience::Room(room), false),
        ),
    ];
    for (understood, expected) in cases {
        assert_eq!(understood, Ok(expected));
    }
}

#[test]
fn a_live_message_is_understood_under_both_documented_names() {
    for name in ["new_message", "message"] {
        assert_eq!(event(name, documented_message()), Ok(Event::Message(message())));
    }
}

#[test]
fn additions_to_documented_objects_are_ignored() {
    let mut payload = documented_message();
    payload["avatar"] = json!({"url": "x"});
    assert_eq!(event("new_message", payload), Ok(Event::Message(message())));
}

#[test]
fn history_members_and_errors_are_understood() {
    let history = Event::History { room: RoomId::from("room-123"), messages: vec![message(), message()] };
    assert_eq!(event("message_history", json!([documented_message(), documented_message()])), Ok(history));
    let users = Event::Members {
        room: RoomId::from(""),
        users: vec![Member::nameless(UserId::from("a")), Member::nameless(UserId::from("b"))],
    };
    assert_eq!(event("room_users", json!(["a", "b"])), Ok(users));
    assert_eq!(event("error", json!({"message": "Not authenticated"})), Ok(Event::Refused(Refusal::NotAuthenticated)));
}

#[test]
fn more_history_is_asked_for_by_the_encoded_room_and_read_from_the_documented_answer() {
    let route = DIALECT.client.history.expect("rooms has one");
    let target = (route.target)(&RoomId::from("a:b/c d.é"), 200);
    assert_eq!(target, "/api/chat/a%3Ab%2Fc%20d.%C3%A9/history?limit=200");
    let answer = json!({"success": true, "messages": [documented_message()]});
    assert_eq!((route.decode)(&answer), Ok(vec![message()]));
    assert!((route.decode)(&json!({"success": false, "error": "no"})).is_err());
}

#[test]
fn a_command_that_is_not_well_formed_is_refused_by_field() {
    let field = |result: Result<Command, Refusal>| match result {
        Err(Refusal::Invalid { field, .. }) => field,
        other => panic!("expected an invalid field, got {other:?}"),
    };
    assert_eq!(
        field((DIALECT.server.decode)(&AppPacket::Event { name: "join_room".to_owned(), args: Vec::new() })),
        "payload"
    );
    assert_eq!(field(command("join_room", json!("room-123"))), "payload");
    assert_eq!(field(command("join_room", json!({}))), "roomId");
    assert_eq!(field(command("join_room", json!({"roomId": 7}))), "roomId");
    assert_eq!(field(command("join_room", json!({"roomId": "r", "type": "channel"}))), "type");
    assert_eq!(field(command("join_room", json!({"roomId": "r", "participants": "a"}))), "participants");
    assert_eq!(field(command("join_room", json!({"roomId": "r", "participants": ["a", 1]}))), "participants");
    assert_eq!(field(command("send_message", json!({"roomId": "r"}))), "message");
    assert_eq!(field(command("send_message", json!({"roomId": "r", "message": ["x"]}))), "message");
    assert_eq!(
        field(command("send_message", json!({"roomId": "r", "message": "x", "messageType": "system"}))),
        "messageType"
    );
    assert_eq!(field(command("typing", json!({"roomId": "r", "isTyping": "yes"}))), "isTyping");
    assert_eq!(field(command("authenticate", json!({"userId": "u"}))), "username");
    assert_eq!(command("shout", json!({})), Err(Refusal::UnknownEvent));
    assert_eq!((DIALECT.server.decode)(&AppPacket::Json(json!({}))), Err(Refusal::UnknownEvent));
}

#[test]
fn an_event_that_is_not_as_documented_is_unreadable_by_name() {
    for (name, payload) in [
        ("new_message", json!({"roomId": "r"})),
        ("new_message", json!({"roomId": "r", "userId": "u", "username": "n", "message": "m", "timestamp": "noon"})),
        ("message_history", json!({})),
        ("room_users", json!([1])),
        ("user_joined", json!({"roomId": "r"})),
        ("user_typing", json!({"userId": "u", "username": "n", "isTyping": 1})),
        ("shout", json!({})),
    ] {
        assert_eq!(event(name, payload), Err(name.to_owned()));
    }
}

fn any_room() -> impl Strategy<Value = RoomId> {
    any::<String>().prop_map(RoomId::from)
}

fn any_member() -> impl Strategy<Value = Member> {
    (any::<String>(), any::<String>()).prop_map(|(user, name)| Member { user: UserId::from(user), name })
}

fn any_command() -> impl Strategy<Value = Command> {
    let kind = prop_oneof![Just(None), Just(Some(RoomKind::Direct)), Just(Some(RoomKind::Group))];
    let content = prop_oneof![Just(MessageKind::Text), Just(MessageKind::Image), Just(MessageKind::File)];
    let users = vec(any::<String>().prop_map(UserId::from), 0..4);
    prop_oneof![
        any_member().prop_map(|Member { user, name }| Command::Authenticate { user, name }),
        (any_room(), kind, users).prop_map(|(room, kind, participants)| Command::Join {
            room,
            kind,
            participants,
            claimed: None
        }),
        any_room().prop_map(|room| Command::Leave { room }),
        (any_room(), any::<String>(), content).prop_map(|(room, text, kind)| Command::Send {
            to: Audience::Room(room),
            text,
            kind,
            attachment: None,
            claimed: None,
            sent_at_ms: None
        }),
        (any_room(), any::<bool>()).prop_map(|(room, active)| Command::typing(Audience::Room(room), active)),
    ]
}

fn any_message(room: RoomId) -> impl Strategy<Value = Message> {
    let kind = prop_oneof![
        Just(MessageKind::Text),
        Just(MessageKind::Image),
        Just(MessageKind::File),
        Just(MessageKind::System)
    ];
    (any::<String>(), any_member(), any::<String>(), kind, any::<u64>(), 1_u64..).prop_map(
        move |(id, sender, text, kind, sent_at_ms, sequence)| Message {
            id: MessageId::from(id),
            room: room.clone(),
            sender,
            text,
            kind,
            sent_at_ms,
            sequence,
            receiver: None,
            attachment: None,
            read_at_ms: None,
        },
    )
}

fn any_event() -> impl Strategy<Value = Event> {
    let refusal = prop_oneof![
        Just(Refusal::NotAuthenticated),
        Just(Refusal::NotMember),
        Just(Refusal::UnknownEvent),
        Just(Refusal::Unavailable),
    ];
    prop_oneof![
        any_room().prop_flat_map(any_message).prop_map(Event::Message),
        any_room()
            .prop_flat_map(|room| (Just(room.clone()), vec(any_message(room), 1..4)))
            .prop_map(|(room, messages)| Event::History { room, messages }),
        vec(any::<String>().prop_map(UserId::from), 0..4)
            .prop_map(|users| users.into_iter().map(Member::nameless).collect())
            .prop_map(|users| Event::Members { room: RoomId::from(""), users }),
        (any_room(), any_member()).prop_map(|(room, member)| Event::Joined { room, member }),
        (any_room(), any_member()).prop_map(|(room, member)| Event::Left { room, member }),
        (any_room(), any_member(), any::<bool>()).prop_map(|(room, member, active)| Event::Typing {
            room,
            member,
            active
        }),
        refusal.prop_map(Event::Refused),
    ]
}

proptest! {
    #[test]
    fn what_a_client_says_a_server_understands(command in any_command()) {
        let packet = (DIALECT.client.encode)(&command).expect("rooms has words for each command");
        prop_assert_eq!((DIALECT.server.decode)(&packet), Ok(command));
    }

    #[test]
    fn what_a_server_says_a_client_understands(event in any_event()) {
        let packet = (DIALECT.server.encode)(&event).expect("rooms has words for each event").packet();
        prop_assert_eq!((DIALECT.client.decode)(&packet), Ok(event));
    }
}
