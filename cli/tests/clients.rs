//! Clients are judged as a user judges his: our own and the official one keep what is asked of them, over each transport.

use std::{path::Path, process::Command};

/// Judges the client of a target file; `None` where what it needs is missing, which is a failure where everything is required.
#[track_caller]
fn keeps_the_contract(folder: &str, program: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    if Command::new(program).arg("--version").output().is_err() {
        let required = std::env::var("CHATWRIGHT_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
        assert!(!required, "{program} is missing, and CHATWRIGHT_REQUIRE_BACKENDS=1 asks for everything");
        #[expect(clippy::print_stdout, reason = "what was not run is said where the test's reader looks")]
        {
            println!("NOT RUN: {program} is missing");
        }
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_chatwright"))
        .arg("--fixtures")
        .arg(&fixtures)
        .args(["check", "--no-report", "--transport", "all", "--target"])
        .arg(fixtures.join("clients").join(folder).join("target.toml"))
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{problems}");
    assert!(said.contains("0 failed"), "{said}");
}

#[test]
fn our_client_keeps_what_is_asked_of_a_client() {
    keeps_the_contract("sdk", "cargo");
}

#[test]
fn the_official_client_keeps_what_is_asked_of_a_client() {
    keeps_the_contract("js", "node");
}
