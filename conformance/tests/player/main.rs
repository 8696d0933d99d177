//! What the judge says about servers that do right, and about servers that do one thing wrong.

mod late;
mod toy;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chatwright_conformance::{
    outcome::{CaseReport, Failure, Phase, Verdict},
    run::{RunConfig, RunError},
    target::{Action, AskError, BoxFuture, Control, ControlError, Done, Published, Subject},
};
use serde_json::json;
use toy::{judge, judge_json, try_controlled, try_run};

fn failure(report: &CaseReport) -> &Failure {
    report.failure.as_ref().unwrap_or_else(|| panic!("{} did not fail: {:?}", report.name, report.transcript))
}

async fn passes(body: &str) {
    let report = judge(body).await;
    assert_eq!(report.verdict, Verdict::Pass, "{body}\n{:#?}\n{:#?}", report.failure, report.transcript);
}

#[tokio::test]
async fn a_case_that_holds_passes() {
    passes(
        "alice connects\nalice > say [\"42[\\\"hello\\\",{\\\"n\\\":1,\\\"more\\\":2}]\"]\nalice < hello {\"n\": 1}",
    )
    .await;
    passes("use alice, bob in $room\nalice > say []").await;
    passes("alice tries auth={\"refuse\": 1}\nalice refused {\"message\": \"no\"}").await;
    passes("alice connects\nalice > say [] ack=3\nalice < ack=3 \"done\"").await;
    passes("alice connects\nalice > cut\nalice closed").await;
    passes("alice connects\nalice > cut\nalice disconnected\nalice returns\nalice > say [\"42[\\\"hello\\\"]\"]\nalice < hello").await;
}

#[tokio::test]
async fn names_are_captured_compared_and_fresh() {
    passes("alice connects\nalice > say [\"42[\\\"a\\\",{\\\"id\\\":\\\"q7\\\"}]\", \"42[\\\"b\\\",\\\"q7\\\"]\"]\nalice < a {\"id\": @id as $id}\nalice < b $id").await;
    passes("let $x = fresh(\"a:b\")\nalice connects\nalice > repeat-me {\"room\": $x, \"who\": $alice.id}\nalice < repeat-me {\"room\": ~\"a:b\", \"who\": $alice.id}").await;
    passes("alice connects\nrepeat $i 1..3\nalice > repeat-me $i\nend\nrepeat $i 1..3\nalice < repeat-me $i\nend")
        .await;
}

#[tokio::test]
async fn events_may_come_in_any_order_inside_a_group_and_optionally_before_it() {
    let say = "alice connects\nalice > say [\"42[\\\"o\\\"]\", \"42[\\\"b\\\"]\", \"42[\\\"a\\\"]\"]\n";
    passes(&format!("{say}alice <? o\nalice < a\nalice & b")).await;
    passes(&format!("{say}alice <? x\nalice <* a")).await;
    passes(&format!("{say}alice allow o\nalice < b\nalice < a")).await;
    let report = judge(&format!("{say}alice < o\nalice < a")).await;
    assert_eq!(failure(&report).got, "b");
}

#[tokio::test]
async fn what_is_optional_in_rounds_is_that_of_its_round_and_in_order() {
    let rounds =
        |said: &str| format!("alice connects\nalice > say [{said}]\nrepeat $i 1..3\nalice <? n {{\"round\": $i}}\nend");
    let n = |round: u8| format!("\"42[\\\"n\\\",{{\\\"round\\\":{round}}}]\"");
    for (said, surplus) in [
        (vec![], None),
        (vec![1, 2, 3], None),
        (vec![1, 3], None),
        (vec![2, 1], Some(1)),
        (vec![1, 1], Some(1)),
        (vec![4], Some(4)),
    ] {
        let said: Vec<String> = said.into_iter().map(n).collect();
        let report = judge(&rounds(&said.join(", "))).await;
        let got = report.failure.as_ref().map(|failure| failure.got.clone());
        assert_eq!(got, surplus.map(|round: u8| format!("n {{\"round\": {round}}}")), "{said:?}");
    }
}

