//! Our client and the official server understand each other, over each transport. Without Node: not run, and said so.

#[path = "../examples/interop_client/conversation.rs"]
mod conversation;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use chatwright_client_sdk::Transports;

/// Ends when its standard input is closed, which is when this is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// `None` if Node or the installed packages are missing here.
    fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/clients/js");
        if !folder.join("node_modules/socket.io").exists() {
            return None;
        }
        let mut process = Command::new("node")
            .args(["server.js", "--ping-interval", "250", "--ping-timeout", "1500"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(process.stdout.take()?);
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        // The rest is read so that the server never waits for us.
        std::thread::spawn(move || lines.lines().for_each(drop));
        let first: serde_json::Value = serde_json::from_str(&line).ok()?;
        let url = format!("http://127.0.0.1:{}", first["listening"].as_u64()?);
        Some(Self { process, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().expect("it was started");
    }
}

async fn converse_over(transports: Transports) {
    let Some(server) = Server::start() else {
        assert!(
            std::env::var_os("CHATWRIGHT_REQUIRE_BACKENDS").is_none(),
            "Node or fixtures/clients/js/node_modules is missing: run `npm ci` there"
        );
        #[expect(clippy::print_stderr, reason = "a test that does not run says so")]
        {
            eprintln!("NOT RUN: Node or fixtures/clients/js/node_modules is missing: run `npm ci` there");
        }
        return;
    };
    let mut steps = Vec::new();
    let outcome = conversation::converse(&server.url, transports, &mut |step| steps.push(step.to_owned())).await;
    assert_eq!(outcome, Ok(()), "after {steps:?}");
}

#[tokio::test]
async fn our_client_and_the_official_server_understand_each_other_over_websocket() {
    converse_over(Transports::WebSocket).await;
}

#[tokio::test]
async fn our_client_and_the_official_server_understand_each_other_over_polling() {
    converse_over(Transports::Polling).await;
}

#[tokio::test]
async fn our_client_and_the_official_server_understand_each_other_through_an_upgrade() {
    converse_over(Transports::PollingThenWebSocket).await;
}
