//! `check --self-test`: the judge is judged. Servers with one planted defect each are played, and what the suite notices of them is its score.

use std::{path::PathBuf, sync::Arc, time::Instant};

use chatwright_conformance::{
    report::self_test::{self, NotPlayed, SelfTest, not_played},
    suite::Suite,
    target::StartOptions,
    wrong::{Bases, Judging, OTHERS_MAX, Provider, WrongServer, judge_wrong_servers, meant, player},
};

use crate::{
    args::{Backends, CheckArgs, Global},
    backends,
    exit::{Outcome, UseError},
    fixtures, progress, seed, terminal,
};

/// Wrong servers mostly wait, for their start and for deadlines.
const AT_ONCE: usize = 6;

/// What the wrong servers are made of lies here, seen from the root of the repository.
const FIXTURES: &str = "fixtures";

/// Judges the wrong servers that `--filter` means, by their names or by the cases meant for them.
pub(super) async fn self_test(global: &Global, suite: &Suite, args: &CheckArgs) -> Result<Outcome, UseError> {
    let root = global.fixtures.clone().unwrap_or_else(|| PathBuf::from(FIXTURES));
    let provider = match args.backends {
        Backends::Memory => None,
        Backends::Containers => Some(Arc::new(backends::images()) as Arc<dyn Provider>),
    };
    let (servers, not_run) = wanted(&root, &args.filter, provider.is_some())?;
    let chatwright =
        std::env::current_exe().map_err(|problem| UseError::new(format!("failed to find this program: {problem}")))?;
    let right = Bases { targets: root.join("targets"), chatwright: Some(chatwright) };
    let seed = seed::or_draw(args.seed);
    let play = player(Arc::new(suite.clone()), seed);
    let began = Instant::now();
    let progress = progress::WrongServers::new();
    let at_once = args.jobs.unwrap_or(AT_ONCE);
    let judging = Judging { start: StartOptions::default(), at_once, others_max: Some(OTHERS_MAX), provider };
    let table = judge_wrong_servers(&servers, &right, &judging, &progress, play).await;
    progress.close();
    let whole = args.filter.is_empty();
    let report = SelfTest { seed, elapsed: began.elapsed(), ..SelfTest::new(suite, table, not_run, whole) };
    write(global, args, &report)?;
    Ok(if report.is_complete() { Outcome::Pass } else { Outcome::Fail })
}

/// Those that can be played, and those that are left out because they need backends.
fn wanted(
    root: &std::path::Path,
    filter: &[String],
    with_backends: bool,
) -> Result<(Vec<WrongServer>, Vec<NotPlayed>), UseError> {
    let folder = root.join("wrong");
    if !folder.is_dir() {
        return Err(UseError::new(format!(
            "{} is no folder: the wrong servers are made of the repository's own; run this at its root, or give its fixtures with --fixtures",
            folder.display()
        )));
    }
    let all = WrongServer::load_all(&folder).map_err(|problem| UseError::new(problem.to_string()))?;
    let (playable, left_out): (Vec<_>, Vec<_>) = meant(all, filter)
        .map_err(UseError::new)?
        .into_iter()
        .partition(|server| with_backends || not_played(server).is_none());
    if playable.is_empty() {
        return Err(UseError::new("no wrong server fits the filter; some need `--backends containers`".to_owned()));
    }
    Ok((playable, left_out.iter().filter_map(not_played).collect()))
}

fn write(global: &Global, args: &CheckArgs, report: &SelfTest) -> Result<(), UseError> {
    if !args.no_report {
        fixtures::report_folder(&args.report)?;
        let page = args.report.join("report.html");
        fixtures::write(&page, &self_test::html(report))?;
        fixtures::write(&args.report.join("report.json"), &self_test::json(report))?;
        fixtures::write(&args.report.join("junit.xml"), &self_test::junit(report))?;
        terminal::note(&format!("report: {}", page.display()));
    }
    if global.json {
        terminal::out(self_test::json(report).trim_end());
    } else {
        terminal::out(&self_test::words(report));
    }
    Ok(())
}
