//! `check --self-test`: the judge is judged. Servers with one planted defect each are played, and what the suite notices of them is its score.

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use chatwright_conformance::{
    run::{NoObserver, RunConfig, run},
    suite::Suite,
    target::{StartOptions, Target},
    wrong::{Bases, Judging, KillRow, KillVerdict, WrongServer, judge_wrong_servers, meant},
};

use crate::{
    args::{CheckArgs, Global},
    exit::{Outcome, UseError},
    progress, seed, terminal,
};

/// Wrong servers mostly wait, for their start and for deadlines.
const AT_ONCE: usize = 4;

/// Cases of other clauses beside those that are meant for a server: enough to see that the rest of it still works.
const OTHERS_MAX: usize = 24;

/// Neighbours make clocks late: who is not caught in the crowd is judged again alone, so often.
const ROUNDS_ALONE: usize = 2;

/// What the wrong servers are made of lies here, seen from the root of the repository.
const FIXTURES: &str = "fixtures";

/// Judges the wrong servers that `--filter` means, by their names or by the cases meant for them.
pub(super) async fn self_test(global: &Global, suite: &Suite, args: &CheckArgs) -> Result<Outcome, UseError> {
    let root = global.fixtures.clone().unwrap_or_else(|| PathBuf::from(FIXTURES));
    let (servers, left_out) = wanted(&root, &args.filter)?;
    let chatwright =
        std::env::current_exe().map_err(|problem| UseError::new(format!("failed to find this program: {problem}")))?;
    let bases = Bases { targets: root.join("targets"), chatwright: Some(chatwright) };
    let seed = seed::or_draw(args.seed);
    let play = |target: Target, filter: Vec<String>| async {
        let config = RunConfig { filter, seed, ..RunConfig::default() };
        let report = run(suite, &config, &target, &NoObserver).await;
        // Killed: how a wrong server ends when it is asked to is for the cases that ask.
        drop(target);
        report.map_err(|problem| problem.to_string())
    };
    let began = Instant::now();
    let spinner = progress::Spinner::new(&format!("judging {} wrong servers", servers.len()));
    let mut rows: BTreeMap<String, KillRow> = BTreeMap::new();
    let crowds = std::iter::once(args.jobs.unwrap_or(AT_ONCE)).chain([1; ROUNDS_ALONE]);
    for at_once in crowds {
        let left: Vec<WrongServer> = servers.iter().filter(|one| !is_caught(rows.get(&one.name))).cloned().collect();
        if left.is_empty() {
            break;
        }
        let judging = Judging { start: StartOptions::default(), at_once, others_max: Some(OTHERS_MAX) };
        let table = judge_wrong_servers(&left, &bases, &judging, play).await;
        rows.extend(table.rows.into_iter().map(|row| (row.name.clone(), row)));
    }
    spinner.close();
    let rows: Vec<KillRow> = rows.into_values().collect();
    if global.json {
        terminal::out(&serde_json::to_string_pretty(&rows).expect("plain data always serialises"));
    } else {
        terminal::out(&words(&rows, left_out, &format!("{:.0?}, seed {seed}", began.elapsed())));
    }
    Ok(if rows.iter().all(|row| is_caught(Some(row))) { Outcome::Pass } else { Outcome::Fail })
}

/// Those that need nothing but instances, and how many are left out because they need more.
fn wanted(root: &std::path::Path, filter: &[String]) -> Result<(Vec<WrongServer>, usize), UseError> {
    let folder = root.join("wrong");
    if !folder.is_dir() {
        return Err(UseError::new(format!(
            "{} is no folder: the wrong servers are made of the repository's own; run this at its root, or give its fixtures with --fixtures",
            folder.display()
        )));
    }
    let all = WrongServer::load_all(&folder).map_err(|problem| UseError::new(problem.to_string()))?;
    let meant = meant(all, filter).map_err(UseError::new)?;
    let count = meant.len();
    let playable: Vec<_> =
        meant.into_iter().filter(|server| server.needs.iter().all(|need| need.starts_with("instances="))).collect();
    if playable.is_empty() {
        return Err(UseError::new("no wrong server fits the filter".to_owned()));
    }
    let left_out = count - playable.len();
    Ok((playable, left_out))
}

