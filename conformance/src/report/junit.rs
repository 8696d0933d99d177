//! The report for CI: JUnit XML, which every CI system reads.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{
    clause,
    words::{rerun_command, transcript_line},
};
use crate::outcome::{CaseReport, CheckReport, RunReport, Verdict};

/// The report as JUnit XML: one suite per dialect and folder of cases. Known failures and cases not run are *skipped*; a SHOULD
/// that is kept otherwise is a success that says so.
#[must_use]
pub fn render(report: &CheckReport) -> String {
    let mut targets: Vec<&str> = report.runs.iter().map(|run| run.target.as_str()).collect();
    targets.dedup();
    let mut junit = Report::new(format!("chatwright check: {}", targets.join(", ")));
    junit.set_time(report.elapsed);
    let mut suites: Vec<TestSuite> = Vec::new();
    for run in &report.runs {
        for case in &run.cases {
            let folder = folder(&run.dialect, &case.name);
            if suites.last().is_none_or(|suite| suite.name.as_str() != folder) {
                suites.push(TestSuite::new(folder.clone()));
            }
            if let Some(suite) = suites.last_mut() {
                suite.add_test_case(test_case(run, case, &folder));
            }
        }
    }
    junit.add_test_suites(suites);
    junit.to_string().expect("the names and texts of a report can be written as XML")
}

/// The folder of a case, below its dialect.
fn folder(dialect: &str, case: &str) -> String {
    let folder = case.rsplit_once('/').map_or("cases", |(folder, _)| folder);
    match folder.split('/').next() {
        Some(first) if first == dialect => folder.to_owned(),
        Some(_) | None => format!("{dialect}/{folder}"),
    }
}

fn test_case(report: &RunReport, case: &CaseReport, folder: &str) -> TestCase {
    let status = match case.verdict {
        Verdict::Pass | Verdict::NonStrict | Verdict::Otherwise => TestCaseStatus::success(),
        Verdict::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("expectation").set_message(headline(case)).set_description(description(report, case));
            status
        }
        Verdict::UnexpectedPass => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("unexpected-pass").set_message("passed although the target file lists it as failing");
            status
        }
        Verdict::KnownFailure | Verdict::Inconclusive | Verdict::NotRun => {
            let mut status = TestCaseStatus::skipped();
            let kind = match case.verdict {
                Verdict::NotRun => "not run",
                Verdict::Inconclusive => "inconclusive",
                Verdict::KnownFailure
                | Verdict::Pass
                | Verdict::Fail
                | Verdict::NonStrict
                | Verdict::Otherwise
                | Verdict::UnexpectedPass => "known failure",
            };
            status.set_message(format!("{kind}: {}", case.reason.as_deref().unwrap_or("no reason given")));
            status
        }
    };
    let mut test = TestCase::new(case.name.clone(), status);
    test.set_classname(folder.replace('/', ".")).set_time(case.elapsed);
    let word = match case.verdict {
        Verdict::NonStrict => Some("not strict"),
        Verdict::Otherwise => Some("otherwise than the reference"),
        Verdict::Pass
        | Verdict::Fail
        | Verdict::KnownFailure
        | Verdict::UnexpectedPass
        | Verdict::Inconclusive
        | Verdict::NotRun => None,
    };
    if let Some(word) = word {
        test.set_system_out(format!("{word}: {}\n{}", headline(case), description(report, case)));
    }
    test
}

fn headline(case: &CaseReport) -> String {
    match &case.failure {
        Some(failure) => {
            format!("{}, line {}: expected {}, got {}", failure.clause.0, failure.line, failure.expected, failure.got)
        }
        None => case.reason.clone().unwrap_or_else(|| case.title.clone()),
    }
}

fn description(report: &RunReport, case: &CaseReport) -> String {
    let mut text = format!("{}\n", case.title);
    if let Some(failure) = &case.failure {
        let words = clause(report, &failure.clause).map_or("", |clause| clause.text.as_str());
        text.push_str(&format!(
            "{} {}: {words}\n\nline {}: {}\nexpected: {}\ngot:      {}\n",
            failure.clause.0, failure.level, failure.line, failure.step, failure.expected, failure.got
        ));
        if !failure.why.is_empty() {
            text.push_str(&format!("differs:  {}\n", failure.why));
        }
        text.push('\n');
    }
    for entry in &case.transcript.entries {
        text.push_str(&format!("{:>6} ms  {}\n", entry.at.as_millis(), transcript_line(entry)));
    }
    text.push_str(&format!("\n{}\n", rerun_command(report, &case.name)));
    text
}
