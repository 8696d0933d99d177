//! What a comparison of two servers says: for the terminal, for programs and for people who look closely.

mod html;
mod terminal;

pub use self::{html::render as html, terminal::render as terminal};
use crate::differential::{Comparison, Difference, DifferenceKind};

/// The comparison for programs: indented JSON with a newline at its end.
#[must_use]
pub fn json(comparison: &Comparison) -> String {
    let mut text = serde_json::to_string_pretty(comparison).expect("strings, numbers and lists are always JSON");
    text.push('\n');
    text
}

/// `412 cases: alike in all` or `412 cases: alike in 409, 3 differences`: the last line.
#[must_use]
pub fn last_line(comparison: &Comparison) -> String {
    let Comparison { compared, alike, differences, .. } = comparison;
    let left_out = match comparison.left_out.len() {
        0 => String::new(),
        count => format!("; {count} not compared"),
    };
    match differences.len() {
        0 => format!("{compared} cases played on both: no difference{left_out}"),
        1 => format!("{compared} cases played on both, alike in {alike}: 1 difference{left_out}"),
        count => format!("{compared} cases played on both, alike in {alike}: {count} differences{left_out}"),
    }
}

/// The groups in the order of their weight.
const GROUPS: [(DifferenceKind, &str); 3] = [
    (DifferenceKind::Ending, "One does what the case asks, the other does not"),
    (DifferenceKind::Content, "Both do what the case asks, each in its own way"),
    (DifferenceKind::Unasked, "One sends what no line asks for"),
];

/// The differences of one kind under what they are about, in order.
fn by_clause(comparison: &Comparison, kind: DifferenceKind) -> Vec<(String, &Difference, Vec<&Difference>)> {
    let mut groups: Vec<(String, &Difference, Vec<&Difference>)> = Vec::new();
    for one in comparison.differences.iter().filter(|one| one.kind == kind) {
        let key = one.clause.as_ref().map_or_else(|| one.words.clone(), |clause| clause.0.clone());
        match groups.iter_mut().find(|(known, ..)| *known == key) {
            Some((.., list)) => list.push(one),
            None => groups.push((key, one, vec![one])),
        }
    }
    groups
}

/// What the left-out cases lack, each reason with how many.
fn left_out(comparison: &Comparison) -> Vec<(&str, usize)> {
    let mut reasons: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for one in &comparison.left_out {
        *reasons.entry(one.reason.as_str()).or_default() += 1;
    }
    reasons.into_iter().collect()
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
