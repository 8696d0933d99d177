//! `conversations`, the server's side: a frame that is read at once says what its tree of values says.

use chatwright_protocol::{
    dialects::{AppPacket, conversations::server},
    vocabulary::{Audience, Command, Refusal, UserId},
};
use proptest::{collection::vec, prelude::*, sample::select};

fn by_tree(frame: &str) -> Result<Command, Refusal> {
    server::decode(&AppPacket::Json(serde_json::from_str(frame).unwrap_or_default()))
}

fn send(users: &[&str], text: &str) -> Command {
    Command::send(Audience::Users(users.iter().map(|&user| UserId::from(user)).collect()), text)
}

#[test]
fn a_message_as_documented_is_read_at_once_in_whatever_order_its_fields_stand() {
    for (frame, command) in [
        (r#"{"type":"send_message","recipientIds":["bob","carol"],"content":"hi"}"#, send(&["bob", "carol"], "hi")),
        (r#" {"content":"\u00e4\n\"","recipientIds":["b\tb"],"type":"send_message"}"#, send(&["b\tb"], "ä\n\"")),
        (r#"{"recipientIds":[],"type":"send\u005fmessage","content":""} "#, send(&[], "")),
    ] {
        assert_eq!(server::decode_text(frame).as_ref(), Some(&command), "{frame}");
        assert_eq!(by_tree(frame), Ok(command), "{frame}");
    }
}

#[test]
fn anything_else_is_left_to_the_tree() {
    for frame in [
        r#"["send_message",["bob"],"hi"]"#,
        r#"{"type":{"send_message":null},"recipientIds":["bob"],"content":"hi"}"#,
        r#"{"type":"typing","conversationId":"c"}"#,
        r#"{"type":"typing","recipientIds":["bob"],"content":"hi"}"#,
        r#"{"type":"send_message","recipientIds":["bob"],"content":"hi","note":1}"#,
        r#"{"type":"send_message","recipientIds":["bob"],"content":"hi","content":"ho"}"#,
        r#"{"type":"send_message","recipientIds":["bob",1],"content":"hi"}"#,
        r#"{"type":"send_message","recipientIds":"bob","content":"hi"}"#,
        r#"{"type":"send_message","recipientIds":["bob"],"content":null}"#,
        r#"{"type":"send_message","recipientIds":["bob"]}"#,
        r#"{"type":"send_message","recipientIds":["bob"],"content":"hi"}]"#,
        r#"{"type":"send_message","recipientIds":["bob"],"content":"\ud800"}"#,
        "",
    ] {
        assert_eq!(server::decode_text(frame), None, "{frame}");
    }
}

/// Frames of whatever fields, most of them near to a message.
fn frames() -> impl Strategy<Value = String> {
    let key = select(vec!["type", "recipientIds", "content", "Content", "type\\u0000", "cont\\u0065nt"]);
    let value = prop_oneof![
        select(vec![
            "\"send_message\"",
            "\"auth\"",
            "null",
            "1",
            "1e999",
            "{}",
            "[]",
            "[[\"a\"]]",
            "\"\\ud83d\"",
            "\""
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        vec(any::<String>(), 0..4).prop_map(|texts| serde_json::Value::from(texts).to_string()),
    ];
    let field = (key, value).prop_map(|(key, value)| format!("\"{key}\": {value}"));
    let message = (any::<String>(), vec(any::<String>(), 0..4)).prop_map(|(text, users)| {
        let (text, users) = (serde_json::Value::from(text), serde_json::Value::from(users));
        vec!["\"type\":\"send_message\"".to_owned(), format!("\"recipientIds\":{users}"), format!("\"content\":{text}")]
    });
    let fields = (message, vec(field, 0..2)).prop_map(|(mut fields, more)| {
        fields.extend(more);
        fields
    });
    (fields.prop_shuffle(), 0..5_usize, select(vec!["{}", "[]", " {} ", "{},", "{"])).prop_map(
        |(mut fields, kept, around)| {
            fields.truncate(kept);
            let (before, behind) = around.split_at(around.find(['}', ']']).unwrap_or(around.len()));
            format!("{before}{}{behind}", fields.join(","))
        },
    )
}

proptest! {
    #[test]
    fn what_is_read_at_once_is_what_the_tree_says(frame in frames()) {
        if let Some(command) = server::decode_text(&frame) {
            prop_assert_eq!(by_tree(&frame), Ok(command));
        }
    }

    #[test]
    fn each_message_of_strings_is_read_at_once(users in vec(any::<String>(), 0..8), text in any::<String>()) {
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        let frame = serde_json::json!({"type": "send_message", "recipientIds": users, "content": text}).to_string();
        prop_assert_eq!(server::decode_text(&frame), Some(send(&users, &text)));
    }
}
