//! A comparison for the terminal, clause by clause; its last line says how many differences there are.

use super::{GROUPS, by_clause, last_line, left_out};
use crate::{
    differential::{Comparison, Difference},
    report::{
        terminal::{Role, Style},
        words::{clipped, show_elapsed},
    },
};

/// Longer lines are cut.
const LINE_CHARS_MAX: usize = 300;
/// Places named in one line.
const SEEN_MAX: usize = 3;

/// The whole comparison.
#[must_use]
pub fn render(comparison: &Comparison, style: &dyn Style) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(words.trim_end());
        text.push('\n');
    };
    let Comparison { first, second, .. } = comparison;
    line(format!(
        "{}\n  against\n{}",
        style.paint(Role::Heading, &named(&first.target, &first.origin)),
        style.paint(Role::Heading, &named(&second.target, &second.origin))
    ));
    line(style.paint(
        Role::Quiet,
        &format!("dialect {}, seed {}, in {}", comparison.dialect, comparison.seed, show_elapsed(comparison.elapsed)),
    ));
    for (kind, heading) in GROUPS {
        let groups = by_clause(comparison, kind);
        if groups.is_empty() {
            continue;
        }
        line(String::new());
        line(style.paint(Role::Doubtful, heading));
        for (key, about, differences) in groups {
            let level = about.level.map_or_else(String::new, |level| format!(" {level}"));
            let words = if about.clause.is_some() { about.words.as_str() } else { "" };
            line(String::new());
            line(format!(
                "  {} {}",
                style.paint(Role::Heading, &format!("{key}{level}")),
                clipped(words, LINE_CHARS_MAX)
            ));
            for one in differences {
                one_difference(one, (&first.target, &second.target), style).into_iter().for_each(&mut line);
            }
        }
    }
    let reasons = left_out(comparison);
    if !reasons.is_empty() {
        line(String::new());
        line(style.paint(Role::Doubtful, "not compared"));
        for (reason, count) in reasons {
            line(format!("  {}: {count}", clipped(reason, LINE_CHARS_MAX)));
        }
    }
    let role = if comparison.differences.is_empty() { Role::Good } else { Role::Bad };
    line(String::new());
    line(style.paint(role, &last_line(comparison)));
    text
}

fn named(target: &str, origin: &str) -> String {
    if target == origin { target.to_owned() } else { format!("{target} ({origin})") }
}

fn one_difference(one: &Difference, (first, second): (&str, &str), style: &dyn Style) -> Vec<String> {
    let width = first.chars().count().max(second.chars().count());
    let side = |role, name: &str, words: &str| {
        format!("      {}  {}", style.paint(role, &format!("{name:width$}")), clipped(words, LINE_CHARS_MAX))
    };
    let mut seen: Vec<String> = one
        .seen
        .iter()
        .take(SEEN_MAX)
        .map(|seen| if seen.line == 0 { seen.case.clone() } else { format!("{}:{}", seen.case, seen.line) })
        .collect();
    if one.seen.len() > SEEN_MAX {
        seen.push(format!("{} more", one.seen.len() - SEEN_MAX));
    }
    vec![
        format!("    {}", clipped(&one.what, LINE_CHARS_MAX)),
        side(Role::Bad, first, &one.first),
        side(Role::Good, second, &one.second),
        style.paint(Role::Quiet, &format!("      in {}", seen.join(", "))),
    ]
}
