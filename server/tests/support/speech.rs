//! What is said in `sessions`, and said again until it is heard: for tests in which the way between instances comes and goes.
#![expect(unreachable_pub, reason = "shared by test binaries, which export nothing")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Got, PATIENCE};

/// Says it once.
pub async fn say(client: &mut Client, user: &str, text: &str) {
    let message = json!({"userId": user, "username": "x", "content": text, "timestamp": 1});
    client.emit("send_message", json!({"message": message})).await;
}

/// Says it again and again until somebody hears it; answers with the notices that came meanwhile.
pub async fn until_heard(speaker: &mut Client, user: &str, listener: &mut Client, text: &str) -> Vec<Value> {
    let mut notices = Vec::new();
    let hearing = async {
        loop {
            match listener.next().await {
                Got::Event(name, data) if name == "receive_message" && data["content"] == text => return,
                Got::Event(name, data) if name == "system_message" => notices.push(data),
                Got::Event(..) | Got::Ack(..) => {}
                end @ (Got::Disconnected | Got::End) => panic!("{end:?}"),
            }
        }
    };
    let speaking = async {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            say(speaker, user, text).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = hearing => {}
        () = speaking => panic!("{text} is never heard"),
    }
    notices
}
