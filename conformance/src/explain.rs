//! What a case is about: the words of its clauses and where they come from, what each line asks for and what else it takes, and which wrong
//! servers it is known to catch.

use std::collections::BTreeSet;

use crate::{
    case::{Act, Case, ExpectMode, Step, StepAct, Tail},
    dialect::Dialect,
    outcome::{ClauseId, Level},
    spec::{Clause, Provenance},
    suite::{Caught, Suite, cited, tails},
};

/// A case with the words of its clauses.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// The case.
    pub case: &'a Case,
    /// The clauses that it or one of its steps names.
    pub clauses: Vec<&'a Clause>,
    /// Where the words of each clause come from, in the same order.
    pub sources: Vec<String>,
    /// What its lines ask for, in order.
    pub expectations: Vec<Expectation>,
    /// What is taken besides at any time.
    pub besides: Vec<String>,
    /// The wrong servers that it is meant to catch.
    pub catches: &'a [Caught],
    /// Whether a wrong server is known that it catches.
    pub proven: bool,
}

/// What one line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// 1-based.
    pub line: u32,
    /// As written.
    pub step: String,
    /// The clause that it states.
    pub clause: ClauseId,
    /// Of the clause: what it means when the line fails.
    pub level: Level,
    /// What is as good as what it says first.
    pub alternatives: Vec<String>,
}

impl Suite {
    /// What a case is about. `None` when there is no such case.
    #[must_use]
    pub fn explain(&self, name: &str) -> Option<Explanation<'_>> {
        let case = self.cases.iter().find(|case| case.name == name)?;
        let ids = cited(case).into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
        let clauses: Vec<&Clause> = ids.iter().filter_map(|id| self.clause(id)).collect();
        let spec = name.split('/').next().unwrap_or_default();
        let dialect = self.dialects.get(spec);
        let mut expectations = Vec::new();
        self.expected(case, &case.steps, dialect, &mut expectations);
        let allowed = dialect.into_iter().flat_map(|dialect| &dialect.allow).map(ToString::to_string);
        let own = case
            .steps
            .iter()
            .filter(|step| matches!(&step.act, StepAct::Actor { does: Act::Allows(_) | Act::AllowsEnd { .. }, .. }));
        Some(Explanation {
            case,
            sources: clauses.iter().map(|clause| self.source(clause)).collect(),
            clauses,
            expectations,
            besides: allowed.chain(own.map(ToString::to_string)).collect(),
            catches: self.caught.get(name).map_or(&[], Vec::as_slice),
            proven: self.is_proven(name),
        })
    }

    /// The document and the section of a clause, and why it binds.
    fn source(&self, clause: &Clause) -> String {
        let spec = clause.id.0.split('/').next().unwrap_or_default();
        let document = self.dialects.get(spec).map(|dialect| dialect.document.as_str()).filter(|name| !name.is_empty());
        let why = match (clause.provenance, document) {
            (Provenance::Document, Some(document)) => format!("said by {document}"),
            (Provenance::Document, None) => "said by its document".to_owned(),
            (Provenance::Ruling, Some(document)) => {
                format!("a ruling, where {document} is silent or contradicts itself")
            }
            (Provenance::Ruling, None) => "a ruling, where the text is silent".to_owned(),
            (Provenance::Protocol, _) => "said by the protocol".to_owned(),
            (Provenance::Safety, _) => "safety".to_owned(),
        };
        let section = if clause.section.is_empty() { String::new() } else { format!(", section {}", clause.section) };
        let kind = if clause.wire { "" } else { "; of deployments, judged by probes" };
        format!("{spec}/SPEC.md{section}; {why}{kind}")
    }

    fn expected(&self, case: &Case, steps: &[Step], dialect: Option<&Dialect>, found: &mut Vec<Expectation>) {
        for step in steps {
            match &step.act {
                StepAct::Repeat { steps, .. } | StepAct::Retry { steps, .. } => {
                    self.expected(case, steps, dialect, found);
                }
                StepAct::Actor { does: Act::Allows(_) | Act::AllowsEnd { .. }, .. } => {}
                StepAct::Actor { does: Act::Expects { mode, group }, .. } => {
                    for one in group {
                        let mut alternatives = alternatives(case, one.line);
                        alternatives.extend(other_names(written(case, one.line), dialect));
                        if *mode == ExpectMode::Optional {
                            alternatives.push("that it does not come at all".to_owned());
                        }
                        if group.len() > 1 {
                            alternatives.push("any order within its group".to_owned());
                        }
                        found.push(self.expectation(case, one.line, &one.tail, alternatives));
                    }
                }
                StepAct::Actor { does, .. } => {
                    if let Some(tail) = tails(does).into_iter().next() {
                        found.push(self.expectation(case, step.line, tail, alternatives(case, step.line)));
                    }
                }
                StepAct::Asks { tail, .. } | StepAct::Target { code: Some(_), tail, .. } => {
                    found.push(self.expectation(case, step.line, tail, alternatives(case, step.line)));
                }
                StepAct::Use { .. }
                | StepAct::Wait(_)
                | StepAct::Auth { .. }
                | StepAct::Target { .. }
                | StepAct::Listens { .. }
                | StepAct::Backend { .. } => {}
            }
        }
    }

    fn expectation(&self, case: &Case, line: u32, tail: &Tail, alternatives: Vec<String>) -> Expectation {
        let first = || case.clauses.first().cloned().unwrap_or_else(|| ClauseId(case.name.clone()));
        let clause = tail.clause.clone().unwrap_or_else(first);
        let level = self.clause(&clause).map_or(Level::Must, |clause| clause.level);
        Expectation { line, step: written(case, line).to_owned(), clause, level, alternatives }
    }
}

fn written(case: &Case, line: u32) -> &str {
    (line as usize).checked_sub(1).and_then(|at| case.source.lines().nth(at)).unwrap_or_default().trim()
}

/// What the line itself says is as good: its parts between `|`.
fn alternatives(case: &Case, line: u32) -> Vec<String> {
    let text = written(case, line);
    let mut found = Vec::new();
    for word in text.split_whitespace().skip(1) {
        let is_plain =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_:.-".contains(c));
        if word.contains('|') && word.split('|').all(is_plain) {
            found.push(format!("one of {}", word.split('|').collect::<Vec<_>>().join(", ")));
        }
    }
    let choices = text.matches(" | ").count();
    if choices > 0 {
        found.push(format!("either side of each `|` in it ({choices})"));
    }
    found
}

/// The names that the dialect has besides for the event that the line names.
fn other_names(text: &str, dialect: Option<&Dialect>) -> Vec<String> {
    let named = |name: &str| text.split([' ', '|']).any(|word| word == name);
    let aliases = dialect.into_iter().flat_map(|dialect| &dialect.aliases).filter(|(name, _)| named(name));
    aliases.flat_map(|(_, others)| others).map(|other| format!("the event named `{other}`")).collect()
}
