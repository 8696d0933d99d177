//! `check --against`: the same cases on two servers, and where they differ.

use chatwright_conformance::{
    differential::{Comparison, differ},
    report::{
        difference,
        terminal::{Ansi, Plain, Style},
    },
    run::RunConfig,
    suite::Suite,
};

use super::sources::{self, Sources};
use crate::{
    args::{CheckArgs, Global},
    exit::{Outcome, UseError},
    fixtures, progress,
    reference::ORIGIN,
    terminal,
};

/// The page in the report folder, and the same for programs.
const PAGE: &str = "difference.html";
const DATA: &str = "difference.json";

/// Plays the cases on the target and on the peer; each in the first of its configurations.
pub(super) async fn run(
    global: &Global,
    suite: &Suite,
    config: &RunConfig,
    (args, peer): (&CheckArgs, &str),
) -> Result<Outcome, UseError> {
    let [mine] = <[Sources; 1]>::try_from(sources::of(suite, args)?).map_err(|all| {
        UseError::new(format!("--against compares one server; {} are meant: name a --target or a --dialect", all.len()))
    })?;
    let theirs = if peer == ORIGIN {
        sources::of_reference(&mine.dialect, args.backends)?
    } else {
        sources::of_file(suite, std::path::Path::new(peer))?
    };
    let (mine_running, theirs_running) = (mine.first()?.start(&mine).await?, theirs.first()?.start(&theirs).await?);
    let progress = progress::Cases::new();
    let compared = differ(suite, config, (&mine_running.target, &theirs_running.target), &progress).await;
    progress.close();
    mine_running.stop().await;
    theirs_running.stop().await;
    let comparison = compared.map_err(|problem| UseError::new(problem.to_string()))?;
    write(global, args, &comparison)?;
    Ok(if comparison.differences.is_empty() { Outcome::Pass } else { Outcome::Fail })
}

fn write(global: &Global, args: &CheckArgs, comparison: &Comparison) -> Result<(), UseError> {
    if !args.no_report {
        fixtures::report_folder(&args.report)?;
        let page = args.report.join(PAGE);
        fixtures::write(&page, &difference::html(comparison))?;
        fixtures::write(&args.report.join(DATA), &difference::json(comparison))?;
        terminal::note(&format!("report: {}", page.display()));
    }
    if global.json {
        terminal::out(difference::json(comparison).trim_end());
    } else {
        let style: &dyn Style = if terminal::colour() { &Ansi } else { &Plain };
        terminal::out(difference::terminal(comparison, style).trim_end());
    }
    Ok(())
}
