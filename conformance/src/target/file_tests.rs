//! Target files: what is read, and that each mistake is told with its place and a way out.

use std::{path::Path, time::Duration};

use super::*;

const WHOLE: &str = r#"
name = "our chat"
dialect = "sessions"

[[instance]]
socket = "http://127.0.0.1:{port}"
rest = "http://127.0.0.1:{port.rest}/"

[start]
setup = [["npm", "ci"], ["npm", "run", "build"]]
setup_makes = "node_modules"
command = ["node", "src/server.js"]
env = { PORT = "{port}", REDIS = "{redis.url}" }
cwd = "app"
ready = 'log ~ "listening on \d+"'
ready_timeout = "3s"
stop_signal = "SIGINT"
stop_timeout = "1500ms"

[needs]
redis = true
kafka = false

[auth]
jwt_secret = "shh"
algorithm = "HS512"
[auth.claims]
userId = "uid"

[timing]
grace = "10s"
deadline = "1s"

[limits]
text = 4096

[adapt]
rename_fields = { username = "displayName" }

[behaviour]
confirm = "ack"
catch_up = "live-only"

[capabilities]
polling = false

[known_failing]
"sessions/failover/*" = "needs Redis at start"
"#;

fn parse(text: &str) -> Result<TargetFile, FileError> {
    TargetFile::parse(Path::new("somewhere/target.toml"), text)
}

/// A target file with this in place of its readiness probe and more below.
fn with(ready: &str, more: &str) -> String {
    format!(
        "name = \"n\"\ndialect = \"rooms\"\n[[instance]]\nsocket = \"http://127.0.0.1:{{port}}\"\n[start]\ncommand = [\"x\"]\n{ready}\n{more}\n"
    )
}

#[test]
fn a_whole_target_file_is_read_into_types() {
    let file = parse(WHOLE).expect("it is right");
    assert_eq!((file.name.as_str(), file.dialect.as_str()), ("our chat", "sessions"));
    assert_eq!(file.identity, Identity::Token);
    assert_eq!(file.instances[0].listeners.len(), 2);
    let start = file.start.as_ref().expect("it starts");
    assert_eq!(start.setup.len(), 2);
    assert_eq!(start.cwd, Path::new("somewhere/app"));
    assert_eq!(start.setup_makes.as_deref(), Some(Path::new("somewhere/app/node_modules")));
    assert!(matches!(&start.ready, Ready::Log(pattern) if pattern.is_match("now listening on 80")));
    assert_eq!((start.stop_signal, start.stop_timeout), (StopSignal::Sigint, Duration::from_millis(1500)));
    assert_eq!(file.needs.into_iter().collect::<Vec<_>>(), [BackendName::Redis]);
    assert_eq!(file.timing.deadline(), Duration::from_secs(1));
    assert_eq!(file.timing.get("grace"), Some(Duration::from_secs(10)));
    assert_eq!(file.limits.get("text"), Some(4096));
    assert_eq!(file.adapt.lines(), ["field `username` is `displayName` here"]);
    assert_eq!((file.behaviour.confirm, file.behaviour.catch_up), (Some(Confirm::Ack), Some(CatchUp::LiveOnly)));
    assert_eq!(file.transports.into_iter().collect::<Vec<_>>(), [Transport::Websocket]);
}

#[test]
fn a_backend_is_needed_as_it_is_or_over_tls() {
    let needs = |line: &str| parse(&with("ready = \"tcp\"", &format!("[needs]\n{line}")));
    let plain = needs("redis = true\nmongodb = false").expect("it is right");
    assert_eq!((plain.needs.len(), plain.tls.len()), (1, 0));
    let secured = needs("redis = \"tls\"\nmongodb = true").expect("it is right");
    assert_eq!((secured.needs.len(), secured.tls.into_iter().collect::<Vec<_>>()), (2, vec![BackendName::Redis]));
    for (line, problem) in [("redis = \"ssl\"", "\"tls\""), ("kafka = \"tls\"", "only `redis` over TLS")] {
        let refusal = needs(line).expect_err("no such need").to_string();
        assert!(refusal.contains(problem), "{refusal}");
    }
}

#[test]
fn known_failures_match_with_and_without_a_transport() {
    let file = parse(WHOLE).expect("it is right");
    for name in ["sessions/failover/late", "sessions/failover/deep/late [polling]"] {
        assert_eq!(file.known_failing(name).expect(name).reason, "needs Redis at start");
    }
    assert!(file.known_failing("sessions/failovers").is_none());
}

