//! What the four reports say about the same run.

use serde_json::Value;

use super::*;

#[test]
fn a_surprise_pass_is_a_failure_and_a_known_failure_is_neither() {
    let summary = Summary::of(&sample::report());
    let (passed, failed, not_run) = (summary.passed, summary.failed, summary.not_run);
    assert_eq!((passed, failed, not_run), (3, 2, 1));
    assert_eq!((summary.non_strict, summary.known_failures, summary.unexpected_passes, summary.unproven), (1, 1, 1, 1));
    assert_eq!(summary.last_line(), "3 passed, 2 failed, 1 not run");
    assert_eq!(Summary { passed: 4, ..Summary::default() }.last_line(), "4 passed, 0 failed");
}

#[test]
fn a_clause_stands_as_its_worst_case_says() {
    let report = sample::report();
    let standings = standings(&report);
    let of = |clause: &str| standings[&sample::id(clause)];
    assert_eq!(of("rooms/5.1"), Standing::Broken);
    assert_eq!(of("rooms/3.7"), Standing::NotKept);
    assert_eq!(of("rooms/3.5"), Standing::NotKept, "a known failure weighs more than a pass");
    assert_eq!(of("rooms/1.1"), Standing::Held);
    assert_eq!(of("rooms/5.2"), Standing::NotJudged);
    assert_eq!(of("rooms/9.9"), Standing::Unnamed);
}

#[test]
fn wire_and_deployment_coverage_are_counted_apart() {
    let report = sample::report();
    let wire = Coverage::wire_must(&report);
    assert_eq!((wire.clauses, wire.named, wire.held, wire.broken, wire.percent()), (6, 5, 2, 2, 83));
    let deployment = Coverage::deployment(&report);
    assert_eq!((deployment.clauses, deployment.named, deployment.percent()), (1, 0, 0));
    assert_eq!(Coverage::default().percent(), 100);
}

#[test]
fn the_command_that_runs_a_case_alone_can_be_pasted() {
    let mut report = sample::report();
    let command = rerun_command(&report, "rooms/joining/told [polling]");
    assert_eq!(
        command,
        "chatwright check --target 'targets/our chat.toml' --transport polling --filter 'rooms/joining/told'"
    );
    report.origin = "http://127.0.0.1:5004".to_owned();
    report.strict = true;
    let command = rerun_command(&report, "a/b");
    assert_eq!(command, "chatwright check --dialect rooms --url http://127.0.0.1:5004 --strict --filter 'a/b'");
    report.origin = "reference".to_owned();
    assert_eq!(rerun_command(&report, "it's"), r"chatwright check --dialect rooms --strict --filter 'it'\''s'");
}

#[test]
fn a_transcript_reads_like_the_case_language() {
    use crate::outcome::EntryKind::{Note, Received, Sent};
    let line = |kind, actor: &str, text: &str| {
        let at = std::time::Duration::ZERO;
        transcript_line(&crate::outcome::Entry { at, actor: actor.to_owned(), kind, text: text.to_owned(), line: None })
    };
    assert_eq!(line(Sent, "alice", "send_message {}"), "alice > send_message {}");
    assert_eq!(line(Sent, "alice", "requests GET /health"), "alice requests GET /health");
    assert_eq!(line(Received, "alice", "new_message {}"), "alice < new_message {}");
    assert_eq!(line(Received, "alice", "404 {}"), "alice answered 404 {}");
    assert_eq!(line(Received, "alice", "packet 3probe"), "alice gets packet 3probe");
    assert_eq!(line(Note, "alice", "drops"), "# alice drops");
    assert_eq!(line(Note, "", "instance 1 killed"), "# instance 1 killed");
}

