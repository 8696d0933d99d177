//! What is said and asked by REST.

use http::StatusCode;
use serde_json::json;

use super::{Rest, config, rest, support::Client};

#[tokio::test]
async fn a_post_reaches_the_room_live_and_stands_in_both_histories() {
    let rest = rest().await;
    let mut bob = Client::in_room(rest.address, "bob", "r").await;
    let answer = rest.post_as("alice", "/api/chat/r/message", json!({"message": "hi", "messageType": "image"})).await;
    assert_eq!(answer.status, StatusCode::OK);
    let sent = answer.json();
    assert_eq!((&sent["success"], sent["message"].is_string()), (&json!(true), true));
    let live = bob.event("new_message").await;
    assert_eq!(sent["data"], live);
    assert_eq!(
        (&live["userId"], &live["username"], &live["messageType"]),
        (&json!("alice"), &json!("alice-name"), &json!("image"))
    );
    for path in ["/api/chat/r/history", "/chat/r/history?limit=50"] {
        let answer = rest.get_as("carol", path).await;
        assert_eq!(answer.json(), json!({"success": true, "messages": [live]}), "{path}");
    }
}

#[tokio::test]
async fn room_ids_in_paths_are_percent_decoded_and_hold_any_character() {
    let rest = rest().await;
    for (path, room) in [
        ("a%3Ab%2Fc%20d", "a:b/c d"),
        ("%F0%9F%98%80.%2A", "\u{1F600}.*"),
        ("%2e%2e%2f%2e%2e", "../.."),
        ("%25", "%"),
        ("+", "+"),
        ("%00", "\0"),
        ("$%7Bx%7D", "${x}"),
    ] {
        let data = rest.post_as("alice", &format!("/api/chat/{path}/message"), json!({"message": "hi"})).await.json();
        assert_eq!(data["data"]["roomId"], json!(room), "{path}");
        let users = rest.get_as("alice", &format!("/api/chat/{path}/users")).await.json();
        assert_eq!(users, json!({"success": true, "roomId": room, "userCount": 0, "users": []}));
        assert_eq!(
            rest.get_as("alice", &format!("/api/chat/{path}/history")).await.json()["messages"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    for path in ["%FF", "", &"x".repeat(129)] {
        assert_eq!(rest.get_as("alice", &format!("/api/chat/{path}/history")).await.refusal().0, 400, "{path}");
    }
}

#[tokio::test]
async fn limit_takes_the_newest_and_is_taken_for_the_nearest_allowed() {
    let mut config = config();
    config.limits.history_max = 60;
    let rest = Rest::start(config).await;
    for number in 0..70 {
        rest.post_as("alice", "/api/chat/r/message", json!({"message": number.to_string()})).await;
    }
    for (query, count) in [
        ("", 50),
        ("?limit=3", 3),
        ("?limit=0", 1),
        ("?limit=-7", 1),
        ("?limit=61", 60),
        ("?limit=99999999999999999999999", 60),
    ] {
        let messages = rest.get_as("alice", &format!("/api/chat/r/history{query}")).await.json()["messages"].clone();
        let texts: Vec<&str> =
            messages.as_array().unwrap().iter().map(|message| message["message"].as_str().unwrap()).collect();
        let expected: Vec<String> = (70 - count..70).map(|number| number.to_string()).collect();
        assert_eq!(texts, expected, "{query}");
    }
    for query in ["?limit=ten", "?limit=", "?limit=1e3", "?limit=--1", "?limit=1&limit=2", "?limit=%FF"] {
        assert_eq!(rest.get_as("alice", &format!("/api/chat/r/history{query}")).await.refusal().0, 400, "{query}");
    }
}

#[tokio::test]
async fn users_and_socket_info_show_who_is_there_and_no_session_id() {
    let rest = rest().await;
    let alice = Client::in_room(rest.address, "alice", "r").await;
    let _second = Client::in_room(rest.address, "alice", "r").await;
    let _bob = Client::connect(rest.address, "bob").await;
    let users = rest.get_as("carol", "/api/chat/r/users").await;
    assert_eq!(users.json(), json!({"success": true, "roomId": "r", "userCount": 1, "users": ["alice"]}));
    let info = rest.get_as("carol", "/api/socket-info").await;
    let json = info.json();
    assert_eq!((&json["success"], &json["totalConnections"]), (&json!(true), &json!(3)));
    let connections = json["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 3);
    let of_alice = connections.iter().find(|connection| connection["userId"] == "alice").unwrap();
    assert_eq!(
        (&of_alice["username"], &of_alice["rooms"], &of_alice["connected"]),
        (&json!("alice-name"), &json!(["r"]), &json!(true))
    );
    assert!(connections.iter().any(|connection| connection["userId"] == "bob" && connection["rooms"] == json!([])));
    let secret = alice.handshake["sid"].as_str().unwrap();
    for answer in [&info, &users, &rest.anonymous("GET", "/health", json!(null)).await] {
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
}
