//! Targets that are really started: this test binary is the server, called again with another filter.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use super::*;

/// Not a test: the server that the tests below start. It answers `GET /health`, prints its process id, and does what `MOOD` says.
#[test]
#[ignore = "a server for the other tests"]
fn server() {
    let Ok(port) = std::env::var("PORT") else { return };
    let mood = std::env::var("MOOD").unwrap_or_default();
    let mut out = std::io::stdout();
    writeln!(out, "\nI am {}", std::process::id()).expect("a pipe");
    if mood == "dies" {
        writeln!(out, "cannot find my socks").expect("a pipe");
        std::process::exit(7);
    }
    if mood == "port-taken" {
        writeln!(out, "Error: listen EADDRINUSE: address already in use").expect("a pipe");
        std::process::exit(1);
    }
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("a free port");
    writeln!(out, "listening").expect("a pipe");
    for stream in listener.incoming() {
        let mut stream = stream.expect("a client");
        let _head = stream.read(&mut [0; 1024]);
        let status = if mood == "sulks" { "503 Later" } else { "200 OK" };
        let _gone = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
}

fn file(mood: &str, more: &str) -> TargetFile {
    let exe = std::env::current_exe().expect("this binary");
    let text = format!(
        r#"
name = "test server"
dialect = "rooms"
[[instance]]
socket = "http://127.0.0.1:{{port}}"
[start]
command = ['{}', "--ignored", "--exact", "--nocapture", "target::process_tests::server"]
env = {{ PORT = "{{port}}", MOOD = "{mood}" }}
ready = "GET /health"
ready_timeout = "5s"
{more}
"#,
        exe.display()
    );
    TargetFile::parse(Path::new("test/../target.toml"), &text.replace("[start]", "[start]\ncwd = \"/\""))
        .expect("it is right")
}

async fn is_up(target: &Target) -> bool {
    ready::get_status(&format!("{}/health", target.instance(1).expect("one").main())).await.is_ok()
}

fn process_id(target: &Target) -> i32 {
    let line = target.last_lines(1).into_iter().find_map(|line| line.strip_prefix("I am ").map(str::to_owned));
    line.expect("it said who it is").parse().expect("a number")
}

fn is_alive(process: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

async fn dies(process: i32) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        if !is_alive(process) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_target_is_started_probed_killed_restarted_and_stopped() {
    let target = Target::start(&file("", ""), StartOptions::default()).await.expect("it starts");
    assert!(is_up(&target).await);
    assert!(target.capabilities.contains("control") && target.capabilities.contains("instances=1"));
    assert!(target.capabilities.contains("identity=open"));
    let control = Arc::clone(target.control.as_ref().expect("ours"));
    let one = Subject::Instance(1);
    let first = process_id(&target);
    control.act(&one, Action::Kill).await.expect("killed");
    assert!(dies(first).await && !is_up(&target).await);
    control.act(&one, Action::Start).await.expect("started");
    let second = process_id(&target);
    assert!(is_up(&target).await && second != first);
    let done = control.act(&one, Action::Restart).await.expect("restarted");
    assert_eq!(done.exit_code, Some(128 + 15), "{done:?}");
    assert!(is_up(&target).await && dies(second).await);
    let third = process_id(&target);
    target.stop().await;
    assert!(dies(third).await);
}

#[tokio::test]
async fn a_paused_instance_is_silent_and_goes_on_when_resumed() {
    let target = Target::start(&file("", ""), StartOptions::default()).await.expect("it starts");
    let control = Arc::clone(target.control.as_ref().expect("ours"));
    let one = Subject::Instance(1);
    control.act(&one, Action::Pause).await.expect("paused");
    let asked = tokio::time::timeout(Duration::from_millis(300), is_up(&target)).await;
    assert!(asked.is_err(), "it answered although it was paused");
    control.act(&one, Action::Resume).await.expect("resumed");
    assert!(is_up(&target).await);
    target.stop().await;
}

#[tokio::test]
async fn instances_get_ports_of_their_own_and_backends_are_somebody_elses() {
    let target = Target::start(&file("", ""), StartOptions { instances: 2, ..StartOptions::default() })
        .await
        .expect("they start");
    let main = |n| target.instance(n).expect("there").main().to_owned();
    assert_ne!(main(1), main(2));
    assert!(target.instance(3).is_none() && target.instance(0).is_none());
    assert!(target.capabilities.contains("instances=2"));
    let control = target.control.as_ref().expect("ours");
    let redis = Subject::Backend("redis".to_owned());
    assert!(matches!(control.act(&redis, Action::Pause).await, Err(ControlError::Unable { .. })));
}

#[tokio::test]
async fn a_dropped_target_leaves_nobody_behind() {
    let target = Target::start(&file("", ""), StartOptions::default()).await.expect("it starts");
    let process = process_id(&target);
    drop(target);
    assert!(dies(process).await);
}

#[tokio::test]
async fn a_command_that_dies_is_told_with_its_last_words() {
    let error = Target::start(&file("dies", ""), StartOptions::default()).await.expect_err("it dies").to_string();
    assert!(error.contains("ended with exit code 7 before it was ready"), "{error}");
    assert!(error.contains("\n    cannot find my socks"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_gets_ready_is_told_with_what_it_answered() {
    let file = file("sulks", "stop_timeout = \"1s\"");
    let start = StartSpec { ready_timeout: Duration::from_millis(500), ..file.start.clone().expect("it starts") };
    let file = TargetFile { start: Some(start), ..file };
    let error = Target::start(&file, StartOptions::default()).await.expect_err("it sulks").to_string();
    assert!(error.contains("was not ready after 500ms") && error.contains("it answered 503"), "{error}");
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_told_so() {
    let file = file("", "");
    let start = StartSpec {
        command: vec![Template::parse("no-such-program-anywhere").expect("plain")],
        ..file.start.clone().expect("it starts")
    };
    let error = Target::start(&TargetFile { start: Some(start), ..file }, StartOptions::default())
        .await
        .expect_err("no program")
        .to_string();
    assert!(
        error.contains("failed to run `no-such-program-anywhere` in /") && error.contains("is it installed"),
        "{error}"
    );
}

#[tokio::test]
async fn a_taken_port_is_tried_again_elsewhere_and_then_told() {
    let error =
        Target::start(&file("port-taken", ""), StartOptions::default()).await.expect_err("always taken").to_string();
    assert!(error.contains("EADDRINUSE"), "{error}");
}

#[tokio::test]
async fn a_fixed_port_of_somebody_else_is_not_judged_by_mistake() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://127.0.0.1:{}", other.local_addr().expect("bound").port());
    let mut file = file("", "");
    file.instances[0].listeners.insert("socket".to_owned(), Template::parse(&url).expect("plain"));
    let error = Target::start(&file, StartOptions::default()).await.expect_err("taken");
    assert!(matches!(&error, TargetError::PortInUse { url: found, .. } if *found == url), "{error}");
}

#[tokio::test]
async fn a_dead_url_and_a_missing_backend_are_told_before_anything_is_tried() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let error = Target::from_url(&format!("http://{free}"), "rooms").await.expect_err("nobody there").to_string();
    assert!(error.contains("failed to reach http://127.0.0.1:") && error.contains("is the server running"), "{error}");
    let error = Target::start(&file("", "[needs]\nredis = true"), StartOptions::default())
        .await
        .expect_err("no Redis")
        .to_string();
    assert!(error.contains("it needs redis, which is not there"), "{error}");
}

#[tokio::test]
async fn a_value_without_a_source_names_its_key() {
    let mut file = file("", "");
    let start = file.start.as_mut().expect("it starts");
    start.env.insert("REDIS".to_owned(), Template::parse("{redis.host}").expect("a name"));
    let error = Target::start(&file, StartOptions::default()).await.expect_err("no Redis").to_string();
    assert!(error.contains("`start.env`") && error.contains("`{redis.host}` has no value here"), "{error}");
}

#[tokio::test]
async fn the_stub_of_the_auth_service_comes_with_its_tokens() {
    let file = file("", "[auth]\nstub = true");
    let target = Target::start(&file, StartOptions::default()).await.expect("it starts");
    assert!(target.capabilities.contains("auth-stub") && target.capabilities.contains("identity=token"));
    let stub = target.auth_stub.as_ref().expect("asked for");
    let status =
        ready::get_status(&format!("{}{}", stub.url(), crate::auth_stub::VERIFY_PATH)).await.expect("it answers");
    assert_eq!(status, 401);
    assert!(target.tokens.is_some());
}

#[tokio::test]
async fn setup_runs_once_and_its_failure_is_told_with_its_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("target.toml");
    std::fs::write(&path, "").expect("written");
    let base = file("", "");
    let words = |script: &str| {
        vec!["sh", "-c", script].into_iter().map(|w| Template::parse(w).expect("plain")).collect::<Vec<_>>()
    };
    let start = |script: &str, base: &TargetFile| TargetFile {
        path: path.clone(),
        start: Some(StartSpec {
            setup: vec![words(script)],
            setup_makes: Some(folder.path().join("made")),
            cwd: folder.path().to_owned(),
            ..base.start.clone().expect("it starts")
        }),
        ..base.clone()
    };
    let error = Target::start(&start("echo no wool >&2; exit 3", &base), StartOptions::default())
        .await
        .expect_err("setup fails")
        .to_string();
    assert!(error.contains("failed with exit status: 3") && error.contains("\n    no wool"), "{error}");
    let counting = start("echo once >> count; touch made", &base);
    for _ in 0..2 {
        Target::start(&counting, StartOptions::default()).await.expect("it starts").stop().await;
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("count")).expect("made"), "once\n");
}

/// The warden: a process that dies without a word takes its children with it.
#[tokio::test]
async fn children_die_with_a_process_that_is_killed() {
    let exe = std::env::current_exe().expect("this binary");
    let mut middle = tokio::process::Command::new(exe)
        .args(["--ignored", "--exact", "--nocapture", "target::process_tests::middle"])
        .env("BE_THE_MIDDLE", "1")
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it runs");
    let tail = output::Tail::default();
    tokio::spawn(tail.clone().follow(middle.stdout.take().expect("piped")));
    let mut news = tail.watch();
    let child = loop {
        if let Some(id) = tail.lines().iter().find_map(|line| line.strip_prefix("child ").map(str::to_owned)) {
            break id.parse::<i32>().expect("a number");
        }
        tokio::time::timeout(Duration::from_secs(20), news.changed()).await.expect("in time").expect("it goes on");
    };
    assert!(is_alive(child));
    middle.kill().await.expect("killed");
    assert!(dies(child).await);
}

/// Not a test: starts a target, says so, and waits to be killed.
#[tokio::test]
#[ignore = "a process for the test above"]
async fn middle() {
    if std::env::var("BE_THE_MIDDLE").is_err() {
        return;
    }
    let target = Target::start(&file("", ""), StartOptions::default()).await.expect("it starts");
    writeln!(std::io::stdout(), "\nchild {}", process_id(&target)).expect("a pipe");
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(target);
}
