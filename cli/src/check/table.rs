//! `chatwright table`: several servers judged one after the other, and one table of what came of it.

use chatwright_conformance::{
    outcome::RunReport,
    report::table::{markdown, put_into},
    run::RunConfig,
    suite::Suite,
};
use chatwright_server::transport::EngineKind;

use super::{
    CLOCK_BUDGET,
    configurations::{Judged, Turns},
    sources,
};
use crate::{
    args::{Backends, Global, TableArgs},
    exit::{Outcome, UseError},
    fixtures, progress, reference, seed, terminal,
};

/// One after the other, so that none makes the clocks of another late.
pub(crate) async fn table(global: &Global, args: TableArgs) -> Result<Outcome, UseError> {
    let suite = fixtures::suite(global)?;
    if !args.reference && args.target.is_empty() {
        return Err(UseError::new("there is nobody to judge; name a --target FILE, or --reference"));
    }
    let config = RunConfig {
        filter: args.filter.clone(),
        seed: seed::or_draw(args.seed),
        transports: args.transport.each(),
        clock_budget: CLOCK_BUDGET,
        ..RunConfig::default()
    };
    tokio::select! {
        runs = judge_each(&suite, &config, &args) => conclude(&args, &runs?),
        _ = tokio::signal::ctrl_c() => Err(super::interrupted()),
    }
}

async fn judge_each(suite: &Suite, config: &RunConfig, args: &TableArgs) -> Result<Vec<RunReport>, UseError> {
    let mut all = Vec::new();
    if args.reference {
        let named: Vec<&str> = args.dialect.iter().map(String::as_str).collect();
        let dialects = if named.is_empty() { reference::dialects() } else { named };
        let engines: Vec<Option<EngineKind>> =
            if args.engine.is_empty() { vec![None] } else { args.engine.iter().copied().map(Some).collect() };
        for dialect in dialects {
            fixtures::dialect(suite, dialect)?;
            for engine in &engines {
                all.push(sources::of_reference(dialect, Backends::Memory)?.on_engine(*engine)?);
            }
        }
    }
    for path in &args.target {
        all.push(sources::of_file(suite, path)?);
    }
    let progress = progress::Cases::new();
    let mut runs = Vec::new();
    for sources in &all {
        let judged = Judged { suite, sources, progress: &progress, turns: &Turns::default(), turn: 0 };
        runs.push(judged.in_each_configuration(config.clone()).await?);
    }
    progress.close();
    Ok(runs)
}

fn conclude(args: &TableArgs, runs: &[RunReport]) -> Result<Outcome, UseError> {
    let table = markdown(runs);
    match &args.into {
        None => terminal::out(table.trim_end()),
        Some(path) => {
            let page = std::fs::read_to_string(path)
                .or_else(|problem| if path.exists() { Err(problem) } else { Ok(String::new()) })
                .map_err(|problem| UseError::new(format!("failed to read {}: {problem}", path.display())))?;
            fixtures::write(path, &put_into(&page, &table))?;
            terminal::note(&format!("{} rows in {}", runs.len(), path.display()));
        }
    }
    Ok(Outcome::Pass)
}