#[tokio::test]
async fn an_optional_event_with_a_time_is_waited_for_behind_those_that_were_optional_before_it() {
    let waits = "alice <? o\nalice <? p within 10s\nalice quiet 300ms";
    let say = "alice connects\nalice > say [\"42[\\\"o\\\"]\"]\nalice > later 150 \"42[\\\"p\\\"]\"";
    let report = judge(&format!("{say}\n{waits}")).await;
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.failure);
    let surprised = judge(&format!("alice connects\nalice > say [\"42[\\\"x\\\"]\"]\n{waits}")).await;
    assert_eq!(failure(&surprised).got, "x");
    assert!(surprised.elapsed < Duration::from_secs(5), "{:?}", surprised.elapsed);
}

#[tokio::test]
async fn an_event_that_the_document_names_otherwise_counts_as_the_same() {
    passes("alice connects\nalice > say [\"42[\\\"hi\\\",1]\"]\nalice < hello 1").await;
}

#[tokio::test]
async fn a_wrong_answer_fails_at_its_line_with_path_and_clause() {
    let report = judge("alice connects\nalice > say [\"42[\\\"hello\\\",{\\\"n\\\":{\\\"m\\\":2}}]\"]\nalice < hello {\"n\": {\"m\": 1}} §1.2").await;
    assert_eq!(report.verdict, Verdict::NonStrict, "its clause is a SHOULD");
    let failure = failure(&report);
    assert_eq!((failure.phase, failure.line, failure.clause.0.as_str()), (Phase::Step, 5, "toy/1.2"));
    assert_eq!(failure.why, ".n.m: expected 1, got 2");
    assert_eq!(failure.got, "hello {\"n\": {\"m\": 2}}");
}

#[tokio::test]
async fn a_missing_answer_fails_after_its_deadline_and_says_so() {
    let report = judge("alice connects\nalice < hello within 80ms").await;
    let failure = failure(&report);
    assert_eq!(report.verdict, Verdict::Fail);
    assert!(failure.got.starts_with("nothing for "), "{failure:?}");
    assert!(report.elapsed >= Duration::from_millis(80));
}

#[tokio::test]
async fn an_event_that_nobody_expects_fails_the_case_even_when_it_comes_last() {
    let report = judge("alice connects\nalice > say [\"42[\\\"extra\\\"]\"]").await;
    let failure = failure(&report);
    assert_eq!((report.verdict, failure.phase, failure.got.as_str()), (Verdict::Fail, Phase::End, "extra"));
    assert!(failure.expected.starts_with("nothing more for alice"), "{failure:?}");
}

#[tokio::test]
async fn never_holds_before_and_after_its_line_and_is_blamed_itself() {
    let say = "alice > say [\"42[\\\"leak\\\",7]\", \"42[\\\"hello\\\"]\"]\nalice <* hello\n";
    for body in [
        format!("alice connects\nalice never leak 7 §2.1\n{say}"),
        format!("alice connects\n{say}alice never leak 7 §2.1"),
    ] {
        let report = judge(&body).await;
        assert_eq!(failure(&report).clause.0, "toy/2.1");
        assert_eq!(failure(&report).got, "leak 7");
    }
    passes(&format!("alice connects\nalice never leak 8\n{say}")).await;
    let allowed = judge("alice connects\nalice allow *\nalice never leak\nalice > say [\"42[\\\"leak\\\"]\"]").await;
    assert_eq!(failure(&allowed).got, "leak");
}

