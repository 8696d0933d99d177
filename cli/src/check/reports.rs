//! What `check` leaves behind: a short report on the terminal, and files for people and machines.

use chatwright_conformance::{
    outcome::CheckReport,
    report::{html, json, junit, terminal as text},
};

use crate::{
    args::{CheckArgs, Global},
    exit::UseError,
    fixtures, terminal,
};

pub(super) fn write(global: &Global, args: &CheckArgs, report: &CheckReport) -> Result<(), UseError> {
    let mut page = None;
    if !args.no_report {
        fixtures::report_folder(&args.report)?;
        let path = args.report.join("report.html");
        fixtures::write(&path, &html::render(report))?;
        fixtures::write(&args.report.join("report.json"), &json::render(report))?;
        fixtures::write(&args.report.join("junit.xml"), &junit::render(report))?;
        page = Some(path);
    }
    if let Some(page) = page {
        terminal::note(&format!("report: {}", page.display()));
    }
    if global.json {
        terminal::out(json::render(report).trim_end());
    } else if terminal::colour() {
        terminal::out(text::render(report, &text::Ansi).trim_end());
    } else {
        terminal::out(text::render(report, &text::Plain).trim_end());
    }
    Ok(())
}
