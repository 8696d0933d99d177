//! Wrong use of every command: one clear message that names the file, place or URL, exit code 2, no panic.

use std::{
    io::Write as _,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output},
};

fn chatwright(args: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a scratch folder");
    Command::new(env!("CARGO_BIN_EXE_chatwright"))
        .args(args)
        .current_dir(dir.path())
        .env("NO_COLOR", "1")
        .env_remove("CHATWRIGHT_SECRET")
        .env_remove("CHATWRIGHT_TOKEN")
        .output()
        .expect("the binary runs")
}

/// Runs the command and checks: exit 2, no panic, and each of `names` stands in what it says.
#[track_caller]
fn refuses(args: &[&str], names: &[&str]) {
    let output = chatwright(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?} said: {said}");
    assert!(!said.contains("panicked"), "{args:?} panicked: {said}");
    assert!(said.lines().count() <= 12, "{args:?} should say it in a few lines: {said}");
    for name in names {
        assert!(said.contains(name), "{args:?} should name {name:?}: {said}");
    }
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let path = dir.path().join(name);
    std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).expect("a scratch file");
    (dir, path)
}

fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    format!("http://127.0.0.1:{port}")
}

#[test]
fn no_such_target_file_is_named() {
    refuses(&["check", "--target", "nowhere.toml"], &["nowhere.toml"]);
    refuses(&["load", "--target", "nowhere.toml"], &["nowhere.toml"]);
    refuses(&["sim", "--target", "nowhere.toml"], &["nowhere.toml"]);
}

#[test]
fn wrong_toml_is_named_with_its_line() {
    let (_dir, path) = file("broken.toml", "name = \"x\"\ndialect = rooms\n");
    refuses(&["check", "--target", path.to_str().expect("utf-8")], &["broken.toml", "2"]);
}

#[test]
fn an_unknown_key_of_a_target_is_named() {
    let (_dir, path) = file("odd.toml", "name = \"x\"\ndialect = \"rooms\"\ncolour = \"red\"\n");
    refuses(&["check", "--target", path.to_str().expect("utf-8")], &["odd.toml", "colour"]);
}

#[test]
fn a_dead_url_is_named() {
    let url = dead_url();
    refuses(&["check", "--url", &url, "--secret", "s"], &[&url]);
    refuses(&["load", "--url", &url, "--secret", "s", "--connections", "10", "--seconds", "1"], &[&url]);
    refuses(&["chat", &url, "--user", "alice", "--secret", "s"], &[&url]);
}

#[test]
fn what_is_no_url_is_said_to_be_none() {
    refuses(&["check", "--url", "localhost 5004", "--secret", "s"], &["localhost 5004"]);
}

#[test]
fn a_port_in_use_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port().to_string();
    refuses(&["serve", "--host", "127.0.0.1", "--port-base", &port], &[&port, "in use"]);
}

#[test]
fn a_case_with_a_typo_is_named_with_line_and_column() {
    let (_dir, path) = file("typo.case", "# A typo.\nclause rooms/5.1\nuse alice in $room\nalice >> send_message {}\n");
    refuses(&["check", "--cases", path.to_str().expect("utf-8")], &["typo.case:4:"]);
}

#[test]
fn a_case_that_cites_no_clause_of_any_spec_is_named() {
    let (_dir, path) = file("cites.case", "# Cites nothing.\nclause rooms/99.9\nuse alice\n");
    refuses(&["check", "--cases", path.to_str().expect("utf-8")], &["cites.case", "rooms/99.9"]);
}

#[test]
fn no_such_cases_are_named() {
    refuses(&["check", "--cases", "nowhere.case"], &["nowhere.case"]);
    refuses(&["check", "--filter", "no/such/case"], &["no/such/case"]);
    refuses(&["check", "--explain", "rooms/no/such/case"], &["rooms/no/such/case"]);
}

#[test]
fn an_unknown_dialect_is_named_with_the_known_ones() {
    for command in ["check", "load", "serve", "cases"] {
        refuses(&[command, "--dialect", "smoke-signals"], &["smoke-signals", "rooms"]);
    }
}

#[test]
fn a_wrong_configuration_file_is_named_with_its_key() {
    let (_dir, path) = file("serve.toml", "prot = 5004\n");
    refuses(&["serve", "--config", path.to_str().expect("utf-8")], &["serve.toml", "prot"]);
    refuses(&["serve", "--config", "nowhere.toml"], &["nowhere.toml"]);
    refuses(&["serve", "--dialect", "rooms", "--role", "user"], &["--role", "gateway"]);
    let (_dir, path) = file("all.toml", "[rooms.listen]\nport = 5286\n");
    refuses(&["serve", "--config", path.to_str().expect("utf-8")], &["sessions", "rooms", "5286"]);
}

#[test]
fn a_wrong_requirement_is_named() {
    refuses(&["load", "--require", "p99<<50ms"], &["p99<<50ms"]);
    refuses(&["load", "--require", "speed<3"], &["speed<3"]);
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    refuses(&["sim", "--instances", "0"], &["instances"]);
    refuses(&["load", "--connections", "0"], &["connections"]);
    refuses(&["load", "--seconds", "0"], &["seconds"]);
    refuses(&["load", "--rate", "0"], &["rate"]);
}

#[test]
fn a_schedule_that_is_none_is_named() {
    refuses(&["sim", "--replay", "nowhere.json"], &["nowhere.json"]);
    let (_dir, path) = file("schedule.json", "{\"seed\": \"x\"}");
    refuses(&["sim", "--replay", path.to_str().expect("utf-8")], &["schedule.json"]);
}

#[test]
fn load_never_leaves_this_machine() {
    refuses(&["load", "--url", "http://192.0.2.1:5004", "--secret", "s"], &["192.0.2.1", "loopback"]);
}

#[test]
fn a_fixtures_folder_that_does_not_exist_is_named() {
    refuses(&["--fixtures", "nowhere", "cases"], &["nowhere"]);
}
