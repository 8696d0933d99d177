//! The suite: every SPEC, descriptor and case, read and checked against each other before anything is played.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use serde::Deserialize;

use crate::{
    case::{Act, Case, Step, StepAct, Tail, facts, parse_case},
    dialect::{Carrier, Dialect, parse_dialect},
    fixtures::{FixtureError, FixtureFile, Fixtures, read_folder},
    outcome::{ClauseId, Level},
    spec::{Clause, Spec, parse_spec},
};

/// How many problems are told at once.
const PROBLEMS_MAX: usize = 20;

/// The protocol suites that fit a carrier.
const PROTOCOLS: [(Carrier, &[&str]); 2] =
    [(Carrier::SocketIo, &["engine-io", "socket-io", "rfc6455"]), (Carrier::WebSocket, &["rfc6455"])];

/// What the judge knows.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// By name.
    pub dialects: BTreeMap<String, Dialect>,
    /// By name: of dialects and of protocols.
    pub specs: BTreeMap<String, Spec>,
    /// In name order.
    pub cases: Vec<Case>,
    /// The cases that a wrong server is known for; the others are *unproven*.
    pub proven: BTreeSet<String>,
    /// By case: the wrong servers that it is meant to catch, in name order.
    pub caught: BTreeMap<String, Vec<Caught>>,
}

/// A wrong server, as far as the suite wants to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    /// Its file's name without the ending.
    pub name: String,
    /// What is wrong with it.
    pub title: String,
    /// The clause that it breaks.
    pub clause: String,
}

/// Why there is no suite: fixtures with mistakes, each with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteError {
    /// One message each.
    pub problems: Vec<String>,
}

/// What the suite wants to know of a wrong server: what is wrong with it, and which cases are meant for it.
#[derive(Deserialize)]
struct Wrong {
    title: String,
    clause: String,
    caught_by: Vec<String>,
}

impl std::error::Error for SuiteError {}

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.problems[..self.problems.len().min(PROBLEMS_MAX)];
        f.write_str(&shown.join("\n\n"))?;
        match self.problems.len().saturating_sub(PROBLEMS_MAX) {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}

impl From<FixtureError> for SuiteError {
    fn from(error: FixtureError) -> Self {
        Self { problems: vec![error.to_string()] }
    }
}

impl Suite {
    /// Reads all fixtures.
    ///
    /// # Errors
    /// Every mistake found, with file, line and column.
    pub fn load(fixtures: &Fixtures) -> Result<Self, SuiteError> {
        let mut suite = Self::default();
        let mut problems = Vec::new();
        for file in &fixtures.files()? {
            if let Err(problem) = suite.take(file) {
                problems.push(problem);
            }
        }
        suite.cases.sort_by(|a, b| a.name.cmp(&b.name));
        for case in &suite.cases {
            problems.extend(suite.unknown_clauses(case, &format!("case {}", case.name)));
            problems.extend(suite.unknown_facts(case));
        }
        if problems.is_empty() { Ok(suite) } else { Err(SuiteError { problems }) }
    }

