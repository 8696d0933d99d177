//! The report in the Test Anything Protocol, version 14.

use std::fmt::Write as _;

use super::words::{clipped, rerun_command};
use crate::outcome::{CaseReport, CheckReport, RunReport, Verdict};

/// A text of a failure is cut there; the other reports have the whole.
const TEXT_CHARS_MAX: usize = 600;

/// A line for each case, in the order of the report. What a target is known to fail is `TODO`, what was not run is `SKIP`; a SHOULD that is
/// kept otherwise is `ok` with a word on it.
#[must_use]
pub fn render(report: &CheckReport) -> String {
    let several = report.runs.len() > 1;
    let total: usize = report.runs.iter().map(|run| run.cases.len()).sum();
    let mut text = format!("TAP version 14\n1..{total}\n");
    let mut number = 0;
    for run in &report.runs {
        let _infallible = writeln!(text, "# {} ({}), seed {}", plain(&run.target), run.dialect, run.seed);
        for part in &run.not_judged {
            let _infallible =
                writeln!(text, "# not run, of {}: {}: {}", part.spec, plain(&part.what), plain(&part.reason));
        }
        for case in &run.cases {
            number += 1;
            let dialect = if several { format!("{}: ", run.dialect) } else { String::new() };
            let _infallible = writeln!(text, "{}", line(number, &dialect, case));
            if matches!(case.verdict, Verdict::Fail | Verdict::NonStrict | Verdict::Otherwise) {
                text.push_str(&diagnosis(run, case));
            }
        }
    }
    text
}

fn line(number: usize, dialect: &str, case: &CaseReport) -> String {
    let (ok, directive) = match case.verdict {
        Verdict::Pass | Verdict::NonStrict | Verdict::Otherwise => ("ok", String::new()),
        Verdict::Fail | Verdict::UnexpectedPass => ("not ok", String::new()),
        Verdict::KnownFailure => ("not ok", " # TODO ".to_owned() + &reason(case)),
        Verdict::NotRun => ("ok", " # SKIP ".to_owned() + &reason(case)),
        Verdict::Inconclusive => ("ok", " # SKIP inconclusive: ".to_owned() + &reason(case)),
    };
    let word = match case.verdict {
        Verdict::UnexpectedPass => format!(" (it passes, but is listed as failing: {})", reason(case)),
        Verdict::NonStrict => " (not strict)".to_owned(),
        Verdict::Otherwise => " (otherwise than the reference)".to_owned(),
        Verdict::Pass | Verdict::Fail | Verdict::KnownFailure | Verdict::Inconclusive | Verdict::NotRun => {
            String::new()
        }
    };
    format!("{ok} {number} - {dialect}{}{word}{directive}", plain(&case.name))
}

fn reason(case: &CaseReport) -> String {
    plain(case.reason.as_deref().unwrap_or("no reason given"))
}

/// The YAML below a line.
fn diagnosis(run: &RunReport, case: &CaseReport) -> String {
    let Some(failure) = &case.failure else { return String::new() };
    let mut text = String::from("  ---\n");
    let rows = [
        ("message", case.title.as_str()),
        ("severity", if case.verdict == Verdict::Fail { "fail" } else { "comment" }),
        ("clause", &format!("{} {}", failure.clause.0, failure.level)),
        ("line", &failure.line.to_string()),
        ("step", &failure.step),
        ("expected", &failure.expected),
        ("got", &failure.got),
        ("differs", &failure.why),
        ("rerun", &rerun_command(run, &case.name)),
    ];
    for (key, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        // A JSON string is a YAML string.
        let quoted = serde_json::Value::from(clipped(value, TEXT_CHARS_MAX));
        let _infallible = writeln!(text, "  {key}: {quoted}");
    }
    text.push_str("  ...\n");
    text
}

/// One line, in which nothing looks like a directive.
fn plain(text: &str) -> String {
    clipped(text, TEXT_CHARS_MAX).replace('\n', " ").replace('#', "\\#")
}