#[test]
fn the_terminal_report_says_what_matters_and_ends_with_the_counts() {
    let text = terminal::render(&sample::report().into(), &terminal::Plain);
    for expected in [
        "our chat, Node 20 (targets/our chat.toml): 8 cases in 8.31 s, dialect rooms, seed 7\n",
        "  adapted: field `username` is `displayName` here\n",
        "FAIL rooms/messages/echo\n  A message reaches every member of its room once, its sender too.\n",
        "  rooms/5.1 MUST Every member of a room receives `new_message` for each message sent to it, the sender too.\n",
        "  line 6    alice < new_message {\"roomId\": $room",
        "  expected  new_message {\"roomId\": \"r-7f3a\"",
        "  got       nothing within 2 s\n",
        "      30 ms  alice > send_message {\"roomId\":\"r-7f3a\",\"message\":\"hi <b>there</b>\"}\n",
        "     2.03 s  # the deadline of 2 s has passed\n",
        "  chatwright check --target 'targets/our chat.toml' --filter 'rooms/messages/echo'\n",
        "passed although listed as failing; take them off the list\n  rooms/rest/users  not built yet\n",
        "  rooms/joining/once  rooms/3.7: item 2: surplus\n",
        "known failures\n  rooms/history/late  no history before the next release\n",
        "not run\n  needs backend=redis: 1\n    rooms/outage/redis\n",
        "unproven, for no wrong server is known that they catch: 1\n    engine-io/polling/unknown-sid\n",
        "wire MUST clauses: 5 of 6 named by cases (83 %), 2 held, 2 broken\n",
        "deployment clauses of all levels: 0 of 1 named by probes (0 %), 0 held, 0 broken\n",
    ] {
        assert!(text.contains(expected), "wanted:\n{expected}\nin:\n{text}");
    }
    assert!(text.ends_with("\n3 passed, 2 failed, 1 not run\n"));
    assert!(!text.contains('\u{1b}'));
    assert!(terminal::render(&sample::report().into(), &terminal::Ansi).contains("\u{1b}[1;31mFAIL\u{1b}[0m"));
}