#[tokio::test]
async fn what_a_preamble_forbids_or_allows_each_is_about_that_actor_to_the_end() {
    passes("use alice, bob guarded\nalice > repeat-me {\"of\": $bob.id}\nalice < repeat-me").await;
    passes("use alice, bob guarded\nalice > repeat-me {\"to\": $alice.id}\nalice > say [\"42[\\\"a\\\"]\"]\nalice < a")
        .await;
    for (body, blamed) in [
        ("alice > repeat-me {\"of\": $alice.id}\nalice < repeat-me", "alice never repeat-me {\"of\": $each.id}"),
        ("alice.2 > repeat-me {\"of\": $alice.id}\nalice.2 < repeat-me", "alice.2 never repeat-me {\"of\": $each.id}"),
        ("alice > repeat-me {\"to\": $bob.id}\nalice < a", "alice < a"),
    ] {
        let report = judge(&format!("use alice, alice.2, bob guarded\n{body}")).await;
        assert_eq!(failure(&report).step, blamed);
    }
}

#[tokio::test]
async fn a_preamble_that_fails_says_nothing_about_the_clauses_of_the_case() {
    let report = judge("alice connects\nalice > cut\nalice <? x\nuse alice in $room").await;
    let failure = failure(&report);
    assert_eq!((failure.phase, failure.line), (Phase::Preamble, 6));
    assert!(failure.step.starts_with("use alice in $room: "), "{failure:?}");
}

#[tokio::test]
async fn what_a_protocol_forbids_is_a_failure_of_its_own() {
    let table = [
        ("alice > bytes [193, 0]", "rfc6455"),
        ("alice > bytes [129, 128, 0, 0, 0, 0]", "rfc6455/2.11"),
        ("alice > bytes [129, 1, 255]", "rfc6455"),
        ("alice > say [\"9\"]", "engine-io/4.3"),
        ("alice > say [\"42{}\"]", "socket-io"),
        ("alice > say [\"42/other,[\\\"x\\\"]\"]", "socket-io"),
        ("alice > say [\"451-[\\\"x\\\"]\", \"42[\\\"y\\\"]\"]", "socket-io/4.1"),
    ];
    for (line, protocol) in table {
        let report = judge(&format!("alice connects\n{line}\nalice <* hello §1.2")).await;
        assert_eq!(failure(&report).clause.0, protocol, "{line}");
        assert_eq!(report.verdict, Verdict::Fail, "{line}: a MUST, whatever the step states");
    }
}

#[tokio::test]
async fn an_end_that_nobody_expects_fails_unless_it_is_allowed() {
    let report = judge("alice connects\nalice > cut\nwait 50ms").await;
    assert_eq!(failure(&report).phase, Phase::End);
    passes("alice connects\nalice allow disconnected\nalice > cut\nwait 50ms").await;
    let waiting = judge("alice connects\nalice > cut\nalice < hello").await;
    assert!(failure(&waiting).got.starts_with("the end"), "{:?}", waiting.failure);
}

#[tokio::test]
async fn an_end_instead_answers_for_what_does_not_come_and_for_nothing_else() {
    let two = "alice connects\nbob connects\nalice allow disconnected instead\n";
    passes(&format!("{two}alice > cut\nbob < hello\nalice < hello")).await;
    passes(&format!("{two}alice > cut\nalice < hello")).await;
    let said = "bob > say [\"42[\\\"a\\\"]\", \"42[\\\"c\\\"]\"]\n";
    passes(&format!("{two}{said}alice > cut\nbob < a\nbob < c\nbob < d")).await;
    for (rest, line) in [
        (format!("{said}alice > cut\nbob < a\nbob < b"), "bob < b"),
        (format!("{said}alice > cut\nbob never c\nbob < a\nbob <* d"), "bob never c"),
        ("bob < hello".to_owned(), "bob < hello"),
        ("bob > cut\nalice < hello".to_owned(), "alice < hello"),
    ] {
        let report = judge(&format!("{two}{rest}")).await;
        assert_eq!(failure(&report).step, line, "{rest}");
    }
}

