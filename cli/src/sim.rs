//! `chatwright sim`: a cluster under faults, its verdict and its timeline.

use std::sync::Arc;

use chatwright_conformance::target::TargetFile;
use chatwright_simulator::{Config, Observer, Progress, Script, report::Verdict, schedule::seconds_default};
use clap::ValueEnum as _;

use crate::{
    args::{Backends, Global, SimArgs},
    backends,
    exit::{Outcome, UseError},
    fixtures, progress,
    reference::Reference,
    seed, terminal,
};

/// Instances of a cluster, unless something else is said.
const INSTANCES: usize = 3;
/// The reference's configurations whose instances share something, the one with the fewest backends first; the first that a dialect has is
/// run, and the last with `--backends containers`.
const SHARED: [&str; 2] = ["redis", "backends"];

struct Line(progress::Spinner);

impl Observer for Line {
    fn progress(&self, progress: &Progress) {
        self.0.say(&progress.to_string());
    }
}

pub(crate) async fn run(global: &Global, args: SimArgs) -> Result<Outcome, UseError> {
    let wrong = |problem: &dyn std::fmt::Display| UseError::new(problem.to_string());
    let reference = if args.target.is_none() {
        Some(Reference::lay_out(args.dialect.as_deref().unwrap_or("rooms"))?)
    } else {
        None
    };
    let target = match (&args.target, &reference) {
        (Some(path), _) => TargetFile::load(path).map_err(|problem| wrong(&problem))?,
        (None, Some(reference)) => match args.backends {
            None => reference.one_of(&SHARED)?,
            Some(Backends::Containers) => reference.one_of(&[SHARED[1], SHARED[0]])?,
            Some(Backends::Memory) => reference.file(None)?,
        },
        (None, None) => return Err(UseError::new("there is no target")),
    };
    let instances = args.instances.unwrap_or(if target.needs.is_empty() { 1 } else { INSTANCES });
    let script = match args.replay {
        Some(path) => Script::Replay(path),
        None => Script::Draw {
            seed: seed::or_draw(args.seed),
            instances,
            seconds: args.seconds.unwrap_or_else(|| seconds_default(target.needs.len())),
        },
    };
    let in_memory = reference.is_some() && target.needs.is_empty();
    let mut config = Config::new(target, script);
    config.in_memory = in_memory;
    config.target_argument = args.target;
    config.dialect_argument = args.dialect;
    config.backends_argument = args.backends.and_then(|kind| Some(kind.to_possible_value()?.get_name().to_owned()));
    config.images = backends::images();
    let line = Arc::new(Line(progress::Spinner::new("planning")));
    let report = tokio::select! {
        report = chatwright_simulator::run(config, line.clone()) => report.map_err(|problem| wrong(&problem)),
        _ = tokio::signal::ctrl_c() => Err(UseError::new("interrupted; what was started has been stopped")),
    };
    line.0.close();
    let report = report?;
    fixtures::report_folder(&args.report)?;
    let page = args.report.join("timeline.html");
    let schedule = args.report.join("schedule.json");
    fixtures::write(&page, &report.to_html())?;
    fixtures::write(&schedule, &report.schedule.to_json())?;
    fixtures::write(&args.report.join("history.json"), &report.to_json())?;
    if global.json {
        terminal::out(&report.to_json());
    } else {
        terminal::out(report.to_string().trim_end());
    }
    terminal::note(&format!("timeline: {}\nreplay:   chatwright sim --replay {}", page.display(), schedule.display()));
    Ok(match report.verdict {
        Verdict::Pass => Outcome::Pass,
        Verdict::Fail => Outcome::Fail,
        Verdict::Inconclusive => Outcome::Inconclusive,
        Verdict::Invalid => Outcome::Invalid,
    })
}