#[test]
fn what_a_server_says_does_not_steer_the_terminal() {
    let mut report = sample::report();
    let failed = report.cases.iter_mut().find(|case| case.verdict == Verdict::Fail).expect("one");
    failed.failure.as_mut().expect("it failed").got = "\u{1b}[2Jgone\u{7}".to_owned();
    let text = terminal::render(&report.clone().into(), &terminal::Plain);
    assert!(text.contains("got       \\u{1b}[2Jgone\\u{7}\n") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn many_failures_are_told_shortly() {
    let mut report = sample::report();
    let failed = report.cases.iter().find(|case| case.verdict == Verdict::Fail).expect("one").clone();
    report.cases = (0..30).map(|i| CaseReport { name: format!("rooms/many/{i:02}"), ..failed.clone() }).collect();
    let text = terminal::render(&report.clone().into(), &terminal::Plain);
    assert_eq!(text.matches("FAIL ").count(), 20);
    assert!(text.contains("and 10 more failed\n    rooms/many/20, rooms/many/21"), "{text}");
}

#[test]
fn json_holds_counts_cases_and_clauses_with_durations_in_milliseconds() {
    let json: Value = serde_json::from_str(&json::render(&sample::report().into())).expect("it is JSON");
    assert_eq!(json["format"], 2);
    assert_eq!(json["summary"]["failed"], 2);
    assert_eq!(json["elapsed_ms"], 8312);
    assert_eq!(json["coverage"]["wire_must"]["named"], 5);
    let json = &json["runs"][0];
    let cases = json["cases"].as_array().expect("a list");
    let echo = cases.iter().find(|case| case["name"] == "rooms/messages/echo").expect("it is there");
    assert_eq!(echo["verdict"], "fail");
    assert_eq!(echo["failure"]["clause"], "rooms/5.1");
    assert_eq!(echo["failure"]["phase"], "step");
    assert_eq!(echo["transcript"][1]["kind"], "sent");
    assert_eq!(echo["transcript"][1]["at_ms"], 2);
    assert_eq!(json["clauses"][0]["standing"], "held");
    assert_eq!(json["clauses"][6]["kind"], "deployment");
}

#[test]
fn json_cuts_long_texts_of_what_passed_and_keeps_those_of_what_failed() {
    let mut report = sample::report();
    for case in report.cases.iter_mut().filter(|case| !case.transcript.entries.is_empty()) {
        case.transcript.entries[0].text = "x".repeat(4000);
    }
    let json: Value = serde_json::from_str(&json::render(&report.into())).expect("it is JSON");
    for case in json["runs"][0]["cases"].as_array().expect("a list") {
        let Some(text) = case["transcript"][0]["text"].as_str() else { continue };
        assert_eq!(text.len() == 4000, case.get("failure").is_some(), "{}: {} bytes", case["name"], text.len());
    }
}

#[test]
fn junit_counts_failures_and_skips_and_escapes_what_was_said() {
    let xml = junit::render(&sample::report().into());
    assert!(xml.contains(r#"tests="8" skipped="2" failures="2" errors="0""#), "{xml}");
    assert!(xml.contains(r#"<testsuite name="rooms/messages""#));
    assert!(xml.contains("hi &lt;b>there") || xml.contains("hi &lt;b&gt;there"));
    assert!(xml.contains("known failure: no history before the next release"));
    assert!(xml.contains("not run: needs backend=redis"));
    assert_eq!(xml.matches("<skipped").count(), 2);
    assert!(xml.contains("not strict: rooms/3.7, line 6"));
}

#[test]
fn the_page_stands_alone_and_escapes_what_was_said() {
    let page = html::render(&sample::report().into());
    for outside in ["src=\"http", "href=\"http", "@import", "url("] {
        assert!(!page.contains(outside), "the page refers to {outside}");
    }
    assert!(page.contains("hi &lt;b&gt;there") && !page.contains("hi <b>there"));
    assert!(page.starts_with("<!DOCTYPE html>"));
}

#[test]
fn the_page_shows_each_case_with_its_conversation_failures_first() {
    let report = sample::report();
    let page = html::render(&report.clone().into());
    for case in &report.cases {
        assert!(page.contains(&case.title), "{}", case.name);
    }
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("the page lacks {text}"));
    assert!(at("id=\"case-rooms-messages-echo\"") < at("id=\"case-rooms-engine-io-polling-unknown-sid\""));
    assert!(at("<span class=\"who h0\">alice</span>") < at("<span class=\"who h1\">bob</span>"));
    assert!(page.contains("grid-column:2 / 6;--span:4"), "alice speaks over three columns to the server");
    assert!(page.contains("of 6 wire MUST clauses named by cases"));
    assert!(page.contains("href=\"#clause-rooms-5.1\"") && page.contains("id=\"clause-rooms-5.1\""));
}

#[test]
fn several_dialects_are_one_report_with_a_line_for_each() {
    let own = RunReport { shared_with: Some("rooms".to_owned()), dialect: "sessions".to_owned(), ..sample::report() };
    let check = CheckReport { runs: vec![sample::report(), own], elapsed: std::time::Duration::from_millis(9_000) };
    let text = terminal::render(&check, &terminal::Plain);
    assert!(text.contains("\ndialects, in 9.00 s\n  rooms     3 passed, 2 failed, 1 not run  not strict 1"), "{text}");
    assert!(text.contains("\n  sessions  3 passed, 2 failed, 1 not run  "), "{text}");
    assert!(text.contains("the protocols below it are judged with `rooms`"), "{text}");
    assert!(text.ends_with("\n6 passed, 4 failed, 2 not run\n"), "{text}");
    let json: Value = serde_json::from_str(&json::render(&check)).expect("it is JSON");
    assert_eq!((&json["summary"]["failed"], &json["runs"][1]["dialect"]), (&4.into(), &"sessions".into()));
    let xml = junit::render(&check);
    assert!(xml.contains(r#"<testsuite name="sessions/rooms/messages""#), "the dialect is a level: {xml}");
    let page = html::render(&check);
    for part in
        ["id=\"case-rooms-messages-echo\"", "id=\"case-sessions-rooms-messages-echo\"", "id=\"dialect-sessions\""]
    {
        assert_eq!(page.matches(part).count(), 1, "{part}");
    }
}
