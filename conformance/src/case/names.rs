//! Checks, when a case is read, that each `$name` it uses is given somewhere, so that a typo is found before the run.

use std::collections::BTreeSet;

use super::{
    act::Act,
    ast::{Case, Step, StepAct},
    cursor::{CaseError, Cursor},
};

/// Names that stand without being given.
const ROOTS: [&str; 5] = ["target", "limits", "timing", "each", "earlier"];

/// Finds a name that nothing gives.
///
/// # Errors
/// The place where it is used.
pub(super) fn check(file: &str, case: &Case) -> Result<(), CaseError> {
    let mut given: BTreeSet<String> = case.lets.iter().map(|(name, _)| name.clone()).collect();
    collect(&case.steps, &mut given);
    let lines: Vec<&str> = case.source.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let code = line.find("  #").map_or(*line, |at| &line[..at]);
        if code.trim_start().starts_with('#') {
            continue;
        }
        for (at, name) in used(code) {
            if name.chars().next().is_some_and(|c| c.is_ascii_digit()) || given.contains(name) || ROOTS.contains(&name)
            {
                continue;
            }
            let (cursor, _) = Cursor::over(file, &lines, number);
            let column = line[..at].chars().count();
            return Err(cursor.error_at(
                column,
                &format!("`${name}` is given nowhere: by no `let`, `use`, `as ${name}`, `ack=${name}`, `repeat` or named group"),
            ));
        }
    }
    Ok(())
}

/// Every `${name}` in a line, and every `$name` outside quotes that stands where a value may: where its dollar stands, and its first
/// part.
fn used(line: &str) -> Vec<(usize, &str)> {
    let (mut found, mut quoted, mut before) = (Vec::new(), false, ' ');
    for (at, c) in line.char_indices() {
        let rest = &line[at + c.len_utf8()..];
        let name = match (c, rest.strip_prefix('{')) {
            ('$', Some(braced)) if before != '\\' => braced,
            ('$', None) if !quoted && (before.is_whitespace() || "[({,:=!|+-.~".contains(before)) => rest,
            _ => "",
        };
        let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
        if end > 0 {
            found.push((at, &name[..end]));
        }
        quoted ^= c == '"' && before != '\\';
        // An escaped backslash escapes nothing.
        before = if c == '\\' && before == '\\' { ' ' } else { c };
    }
    found
}

/// The clocks and limits of the target that a case asks for: line, `timing` or `limits`, name.
pub(crate) fn facts(case: &Case) -> Vec<(usize, &'static str, &str)> {
    let mut found = Vec::new();
    for (number, line) in case.source.lines().enumerate() {
        for table in ["timing", "limits"] {
            for mark in [format!("${table}."), format!("${{{table}.")] {
                for (at, _) in line.match_indices(&mark) {
                    let rest = &line[at + mark.len()..];
                    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                    found.push((number + 1, table, &rest[..end]));
                }
            }
        }
    }
    found
}

/// Everything that a case gives a name to: actors, arguments of preambles, captures.
fn collect(steps: &[Step], given: &mut BTreeSet<String>) {
    for step in steps {
        match &step.act {
            StepAct::Use { actors, preamble, .. } => {
                given.extend(actors.iter().map(|a| a.user.clone()));
                for arg in preamble.iter().flat_map(|(_, args)| args) {
                    if let super::Value::Name(path) = arg {
                        given.extend(path.0.first().cloned());
                    }
                }
            }
            StepAct::Actor { actor, does } => {
                given.insert(actor.user.clone());
                captures(does, given);
            }
            StepAct::Repeat { name, steps, .. } => {
                given.insert(name.clone());
                collect(steps, given);
            }
            StepAct::Retry { steps, .. } => collect(steps, given),
            StepAct::Asks { .. } => bound_in(&step.to_string(), given),
            StepAct::Wait(_)
            | StepAct::Auth { .. }
            | StepAct::Target { .. }
            | StepAct::Listens { .. }
            | StepAct::Backend { .. } => {}
        }
    }
}

/// The names that a step's patterns bind, read from its printed form: `as $x`, `ack=$x`, `(?P<x>` and `(?<x>`.
fn captures(does: &Act, given: &mut BTreeSet<String>) {
    bound_in(&does.to_string(), given);
}

fn bound_in(printed: &str, given: &mut BTreeSet<String>) {
    for mark in [" as $", "ack=$", "(?P<", "(?<"] {
        for (at, _) in printed.match_indices(mark) {
            let rest = &printed[at + mark.len()..];
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            given.insert(rest[..end].to_owned());
        }
    }
}
