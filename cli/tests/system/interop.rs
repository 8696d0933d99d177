//! The official JavaScript client, the Python client and the Java client hold whole conversations with the reference server, over each
//! transport.

use std::{ffi::OsString, path::PathBuf, process::Command};

use crate::support::{Served, ends_with, fixtures, have_java, have_node, have_python, token};

/// Milliseconds for each wait of a driver: far more than a busy machine takes.
const PATIENCE_MS: &str = "20000";
/// Transports, as all drivers name them.
const TRANSPORTS: [&str; 3] = ["websocket", "polling", "upgrade"];

/// The client of one language.
#[derive(Debug, Clone, Copy)]
enum Client {
    JavaScript,
    Python,
    Java,
}

impl Client {
    fn folder(self) -> PathBuf {
        fixtures().join("clients").join(match self {
            Self::JavaScript => "js",
            Self::Python => "python",
            Self::Java => "java",
        })
    }

    fn is_here(self) -> bool {
        let folder = self.folder();
        match self {
            Self::JavaScript => have_node(&folder),
            Self::Python => have_python(&folder),
            Self::Java => have_java(&folder),
        }
    }

    /// The driver that plays conversations.
    fn driver(self) -> Command {
        let folder = self.folder();
        let (program, arguments): (PathBuf, Vec<OsString>) = match self {
            Self::JavaScript => ("node".into(), vec![folder.join("talk.js").into()]),
            Self::Python => (folder.join(".venv/bin/python"), vec![folder.join("talk.py").into()]),
            Self::Java => {
                let path = format!("{0}/classes:{0}/lib/*", folder.join("target").display());
                ("java".into(), vec!["-cp".into(), path.into(), "chatwright.Talk".into()])
            }
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }
}

/// The conversation of a dialect, over each transport, one after the other with one server that wants to see tokens.
#[track_caller]
fn converses(client: Client, dialect: &str) {
    converses_as(client, dialect, "token");
}

#[track_caller]
fn converses_as(client: Client, dialect: &str, identity: &str) {
    if !client.is_here() {
        return;
    }
    let server = Served::of(dialect, &["--identity", identity]);
    let script = fixtures().join("clients/scripts").join(format!("{dialect}.json"));
    for transport in TRANSPORTS {
        let output = client
            .driver()
            .args(["--url", &server.url, "--transport", transport, "--timeout", PATIENCE_MS])
            .args(["--alice", &token("alice"), "--bob", &token("bob")])
            .arg("--script")
            .arg(&script)
            .output()
            .expect("the driver runs");
        ends_with(&output, 0);
    }
}

#[test]
fn the_javascript_client_is_recovered_over_each_transport() {
    let folder = Client::JavaScript.folder();
    if !Client::JavaScript.is_here() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let config = scratch.path().join("rooms.toml");
    std::fs::write(&config, "[clocks]\nrecovery = \"30s\"\n").expect("a scratch file");
    let server = Served::of("rooms", &["--config", config.to_str().expect("UTF-8")]);
    for transport in TRANSPORTS {
        let output = Command::new("node")
            .arg(folder.join("recovery.js"))
            .args(["--url", &server.url, "--transport", transport, "--timeout", PATIENCE_MS])
            .args(["--alice", &token("alice"), "--bob", &token("bob")])
            .output()
            .expect("the driver runs");
        ends_with(&output, 0);
    }
}

#[test]
fn the_javascript_client_converses_in_rooms() {
    converses(Client::JavaScript, "rooms");
}

#[test]
fn the_python_client_converses_in_rooms() {
    converses(Client::Python, "rooms");
}

#[test]
fn the_java_client_converses_in_rooms() {
    converses(Client::Java, "rooms");
}

#[test]
fn the_javascript_client_converses_in_gateway() {
    converses(Client::JavaScript, "gateway");
}

#[test]
fn the_python_client_converses_in_gateway() {
    converses(Client::Python, "gateway");
}

#[test]
fn the_java_client_converses_in_gateway() {
    converses(Client::Java, "gateway");
}

#[test]
fn the_javascript_client_converses_in_sessions() {
    converses(Client::JavaScript, "sessions");
}

#[test]
fn the_python_client_converses_in_sessions() {
    converses(Client::Python, "sessions");
}

#[test]
fn the_java_client_converses_in_sessions() {
    converses(Client::Java, "sessions");
}

#[test]
fn the_javascript_client_converses_in_direct() {
    converses(Client::JavaScript, "direct");
}

#[test]
fn the_python_client_converses_in_direct() {
    converses(Client::Python, "direct");
}

#[test]
fn the_java_client_converses_in_direct() {
    converses(Client::Java, "direct");
}

#[test]
fn the_javascript_client_converses_in_sessions_where_everybody_is_believed() {
    converses_as(Client::JavaScript, "sessions", "open");
}

#[test]
fn the_javascript_client_converses_in_direct_where_everybody_is_believed() {
    converses_as(Client::JavaScript, "direct", "open");
}

/// The longer conversation of `rooms`, with a lost connection in it.
#[track_caller]
fn returns_over(transport: &str) {
    let folder = Client::JavaScript.folder();
    if !Client::JavaScript.is_here() {
        return;
    }
    let server = Served::start(&[]);
    let output = Command::new("node")
        .arg(folder.join("rooms.js"))
        .args(["--url", &server.url, "--transport", transport, "--timeout", PATIENCE_MS])
        .args(["--token", &token("alice"), "--token", &token("bob")])
        .output()
        .expect("node runs");
    ends_with(&output, 0);
}

#[test]
fn the_official_client_comes_back_over_websocket() {
    returns_over("websocket");
}

#[test]
fn the_official_client_comes_back_over_polling() {
    returns_over("polling");
}

#[test]
fn the_official_client_comes_back_over_an_upgrade() {
    returns_over("upgrade");
}
