//! The judge is judged: each wrong server of the fixtures is caught by the cases that are meant for it, at the clause that it breaks.

#![expect(clippy::print_stderr, reason = "what is not run is said aloud")]

use std::path::{Path, PathBuf};

use chatwright_conformance::{
    fixtures::Fixtures,
    run::{NoObserver, RunConfig, run},
    suite::Suite,
    target::{StartOptions, Target, TargetFile},
    wrong::{Bases, Judging, KillRow, KillTable, KillVerdict, WrongServer, judge_wrong_servers},
};

/// They mostly wait for deadlines and for each other's starts, so several at a time keep two cores busy. What fails while the judge is
/// late is played again, and who is not caught in the crowd is judged again alone.
const AT_ONCE: usize = 8;
/// Cases of other clauses beside those that are meant for a server: enough to see that the rest still works.
const OTHERS_MAX: usize = 24;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Whether the base of most wrong servers can be made ready: Node and its packages. With `CHATWRIGHT_REQUIRE_BACKENDS=1` it has to.
async fn node_is_there() -> bool {
    let file = TargetFile::load(&fixtures().join("targets/rooms-node/target.toml")).expect("it is well written");
    let Err(why) = Target::prepare(&file).await else { return true };
    let required = std::env::var("CHATWRIGHT_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
    assert!(!required, "Node is required: {why}");
    eprintln!("NOT RUN: the wrong servers need Node: {why}");
    false
}

/// Those that need nothing but instances.
fn playable() -> Vec<WrongServer> {
    let all = WrongServer::load_all(&fixtures().join("wrong")).expect("they are well written");
    all.into_iter().filter(|server| server.needs.iter().all(|need| need.starts_with("instances="))).collect()
}

/// Judges these, so many at once.
async fn judged(servers: &[WrongServer], at_once: usize) -> KillTable {
    let suite = Suite::load(&Fixtures::Folder(fixtures())).expect("the fixtures are well written");
    let judging = Judging { start: StartOptions::default(), at_once, others_max: Some(OTHERS_MAX) };
    let chatwright = Some(PathBuf::from(env!("CARGO_BIN_EXE_chatwright")));
    let bases = Bases { targets: fixtures().join("targets"), chatwright };
    let play = |target: Target, filter: Vec<String>| async {
        let report = run(&suite, &RunConfig { filter, ..RunConfig::default() }, &target, &NoObserver).await;
        // Killed: how a wrong server ends when it is asked to is for the cases that ask.
        drop(target);
        report.map_err(|e| e.to_string())
    };
    judge_wrong_servers(servers, &bases, &judging, play).await
}

fn tell(row: &KillRow) -> String {
    let (passed, of) = row.others_passed;
    let elsewhere: Vec<_> = row.elsewhere.iter().map(|kill| format!("{} at {}", kill.case, kill.clause.0)).collect();
    format!(
        "{} ({}): {:?}; not caught by {:?} (weak on the base: {:?}); elsewhere {elsewhere:?}; broke down {:?}; {passed} of {of} others pass; unused rules {:?}",
        row.name, row.clause.0, row.verdict, row.survived, row.weak, row.broke_down, row.unused_rules
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_server_is_caught_by_the_cases_meant_for_it() {
    if !node_is_there().await {
        return;
    }
    let servers = playable();
    assert!(servers.len() > 300, "only {} wrong servers", servers.len());
    let not_caught = |row: &&KillRow| row.verdict != KillVerdict::Caught || !row.unused_rules.is_empty();
    let mut left = servers.clone();
    let mut wrong = Vec::new();
    // Their neighbours make clocks late: who is not caught in the crowd is judged again alone.
    for at_once in [AT_ONCE, 1, 1] {
        let table = judged(&left, at_once).await;
        let names: Vec<_> = table.rows.iter().filter(not_caught).map(|row| row.name.clone()).collect();
        wrong = table.rows.iter().filter(not_caught).map(tell).collect();
        left.retain(|server| names.contains(&server.name));
        if left.is_empty() {
            break;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} wrong servers are not caught:\n{}",
        wrong.len(),
        servers.len(),
        wrong.join("\n")
    );
}

#[test]
fn each_wrong_server_breaks_a_clause_that_exists_and_names_cases_that_exist() {
    let suite = Suite::load(&Fixtures::Folder(fixtures())).expect("the fixtures are well written");
    for server in WrongServer::load_all(&fixtures().join("wrong")).expect("they are well written") {
        assert!(suite.clause(&server.clause).is_some(), "{}: there is no clause {}", server.name, server.clause.0);
        for name in &server.caught_by {
            let case = suite.cases.iter().find(|case| case.name == *name);
            assert!(case.is_some(), "{}: there is no case {name}", server.name);
        }
    }
}
