//! Reads a `SPEC.md`: the numbered clauses of a contract with their levels.

use std::sync::LazyLock;

use regex::Regex;

use crate::outcome::{ClauseId, Level, NotJudged};

/// Where a clause comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// The dialect's document.
    Document,
    /// A ruling where the document is silent or contradicts itself.
    Ruling,
    /// A protocol text.
    Protocol,
    /// Safety.
    Safety,
}

/// A numbered clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// `rooms/5.1`.
    pub id: ClauseId,
    /// How binding.
    pub level: Level,
    /// Where from.
    pub provenance: Provenance,
    /// Judged by cases; else by probes of a deployment.
    pub wire: bool,
    /// The heading that it stands under, such as `5 Messages`.
    pub section: String,
    /// Its words, markdown in one line.
    pub text: String,
}

/// A contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `rooms`, `engine-io`, ...
    pub name: String,
    /// In the order of the file.
    pub clauses: Vec<Clause>,
    /// What it leaves to no case, and why.
    pub not_judged: Vec<NotJudged>,
}

/// A paragraph that is no clause although it begins like one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct SpecError {
    /// The file.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// What is wrong and what was expected.
    pub problem: String,
}

static NOT_JUDGED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\*\*not run\*\* ([^:]+): (.+)$").expect("a fixed expression compiles"));

static CLAUSE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\*\*(\d+(?:\.\d+)*)\*\* +\[([^\]]*)\] *(.*)$").expect("a fixed expression compiles")
});

/// Reads the clauses of a `SPEC.md`.
///
/// # Errors
/// The line of a clause with tags that nobody knows, or whose number stands twice.
pub fn parse_spec(file: &str, name: &str, text: &str) -> Result<Spec, SpecError> {
    let mut clauses: Vec<Clause> = Vec::new();
    let mut not_judged = Vec::new();
    let mut section = String::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let error = |problem: String| SpecError { file: file.to_owned(), line: at + 1, problem };
        if let Some(found) = CLAUSE.captures(line) {
            let clause =
                Clause { section: section.clone(), ..clause(name, &found[1], &found[2], &found[3]).map_err(error)? };
            if clauses.iter().any(|c| c.id == clause.id) {
                return Err(error(format!("clause {} stands twice", clause.id.0)));
            }
            clauses.push(clause);
            open = true;
        } else if let Some(found) = NOT_JUDGED.captures(line) {
            let (what, reason) = (found[1].to_owned(), found[2].to_owned());
            not_judged.push(NotJudged { spec: name.to_owned(), what, reason });
            open = false;
        } else if line.starts_with("**") && line[2..].starts_with(|c: char| c.is_ascii_digit()) {
            return Err(error("expected a clause like `**5.1** [MUST, document, wire] words`".to_owned()));
        } else if line.trim().is_empty() || line.starts_with('#') {
            open = false;
            if let Some(heading) = line.strip_prefix("## ") {
                heading.trim().clone_into(&mut section);
            }
        } else if let Some(last) = clauses.last_mut().filter(|_| open) {
            last.text.push(' ');
            last.text.push_str(line.trim());
        }
    }
    Ok(Spec { name: name.to_owned(), clauses, not_judged })
}

fn clause(spec: &str, number: &str, tags: &str, words: &str) -> Result<Clause, String> {
    let tags: Vec<&str> = tags.split(',').map(str::trim).collect();
    let [level, provenance, kind] = tags.as_slice() else {
        return Err(format!("expected three tags `[LEVEL, provenance, kind]`, found {}", tags.len()));
    };
    let level = match *level {
        "MUST" => Level::Must,
        "SHOULD" => Level::Should,
        "REF" => Level::Ref,
        "MAY" => Level::May,
        other => return Err(format!("expected the level MUST, SHOULD, REF or MAY, found `{other}`")),
    };
    let provenance = match *provenance {
        "document" => Provenance::Document,
        "ruling" => Provenance::Ruling,
        "protocol" => Provenance::Protocol,
        "safety" => Provenance::Safety,
        other => return Err(format!("expected the provenance document, ruling, protocol or safety, found `{other}`")),
    };
    let wire = match *kind {
        "wire" => true,
        "deployment" => false,
        other => return Err(format!("expected the kind wire or deployment, found `{other}`")),
    };
    Ok(Clause {
        id: ClauseId(format!("{spec}/{number}")),
        level,
        provenance,
        wire,
        section: String::new(),
        text: words.trim().to_owned(),
    })
}

impl Spec {
    /// A clause by its citation.
    #[must_use]
    pub fn clause(&self, id: &ClauseId) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_read_with_all_their_lines() {
        let text = "# x\n\n**1.1** [MUST, document, wire] First line\nand second.\n\nProse.\n\n**1.2** [SHOULD, ruling, deployment] Other.\n";
        let spec = parse_spec("SPEC.md", "rooms", text).expect("well-formed");
        assert_eq!(spec.clauses.len(), 2);
        assert_eq!(spec.clauses[0].text, "First line and second.");
        assert_eq!((spec.clauses[1].level, spec.clauses[1].wire), (Level::Should, false));
        assert_eq!(spec.clauses[1].id, ClauseId("rooms/1.2".to_owned()));
    }

    #[test]
    fn a_clause_knows_its_section_and_what_no_case_plays_is_told_with_its_reason() {
        let text =
            "# x\n\n## 3 Ways\n\n**3.1** [MUST, protocol, wire] Words.\n\n**not run** WebTransport: it needs QUIC.\n";
        let spec = parse_spec("SPEC.md", "engine-io", text).expect("well-formed");
        assert_eq!((spec.clauses[0].section.as_str(), spec.clauses[0].text.as_str()), ("3 Ways", "Words."));
        assert_eq!(
            (spec.not_judged[0].what.as_str(), spec.not_judged[0].reason.as_str()),
            ("WebTransport", "it needs QUIC.")
        );
    }

    #[test]
    fn a_clause_with_an_unknown_tag_or_a_number_twice_is_an_error_with_its_line() {
        let twice = "**1.1** [MUST, document, wire] a\n\n**1.1** [MUST, document, wire] b\n";
        for (text, line, word) in [
            ("\n**1.1** [MUSTY, document, wire] a\n", 2, "MUSTY"),
            ("**1.1** [MUST, wire] a\n", 1, "three tags"),
            ("**1.1** MUST a\n", 1, "expected a clause"),
            (twice, 3, "twice"),
        ] {
            let error = parse_spec("SPEC.md", "x", text).expect_err(word);
            assert_eq!(error.line, line);
            assert!(error.problem.contains(word), "{error}");
        }
    }
}
