//! What a self-test says, in each form.

use super::*;
use crate::wrong::Kill;

fn row(name: &str, clause: &str, verdict: KillVerdict) -> KillRow {
    let kill = Kill {
        case: "rooms/a".to_owned(),
        clause: ClauseId(clause.to_owned()),
        line: 7,
        step: "bob < new_message {\"text\": \"<b>\"}".to_owned(),
    };
    KillRow {
        name: name.to_owned(),
        title: "a title".to_owned(),
        planted: "rooms-node: src/events.js".to_owned(),
        clause: ClauseId(clause.to_owned()),
        caught_by: vec!["rooms/a".to_owned()],
        survived: if verdict == KillVerdict::Caught { Vec::new() } else { vec!["rooms/a".to_owned()] },
        kills: if verdict == KillVerdict::Caught { vec![kill] } else { Vec::new() },
        verdict,
        weak: Vec::new(),
        attempts: 1,
        elsewhere: Vec::new(),
        broke_down: Vec::new(),
        others_passed: (3, 3),
        unused_rules: Vec::new(),
        elapsed: Duration::from_millis(1200),
    }
}

fn report() -> SelfTest {
    SelfTest {
        seed: 1,
        elapsed: Duration::from_secs(3),
        rows: vec![
            row("one", "rooms/1.1", KillVerdict::Caught),
            row("two", "rooms/1.2", KillVerdict::Missed),
            row("three", "engine-io/1.1", KillVerdict::Caught),
            row("four", "rooms/1.4", KillVerdict::Died("it ended with exit code 7\nTypeError: <x>".to_owned())),
        ],
        not_run: vec![NotPlayed {
            name: "five".to_owned(),
            title: "its store forgets".to_owned(),
            clause: ClauseId("direct/3.1".to_owned()),
            why: "it needs backend=mongodb".to_owned(),
        }],
        clauses: [(ClauseId("rooms/1.1".to_owned()), "What `a` says.".to_owned())].into(),
        ..SelfTest::default()
    }
}

#[test]
fn the_score_counts_each_contract_and_names_what_was_missed() {
    let words = words(&report());
    for part in [
        "missed: two: a title (rooms/1.2)\n    passes rooms/a",
        "its server died: four: a title (rooms/1.4)\n    it ended with exit code 7\n    TypeError: <x>",
        "rooms          1 of 3 planted defects noticed",
        "engine-io      1 of 1 planted defects noticed",
        "not run: five (it needs backend=mongodb)",
        "2 of 4 planted defects noticed, each at the clause that it breaks (50.0 %), in 3.00 s, seed 1",
    ] {
        assert!(words.contains(part), "`{part}` is missing in:\n{words}");
    }
    assert!(!report().is_complete());
}

#[test]
fn a_defect_that_nothing_matched_is_not_noticed() {
    let row = KillRow { unused_rules: vec![1], ..row("one", "rooms/1.1", KillVerdict::Caught) };
    assert!(!row.is_caught() && verdict(&row) == "its defect was not there");
}

#[test]
fn one_hundred_per_cent_means_all() {
    assert_eq!(Score { caught: 9999, servers: 10_000 }.percent(), "99.9");
    assert_eq!(Score { caught: 10_000, servers: 10_000 }.percent(), "100.0");
}

#[test]
fn the_page_lists_each_defect_with_what_caught_it_and_escapes_what_was_said() {
    let page = html(&report());
    for part in [
        "rooms/a:7",
        "bob &lt; new_message",
        "rooms-node: src/events.js",
        "TypeError: &lt;x&gt;",
        "What <code>a</code> says.",
        "data-spec=\"engine-io\"",
        "50.0 %",
    ] {
        assert!(page.contains(part), "`{part}` is missing");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "it needs no network");
    let (died, caught) = (page.find("id=\"four\""), page.find("id=\"one\""));
    assert!(died.is_some() && died < caught, "what is wrong stands first");
}

#[test]
fn json_and_junit_hold_the_score_and_the_list() {
    let json: serde_json::Value = serde_json::from_str(&json(&report())).expect("it is JSON");
    let test = &json["self_test"];
    assert_eq!((&test["score"]["caught"], &test["score"]["servers"]), (&2.into(), &4.into()));
    assert_eq!(test["servers"][0]["caught_by"][0]["line"], 7);
    assert_eq!(test["not_run"][0]["why"], "it needs backend=mongodb");
    let junit = junit(&report());
    assert!(junit.contains("tests=\"5\"") && junit.contains("failures=\"2\""), "{junit}");
}

#[test]
fn a_case_that_nothing_fails_is_unproven_unless_its_wrong_server_was_not_played() {
    let mut suite = Suite::default();
    let case = |name: &str| {
        let text = "# It is so.\nclause rooms/1.1\nuse alice\n";
        crate::case::parse_case(name, name, text).expect("a case")
    };
    suite.cases = ["rooms/a", "rooms/b", "rooms/c", "rooms/probes/d"].map(case).into();
    suite.proven = ["rooms/a".to_owned(), "rooms/b".to_owned()].into();
    let rows = [row("one", "rooms/1.1", KillVerdict::Caught)];
    assert_eq!(unproven(&suite, &rows, &report().not_run), ["rooms/c"]);
    assert_eq!(unproven(&suite, &rows, &[]), ["rooms/b", "rooms/c"]);
    let missed = [row("two", "rooms/1.1", KillVerdict::Missed)];
    assert_eq!(unproven(&suite, &missed, &report().not_run), ["rooms/a", "rooms/c"]);
}
