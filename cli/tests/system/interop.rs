//! The official JavaScript client holds a whole conversation with the reference server, over each transport.

use std::process::Command;

use crate::support::{Served, ends_with, fixtures, have_node, token};

#[track_caller]
fn converses_over(transport: &str) {
    let folder = fixtures().join("clients/js");
    if !have_node(&folder) {
        return;
    }
    let server = Served::start(&[]);
    let output = Command::new("node")
        .arg(folder.join("rooms.js"))
        .args(["--url", &server.url, "--transport", transport, "--timeout", "10000"])
        .args(["--token", &token("alice"), "--token", &token("bob")])
        .output()
        .expect("node runs");
    ends_with(&output, 0);
}

#[test]
fn the_official_client_converses_over_websocket() {
    converses_over("websocket");
}

#[test]
fn the_official_client_converses_over_polling() {
    converses_over("polling");
}

#[test]
fn the_official_client_converses_over_an_upgrade() {
    converses_over("upgrade");
}