    fn take(&mut self, file: &FixtureFile) -> Result<(), String> {
        let parts: Vec<&str> = file.path.split('/').collect();
        match parts.as_slice() {
            ["dialects" | "protocols", name, "SPEC.md"] => {
                let spec = parse_spec(&file.shown, name, &file.text).map_err(|e| e.to_string())?;
                self.specs.insert((*name).to_owned(), spec);
            }
            ["dialects" | "protocols", name, "dialect.toml"] => {
                let dialect = parse_dialect(&file.shown, &file.text).map_err(|e| e.to_string())?;
                if dialect.name != *name {
                    return Err(format!("{}: its name is `{}`, its folder `{name}`", file.shown, dialect.name));
                }
                self.dialects.insert(dialect.name.clone(), dialect);
            }
            ["dialects" | "protocols", name, folder @ ("cases" | "probes"), rest @ ..]
                if file.path.ends_with(".case") =>
            {
                let below = if *folder == "probes" { "probes/" } else { "" };
                let name = format!("{name}/{below}{}", rest.join("/").trim_end_matches(".case"));
                self.cases.push(parse_case(&file.shown, &name, &file.text).map_err(|e| e.to_string())?);
            }
            ["wrong", name] if file.path.ends_with(".toml") => {
                let wrong: Wrong = toml::from_str(&file.text).map_err(|e| format!("{}: {e}", file.shown))?;
                let name = name.trim_end_matches(".toml").to_owned();
                for case in &wrong.caught_by {
                    let caught =
                        Caught { name: name.clone(), title: wrong.title.clone(), clause: wrong.clause.clone() };
                    self.caught.entry(case.clone()).or_default().push(caught);
                }
                self.proven.extend(wrong.caught_by);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads cases that stand outside the fixtures: one file, or all files below a folder.
    ///
    /// # Errors
    /// Every mistake found, with file, line and column.
    pub fn load_cases(&self, path: &Path) -> Result<Vec<Case>, SuiteError> {
        let mut files = Vec::new();
        let problem = |text: String| SuiteError { problems: vec![text] };
        if path.is_dir() {
            read_folder(path, "", &mut files)?;
            files.retain(|file| file.path.ends_with(".case"));
        } else {
            let text = std::fs::read_to_string(path)
                .map_err(|e| problem(format!("failed to read {}: {e}", path.display())))?;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("case").to_owned();
            files.push(FixtureFile { shown: path.display().to_string(), path: name, text });
        }
        if files.is_empty() {
            return Err(problem(format!("{} holds no file that ends in `.case`", path.display())));
        }
        let (mut cases, mut problems) = (Vec::new(), Vec::new());
        for file in &files {
            match parse_case(&file.shown, file.path.trim_end_matches(".case"), &file.text) {
                Ok(case) => {
                    problems.extend(self.unknown_clauses(&case, &file.shown));
                    cases.push(case);
                }
                Err(e) => problems.push(e.to_string()),
            }
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        if problems.is_empty() { Ok(cases) } else { Err(SuiteError { problems }) }
    }

    fn unknown_clauses(&self, case: &Case, place: &str) -> Vec<String> {
        cited(case)
            .into_iter()
            .filter(|(id, _)| self.clause(id).is_none())
            .map(|(id, line)| match line {
                Some(line) => format!("{place}, line {line}: there is no clause `{}`", id.0),
                None => format!("{place}: there is no clause `{}`", id.0),
            })
            .collect()
    }

    /// Clocks, limits and preambles that a case asks for and a descriptor that it is played with does not have.
    fn unknown_facts(&self, case: &Case) -> Vec<String> {
        let first = case.name.split('/').next().unwrap_or_default();
        let judged =
            |dialect: &&Dialect| is_for(case, dialect) && self.specs_of(dialect).iter().any(|spec| spec.name == first);
        let mut problems = Vec::new();
        for dialect in self.dialects.values().filter(judged) {
            let mut lacks = |line: usize, what: String| {
                problems.push(format!(
                    "case {}, line {line}: the dialect.toml of {} has no {what}",
                    case.name, dialect.name
                ));
            };
            for (line, table, name) in facts(case) {
                let known = match table {
                    "timing" => dialect.timing.contains_key(name),
                    _ => dialect.limits.contains_key(name),
                };
                if !known {
                    lacks(line, format!("`{name}` in [{table}]"));
                }
            }
            for step in &case.steps {
                let StepAct::Use { preamble: Some((name, args)), .. } = &step.act else { continue };
                match dialect.preambles.get(name) {
                    None => lacks(step.line as usize, format!("[preamble.{name}]")),
                    Some(preamble) if preamble.params.len() != args.len() => {
                        lacks(step.line as usize, format!("[preamble.{name}] that takes {} arguments", args.len()));
                    }
                    Some(_) => {}
                }
            }
        }
        problems
    }

    /// Whether a wrong server is known that a case catches. A probe judges a deployment, of which there are no wrong ones: it is not
    /// asked for.
    pub(crate) fn is_proven(&self, case: &str) -> bool {
        self.proven.contains(case) || case.split('/').nth(1) == Some("probes")
    }

    /// A clause by its citation.
    #[must_use]
    pub fn clause(&self, id: &ClauseId) -> Option<&Clause> {
        let (spec, _) = id.0.rsplit_once('/')?;
        self.specs.get(spec)?.clause(id)
    }

    /// The contracts that a dialect is judged by: its own, then those of its carrier.
    #[must_use]
    pub fn specs_of(&self, dialect: &Dialect) -> Vec<&Spec> {
        let below = PROTOCOLS
            .iter()
            .filter(|(carrier, _)| *carrier == dialect.carrier)
            .flat_map(|(_, names)| names.iter().copied());
        std::iter::once(dialect.name.as_str()).chain(below).filter_map(|name| self.specs.get(name)).collect()
    }

    /// The cases that a dialect is judged by. Those that speak the events of another are none of its own.
    #[must_use]
    pub fn list(&self, dialect: &Dialect) -> Vec<&Case> {
        let names: Vec<&str> = self.specs_of(dialect).iter().map(|spec| spec.name.as_str()).collect();
        self.cases
            .iter()
            .filter(|case| case.name.split('/').next().is_some_and(|first| names.contains(&first)))
            .filter(|case| is_for(case, dialect))
            .collect()
    }

    /// The level of every clause.
    #[must_use]
    pub fn levels(&self) -> BTreeMap<ClauseId, Level> {
        self.specs.values().flat_map(|spec| &spec.clauses).map(|clause| (clause.id.clone(), clause.level)).collect()
    }
}

/// Whether a case speaks no events, or those of this dialect.
fn is_for(case: &Case, dialect: &Dialect) -> bool {
    let mut spoken = case.needs.iter().filter_map(|need| need.strip_prefix("dialect="));
    spoken.all(|name| name == dialect.name)
}

/// The clauses that a case names: in its header (without a line), and behind `§`.
pub(crate) fn cited(case: &Case) -> Vec<(ClauseId, Option<u32>)> {
    let mut found: Vec<_> = case.clauses.iter().map(|id| (id.clone(), None)).collect();
    marked(&case.steps, &mut found);
    found
}

fn marked(steps: &[Step], found: &mut Vec<(ClauseId, Option<u32>)>) {
    for step in steps {
        match &step.act {
            StepAct::Repeat { steps, .. } | StepAct::Retry { steps, .. } => marked(steps, found),
            StepAct::Actor { does, .. } => {
                found.extend(
                    tails(does).into_iter().filter_map(|tail| tail.clause.clone()).map(|id| (id, Some(step.line))),
                );
            }
            StepAct::Asks { tail, .. } | StepAct::Target { tail, .. } => {
                found.extend(tail.clause.clone().map(|id| (id, Some(step.line))));
            }
            StepAct::Use { .. }
            | StepAct::Wait(_)
            | StepAct::Auth { .. }
            | StepAct::Listens { .. }
            | StepAct::Backend { .. } => {}
        }
    }
}

/// The tails of an actor's step.
pub(crate) fn tails(does: &Act) -> Vec<&Tail> {
    match does {
        Act::Connects(_, tail)
        | Act::Opens(_, tail)
        | Act::Refused(_, tail)
        | Act::Quiet(_, tail)
        | Act::Disconnected(_, tail)
        | Act::Upgrades(tail)
        | Act::Closed(_, tail)
        | Act::Gets(_, tail)
        | Act::Answered(_, tail)
        | Act::Returns(tail) => vec![tail],
        Act::Expects { group, .. } => group.iter().map(|one| &one.tail).collect(),
        Act::Never(one) | Act::Allows(one) => vec![&one.tail],
        Act::Serves(serve) => serve.tail().into_iter().collect(),
        Act::Tries(_)
        | Act::Emits { .. }
        | Act::Acknowledges { .. }
        | Act::SendsJson(_)
        | Act::AllowsEnd { .. }
        | Act::Leaves(_)
        | Act::Sends(_)
        | Act::Requests(_)
        | Act::Dials { .. }
        | Act::Drops
        | Act::StopsReading
        | Act::ResumesReading => Vec::new(),
    }
}
