//! Two servers beside each other, and one failure alone: on the small servers that the judge brings along.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chatwright_conformance::{
    case::{Transport, parse_case},
    differential::{Comparison, DifferenceKind, differ},
    fixtures::Fixtures,
    outcome::{RunReport, Verdict},
    record::Recording,
    replay::scripts,
    run::{NoObserver, RunConfig, run},
    suite::Suite,
    target::{Instance, StartOptions, Target},
    wrong::{Bases, WrongServer},
};

/// A small server that has this defect, or none.
async fn server(misbehaviour: &str) -> Target {
    let text = format!(
        "title = \"t\"\nclause = \"rooms/1.1\"\ncaught_by = [\"rooms/messages/echo\"]\n[server]\nmisbehaviour = \"{misbehaviour}\"\n"
    );
    let server = WrongServer::parse(Path::new("small.toml"), &text).expect("a file of a wrong server");
    let bases = Bases { targets: PathBuf::from("nowhere"), chatwright: None };
    server.start(&bases, StartOptions::default()).await.expect("it starts").0
}

fn suite() -> Suite {
    Suite::load(&Fixtures::Embedded).unwrap_or_else(|e| panic!("{e}"))
}

fn config(filter: &[&str]) -> RunConfig {
    RunConfig { filter: filter.iter().map(|&glob| glob.to_owned()).collect(), ..RunConfig::default() }
}

async fn compared(first: &str, second: &str, filter: &[&str]) -> Comparison {
    let (first, second) = (server(first).await, server(second).await);
    let comparison = differ(&suite(), &config(filter), (&first, &second), &NoObserver).await.expect("the filters fit");
    first.stop().await;
    second.stop().await;
    comparison
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_differ_from_itself() {
    let same = compared("none", "none", &["rooms/messages/echo", "rooms/joining/answers", "engine-io/polling/*"]).await;
    assert_eq!(same.differences, []);
    assert!(same.compared > 5 && same.alike == same.compared, "{} of {}", same.alike, same.compared);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_is_told_at_its_clause_with_what_either_side_has() {
    let found =
        compared("unknown-sid-accepted", "none", &["engine-io/polling/unknown-session", "rooms/messages/echo"]).await;
    assert_eq!((found.compared, found.alike), (2, 1), "{:#?}", found.differences);
    let [difference] = found.differences.as_slice() else { panic!("{:#?}", found.differences) };
    assert_eq!(difference.kind, DifferenceKind::Ending);
    assert!(difference.clause.as_ref().is_some_and(|clause| clause.0.starts_with("engine-io/")), "{difference:#?}");
    assert!(difference.first.starts_with("fails here"), "{difference:#?}");
    assert_eq!(difference.second, "passes");
}

/// Judges a case on a server with this defect, and gives what shows its failure alone.
async fn failed(suite: &Suite, config: &RunConfig, target: &Target) -> RunReport {
    let mut report = run(suite, config, target, &NoObserver).await.expect("the filters fit");
    scripts(suite, config, target, &mut report).await;
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_case_shows_the_same_failure_without_those_who_do_not_matter() {
    let suite = suite();
    let probe = suite.cases.iter().find(|case| case.name == "engine-io/upgrade/probe").expect("it is there");
    let (head, steps) = probe.source.split_once("\nalice").expect("its first actor is alice");
    let text = format!("{head}\nuse yves in $room\nalice{}\nzoe opens\n", steps.trim_end());
    let case = parse_case("crowded", "crowded", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let target = server("probe-unanswered").await;
    let config = RunConfig { cases: Some(vec![case]), ..RunConfig::default() };
    let report = failed(&suite, &config, &target).await;
    let first = report.cases[0].failure.clone().expect("it fails");
    let script = report.cases[0].script.clone().expect("a failure has a script");
    assert!(!script.case.contains("yves") && !script.case.contains("zoe"), "{}", script.case);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("crowded.case");
    std::fs::write(&file, &script.case).expect("written");
    let again =
        RunConfig { cases: Some(suite.load_cases(&file).unwrap_or_else(|e| panic!("{e}"))), ..RunConfig::default() };
    let again = run(&suite, &again, &target, &NoObserver).await.expect("it is played");
    target.stop().await;
    assert_eq!(again.cases[0].verdict, Verdict::Fail);
    let failure = again.cases[0].failure.clone().expect("it fails again");
    assert_eq!((failure.clause, failure.step), (first.clause, first.step));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_of_http_is_told_in_curl_lines_that_show_the_failure() {
    let suite = suite();
    let target = server("unknown-sid-accepted").await;
    let report = failed(&suite, &config(&["engine-io/polling/unknown-session"]), &target).await;
    let failure = report.cases[0].failure.clone().expect("it fails");
    let script = report.cases[0].script.clone().expect("a failure has a script");
    let curl = script.curl.expect("nothing but HTTP");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("failure.sh");
    std::fs::write(&file, &curl).expect("written");
    let played = tokio::process::Command::new("sh").arg(&file).output().await.expect("there is a shell");
    target.stop().await;
    let said = String::from_utf8_lossy(&played.stdout);
    let status = failure.got.split(' ').next().expect("an answer has a status");
    assert!(
        said.contains(&format!("HTTP/1.1 {status}")),
        "{}\n{curl}\n{said}\n{}",
        failure.got,
        String::from_utf8_lossy(&played.stderr)
    );
}

/// Records a case that is played over this transport, and plays what was written on the server itself.
async fn recorded_and_played(name: &str, transport: Transport) {
    let suite = suite();
    let mut target = server("none").await;
    let straight = target.instances().to_vec();
    let listen = "127.0.0.1:0".parse().expect("an address");
    let recording = Recording::start(straight[0].main(), listen).await.expect("it listens");
    target.reach_at(vec![Instance::new(1, BTreeMap::from([("socket".to_owned(), recording.url())]))]);
    let first = RunConfig { transports: vec![transport], ..config(&[name]) };
    let passed = run(&suite, &first, &target, &NoObserver).await.expect("the filter fits");
    assert_eq!(passed.cases[0].verdict, Verdict::Pass, "{:#?}", passed.cases[0]);
    let written = recording.case(&suite.dialects["rooms"], "What was recorded.", "rooms/5.1");
    target.reach_at(straight);
    assert!(!written.contains("eyJ"), "no token stands in it: {written}");
    assert!(written.contains("$alice.id") && written.contains("@millis"), "{written}");

    let case = parse_case("recorded", "recorded", &written).unwrap_or_else(|e| panic!("{e}\n{written}"));
    let second = RunConfig { cases: Some(vec![case]), seed: 99, ..RunConfig::default() };
    let again = run(&suite, &second, &target, &NoObserver).await.expect("it is played");
    target.stop().await;
    assert_eq!(again.cases[0].verdict, Verdict::Pass, "{written}\n{:#?}", again.cases[0].failure);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_recorded_can_be_played() {
    recorded_and_played("rooms/messages/echo", Transport::Websocket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_can_one_that_came_by_polling_and_moved_to_a_websocket() {
    recorded_and_played("rooms/messages/echo", Transport::Upgrade).await;
    recorded_and_played("rooms/messages/echo", Transport::Polling).await;
}