#[test]
fn a_url_is_a_target_file_too() {
    let file = TargetFile::for_url("http://127.0.0.1:5004/", "rooms").expect("a good URL");
    assert!(file.start.is_none());
    assert_eq!(file.identity, Identity::Open);
    let refusal = TargetFile::for_url("https://chat.test", "rooms").expect_err("TLS");
    assert!(refusal.to_string().starts_with("https://chat.test: ") && refusal.problem.contains("TLS"), "{refusal}");
}

#[test]
fn each_mistake_is_told_with_its_line_its_key_and_advice() {
    let good = "ready = \"tcp\"";
    let cases = [
        (with("redy = \"tcp\"", ""), "7:1: `start.redy`", "unknown field `redy`, expected one of"),
        (with("ready = \"soon\"", ""), "7:9: `start.ready`", "write \"GET /health\""),
        (with("ready = 'log ~ \"(\"'", ""), "7:9: `start.ready`", "regular expression"),
        (with("ready = \"GET ftp://x\"", ""), "7:9: `start.ready`", "neither a path nor an http URL"),
        (with("", ""), "5:1: `start`", "add `ready`"),
        (with(good, "stop_timeout = \"5\""), "8:16: `start.stop_timeout`", "write a number and a unit"),
        (with(good, "stop_signal = \"SIGKILL\""), "8:15: `start.stop_signal`", "SIGTERM"),
        (with(good, "env = { A = \"{por\" }"), "8:", "brace"),
        (with(good, "setup = [\"a\", [\"b\"]]"), "8:9: `start.setup`", "mixed"),
        (with(good, "[needs]\nredsi = true"), "9:1: `needs.redsi`", "redis"),
        (with(good, "[auth]\n"), "8:1: `auth`", "write `jwt_secret"),
        (with(good, "[auth]\nstub = true\njwt_secret = \"x\""), "10:14: `auth.jwt_secret`", "keep one"),
        (with(good, "[auth]\njwt_secret = \"\""), "9:14: `auth.jwt_secret`", "is empty"),
        (with(good, "[known_failing]\n\"rooms/*\" = \" \""), "9:13: `known_failing.\"rooms/*\"`", "say why"),
        (with(good, "[known_failing]\n\"rooms/[\" = \"x\""), "9:13:", "no pattern of case names"),
        (with(good, "[capabilities]\npolling = false\nwebsocket = false"), "target.toml:", "leaves no transport"),
        (with(good, "[capabilities]\nhttp3 = true"), "9:1: `capabilities.http3`", "websocket"),
        (with(good, "[timing]\ngrace = 10"), "9:9: `timing.grace`", "string"),
    ];
    for (text, place, advice) in cases {
        let error = parse(&text).expect_err(place).to_string();
        assert!(error.starts_with("somewhere/target.toml"), "{error}");
        assert!(error.contains(place) && error.contains(advice), "wanted `{place}` and `{advice}` in: {error}");
    }
}

#[test]
fn instances_must_be_reachable_addresses() {
    let file = |instance: &str| format!("name = \"n\"\ndialect = \"rooms\"\n{instance}\n");
    for (instance, advice) in [
        ("", "there is no [[instance]]"),
        ("[[instance]]", "has no listener"),
        ("[[instance]]\nsocket = \"localhost\"", "write it like"),
        ("[[instance]]\nsocket = \"http://h:{port}\"", "there is no [start]"),
        ("[[instance]]\nrest = \"http://h:1\"\nadmin = \"http://h:2\"", "called `socket`"),
    ] {
        let error = parse(&file(instance)).expect_err(instance).to_string();
        assert!(error.contains(advice), "{error}");
    }
}

#[test]
fn tokens_are_not_asked_for_where_none_can_be_made() {
    let text = "name = \"n\"\ndialect = \"rooms\"\nidentity = \"token\"\n[[instance]]\nsocket = \"http://h:1\"\n";
    let error = parse(text).expect_err("no [auth]").to_string();
    assert!(error.contains("3:12: `identity`") && error.contains("add [auth]"), "{error}");
}

#[test]
fn clocks_and_limits_that_the_dialect_does_not_know_are_refused_in_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("target.toml");
    std::fs::write(&path, WHOLE).expect("written");
    let file = TargetFile::load(&path).expect("it is right");
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(file.check_names(&names(&["grace"]), &names(&["text"])), Ok(()));
    let error = file.check_names(&names(&["gracious"]), &names(&["text"])).expect_err("unknown clock").to_string();
    assert!(
        error.contains("target.toml:31:9: `timing.grace`: dialect `sessions` has no clock `grace`; it has gracious"),
        "{error}"
    );
    assert!(file.check_names(&names(&["grace"]), &names(&[])).is_err());
}
