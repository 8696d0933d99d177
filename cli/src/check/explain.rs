//! What the suite holds: cases listed, explained, and as data.

use chatwright_conformance::{case::Case, explain::Explanation, run::chosen, suite::Suite};

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
    terminal::out(words(name, &explanation).trim_end());
    Ok(Outcome::Pass)
}

/// Wrong servers named in full.
const CAUGHT_MAX: usize = 12;

fn words(name: &str, explanation: &Explanation) -> String {
    let mut text = format!("{name}\n\n{}\n\nIt proves\n", explanation.case.title);
    for (clause, source) in explanation.clauses.iter().zip(&explanation.sources) {
        text += &format!("  {} {}  {}\n      {source}\n", clause.id.0, clause.level, clause.text);
    }
    text += &format!("\n{}\n", explanation.case.source.trim_end());
    if !explanation.expectations.is_empty() {
        text += "\nIt asks for\n";
    }
    for one in &explanation.expectations {
        text += &format!("  line {}, {} {}: {}\n", one.line, one.clause.0, one.level, one.step);
        for alternative in &one.alternatives {
            text += &format!("      also accepted: {alternative}\n");
        }
    }
    if !explanation.besides.is_empty() {
        text += &format!("  and ignores at any time: {}\n", explanation.besides.join("; "));
    }
    text += match (explanation.proven, explanation.catches.is_empty()) {
        (true, false) => "\nProven: it catches these servers, which are wrong on purpose\n",
        (true, true) => "\nA probe: it judges a deployment, of which there are no wrong ones.\n",
        (false, _) => "\nUnproven: no wrong server is known that it catches.\n",
    };
    for caught in explanation.catches.iter().take(CAUGHT_MAX) {
        text += &format!("  {}: {} ({})\n", caught.name, caught.title, caught.clause);
    }
    if explanation.catches.len() > CAUGHT_MAX {
        text += &format!("  and {} more\n", explanation.catches.len() - CAUGHT_MAX);
    }
    text
}
