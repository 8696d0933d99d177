//! SPECs and cases hold together: a case names clauses that exist, each MUST on the wire is named by a case, each of deployment stated by a
//! probe.

use std::collections::BTreeMap;
use std::path::Path;

use super::{files, none, read};

const LEVELS: [&str; 4] = ["MUST", "SHOULD", "REF", "MAY"];
const PROVENANCES: [&str; 4] = ["document", "ruling", "protocol", "safety"];
const KINDS: [&str; 2] = ["wire", "deployment"];

#[test]
fn every_clause_has_a_number_of_its_own_and_three_known_tags() {
    let mut offences = Vec::new();
    let mut seen = BTreeMap::new();
    for clause in clauses() {
        if !clause.tags_are_known() {
            offences.push(format!("{}: tags [{}]", clause.id, clause.tags.join(", ")));
        }
        if let Some(first) = seen.insert(clause.id.clone(), clause.line) {
            offences.push(format!("{}: stands in line {first} and in line {}", clause.id, clause.line));
        }
    }
    assert!(seen.len() > 20, "only {} clauses were found", seen.len());
    none("clauses to mend", offences);
}

#[test]
fn every_case_names_clauses_that_exist() {
    let known = clauses().into_iter().map(|clause| clause.id).collect::<Vec<_>>();
    let mut offences = Vec::new();
    for case in cases() {
        if case.header.is_empty() {
            offences.push(format!("{}: names no clause", case.path));
        }
        let unknown = case.header.iter().chain(&case.marks).filter(|cited| !known.contains(cited));
        offences.extend(unknown.map(|cited| format!("{}: {cited}", case.path)));
    }
    none("cases that cite clauses no SPEC has", offences);
}

#[test]
fn every_must_clause_on_the_wire_is_named_by_a_case() {
    let cited: Vec<String> = cases().into_iter().flat_map(|case| case.header).collect();
    let uncovered = clauses().into_iter().filter(|clause| clause.must_be_judged() && !cited.contains(&clause.id));
    none("MUST clauses on the wire without a case", uncovered.map(|clause| clause.id));
}

#[test]
fn every_must_clause_of_deployment_is_stated_by_a_probe() {
    let mut stated: Vec<String> = Vec::new();
    for probe in cases().into_iter().filter(|case| case.path.contains("/probes/")) {
        // What is not marked states the first clause of the header.
        stated.extend(probe.header.first().cloned());
        stated.extend(probe.marks);
    }
    let demanded = clauses().into_iter().filter(|clause| clause.is_must_of("deployment"));
    let unstated = demanded.filter(|clause| !stated.contains(&clause.id));
    none("MUST clauses of deployment that no probe states", unstated.map(|clause| clause.id));
}

#[test]
fn every_dialect_has_a_contract_a_descriptor_cases_and_a_target_of_the_reference() {
    let mut dialects: Vec<String> = Vec::new();
    let files: Vec<String> = files().iter().map(|path| path.display().to_string()).collect();
    for path in &files {
        let name = path.strip_prefix("fixtures/dialects/").and_then(|below| below.split('/').next());
        dialects.extend(name.filter(|name| !dialects.iter().any(|known| known == name)).map(str::to_owned));
    }
    assert!(!dialects.is_empty(), "no dialect was found");
    let mut missing = Vec::new();
    for name in &dialects {
        for wanted in [
            format!("fixtures/dialects/{name}/SPEC.md"),
            format!("fixtures/dialects/{name}/dialect.toml"),
            format!("fixtures/dialects/{name}/cases/"),
            format!("fixtures/targets/reference/{name}.toml"),
        ] {
            if !files.iter().any(|path| path.starts_with(&wanted)) {
                missing.push(wanted);
            }
        }
    }
    none("files that a dialect lacks", missing);
}

#[test]
fn a_probe_proves_clauses_of_deployment_only() {
    let wire: Vec<String> = clauses()
        .into_iter()
        .filter(|clause| clause.tags.last().is_some_and(|kind| kind == "wire"))
        .map(|clause| clause.id)
        .collect();
    let probes = cases().into_iter().filter(|case| case.path.contains("/probes/"));
    let offences = probes.flat_map(|probe| {
        let of_wire = probe.header.into_iter().filter(|cited| wire.contains(cited)).collect::<Vec<_>>();
        of_wire.into_iter().map(move |cited| format!("{}: {cited}", probe.path))
    });
    none("probes that cite clauses of the wire", offences);
}

