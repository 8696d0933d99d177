//! The self-test for programs. Its own structs, so that the format changes only on purpose; durations are milliseconds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Score, SelfTest, reason, verdict};
use crate::wrong::KillRow;

/// Changes when a field changes its meaning or goes away; not when one is added.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Check<'a> {
    format: u32,
    version: &'a str,
    seed: u64,
    elapsed_ms: u128,
    self_test: Whole<'a>,
}

#[derive(Serialize)]
struct Whole<'a> {
    score: Score,
    percent: String,
    contracts: BTreeMap<&'a str, Score>,
    servers: Vec<Server<'a>>,
    not_run: Vec<NotRun<'a>>,
    unproven: &'a [String],
    clones: &'a [Vec<String>],
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    title: &'a str,
    planted: &'a str,
    clause: &'a str,
    verdict: &'static str,
    noticed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    meant_for: &'a [String],
    caught_by: Vec<Caught<'a>>,
    others_passed: usize,
    others_played: usize,
    attempts: u32,
    elapsed_ms: u128,
}

#[derive(Serialize)]
struct Caught<'a> {
    case: &'a str,
    line: u32,
    step: &'a str,
}

#[derive(Serialize)]
struct NotRun<'a> {
    name: &'a str,
    title: &'a str,
    clause: &'a str,
    why: &'a str,
}

/// The self-test as indented JSON with a newline at its end.
#[must_use]
pub fn render(report: &SelfTest) -> String {
    let not_run = report.not_run.iter();
    let check = Check {
        format: FORMAT,
        version: &report.version,
        seed: report.seed,
        elapsed_ms: report.elapsed.as_millis(),
        self_test: Whole {
            score: report.score(),
            percent: report.score().percent(),
            contracts: report.scores(),
            servers: report.rows.iter().map(server).collect(),
            not_run: not_run
                .map(|one| NotRun { name: &one.name, title: &one.title, clause: &one.clause.0, why: &one.why })
                .collect(),
            unproven: &report.unproven,
            clones: &report.clones,
        },
    };
    let mut text = serde_json::to_string_pretty(&check).expect("strings, numbers and lists are always JSON");
    text.push('\n');
    text
}

fn server(row: &KillRow) -> Server<'_> {
    let kills = row.kills.iter();
    Server {
        name: &row.name,
        title: &row.title,
        planted: &row.planted,
        clause: &row.clause.0,
        verdict: verdict(row),
        noticed: row.is_caught(),
        reason: reason(row),
        meant_for: &row.caught_by,
        caught_by: kills.map(|kill| Caught { case: &kill.case, line: kill.line, step: &kill.step }).collect(),
        others_passed: row.others_passed.0,
        others_played: row.others_passed.1,
        attempts: row.attempts,
        elapsed_ms: row.elapsed.as_millis(),
    }
}
