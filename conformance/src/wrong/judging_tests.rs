//! How wrong servers are judged: once in the crowd, and again alone where that did not suffice.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{
    Bases, KillRow, KillVerdict,
    judging::{Judging, NoWatcher, Round, Watcher, judge_wrong_servers},
    kill::{
        empty_run,
        tests::{case, others, server},
    },
};
use crate::{
    outcome::{CaseReport, Phase, RunReport, Verdict},
    target::Target,
};

/// Remembers what it was told.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Watcher for Diary {
    fn planned(&self, bases: usize, servers: usize) {
        self.0.lock().expect("no panic").push(format!("{bases} bases, {servers} servers"));
    }
    fn base(&self, name: &str, played: Result<Duration, &str>) {
        self.0.lock().expect("no panic").push(format!("{name}: {}", played.is_ok()));
    }
    fn judged(&self, row: &KillRow) {
        self.0.lock().expect("no panic").push(format!("{}: {:?}, attempt {}", row.name, row.verdict, row.attempts));
    }
}

fn bases() -> Bases {
    Bases { targets: "nowhere".into(), chatwright: None }
}

#[tokio::test]
async fn a_table_is_made_by_playing_on_the_base_and_on_each_wrong_server() {
    let servers = [server(&["a"])];
    let play = |target: Target, _round: Round| async move {
        target.stop().await;
        Ok(RunReport { cases: others(), ..empty_run() })
    };
    let table = judge_wrong_servers(&servers, &bases(), &Judging::default(), &NoWatcher, play).await;
    assert_eq!(table.rows[0].verdict, KillVerdict::Missed);
    assert_eq!(table.unproven, ["x", "y", "z"]);
}

#[tokio::test]
async fn who_is_not_caught_in_the_crowd_is_judged_again_alone() {
    let servers = [server(&["a"])];
    let (plays, diary) = (AtomicU32::new(0), Diary::default());
    let play = |target: Target, round: Round| {
        let play = plays.fetch_add(1, Ordering::SeqCst);
        assert_eq!(round.one_by_one, play == 2, "only the second look is one by one");
        async move {
            target.stop().await;
            // First the base, which passes; then a try that notices nothing; then one that does.
            let failed = (play == 2).then_some((Phase::Step, "rooms/5.1"));
            let mut cases = others();
            cases.push(case("a", "rooms/5.1", failed));
            Ok(RunReport { cases, ..empty_run() })
        }
    };
    let table = judge_wrong_servers(&servers, &bases(), &Judging::default(), &diary, play).await;
    assert_eq!((&table.rows[0].verdict, table.rows[0].attempts), (&KillVerdict::Caught, 2));
    let expected = ["1 bases, 1 servers", "server: true", "one: Missed, attempt 1", "one: Caught, attempt 2"];
    assert_eq!(*diary.0.lock().expect("no panic"), expected);
}

#[tokio::test]
async fn who_breaks_most_of_a_small_sample_is_judged_again_by_a_larger_one() {
    let sampled = Mutex::new(Vec::new());
    let right: Vec<CaseReport> = (0..40).map(|n| case(&format!("c{n:02}"), "rooms/1.1", None)).collect();
    let play = |target: Target, round: Round| {
        let mut cases = right.clone();
        if !round.cases.is_empty() {
            sampled.lock().expect("no panic").push(round.cases.len() - 1);
            cases.retain(|case| round.cases.contains(&case.name));
            // What the first sample holds breaks as well, and nothing else.
            let broken = |name: &str| name == "c00" || name == "c20";
            cases.iter_mut().filter(|one| broken(&one.name)).for_each(|one| one.verdict = Verdict::Fail);
            cases.push(case("a", "rooms/5.1", Some((Phase::Step, "rooms/5.1"))));
        }
        async move {
            target.stop().await;
            Ok(RunReport { cases, ..empty_run() })
        }
    };
    let (judging, diary) = (Judging { others_max: Some(2), ..Judging::default() }, Diary::default());
    let table = judge_wrong_servers(&[server(&["a"])], &bases(), &judging, &diary, play).await;
    assert_eq!(*sampled.lock().expect("no panic"), [2, 14]);
    assert_eq!(table.rows[0].verdict, KillVerdict::Caught, "{:?}", diary.0);
}
