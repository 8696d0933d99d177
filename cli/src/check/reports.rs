//! What `check` leaves behind: a short report on the terminal, and files for people and machines.

use std::path::{Path, PathBuf};

use chatwright_conformance::{
    outcome::CheckReport,
    report::{badge, github, html, json, junit, scripts, summary, tap, terminal as text},
};

use crate::{
    args::{CheckArgs, Format, Global},
    exit::UseError,
    fixtures, terminal,
};

/// Set to `true` by the runner of GitHub Actions.
const ON_GITHUB: &str = "GITHUB_ACTIONS";

pub(super) fn write(global: &Global, args: &CheckArgs, report: &CheckReport) -> Result<(), UseError> {
    if !args.no_report {
        let page = write_files(&args.report, report)?;
        terminal::note(&format!("report: {}", page.display()));
    }
    let printed = match args.format {
        Format::Text if !global.json => shown(report),
        Format::Text | Format::Json => json::render(report),
        Format::Summary => summary::render(report),
        Format::Tap => tap::render(report),
        Format::Github => github::render(report),
    };
    terminal::out(printed.trim_end());
    let on_github = std::env::var(ON_GITHUB).is_ok_and(|value| value == "true");
    if on_github && args.format == Format::Text && !global.json {
        terminal::out(github::render(report).trim_end());
    }
    Ok(())
}

fn shown(report: &CheckReport) -> String {
    if terminal::colour() { text::render(report, &text::Ansi) } else { text::render(report, &text::Plain) }
}

/// Writes every form into the folder, and a script for each failure beside them; gives the page for people.
fn write_files(folder: &PathBuf, report: &CheckReport) -> Result<PathBuf, UseError> {
    fixtures::report_folder(folder)?;
    for (path, text) in scripts(report) {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fixtures::report_folder(&parent.to_path_buf())?;
        }
        fixtures::write(&path, text)?;
    }
    let put = |name: &str, text: &str| fixtures::write(&Path::new(folder).join(name), text);
    put("report.html", &html::render(report))?;
    put("report.json", &json::render(report))?;
    put("summary.json", &summary::render(report))?;
    put("junit.xml", &junit::render(report))?;
    put("report.tap", &tap::render(report))?;
    put("badge.svg", &badge::svg(report))?;
    put("badge.json", &badge::endpoint(report))?;
    Ok(folder.join("report.html"))
}
