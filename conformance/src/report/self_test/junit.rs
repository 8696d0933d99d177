//! The self-test for CI: one suite for each contract, one test for each wrong server.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{SelfTest, reason, spec_of, verdict};
use crate::wrong::KillRow;

/// The self-test as JUnit XML. A defect that is not noticed is a failure, and so is a case that is unproven; what was not played is *skipped*.
#[must_use]
pub fn render(report: &SelfTest) -> String {
    let mut junit = Report::new("chatwright check --self-test");
    junit.set_time(report.elapsed);
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    let mut add = |suite, test| {
        suites.entry(suite).or_insert_with(|| TestSuite::new(suite.to_owned())).add_test_case(test);
    };
    for row in &report.rows {
        add(spec_of(row), test(row));
    }
    for one in &report.not_run {
        let mut status = TestCaseStatus::skipped();
        status.set_message(format!("not run: {}", one.why));
        add(one.clause.0.split('/').next().unwrap_or_default(), TestCase::new(one.name.clone(), status));
    }
    for case in &report.unproven {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type("unproven").set_message("no wrong server is known that it fails on");
        add("unproven", TestCase::new(case.clone(), status));
    }
    junit.add_test_suites(suites.into_values());
    junit.to_string().expect("the names and texts of a report can be written as XML")
}

fn test(row: &KillRow) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !row.is_caught() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        let message = format!("{}: {} ({})", verdict(row), row.title, row.clause.0);
        status.set_type("not-noticed").set_message(message).set_description(reason(row).unwrap_or_default());
    }
    let mut test = TestCase::new(row.name.clone(), status);
    test.set_classname(spec_of(row)).set_time(row.elapsed);
    test
}
