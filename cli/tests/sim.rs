//! `chatwright sim` as a user runs it: a good cluster passes and replays, and servers that break their promises are found out.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// Shorter runs leave too little room between the faults; longer ones only cost time.
const SECONDS: &str = "8";

#[test]
fn a_cluster_on_redis_keeps_its_promises_through_a_kill_a_restart_and_a_pause_and_the_run_replays() {
    let folder = TempDir::new().expect("a folder");
    let drawn = folder.path().join("drawn");
    let output = sim(&["--instances", "3", "--seed", "1", "--seconds", SECONDS], &drawn);
    if !containers_can_be_had(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let first = report(&drawn);
    assert_eq!(first["verdict"], "pass");
    assert_eq!(kinds(&first), ["kill", "pause", "restart"]);
    assert!(first["totals"]["caught_up"].as_u64() > Some(0), "nobody caught up: {}", first["totals"]);
    assert!(std::fs::read_to_string(drawn.join("timeline.html")).expect("a page").contains("<svg"));

    let schedule = drawn.join("schedule.json");
    let replayed = folder.path().join("replayed");
    let output = sim(&["--replay", &schedule.display().to_string()], &replayed);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let again = report(&replayed);
    assert_eq!(again["schedule"], first["schedule"]);
    assert_eq!(again["plan"], first["plan"], "the traffic is drawn from the same seed");
}

#[test]
fn a_server_that_forgets_what_it_confirmed_is_found_out() {
    let folder = TempDir::new().expect("a folder");
    let output = sim_of_memory_server(&folder, "1");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(broken(&folder).contains(&"stored".to_owned()), "{}", told(&output));
}

#[test]
fn instances_that_do_not_hear_each_other_are_found_out() {
    let folder = TempDir::new().expect("a folder");
    let output = sim_of_memory_server(&folder, "2");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let broken = broken(&folder);
    assert!(broken.contains(&"nothing lost".to_owned()) && broken.contains(&"presence".to_owned()), "{broken:?}");
}

/// Alone and in memory: what stores something is paused, what stores nothing is killed.
#[track_caller]
fn keeps_its_promises_in_memory(dialect: &str) {
    let folder = TempDir::new().expect("a folder");
    let arguments = ["--dialect", dialect, "--backends", "memory", "--seed", "1", "--seconds", SECONDS];
    let output = sim(&arguments, folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let report = report(folder.path());
    assert!(report["totals"]["confirmed"].as_u64() > Some(100), "{}", report["totals"]);
    assert!(report["totals"]["heard"].as_u64() > Some(100), "{}", report["totals"]);
    let replay = report["replay"].as_str().expect("a command");
    assert!(replay.contains(&format!("--dialect {dialect} --backends memory")), "{replay}");
}

#[test]
fn rooms_in_memory_keeps_its_promises() {
    keeps_its_promises_in_memory("rooms");
}

#[test]
fn conversations_in_memory_keeps_its_promises() {
    keeps_its_promises_in_memory("conversations");
}

#[test]
fn sessions_in_memory_keeps_its_promises() {
    keeps_its_promises_in_memory("sessions");
}

#[test]
fn direct_in_memory_keeps_its_promises() {
    keeps_its_promises_in_memory("direct");
}

#[test]
fn gateway_in_memory_keeps_its_promises() {
    keeps_its_promises_in_memory("gateway");
}

/// Three instances on all backends that the dialect names, each of which stands still once, in the shortest run that has time for it. A run
/// on a busy machine may not meet all that it should, and says so; a promise that it finds broken is broken.
#[track_caller]
fn breaks_no_promise_on_all_backends(dialect: &str, seconds: &str, backends: &[&str]) {
    let folder = TempDir::new().expect("a folder");
    let arguments = ["--dialect", dialect, "--backends", "containers", "--seed", "1", "--seconds", seconds];
    let output = sim(&arguments, folder.path());
    if !containers_can_be_had(&output) {
        return;
    }
    if output.status.code() == Some(4) && told(&output).contains("too busy") {
        return say(&format!("NOT RUN: {}", told(&output)));
    }
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", told(&output));
    assert_eq!(broken(&folder), Vec::<String>::new(), "{}", told(&output));
    let report = report(folder.path());
    let faults = report["schedule"]["faults"].as_array().expect("a list of faults");
    for backend in backends {
        assert!(faults.iter().any(|fault| fault["target"] == *backend), "{backend} fails: {faults:?}");
    }
}

#[test]
fn rooms_breaks_no_promise_while_its_backends_fail() {
    breaks_no_promise_on_all_backends("rooms", "12", &["redis", "mongodb", "rabbitmq"]);
}

#[test]
fn conversations_breaks_no_promise_while_its_backends_fail() {
    breaks_no_promise_on_all_backends("conversations", "12", &["redis", "postgresql", "kafka"]);
}

#[test]
fn sessions_breaks_no_promise_while_its_backend_fails() {
    breaks_no_promise_on_all_backends("sessions", "8", &["redis"]);
}

#[test]
fn direct_breaks_no_promise_while_its_backends_fail() {
    breaks_no_promise_on_all_backends("direct", "10", &["redis", "mongodb"]);
}

#[test]
fn gateway_breaks_no_promise_while_its_backends_fail() {
    breaks_no_promise_on_all_backends("gateway", "12", &["redis", "mongodb", "rabbitmq"]);
}

#[test]
fn a_schedule_that_names_an_instance_too_many_is_refused_with_its_file() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("wrong.json");
    let schedule = r#"{"seed":1,"instances":2,"seconds":8,"faults":[{"at_ms":1,"target":"instance 3","fault":"kill","for_ms":1}]}"#;
    std::fs::write(&path, schedule).expect("written");
    let output = sim(&["--replay", &path.display().to_string()], folder.path());
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("wrong.json") && told(&output).contains("2 instances"), "{}", told(&output));
}

