//! The dialect `rooms` end to end over a WebSocket, everything in memory.

mod support;

use serde_json::json;
use support::{Client, Got, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_reaches_every_member_once_its_sender_too() {
    let server = server::alone().await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let mut bob = Client::in_room(server.address, "bob", "room").await;
    assert_eq!(alice.event("user_joined").await, json!({"roomId": "room", "userId": "bob", "username": "bob-name"}));
    alice.emit("send_message", json!({"roomId": "room", "message": "hi"})).await;
    for client in [&mut alice, &mut bob] {
        let message = client.event("new_message").await;
        assert_eq!(message["roomId"], "room");
        assert_eq!(message["userId"], "alice");
        assert_eq!(message["username"], "alice-name");
        assert_eq!(message["message"], "hi");
        assert_eq!(message["messageType"], "text");
        assert!(message["timestamp"].is_u64());
        client.nothing_more().await;
    }
}