#[tokio::test]
async fn time_bounds_hold_both_ways() {
    passes("alice connects\nalice > later 120 \"42[\\\"hello\\\"]\"\nalice < hello after 60ms within 2s").await;
    let early = judge("alice connects\nalice > say [\"42[\\\"hello\\\"]\"]\nalice < hello after 2s").await;
    assert_eq!(failure(&early).why, "it came too early");
    passes("alice connects\nalice quiet 40ms").await;
    let loud = judge("alice connects\nalice > later 30 \"42[\\\"hello\\\"]\"\nalice quiet 200ms").await;
    assert_eq!(failure(&loud).got, "hello");
}

#[tokio::test]
async fn requests_are_judged_by_status_header_and_body() {
    passes("alice requests GET /a?b=1\nalice answered 200 header.Content-Type=~\"json\" {\"asked\": \"GET /a?b=1 HTTP/1.1\", \"token\": false}").await;
    passes("let $room = fresh(\"a/b c\")\nalice requests GET \"/rooms/${room}\"\nalice answered 200 {\"asked\": ~\"a%2Fb%20c\"}").await;
    passes("alice requests GET /missing\nalice answered 4xx").await;
    let wrong = judge("alice requests GET /missing\nalice answered 200|204").await;
    assert_eq!(failure(&wrong).why, "the status is 404");
    passes("alice requests GET /\nalice answered 200 header.X-None=!\"x\"").await;
}

#[tokio::test]
async fn websockets_frames_and_bare_connections_are_played() {
    passes("alice dials /socket.io/?EIO=4&transport=websocket\nalice answered 101\nalice gets text 0{\"sid\": @string}\nalice sends text 40\nalice gets text 40{\"sid\": @string}").await;
    passes("alice dials tcp\nalice sends bytes \"GET /x HTTP/1.1\\r\\n\\r\\n\"\nalice gets bytes ~\"HTTP/1.1 (?P<status>\\d+)\"\nalice gets bytes ~\"GET /x\"\nalice gets end").await;
    passes("alice opens\nalice sends frame fin=0 opcode=1 40\nalice sends ping\nalice drops\nalice closed").await;
    passes("alice opens\nalice sends packet 40\nalice gets packet 40{\"sid\": @string}\nalice sends packet 42[\"say\",[\"2\"]]\nalice sends packet 42[\"say\",[\"42[1]\"]]\nalice gets packet ~\"^42\"").await;
    let deaf = judge("alice dials /nowhere\nalice answered 101").await;
    assert_eq!(deaf.verdict, Verdict::Pass, "the toy accepts a WebSocket anywhere");
}

#[tokio::test]
async fn the_same_seed_makes_the_same_users_and_rooms() {
    let case = [(
        "one",
        "# A case.\nclause toy/1.1\nuse alice in $room\nalice > repeat-me {\"u\": $alice.id, \"r\": $room}\nalice < repeat-me {\"u\": $alice.id}\n",
    )];
    let mut sent = Vec::new();
    for seed in [7, 7, 8] {
        let report = try_run(&case, "", RunConfig { seed, ..RunConfig::default() }).await.expect("it runs");
        let entries = &report.cases[0].transcript.entries;
        sent.push(entries.iter().find(|e| e.text.starts_with("repeat-me")).expect("sent").text.clone());
    }
    assert_eq!(sent[0], sent[1]);
    assert_ne!(sent[0], sent[2]);
}

#[tokio::test]
async fn known_failures_are_expected_to_fail_and_to_exist() {
    let cases = [
        ("bad", "# A case.\nclause toy/1.1\nalice connects\nalice < hello within 50ms\n"),
        ("good", "# A case.\nclause toy/1.1\nalice connects\n"),
    ];
    let known = "[known_failing]\n\"toy/bad\" = \"not done yet\"\n\"toy/go*\" = \"we thought so\"\n";
    let report = try_run(&cases, known, RunConfig::default()).await.expect("it runs");
    let verdicts: Vec<_> = report.cases.iter().map(|case| (case.verdict, case.reason.clone())).collect();
    assert_eq!(verdicts[0], (Verdict::KnownFailure, Some("not done yet".to_owned())));
    assert_eq!(verdicts[1].0, Verdict::UnexpectedPass);
    let unmatched = try_run(&cases, "[known_failing]\n\"toy/no-such\" = \"?\"\n", RunConfig::default()).await;
    assert_eq!(unmatched, Err(RunError::UnmatchedKnown { pattern: "toy/no-such".to_owned() }));
}

