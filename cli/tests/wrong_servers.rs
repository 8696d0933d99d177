//! The judge is judged: each wrong server of the fixtures is caught by the cases that are meant for it, at the clause that it breaks.

#![expect(clippy::print_stderr, reason = "what is not run is said aloud")]

use std::{
    collections::BTreeSet,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
};

use chatwright_conformance::{
    fixtures::Fixtures,
    outcome::{CaseReport, RunReport, Verdict},
    suite::Suite,
    target::{BackendName, StartOptions, Target, TargetFile},
    wrong::{
        Bases, Judging, KillRow, KillTable, NoWatcher, OTHERS_MAX, Provider, Round, WrongServer, judge_wrong_servers,
        player, strangers,
    },
};
use chatwright_simulator::backends::{Backends, Durability, Images};
use futures_util::{StreamExt as _, stream};

/// They mostly wait for deadlines and for each other's starts, so several at a time keep two cores busy.
const AT_ONCE: usize = 8;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Whether the base of most wrong servers can be made ready: Node and its packages. With `CHATWRIGHT_REQUIRE_BACKENDS=1` it has to.
async fn node_is_there() -> bool {
    let file = TargetFile::load(&fixtures().join("targets/rooms-node/target.toml")).expect("it is well written");
    let Err(why) = Target::prepare(&file).await else { return true };
    assert!(!everything_is_required(), "Node is required: {why}");
    eprintln!("NOT RUN: the wrong servers need Node: {why}");
    false
}

/// Whether what cannot be run is a failure.
fn everything_is_required() -> bool {
    std::env::var("CHATWRIGHT_REQUIRE_BACKENDS").is_ok_and(|value| value == "1")
}

/// Who starts backends in containers, where that can be done.
async fn provider() -> Option<Arc<dyn Provider>> {
    let images = Images::named_by(|variable| std::env::var(variable).ok());
    match Backends::start(&BTreeSet::from([BackendName::Redis]), &images, Durability::Volatile).await {
        Ok(redis) => {
            redis.stop().await;
            Some(Arc::new(images))
        }
        Err(why) => {
            assert!(!everything_is_required(), "backends are required: {why}");
            eprintln!("NOT RUN: the wrong servers that need backends: {why}");
            None
        }
    }
}

fn servers() -> Vec<WrongServer> {
    WrongServer::load_all(&fixtures().join("wrong")).expect("they are well written")
}

async fn judged(servers: &[WrongServer], provider: Option<Arc<dyn Provider>>) -> KillTable {
    let suite = Arc::new(Suite::load(&Fixtures::Folder(fixtures())).expect("the fixtures are well written"));
    let judging = Judging { start: StartOptions::default(), at_once: AT_ONCE, others_max: Some(OTHERS_MAX), provider };
    let chatwright = Some(PathBuf::from(env!("CARGO_BIN_EXE_chatwright")));
    let bases = Bases { targets: fixtures().join("targets"), chatwright };
    let play = player(suite, 0);
    judge_wrong_servers(servers, &bases, &judging, &NoWatcher, play).await
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
    let provider = provider().await;
    let mut servers = servers();
    servers.retain(|server| provider.is_some() || server.backends().is_empty());
    assert!(servers.len() > 300, "only {} wrong servers", servers.len());
    let table = judged(&servers, provider).await;
    let wrong: Vec<String> = table.rows.iter().filter(|row| !row.is_caught()).map(tell).collect();
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
    for server in servers() {
        assert!(suite.clause(&server.clause).is_some(), "{}: there is no clause {}", server.name, server.clause.0);
        for name in &server.caught_by {
            let case = suite.cases.iter().find(|case| case.name == *name);
            assert!(case.is_some(), "{}: there is no case {name}", server.name);
        }
    }
}

/// Defects of a SHOULD or REF clause that a stranger cannot have by decision, and why.
const BEYOND_DECISION: [(&str, &str); 5] = [
    ("errors-are-ok", "a REST body of the wrong shape gets a 4xx (rooms/10.14)"),
    ("each-in-another-order", "what its sender says comes behind his departure (rooms/5.9)"),
    ("gateway-ids-are-cleaned", "two rooms become one, and one hears the other (gateway/4.4)"),
    ("direct-short-texts-only", "whose limit is another one says so in his target file"),
    ("sessions-gone-but-listed", "a room with somebody in its list is never deleted (sessions/2.8)"),
];

/// Strangers that are played at the same time: they mostly wait for what must not come.
const STRANGERS_AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_decides_otherwise_wherever_he_is_free_is_accused_of_nothing() {
    if !node_is_there().await {
        return;
    }
    let suite = Arc::new(Suite::load(&Fixtures::Folder(fixtures())).expect("the fixtures are well written"));
    let mut servers = servers();
    servers.retain(|server| BEYOND_DECISION.iter().all(|(name, _)| server.name != *name));
    let bases = Bases { targets: fixtures().join("targets"), chatwright: None };
    let strangers = strangers(&servers, &suite, &bases).expect("the targets can be read");
    assert!(strangers.len() >= 5, "only {} strangers", strangers.len());
    let play = player(suite, 0);
    let accusations: Vec<Vec<String>> =
        stream::iter(&strangers).map(|one| accused(one, &bases, &play)).buffered(STRANGERS_AT_ONCE).collect().await;
    let accused = accusations.concat();
    assert!(accused.is_empty(), "strangers are accused of what they are free to do:\n{}", accused.join("\n"));
}

/// Plays everything on a stranger; what he is told to break.
async fn accused<P, F>(stranger: &WrongServer, bases: &Bases, play: P) -> Vec<String>
where
    P: Fn(Target, Round) -> F,
    F: Future<Output = Result<RunReport, String>>,
{
    let played = async |cases: Vec<String>, one_by_one| {
        let (target, _) = stranger.start(bases, StartOptions::default()).await.expect("it starts");
        play(target, Round { cases, one_by_one, clock_budget: None }).await.expect("it is played")
    };
    let mut report = played(Vec::new(), false).await;
    let count = |verdict| report.cases.iter().filter(|case| case.verdict == verdict).count();
    let (passed, otherwise) = (count(Verdict::Pass), count(Verdict::NonStrict) + count(Verdict::Otherwise));
    assert!(passed > 50, "{}: only {passed} cases passed", stranger.name);
    assert!(otherwise > 0, "{}: nobody noticed a decision of: {}", stranger.name, stranger.title);
    let is_accused = |case: &&CaseReport| case.verdict == Verdict::Fail;
    let suspects: Vec<String> = report.cases.iter().filter(is_accused).map(|case| case.name.clone()).collect();
    if suspects.is_empty() {
        return Vec::new();
    }
    // As for the wrong servers: what happened in a crowd counts when it happens alone.
    report = played(suspects, true).await;
    report.cases.iter().filter(is_accused).map(|case| accusation(stranger, case)).collect()
}

fn accusation(stranger: &WrongServer, case: &CaseReport) -> String {
    let failure = case.failure.as_ref().expect("who fails says where");
    format!(
        "{}: {} at line {} ({}): {}, got {}; it decides otherwise by {}",
        stranger.name, case.name, failure.line, failure.clause.0, failure.step, failure.got, stranger.title
    )
}
