//! The report as annotations of GitHub Actions: lines that its runner turns into remarks on a change.

use super::{
    Summary,
    words::{clipped, rerun_command},
};
use crate::outcome::{CaseReport, CheckReport, RunReport, Verdict};

/// The runner shows so many errors of a step, and so many warnings.
const ANNOTATIONS_MAX: usize = 10;
/// A text is cut there.
const TEXT_CHARS_MAX: usize = 400;

/// An error for each case that failed, a warning for each SHOULD that is kept otherwise, and the counts. Where the target came from a file,
/// they stand at that file: it is what lies in the repository of who is judged.
#[must_use]
pub fn render(report: &CheckReport) -> String {
    let mut lines = Vec::new();
    for (kind, verdicts) in
        [("error", &[Verdict::Fail, Verdict::UnexpectedPass][..]), ("warning", &[Verdict::NonStrict])]
    {
        let cases = report.runs.iter().flat_map(|run| run.cases.iter().map(move |case| (run, case)));
        let these: Vec<_> = cases.filter(|(_, case)| verdicts.contains(&case.verdict)).collect();
        // The last one says that there are more.
        let shown = if these.len() > ANNOTATIONS_MAX { ANNOTATIONS_MAX - 1 } else { these.len() };
        lines.extend(these[..shown].iter().map(|(run, case)| annotation(kind, run, case)));
        if these.len() > shown {
            lines.push(format!("::{kind} title=chatwright::and {} more; the report has them all", these.len() - shown));
        }
    }
    lines.push(format!("::notice title=chatwright::{}", data(&Summary::total(report).last_line())));
    lines.join("\n") + "\n"
}

fn annotation(kind: &str, run: &RunReport, case: &CaseReport) -> String {
    let is_file = !run.origin.contains("://") && run.origin.ends_with(".toml");
    let file = if is_file { format!("file={},line=1,", property(&run.origin)) } else { String::new() };
    let words = match &case.failure {
        Some(failure) => {
            let why = if failure.why.is_empty() { String::new() } else { format!("\n{}", failure.why) };
            format!(
                "{}\n{} {}: expected {}, got {}{why}\n{}",
                case.title,
                failure.clause.0,
                failure.level,
                clipped(&failure.expected, TEXT_CHARS_MAX),
                clipped(&failure.got, TEXT_CHARS_MAX),
                rerun_command(run, &case.name)
            )
        }
        None => format!("{}\n{}", case.title, case.reason.as_deref().unwrap_or_default()),
    };
    format!("::{kind} {file}title={}::{}", property(&case.name), data(&words))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
