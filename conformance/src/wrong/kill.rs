//! The kill rule: a wrong server is caught when the cases meant for it fail at a step that states its clause, while cases of
//! other clauses still pass. Everything else that can happen has a name of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::WrongServer;
use crate::{
    outcome::{CaseReport, ClauseId, Phase, RunReport, Verdict},
    report::filter_of,
    target::Death,
};

/// What became of a wrong server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillVerdict {
    /// Each case that is meant for it killed it.
    Caught,
    /// Nothing failed that does not fail on its base too.
    Missed,
    /// Something failed, but not each case that is meant for it at its clause.
    CaughtElsewhere,
    /// So much failed that it proves nothing.
    BreaksEverything,
    /// Its process ended by itself while it was played: what failed then says nothing about its defect. The text says how it ended,
    /// with what it printed last.
    Died(String),
    /// It could not be tried here; the text says why.
    NotTried(String),
}

/// A case that failed at a step, and the clause of that step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kill {
    /// The case, with its transport.
    pub case: String,
    /// The clause of the step that failed.
    pub clause: ClauseId,
    /// The line of that step.
    pub line: u32,
    /// The step as it was played.
    pub step: String,
}

/// What happened to one wrong server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillRow {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub title: String,
    /// Where the defect sits: in which files of which target, or before it.
    pub planted: String,
    /// The clause that it breaks.
    pub clause: ClauseId,
    /// The cases meant for it.
    pub caught_by: Vec<String>,
    /// The verdict.
    pub verdict: KillVerdict,
    /// Of `caught_by`, those that did not kill it.
    pub survived: Vec<String>,
    /// Of `caught_by`, those that fail on the base too and so cannot say anything.
    pub weak: Vec<String>,
    /// How often it was tried until it was caught, or given up.
    pub attempts: u32,
    /// Failures at steps that state its clause.
    pub kills: Vec<Kill>,
    /// Failures at steps that state other clauses.
    pub elsewhere: Vec<Kill>,
    /// Cases that broke down in a preamble or without a step: they say nothing.
    pub broke_down: Vec<String>,
    /// Cases of other clauses that passed, of those that were played.
    pub others_passed: (usize, usize),
    /// Rules of its proxy that nothing ever matched, counted from 1.
    pub unused_rules: Vec<usize>,
    /// How long it was played, the last time.
    pub elapsed: Duration,
}

impl KillRow {
    /// Whether its defect was noticed. A rule that nothing matched was no defect: then nothing is said about the suite either.
    #[must_use]
    pub fn is_caught(&self) -> bool {
        self.verdict == KillVerdict::Caught && self.unused_rules.is_empty()
    }
}

/// What happened to all wrong servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KillTable {
    /// One row for each, in name order.
    pub rows: Vec<KillRow>,
    /// Wrong servers with the same kills.
    pub clones: Vec<Vec<String>>,
    /// Cases that were played and killed nothing.
    pub unproven: Vec<String>,
}

/// The cases that are meant for a wrong server, by name without transport: what a report calls *proven*. That the declaration is
/// true is shown by [`judge_wrong_servers`].
#[must_use]
pub fn proven_cases(servers: &[WrongServer]) -> BTreeSet<String> {
    servers.iter().flat_map(|server| server.caught_by.iter().cloned()).collect()
}

