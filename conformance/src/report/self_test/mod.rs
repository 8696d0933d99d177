//! What a self-test says: how many of the planted defects the suite noticed, and each of them with what noticed it. In the same forms as the
//! report about a server: a page, JSON, JUnit XML, and words for the terminal.

mod json;
mod junit;
mod page;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use self::{json::render as json, junit::render as junit, page::render as html, words::render as words};
use crate::{
    dialect::Carrier,
    outcome::ClauseId,
    report::filter_of,
    suite::Suite,
    wrong::{KillRow, KillTable, KillVerdict, WrongServer},
};

/// The judge, judged.
#[derive(Debug, Clone, Default)]
pub struct SelfTest {
    /// Of chatwright.
    pub version: String,
    /// Of every random choice.
    pub seed: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// What became of each wrong server that was played.
    pub rows: Vec<KillRow>,
    /// Wrong servers with the same kills; looked for only where all cases were played.
    pub clones: Vec<Vec<String>>,
    /// Cases that failed on no wrong server: nothing shows that they can fail. Looked for only where all wrong servers were played.
    pub unproven: Vec<String>,
    /// What was not played here.
    pub not_run: Vec<NotPlayed>,
    /// The words of the clauses that are broken.
    pub clauses: BTreeMap<ClauseId, String>,
}

/// A wrong server that needs what is not at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPlayed {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub title: String,
    /// The clause that it breaks.
    pub clause: ClauseId,
    /// Why.
    pub why: String,
}

/// How many were noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Score {
    /// Wrong servers whose defect was noticed, by each case that is meant for it, at the clause that it breaks.
    pub caught: usize,
    /// Wrong servers that were played.
    pub servers: usize,
}

impl Score {
    fn of<'r>(rows: impl IntoIterator<Item = &'r KillRow>) -> Self {
        rows.into_iter().fold(Self::default(), |score, row| Self {
            caught: score.caught + usize::from(row.is_caught()),
            servers: score.servers + 1,
        })
    }

    /// In per cent with one decimal, rounded down so that 100.0 means all.
    #[must_use]
    pub fn percent(self) -> String {
        let thousandths = (self.caught * 1000).checked_div(self.servers).unwrap_or(0);
        format!("{}.{}", thousandths / 10, thousandths % 10)
    }
}

impl SelfTest {
    /// Puts together what was played (`table`, of `played`) and what was not. `whole`: nothing was left out by choice.
    #[must_use]
    pub fn new(suite: &Suite, table: KillTable, not_run: Vec<NotPlayed>, whole: bool) -> Self {
        let words = |id: &ClauseId| suite.clause(id).map(|clause| clause.text.clone()).unwrap_or_default();
        let unproven = if whole { unproven(suite, &table.rows, &not_run) } else { Vec::new() };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clauses: table.rows.iter().map(|row| (row.clause.clone(), words(&row.clause))).collect(),
            rows: table.rows,
            clones: table.clones,
            unproven,
            not_run,
            ..Self::default()
        }
    }

    /// How many of all were noticed.
    #[must_use]
    pub fn score(&self) -> Score {
        Score::of(&self.rows)
    }

    /// The same for the defects that break each contract, by its name.
    #[must_use]
    pub fn scores(&self) -> BTreeMap<&str, Score> {
        let mut groups: BTreeMap<&str, Vec<&KillRow>> = BTreeMap::new();
        for row in &self.rows {
            groups.entry(spec_of(row)).or_default().push(row);
        }
        groups.into_iter().map(|(spec, rows)| (spec, Score::of(rows))).collect()
    }

    /// Whether every defect was noticed and every case is proven.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.rows.iter().all(KillRow::is_caught) && self.unproven.is_empty()
    }

    /// `893 of 893 planted defects noticed, each at the clause that it breaks (100.0 %)`.
    #[must_use]
    pub fn headline(&self) -> String {
        let score = self.score();
        format!(
            "{} of {} planted defects noticed, each at the clause that it breaks ({} %)",
            score.caught,
            score.servers,
            score.percent()
        )
    }
}

