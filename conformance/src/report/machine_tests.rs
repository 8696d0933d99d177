//! The reports for machines say what the run says, in the words of each format.

use super::{badge, github, sample, summary, table, tap};
use crate::outcome::{CheckReport, Verdict};

fn check() -> CheckReport {
    CheckReport::from(sample::report())
}

#[test]
fn tap_has_a_line_for_each_case_and_a_directive_where_it_needs_one() {
    let text = tap::render(&check());
    assert!(text.starts_with("TAP version 14\n1..8\n"), "{text}");
    let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((lines("ok "), lines("not ok ")), (5, 3), "{text}");
    for part in [
        "rooms/history/late # TODO no history before the next release",
        "rooms/outage/redis # SKIP needs backend=redis",
        "rooms/joining/once (not strict)\n  ---\n",
        "  clause: \"rooms/5.1 MUST\"\n",
        "  rerun: \"chatwright check --target 'targets/our chat.toml' --filter 'rooms/messages/echo'\"\n  ...\n",
        "# not run, of engine-io: WebTransport: the judge speaks no QUIC",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn annotations_stand_at_the_target_file_and_are_escaped() {
    let text = github::render(&check());
    let echo = text.lines().find(|line| line.contains("title=rooms/messages/echo")).expect("it failed");
    assert!(echo.starts_with("::error file=targets/our chat.toml,line=1,title=rooms/messages/echo::"), "{echo}");
    assert!(echo.contains("its sender too.%0Arooms/5.1 MUST: expected new_message"), "{echo}");
    assert_eq!(text.lines().filter(|line| line.starts_with("::error")).count(), 2);
    assert_eq!(text.lines().filter(|line| line.starts_with("::warning")).count(), 1);
    assert!(text.ends_with("::notice title=chatwright::3 passed, 2 failed, 1 not run\n"), "{text}");
}

#[test]
fn no_more_annotations_are_made_than_are_shown() {
    let mut report = sample::report();
    let failed = report.cases.iter().find(|case| case.verdict == Verdict::Fail).cloned().expect("one failed");
    report.cases = (0..25).map(|_| failed.clone()).collect();
    let text = github::render(&CheckReport::from(report));
    assert_eq!(text.lines().filter(|line| line.starts_with("::error")).count(), 10);
    assert!(text.contains("and 16 more"), "{text}");
}

#[test]
fn the_badge_says_the_counts_and_is_red_when_something_failed() {
    let data: serde_json::Value = serde_json::from_str(&badge::endpoint(&check())).expect("it is JSON");
    assert_eq!(data["schemaVersion"], 1);
    assert_eq!(data["label"], "chatwright rooms");
    assert_eq!(data["message"], "3 passed, 2 failed, 1 not run");
    assert!(badge::svg(&check()).contains(data["color"].as_str().expect("a colour")));
    let mut report = sample::report();
    report.cases.retain(|case| case.verdict == Verdict::Pass);
    let good: serde_json::Value = serde_json::from_str(&badge::endpoint(&report.into())).expect("it is JSON");
    assert_eq!(good["message"], "3 passed, 0 failed");
    assert_ne!(good["color"], data["color"]);
}

#[test]
fn the_summary_says_who_was_judged_and_by_which_cases() {
    let data: serde_json::Value = serde_json::from_str(&summary::render(&check())).expect("it is JSON");
    let run = &data["runs"][0];
    assert_eq!(run["implementation"]["name"], "our chat, Node 20");
    assert_eq!(run["implementation"]["runtime"], "Node 20, socket.io 4.8");
    assert_eq!(run["cases"]["count"], 8);
    assert_eq!(run["cases"]["digest"], "0123456789ab");
    assert_eq!(run["specs"]["rooms"]["failed"], 2);
    assert_eq!(run["specs"]["engine-io"]["passed"], 1);
    assert_eq!(run["not_judged"][0]["what"], "WebTransport");
}

#[test]
fn the_table_has_a_row_for_each_run_and_is_put_between_its_marks() {
    let made = table::markdown(&[sample::report()]);
    let row = made.lines().nth(2).expect("a row");
    assert_eq!(
        row,
        "| our chat, Node 20 2.1.0 | Node 20, socket.io 4.8 | `rooms` | **2 of 6** | 1 of 1 | 2 of 6 | 2 failed, 1 not strict, 1 known failures, 1 not run |"
    );
    assert!(made.contains("counted nowhere: WebTransport (engine-io)."), "{made}");
    let page = table::put_into("# page\n\nwords\n", "old");
    let again = table::put_into(&format!("{page}\nmore\n"), "new");
    assert!(again.starts_with("# page\n\nwords\n\n<!--") && again.ends_with("\nmore\n"), "{again}");
    assert!(again.contains("new") && !again.contains("old"), "{again}");
}