#[test]
fn clauses_and_citations_are_read_as_the_grammar_says() {
    let spec = "## 5 Messages\n\n**5.1** [MUST, document, wire] Every member\nhears it.\n\n**5.2** [REF, ruling, deployment] A key.\n";
    let found = clauses_in("rooms", spec);
    assert_eq!(found.iter().map(|clause| clause.id.as_str()).collect::<Vec<_>>(), ["rooms/5.1", "rooms/5.2"]);
    assert!(found[0].must_be_judged() && found[0].tags_are_known());
    assert!(!found[1].must_be_judged());
    let text = "# Why.\nclause rooms/5.1 socket-io/2.3  # words\nalice < x {} within 1s §5.2\nalice < y §engine-io/1.1\nalice > z \"§9\"";
    let case = Case::parse("rooms", "a.case", text);
    assert_eq!(case.header, ["rooms/5.1", "socket-io/2.3"]);
    assert_eq!(case.marks, ["rooms/5.2", "engine-io/1.1"]);
}

/// A numbered paragraph of a SPEC.
struct Clause {
    id: String,
    tags: Vec<String>,
    line: usize,
}

impl Clause {
    fn tags_are_known(&self) -> bool {
        let [level, provenance, kind] = self.tags.as_slice() else { return false };
        LEVELS.contains(&level.as_str()) && PROVENANCES.contains(&provenance.as_str()) && KINDS.contains(&kind.as_str())
    }

    fn must_be_judged(&self) -> bool {
        self.is_must_of("wire")
    }

    fn is_must_of(&self, kind: &str) -> bool {
        self.tags.first().is_some_and(|level| level == "MUST") && self.tags.last().is_some_and(|last| last == kind)
    }
}

fn clauses() -> Vec<Clause> {
    let specs = files().into_iter().filter(|path| path.starts_with("fixtures") && path.ends_with("SPEC.md"));
    specs.flat_map(|path| clauses_in(&spec_name(&path), &read(&path))).collect()
}

fn clauses_in(spec: &str, text: &str) -> Vec<Clause> {
    let numbered = text.lines().enumerate().filter_map(|(index, line)| {
        let (number, rest) = line.strip_prefix("**")?.split_once("**")?;
        let tags = rest.trim_start().strip_prefix('[')?.split_once(']')?.0;
        let tags = tags.split(',').map(|tag| tag.trim().to_owned()).collect();
        number.starts_with(|first: char| first.is_ascii_digit()).then(|| Clause {
            id: format!("{spec}/{number}"),
            tags,
            line: index + 1,
        })
    });
    numbered.collect()
}

/// A case reduced to what it cites.
struct Case {
    path: String,
    /// The clauses of its `clause` lines.
    header: Vec<String>,
    /// The clauses that single steps state.
    marks: Vec<String>,
}

impl Case {
    fn parse(spec: &str, path: &str, text: &str) -> Self {
        let mut case = Self { path: path.to_owned(), header: Vec::new(), marks: Vec::new() };
        for line in text.lines().map(without_comment) {
            if let Some(cited) = line.strip_prefix("clause ") {
                case.header.extend(cited.split_whitespace().map(str::to_owned));
            }
            if let Some((_, mark)) = line.trim_end().rsplit_once(" §") {
                let qualified = if mark.contains('/') { mark.to_owned() } else { format!("{spec}/{mark}") };
                case.marks.extend((!mark.contains(['"', ' '])).then_some(qualified));
            }
        }
        case
    }
}

fn cases() -> Vec<Case> {
    let paths = files()
        .into_iter()
        .filter(|path| path.starts_with("fixtures") && path.extension().is_some_and(|ending| ending == "case"));
    let cases: Vec<Case> =
        paths.map(|path| Case::parse(&spec_name(&path), &path.display().to_string(), &read(&path))).collect();
    assert!(cases.len() > 20, "only {} cases were found", cases.len());
    cases
}

/// `fixtures/dialects/rooms/cases/a/b.case` and `fixtures/dialects/rooms/SPEC.md` belong to `rooms`.
fn spec_name(path: &Path) -> String {
    path.iter().nth(2).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A comment starts with `#` at the start of a line or after two blanks.
fn without_comment(line: &str) -> &str {
    if line.starts_with('#') { "" } else { line.split_once("  #").map_or(line, |(step, _)| step) }
}