/// Cases that no wrong server failed at its clause. A probe judges a deployment and some cases judge clients, of which there are no wrong ones
/// here; for a case whose wrong server was not played nothing is known.
fn unproven(suite: &Suite, rows: &[KillRow], not_run: &[NotPlayed]) -> Vec<String> {
    let caught = rows.iter().filter(|row| row.is_caught());
    let proven: BTreeSet<&str> = caught.flat_map(|row| row.kills.iter().map(|kill| filter_of(&kill.case))).collect();
    let is_open = |name: &str| suite.proven.contains(name) && !not_run.is_empty() && !proven.contains(name);
    let failed: BTreeSet<&str> =
        rows.iter().filter(|row| !row.is_caught()).flat_map(|row| row.caught_by.iter().map(String::as_str)).collect();
    let judges_servers = |name: &str| {
        let (first, rest) = name.split_once('/').unwrap_or((name, ""));
        let is_of_clients = suite.dialects.get(first).is_some_and(|dialect| dialect.carrier == Carrier::Client);
        !is_of_clients && !rest.starts_with("probes/")
    };
    let cases = suite.cases.iter().map(|case| case.name.as_str());
    cases
        .filter(|name| judges_servers(name) && !proven.contains(name))
        .filter(|name| failed.contains(name) || !is_open(name))
        .map(str::to_owned)
        .collect()
}

fn spec_of(row: &KillRow) -> &str {
    row.clause.0.split('/').next().unwrap_or_default()
}

/// What became of a wrong server, in words.
fn verdict(row: &KillRow) -> &'static str {
    match &row.verdict {
        KillVerdict::Caught if row.is_caught() => "noticed",
        KillVerdict::Caught => "its defect was not there",
        KillVerdict::Missed => "missed",
        KillVerdict::CaughtElsewhere => "noticed at another clause",
        KillVerdict::BreaksEverything => "breaks everything",
        KillVerdict::Died(_) => "its server died",
        KillVerdict::NotTried(_) => "not tried",
    }
}

/// Why it is not noticed, where there is more to say than the verdict.
fn reason(row: &KillRow) -> Option<String> {
    let (passed, of) = row.others_passed;
    match &row.verdict {
        KillVerdict::Died(how) | KillVerdict::NotTried(how) => Some(how.clone()),
        KillVerdict::Caught if row.is_caught() => None,
        KillVerdict::Caught => Some(format!("nothing matched these rules of its proxy: {:?}", row.unused_rules)),
        KillVerdict::BreaksEverything => {
            Some(format!("{passed} of {of} cases of other clauses pass: it proves nothing about one clause"))
        }
        KillVerdict::Missed | KillVerdict::CaughtElsewhere => {
            let survived = row.survived.iter().map(|case| {
                let weak = if row.weak.contains(case) { " (it fails without the defect too)" } else { "" };
                format!("passes {case}{weak}")
            });
            let elsewhere =
                row.elsewhere.iter().map(|kill| format!("fails {}:{} at {}", kill.case, kill.line, kill.clause.0));
            let broke = row.broke_down.iter().map(|case| format!("breaks down before its first step: {case}"));
            Some(survived.chain(elsewhere).chain(broke).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// A wrong server that needs backends, and which.
#[must_use]
pub fn not_played(server: &WrongServer) -> Option<NotPlayed> {
    let backends = server.backends();
    let needs: Vec<&str> = backends.iter().map(|backend| backend.as_str()).collect();
    (!needs.is_empty()).then(|| NotPlayed {
        name: server.name.clone(),
        title: server.title.clone(),
        clause: server.clause.clone(),
        why: format!("it needs {} in a container", needs.join(", ")),
    })
}

#[cfg(test)]
mod tests;