/// Weighs the run against one wrong server. `weak` holds the cases that do not pass on its base either, `deaths` what ended meanwhile.
#[must_use]
pub fn weigh(server: &WrongServer, report: &RunReport, weak: &BTreeSet<String>, deaths: &[Death]) -> KillRow {
    let mut row = KillRow {
        name: server.name.clone(),
        title: server.title.clone(),
        planted: server.planted(),
        clause: server.clause.clone(),
        caught_by: server.caught_by.clone(),
        verdict: KillVerdict::Missed,
        survived: Vec::new(),
        weak: server
            .caught_by
            .iter()
            .filter(|case| weak.iter().any(|name| filter_of(name) == *case))
            .cloned()
            .collect(),
        attempts: 0,
        kills: Vec::new(),
        elsewhere: Vec::new(),
        broke_down: Vec::new(),
        others_passed: (0, 0),
        unused_rules: Vec::new(),
        elapsed: Duration::ZERO,
    };
    for case in report.cases.iter().filter(|case| case.verdict != Verdict::NotRun && !weak.contains(&case.name)) {
        if !case.clauses.contains(&server.clause) {
            row.others_passed.1 += 1;
            row.others_passed.0 += usize::from(passed(case));
        }
        if passed(case) {
            continue;
        }
        match &case.failure {
            Some(failure) if failure.phase != Phase::Preamble => {
                let kill = Kill {
                    case: case.name.clone(),
                    clause: failure.clause.clone(),
                    line: failure.line,
                    step: failure.step.clone(),
                };
                if kill.clause == server.clause { row.kills.push(kill) } else { row.elsewhere.push(kill) }
            }
            Some(_) | None => row.broke_down.push(case.name.clone()),
        }
    }
    let killed: BTreeSet<&str> = row.kills.iter().map(|kill| filter_of(&kill.case)).collect();
    row.survived = server.caught_by.iter().filter(|case| !killed.contains(case.as_str())).cloned().collect();
    let (others, of) = row.others_passed;
    row.verdict = if let Some(death) = deaths.first() {
        KillVerdict::Died(death.to_string())
    } else if row.kills.is_empty() && row.elsewhere.is_empty() && row.broke_down.is_empty() {
        KillVerdict::Missed
    } else if others * 2 <= of {
        KillVerdict::BreaksEverything
    } else if row.survived.is_empty() {
        KillVerdict::Caught
    } else {
        KillVerdict::CaughtElsewhere
    };
    row
}

pub(super) fn passed(case: &CaseReport) -> bool {
    matches!(case.verdict, Verdict::Pass | Verdict::UnexpectedPass)
}

pub(super) fn empty_run() -> RunReport {
    RunReport {
        target: String::new(),
        origin: String::new(),
        about: crate::outcome::About::default(),
        adapted: Vec::new(),
        shared_with: None,
        dialect: String::new(),
        version: String::new(),
        cases_digest: String::new(),
        seed: 0,
        strict: false,
        elapsed: std::time::Duration::ZERO,
        cases: Vec::new(),
        clauses: Vec::new(),
        not_judged: Vec::new(),
    }
}

