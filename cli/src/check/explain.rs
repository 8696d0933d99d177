//! What the suite holds: cases listed, explained, and as data.

use chatwright_conformance::{case::Case, run::chosen, suite::Suite};

use crate::{
    args::{CasesArgs, CheckArgs, Global},
    exit::{Outcome, UseError},
    fixtures, terminal,
};

/// `check --list`.
pub(super) fn list(global: &Global, suite: &Suite, args: &CheckArgs) -> Result<Outcome, UseError> {
    show(global, suite, &args.dialect, &args.filter)
}

/// `cases`.
pub(crate) fn cases(global: &Global, args: &CasesArgs) -> Result<Outcome, UseError> {
    show(global, &fixtures::suite(global)?, &args.dialect, &args.filter)
}

fn show(global: &Global, suite: &Suite, dialects: &[String], filter: &[String]) -> Result<Outcome, UseError> {
    let mut cases: Vec<&Case> = Vec::new();
    if dialects.is_empty() {
        cases.extend(&suite.cases);
    }
    for name in dialects {
        cases.extend(suite.list(fixtures::dialect(suite, name)?));
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases.dedup_by(|a, b| a.name == b.name);
    let cases = chosen(cases, filter).map_err(|problem| UseError::new(problem.to_string()))?;
    if global.json {
        let data: Vec<_> = cases.iter().map(|case| case.to_json()).collect();
        terminal::out(&serde_json::to_string_pretty(&data).expect("plain data always serialises"));
        return Ok(Outcome::Pass);
    }
    let width = cases.iter().map(|case| case.name.len()).max().unwrap_or_default();
    for case in &cases {
        terminal::out(&format!("{:width$}  {}", case.name, case.title));
    }
    terminal::out(&format!("{} cases", cases.len()));
    Ok(Outcome::Pass)
}

/// `check --explain CASE`.
pub(super) fn explain(global: &Global, suite: &Suite, name: &str) -> Result<Outcome, UseError> {
    let explanation = suite
        .explain(name)
        .ok_or_else(|| UseError::new(format!("there is no case `{name}`; `chatwright cases` lists them")))?;
    if global.json {
        terminal::out(&explanation.case.to_json().to_string());
        return Ok(Outcome::Pass);
    }
    terminal::out(&format!("{name}\n\n{}\n", explanation.case.title));
    for clause in &explanation.clauses {
        terminal::out(&format!("  {} [{:?}, {:?}]  {}", clause.id.0, clause.level, clause.provenance, clause.text));
    }
    terminal::out(&format!("\n{}", explanation.case.source.trim_end()));
    terminal::out(if explanation.proven {
        "\nProven: a server that is wrong on purpose is caught by it."
    } else {
        "\nUnproven: no wrong server is known that it catches."
    });
    Ok(Outcome::Pass)
}