#[tokio::test]
async fn what_the_target_does_not_have_is_not_run_and_says_why() {
    let cases = [
        ("control", "# A case.\nclause toy/1.1\nneeds control\ntarget kills 1\n"),
        ("cluster", "# A case.\nclause toy/1.1\nneeds instances=2\nalice@2 connects\n"),
        ("slow", "# A case.\nclause toy/1.1\nwait 20s\n"),
    ];
    let report = try_run(&cases, "", RunConfig::default()).await.expect("it runs");
    let reasons: Vec<_> =
        report.cases.iter().map(|case| (case.verdict, case.reason.clone().unwrap_or_default())).collect();
    assert!(reasons.iter().all(|(verdict, _)| *verdict == Verdict::NotRun), "{reasons:?}");
    assert_eq!(reasons[0].1, "needs instances=2");
    assert_eq!(reasons[1].1, "needs control");
    assert!(reasons[2].1.contains("clock budget"), "{reasons:?}");
}

#[tokio::test]
async fn a_filter_chooses_cases_and_one_that_fits_nothing_is_an_error() {
    let cases =
        [("a", "# A case.\nclause toy/1.1\nalice connects\n"), ("b", "# A case.\nclause toy/1.1\nalice connects\n")];
    let filtered = |glob: &str| RunConfig { filter: vec![glob.to_owned()], ..RunConfig::default() };
    let report = try_run(&cases, "", filtered("toy/b")).await.expect("it runs");
    assert_eq!(report.cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["toy/b"]);
    assert!(matches!(try_run(&cases, "", filtered("nothing*")).await, Err(RunError::NothingToRun { .. })));
    assert!(matches!(try_run(&cases, "", filtered("[")).await, Err(RunError::BadFilter(_))));
}

#[tokio::test]
async fn events_and_fields_and_routes_are_adapted_both_ways() {
    let case = [(
        "one",
        "# A case.\nclause toy/1.1\nalice connects\nalice > repeat-ours {\"name\": {\"name\": 1}}\nalice < repeat-ours {\"name\": {\"name\": 1}}\nalice requests GET /api/x\nalice answered 200 {\"asked\": ~\"GET /v2/x\"}\n",
    )];
    let adapt = "[adapt]\nrename_events = { repeat-ours = \"repeat-me\" }\nrename_fields = { name = \"displayName\" }\nrename_routes = { \"/api\" = \"/v2\" }\n";
    let report = try_run(&case, adapt, RunConfig::default()).await.expect("it runs");
    assert_eq!(report.cases[0].verdict, Verdict::Pass, "{:#?}", report.cases[0].failure);
    assert_eq!(report.adapted.len(), 3);
}

#[tokio::test]
async fn a_dialect_of_json_frames_is_played_by_its_descriptor_alone() {
    let held = judge_json(
        r#"use alice, bob
alice > {"say": ["{\"type\":\"hi\",\"n\":1}"]}
alice < {"type": "hi", "n": @int as $n}
bob > {"say": ["{\"n\":1}"]}
bob < {"n": $n}"#,
    )
    .await;
    assert_eq!(held.verdict, Verdict::Pass, "{:#?}", held.failure);
    let surplus = judge_json(
        r#"alice connects
alice > {"say": ["{\"type\":\"extra\"}"]}"#,
    )
    .await;
    assert_eq!(failure(&surplus).phase, Phase::End);
    let wrong = judge_json(
        r#"alice connects
alice > {"say": ["no json"]}
alice < {"type": "hi"}"#,
    )
    .await;
    assert!(failure(&wrong).why.starts_with("it is no JSON"), "{:?}", wrong.failure);
}

