//! The results of several implementations as one table in Markdown, to be put into a page between two marks.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    Coverage,
    summary::{SpecSummary, specs},
};
use crate::outcome::RunReport;

/// The table stands between these lines.
pub const BEGIN: &str = "<!-- results: made by `chatwright table`, do not edit by hand -->";
/// And this one.
pub const END: &str = "<!-- end of results -->";

/// The protocols that have a column each, where anybody was judged by them.
const PROTOCOLS: [&str; 3] = ["engine-io", "socket-io", "rfc6455"];

/// A row for each implementation: of each contract so many cases passed of so many that were played. What else there was, is said in words.
#[must_use]
pub fn markdown(runs: &[RunReport]) -> String {
    let played: BTreeSet<&str> = runs.iter().flat_map(|run| specs(run).into_keys().collect::<Vec<_>>()).collect();
    let protocols: Vec<&str> = PROTOCOLS.into_iter().filter(|name| played.contains(name)).collect();
    let mut text = String::from("| implementation | runs on | dialect | its cases |");
    for name in &protocols {
        let _infallible = write!(text, " {name} |");
    }
    text.push_str(" wire MUST clauses held | beside that |\n|---|---|---|---|");
    text.push_str(&"---|".repeat(protocols.len() + 2));
    text.push('\n');
    for run in runs {
        text.push_str(&row(run, &protocols));
    }
    if let Some(first) = runs.first() {
        let not_judged: BTreeSet<String> =
            runs.iter().flat_map(|run| &run.not_judged).map(|part| format!("{} ({})", part.what, part.spec)).collect();
        let not_judged = match not_judged.len() {
            0 => String::new(),
            _ => format!(
                " Not run for anybody, and counted nowhere: {}.",
                not_judged.into_iter().collect::<Vec<_>>().join(", ")
            ),
        };
        let _infallible = writeln!(
            text,
            "\nCases passed of those played, in the order in which chatwright {} judged them.{not_judged}",
            first.version
        );
    }
    text
}

fn row(run: &RunReport, protocols: &[&str]) -> String {
    let specs = specs(run);
    let cell = |name: &str| specs.get(name).map_or_else(|| "–".to_owned(), |spec| counted(*spec));
    let version = run.about.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
    let runtime = run.about.runtime.as_deref().or(run.about.language.as_deref()).unwrap_or("–");
    let wire = Coverage::wire_must(run);
    let mut text = format!(
        "| {}{} | {} | `{}` | {} |",
        escaped(&run.target),
        escaped(&version),
        escaped(runtime),
        run.dialect,
        cell(&run.dialect)
    );
    for name in protocols {
        let _infallible = write!(text, " {} |", cell(name));
    }
    let _infallible =
        writeln!(text, " {} of {} | {} |", wire.held, wire.clauses, beside(&specs.into_values().collect::<Vec<_>>()));
    text
}

fn counted(spec: SpecSummary) -> String {
    let text = format!("{} of {}", spec.passed, spec.played());
    if spec.failed > 0 { format!("**{text}**") } else { text }
}

fn beside(specs: &[SpecSummary]) -> String {
    let sum = |count: fn(&SpecSummary) -> usize| specs.iter().map(count).sum::<usize>();
    let parts = [
        (sum(|spec| spec.failed), "failed"),
        (sum(|spec| spec.non_strict), "not strict"),
        (sum(|spec| spec.otherwise), "otherwise than the reference"),
        (sum(|spec| spec.known_failures), "known failures"),
        (sum(|spec| spec.inconclusive), "inconclusive"),
        (sum(|spec| spec.not_run), "not run"),
    ];
    let said: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if said.is_empty() { "–".to_owned() } else { said.join(", ") }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The page with this table between the marks; at its end, with new marks, where it has none.
#[must_use]
pub fn put_into(page: &str, table: &str) -> String {
    let block = format!("{BEGIN}\n\n{}\n\n{END}", table.trim_end());
    match (page.find(BEGIN), page.find(END)) {
        (Some(begin), Some(end)) if begin < end => format!("{}{block}{}", &page[..begin], &page[end + END.len()..]),
        (_, _) if page.trim().is_empty() => format!("{block}\n"),
        (_, _) => format!("{}\n\n{block}\n", page.trim_end()),
    }
}