/// The reference with everything in memory: a good server alone, a bad one as soon as it dies or has a neighbour.
fn sim_of_memory_server(folder: &TempDir, instances: &str) -> Output {
    let target = folder.path().join("memory.toml");
    let text = format!(
        r#"
name = "everything in memory"
dialect = "rooms"
[[instance]]
socket = "http://127.0.0.1:{{port}}"
[start]
command = ['{}', "serve", "--dialect", "rooms", "--host", "127.0.0.1", "--port-base", "{{port}}"]
ready = "GET /health"
stop_timeout = "5s"
env = {{ JWT_SECRET = "{{auth.jwt_secret}}" }}
[auth]
jwt_secret = "a secret of this test"
"#,
        env!("CARGO_BIN_EXE_chatwright")
    );
    std::fs::write(&target, text).expect("written");
    let target = target.display().to_string();
    sim(&["--target", &target, "--instances", instances, "--seed", "1", "--seconds", SECONDS], folder.path())
}

fn sim(arguments: &[&str], reports: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chatwright"))
        .arg("sim")
        .args(arguments)
        .arg("--report")
        .arg(reports)
        .output()
        .expect("the binary runs")
}

/// Whether the run had its containers; where it had not, the test says so loudly, and fails where backends are required.
fn containers_can_be_had(output: &Output) -> bool {
    let told = told(output);
    let missing = told.contains("no container engine answers")
        || told.contains("failed to start ") && told.contains(" from the image");
    if output.status.code() != Some(2) || !missing {
        return true;
    }
    let required = std::env::var("CHATWRIGHT_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
    assert!(!required, "backends are required: {told}");
    say(&format!("NOT RUN: {told}"));
    false
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so where people look")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn report(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("history.json")).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

fn broken(folder: &TempDir) -> Vec<String> {
    let report = report(folder.path());
    let checks = report["checks"].as_array().expect("a list of promises");
    let broken = checks.iter().filter(|check| check["broken"] != 0);
    broken.map(|check| check["name"].as_str().expect("a name").to_owned()).collect()
}

fn kinds(report: &Value) -> Vec<&str> {
    let faults = report["schedule"]["faults"].as_array().expect("a list of faults");
    let mut kinds: Vec<&str> = faults.iter().map(|fault| fault["fault"].as_str().expect("a name")).collect();
    kinds.sort_unstable();
    kinds
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