/// A rule that nothing matched was no defect: then nothing is said about the suite either.
fn is_caught(row: Option<&KillRow>) -> bool {
    row.is_some_and(|row| row.verdict == KillVerdict::Caught && row.unused_rules.is_empty())
}

fn words(rows: &[KillRow], left_out: usize, run: &str) -> String {
    let mut score: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut lines = Vec::new();
    for row in rows {
        let spec = row.clause.0.split('/').next().unwrap_or_default();
        let place = score.entry(spec).or_default();
        place.1 += 1;
        if is_caught(Some(row)) {
            place.0 += 1;
        } else {
            lines.push(format!("{} {}: {} ({})", verdict(row), row.name, row.title, row.clause.0));
            lines.extend(row.survived.iter().map(|case| format!("    passes {case}")));
        }
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    for (spec, (caught, of)) in &score {
        lines.push(format!("  {spec:<14} {caught} of {of} planted defects noticed"));
    }
    if left_out > 0 {
        lines.push(format!("  not tried: {left_out} that need backends"));
    }
    let caught = rows.iter().filter(|row| is_caught(Some(row))).count();
    lines.push(format!(
        "\n{caught} of {} planted defects noticed, each at the clause that it breaks ({}.{} %), in {run}",
        rows.len(),
        caught * 100 / rows.len().max(1),
        caught * 1000 / rows.len().max(1) % 10
    ));
    lines.join("\n")
}

fn verdict(row: &KillRow) -> String {
    match &row.verdict {
        KillVerdict::Caught => "nothing matched the defect of".to_owned(),
        KillVerdict::Missed => "missed".to_owned(),
        KillVerdict::CaughtElsewhere => "noticed at another clause:".to_owned(),
        KillVerdict::BreaksEverything => "proves nothing, for it breaks everything:".to_owned(),
        KillVerdict::NotTried(why) => format!("not tried ({why}):"),
    }
}

#[cfg(test)]
mod tests {
    use chatwright_conformance::outcome::ClauseId;

    use super::*;

    fn row(name: &str, clause: &str, verdict: KillVerdict) -> KillRow {
        KillRow {
            name: name.to_owned(),
            title: "a title".to_owned(),
            clause: ClauseId(clause.to_owned()),
            caught_by: vec!["rooms/a".to_owned()],
            verdict,
            survived: vec!["rooms/a".to_owned()],
            weak: Vec::new(),
            attempts: 1,
            kills: Vec::new(),
            elsewhere: Vec::new(),
            broke_down: Vec::new(),
            others_passed: (3, 3),
            unused_rules: Vec::new(),
        }
    }

    #[test]
    fn the_score_counts_each_contract_and_names_what_was_missed() {
        let rows = [
            row("one", "rooms/1.1", KillVerdict::Caught),
            row("two", "rooms/1.2", KillVerdict::Missed),
            row("three", "engine-io/1.1", KillVerdict::Caught),
        ];
        let words = words(&rows, 2, "3s, seed 1");
        for part in [
            "missed two: a title (rooms/1.2)\n    passes rooms/a",
            "rooms          1 of 2 planted defects noticed",
            "engine-io      1 of 1 planted defects noticed",
            "not tried: 2 that need backends",
            "2 of 3 planted defects noticed, each at the clause that it breaks (66.6 %), in 3s, seed 1",
        ] {
            assert!(words.contains(part), "`{part}` is missing in:\n{words}");
        }
    }

    #[test]
    fn a_defect_that_nothing_matched_is_not_noticed() {
        let row = KillRow { unused_rules: vec![1], ..row("one", "rooms/1.1", KillVerdict::Caught) };
        assert!(!is_caught(Some(&row)));
    }
}