/// Groups with the same kills, at their own clauses and elsewhere: the same cases fail at the same lines.
pub(super) fn clones(rows: &[KillRow]) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<BTreeSet<(&str, u32)>, Vec<String>> = BTreeMap::new();
    for row in rows {
        let kills: BTreeSet<(&str, u32)> =
            row.kills.iter().chain(&row.elsewhere).map(|kill| (kill.case.as_str(), kill.line)).collect();
        if !kills.is_empty() {
            groups.entry(kills).or_default().push(row.name.clone());
        }
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

pub(super) fn unproven(rows: &[KillRow], played: &BTreeSet<&str>) -> Vec<String> {
    let caught = rows.iter().filter(|row| row.verdict == KillVerdict::Caught);
    let proven: BTreeSet<&str> = caught.flat_map(|row| row.kills.iter().map(|kill| filter_of(&kill.case))).collect();
    played.difference(&proven).map(|case| (*case).to_owned()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;
    use crate::outcome::{Failure, Level, Transcript};

    pub(in crate::wrong) fn server(caught_by: &[&str]) -> WrongServer {
        let names: Vec<String> = caught_by.iter().map(|name| format!("\"{name}\"")).collect();
        let text = format!(
            "title = \"t\"\nclause = \"rooms/5.1\"\ncaught_by = [{}]\n[server]\nmisbehaviour = \"none\"\n",
            names.join(", ")
        );
        WrongServer::parse(Path::new("one.toml"), &text).expect("a good file")
    }

    pub(in crate::wrong) fn case(name: &str, clause: &str, failed: Option<(Phase, &str)>) -> CaseReport {
        let failure = failed.map(|(phase, clause)| Failure {
            phase,
            line: 3,
            step: String::new(),
            clause: ClauseId(clause.to_owned()),
            level: Level::Must,
            expected: String::new(),
            got: String::new(),
            timed: false,
            why: String::new(),
        });
        CaseReport {
            name: name.to_owned(),
            title: String::new(),
            source: String::new(),
            clauses: vec![ClauseId(clause.to_owned())],
            verdict: if failed.is_some() { Verdict::Fail } else { Verdict::Pass },
            reason: None,
            failure,
            transcript: Transcript::default(),
            elapsed: std::time::Duration::ZERO,
            late: crate::outcome::Lateness::default(),
            attempts: 1,
            clocks: Vec::new(),
            proven: false,
            script: None,
        }
    }

    fn judged(caught_by: &[&str], cases: Vec<CaseReport>) -> KillRow {
        weigh(&server(caught_by), &RunReport { cases, ..empty_run() }, &BTreeSet::new(), &[])
    }

    pub(in crate::wrong) fn others() -> Vec<CaseReport> {
        vec![case("x", "rooms/1.1", None), case("y", "rooms/1.2", None), case("z", "rooms/1.3", None)]
    }

    fn with(mut cases: Vec<CaseReport>, case: CaseReport) -> Vec<CaseReport> {
        cases.push(case);
        cases
    }

    #[test]
    fn it_is_caught_by_a_step_that_states_its_clause() {
        let row = judged(&["a"], with(others(), case("a [polling]", "rooms/5.1", Some((Phase::Step, "rooms/5.1")))));
        assert_eq!(row.verdict, KillVerdict::Caught);
        assert_eq!((row.kills.len(), row.others_passed), (1, (3, 3)));
        let row = judged(&["a"], with(others(), case("a", "rooms/5.1", Some((Phase::End, "rooms/5.1")))));
        assert_eq!(row.verdict, KillVerdict::Caught);
    }

    #[test]
    fn a_failing_preamble_and_another_clause_are_no_kills() {
        let row = judged(&["a"], with(others(), case("a", "rooms/5.1", Some((Phase::Preamble, "rooms/5.1")))));
        assert_eq!((row.verdict, row.broke_down.len()), (KillVerdict::CaughtElsewhere, 1));
        let row = judged(&["a"], with(others(), case("a", "rooms/5.1", Some((Phase::Step, "rooms/3.1")))));
        assert_eq!((row.verdict, row.elsewhere.len()), (KillVerdict::CaughtElsewhere, 1));
    }

    #[test]
    fn each_declared_case_has_to_kill() {
        let cases = with(others(), case("a", "rooms/5.1", Some((Phase::Step, "rooms/5.1"))));
        let row = judged(&["a", "b"], with(cases, case("b", "rooms/5.1", None)));
        assert_eq!((row.verdict, row.survived), (KillVerdict::CaughtElsewhere, vec!["b".to_owned()]));
    }

    #[test]
    fn a_server_that_fails_most_cases_kills_nothing() {
        let mut cases = vec![case("a", "rooms/5.1", Some((Phase::Step, "rooms/5.1"))), case("x", "rooms/1.1", None)];
        cases.push(case("y", "rooms/1.2", Some((Phase::Step, "rooms/1.2"))));
        assert_eq!(judged(&["a"], cases).verdict, KillVerdict::BreaksEverything);
        let alone = vec![case("a", "rooms/5.1", Some((Phase::Step, "rooms/5.1")))];
        assert_eq!(judged(&["a"], alone).verdict, KillVerdict::BreaksEverything);
    }

    #[test]
    fn a_server_that_died_is_never_caught() {
        let cases = with(others(), case("a", "rooms/5.1", Some((Phase::Step, "rooms/5.1"))));
        let death = Death { instance: 1, exit_code: 7, last_lines: vec!["TypeError: x is not a function".to_owned()] };
        let row = weigh(&server(&["a"]), &RunReport { cases, ..empty_run() }, &BTreeSet::new(), &[death]);
        let KillVerdict::Died(how) = &row.verdict else { panic!("{row:?}") };
        assert!(how.contains("exit code 7") && how.contains("TypeError: x is not a function"), "{how}");
        assert_eq!(row.kills.len(), 1, "what happened is told all the same");
    }

    #[test]
    fn what_fails_on_the_base_too_says_nothing() {
        let cases = with(others(), case("a", "rooms/5.1", Some((Phase::Step, "rooms/5.1"))));
        let row = weigh(&server(&["a"]), &RunReport { cases, ..empty_run() }, &BTreeSet::from(["a".to_owned()]), &[]);
        assert_eq!(row.verdict, KillVerdict::Missed);
    }

    #[test]
    fn wrong_servers_with_the_same_kills_are_clones_and_cases_without_kills_unproven() {
        let killed = |name: &str| {
            let row = judged(&["a"], with(others(), case("a", "rooms/5.1", Some((Phase::Step, "rooms/5.1")))));
            KillRow { name: name.to_owned(), ..row }
        };
        let other = KillRow {
            name: "three".to_owned(),
            ..judged(&["b"], with(others(), case("b", "rooms/5.1", Some((Phase::Step, "rooms/5.1")))))
        };
        let rows = [killed("one"), killed("two"), other];
        assert_eq!(clones(&rows), [["one".to_owned(), "two".to_owned()]]);
        assert_eq!(unproven(&rows, &BTreeSet::from(["a", "b", "x"])), ["x"]);
    }
}