/// Writes down what is asked of it.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Control for Diary {
    fn can(&self, _: &Subject, _: Action) -> bool {
        true
    }
    fn act<'a>(&'a self, subject: &'a Subject, action: Action) -> BoxFuture<'a, Result<Done, ControlError>> {
        self.0.lock().expect("never poisoned").push(format!("{action} {subject}"));
        Box::pin(std::future::ready(Ok(Done { exit_code: None, note: format!("{action} done") })))
    }
    fn last_lines(&self, _: &Subject) -> Vec<String> {
        Vec::new()
    }
    fn listen<'a>(&'a self, _: &'a Subject, channel: &'a str) -> BoxFuture<'a, Result<Published, AskError>> {
        let (sender, published) = tokio::sync::mpsc::channel(1);
        let channel = channel.to_owned();
        tokio::spawn(async move {
            for text in ["one", r#"{"n": 2}"#] {
                let _ = sender.send(json!({"channel": channel, "text": text})).await;
            }
        });
        Box::pin(std::future::ready(Ok(published)))
    }
}

#[tokio::test]
async fn what_is_published_where_a_case_listens_is_kept_in_order_and_looked_at_until_it_matches() {
    let judged = |look: &str| {
        let steps = format!("backend redis listens \"a\"\nbackend redis listens \"b\"\nbackend redis heard {look}");
        format!("# A case.\nclause toy/1.1\nneeds backend=redis\n{steps} within 500ms\n")
    };
    let kept = judged(r#"[* {"channel": "a", "text": "one"}, {"channel": "b", "text": {"n": 2}}]"#);
    let not_more = judged(r#"[@any, @any, @any]"#);
    let too_early = "# A case.\nclause toy/1.1\nneeds backend=redis\nbackend redis heard []\n";
    let cases = [("kept", kept.as_str()), ("not-more", not_more.as_str()), ("too-early", too_early)];
    let control: Arc<dyn Control> = Arc::new(Diary::default());
    let report = try_controlled(&cases, "", RunConfig::default(), Some(control)).await.expect("it runs");
    let verdicts: Vec<_> = report.cases.iter().map(|case| case.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Fail, Verdict::NotRun], "{:#?}", report.cases);
    assert!(failure(&report.cases[1]).got.contains(r#""text": {"n": 2}"#), "{:?}", report.cases[1].failure);
}

#[tokio::test]
async fn what_a_case_leaves_down_is_put_back_also_when_it_fails() {
    let cases = [
        (
            "a",
            "# A case.\nclause toy/1.1\nneeds control backend=redis\nbackend redis pauses\ntarget kills 1\nalice connects\nalice < hello within 30ms\n",
        ),
        ("b", "# A case.\nclause toy/1.1\nneeds control\ntarget stops 1\ntarget starts 1\ntarget restarts\n"),
    ];
    let diary = Arc::new(Diary::default());
    let control: Arc<dyn Control> = Arc::<Diary>::clone(&diary);
    let report = try_controlled(&cases, "", RunConfig::default(), Some(control)).await.expect("it runs");
    assert_eq!(report.cases.iter().map(|case| case.verdict).collect::<Vec<_>>(), [Verdict::Fail, Verdict::Pass]);
    let mut written = diary.0.lock().expect("never poisoned").clone();
    // The backend first: an instance may be ready only when its backends are there.
    let one = ["pause backend redis", "kill instance 1", "resume backend redis", "start instance 1"];
    let two = ["stop instance 1", "start instance 1", "restart instance 1"];
    // On a busy machine a failure by time alone is played again, each time with all of it.
    while written.len() > one.len() + two.len() && written.starts_with(&one.map(str::to_owned)) {
        written.drain(..one.len());
    }
    assert_eq!(written, [&one[..], &two[..]].concat(), "alone, one after the other, and put back at the end of each");
}
