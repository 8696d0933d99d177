//! Other services learn of each message, from the file of events.

mod support;

use std::time::Duration;

use chatwright_server::Config;
use serde_json::{Value, json};
use support::{Client, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_becomes_one_event_that_names_the_receiver_in_a_direct_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.jsonl");
    let server = server::with(Config { events_file: Some(path.clone()), ..server::config() }).await;
    let mut alice = Client::connect(server.address, "alice").await;
    alice.emit("join_room", json!({"roomId": "direct", "type": "direct", "participants": ["alice", "bob"]})).await;
    alice.until("room_users").await;
    alice.join("group").await;
    for room in ["direct", "group"] {
        alice.emit("send_message", json!({"roomId": room, "message": format!("to {room}")})).await;
        alice.event("new_message").await;
    }
    let refused = alice.ask("send_message", json!({"roomId": "group", "message": " "})).await;
    assert_eq!(refused["ok"], false);
    server.server.drain(Duration::from_secs(2)).await;
    let text = tokio::fs::read_to_string(&path).await.expect("the file");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let seen: Vec<(&Value, &Value, &Value)> = events
        .iter()
        .map(|event| (&event["data"]["roomId"], &event["data"]["receiverId"], &event["data"]["message"]))
        .collect();
    let expected =
        [(json!("direct"), json!("bob"), json!("to direct")), (json!("group"), Value::Null, json!("to group"))];
    assert_eq!(seen, expected.each_ref().map(|(room, receiver, text)| (room, receiver, text)));
    assert!(events.iter().all(|event| event["eventType"] == "message.sent" && event["data"]["senderId"] == "alice"));
}
