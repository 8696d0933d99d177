//! Our pages in a real browser: two people talk through each of them, reload, and stay while the server is restarted.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{Served, fixtures, have, have_node, token};

const CHROMIUM: &str = "/usr/bin/chromium";

#[track_caller]
fn works_for_two_people(dialect: &str) {
    let folder = fixtures().join("clients/browser");
    if !have("Chromium", Path::new(CHROMIUM).exists()) || !have_node(&folder) {
        return;
    }
    let server = Served::of(dialect, &[]);
    let page = server.page.clone().expect("a page");
    let mut driver = Command::new("node")
        .arg(folder.join("pages.js"))
        .args(["--chromium", CHROMIUM, "--timeout", "60000", "--page", dialect, "--url", &page])
        .args(["--token", &token("alice"), "--token", &token("bob")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut commands = driver.stdin.take().expect("piped");
    let (mut said, mut running, mut place) = (Vec::new(), Some(server), None);
    for line in BufReader::new(driver.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        if line == "{\"ask\":\"stop\"}" {
            let server = running.take().expect("it runs");
            place = Some(server.place());
            server.stop();
        } else if line == "{\"ask\":\"start\"}" {
            running = Some(Served::at(place.as_ref().expect("it was stopped")));
            commands.write_all(b"started\n").expect("it listens");
        }
        said.push(line);
    }
    let status = driver.wait().expect("it ends");
    assert!(status.success(), "the driver said:\n{}", said.join("\n"));
    assert!(said.iter().any(|line| line == "{\"done\":true}"), "{said:?}");
}

#[test]
fn two_people_talk_through_the_page_of_rooms() {
    works_for_two_people("rooms");
}

#[test]
fn two_people_talk_through_the_page_of_gateway() {
    works_for_two_people("gateway");
}

#[test]
fn two_people_talk_through_the_page_of_direct() {
    works_for_two_people("direct");
}
