//! The self-test in a few lines for the terminal: what went wrong in full, the rest as numbers.

use super::{SelfTest, reason, verdict};
use crate::report::show_elapsed;

/// So many names stand in one line of a list; the page has all of them.
const NAMES_MAX: usize = 20;

/// What matters first, the score last.
#[must_use]
pub fn render(report: &SelfTest) -> String {
    let mut lines = Vec::new();
    for row in report.rows.iter().filter(|row| !row.is_caught()) {
        lines.push(format!("{}: {}: {} ({})", verdict(row), row.name, row.title, row.clause.0));
        lines.extend(reason(row).iter().flat_map(|reason| reason.lines()).map(|line| format!("    {line}")));
    }
    for clones in &report.clones {
        lines.push(format!("noticed by the same steps: {}", clones.join(", ")));
    }
    if !report.unproven.is_empty() {
        lines.push(format!(
            "{} unproven: no wrong server is known that they fail on: {}",
            counted(report.unproven.len(), "case"),
            shortly(&report.unproven)
        ));
    }
    if !report.not_run.is_empty() {
        let names: Vec<String> = report.not_run.iter().map(|one| format!("{} ({})", one.name, one.why)).collect();
        lines.push(format!("not run: {}", shortly(&names)));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    for (spec, score) in report.scores() {
        lines.push(format!("  {spec:<14} {} of {} planted defects noticed", score.caught, score.servers));
    }
    lines.push(format!("\n{}, in {}, seed {}", report.headline(), show_elapsed(report.elapsed), report.seed));
    lines.join("\n")
}

fn shortly(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
