//! What the log says of a connection's life, and what it never says.

mod support;

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use support::{Client, server};
use tracing_subscriber::fmt::MakeWriter;

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("the log").clone()).expect("UTF-8")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coming_and_going_is_logged_and_no_secret_ever_is_at_whatever_level() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    subscriber.with_ansi(false).init();
    let server = server::alone().await;
    let token = server::token("alice", Duration::from_secs(60));
    let mut alice = Client::try_connect(server.address, json!({"token": token})).await.expect("let in");
    alice.join("room").await;
    alice.emit("send_message", json!({"roomId": "room", "message": "a private word"})).await;
    alice.event("new_message").await;
    let id = server.server.core().registry().all()[0].id().to_string();
    let session = alice.handshake["sid"].as_str().expect("a session id").to_owned();
    let foreign = format!("{token}x");
    assert!(Client::try_connect(server.address, json!({"token": foreign})).await.is_err());
    alice.raw("41").await;
    let gone = format!("Client disconnected: {id} Reason: client left");
    for _ in 0..100 {
        if log.text().contains(&gone) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = log.text();
    assert!(text.contains(&gone), "{text}");
    assert!(text.contains(&format!("Client connected: {id} User: alice")), "{text}");
    for (what, secret) in [("token", &token), ("session id", &session), ("text", &"a private word".to_owned())] {
        assert!(!text.contains(secret), "a {what} stands in the log");
    }
}
