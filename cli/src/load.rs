//! `chatwright load`: a steady load, its verdict and its report.

use std::{sync::Arc, time::Duration};

use chatwright_conformance::target::{StartOptions, Target, TargetFile};
use chatwright_loadtest::{Config, Observer, Progress, plan::Plan, requirement::Requirement, verdict::Verdict};
use chatwright_simulator::backends::{Backends, Durability};

use crate::{
    args::{Global, LoadArgs},
    backends,
    check::{not_loopback, running},
    exit::{Outcome, UseError},
    fixtures, progress,
    reference::{ORIGIN, Reference},
    seed, terminal,
};

/// Members of each room.
const ROOM_SIZE: u32 = 10;
/// Bytes of a message's text: what people write.
const MESSAGE_BYTES: usize = 100;
/// More connections need more ports and descriptors than one machine's loopback has.
const CONNECTIONS_MAX: usize = 25_000;

/// What must hold where connections are cut, unless something else is said.
const ONCE_AND_IN_ORDER: [&str; 4] = ["lost=0", "duplicated=0", "out_of_order=0", "leaked=0"];

struct Line(progress::Spinner);

impl Observer for Line {
    fn progress(&self, progress: &Progress) {
        self.0.say(&progress.to_string());
    }
}

pub(crate) async fn run(global: &Global, args: LoadArgs) -> Result<Outcome, UseError> {
    let config = config(&args)?;
    let reference = Reference::lay_out(args.dialect.as_deref().unwrap_or("rooms"));
    let line = Arc::new(Line(progress::Spinner::new("starting the target")));
    let report = tokio::select! {
        report = measured(&args, config, reference, line.clone()) => report,
        _ = tokio::signal::ctrl_c() => Err(UseError::new("interrupted; what was started has been stopped")),
    };
    line.0.close();
    let report = report?;
    fixtures::report_folder(&args.report)?;
    let page = args.report.join("load.html");
    fixtures::write(&page, &report.to_html())?;
    fixtures::write(&args.report.join("load.json"), &report.to_json())?;
    terminal::note(&format!("report: {}", page.display()));
    terminal::out(&if global.json { report.to_json() } else { report.to_string() });
    Ok(match report.judgement.verdict {
        Verdict::Pass => Outcome::Pass,
        Verdict::Fail => Outcome::Fail,
        Verdict::Inconclusive => Outcome::Inconclusive,
        Verdict::Invalid => Outcome::Invalid,
    })
}

async fn measured(
    args: &LoadArgs,
    config: Config,
    reference: Result<Reference, UseError>,
    line: Arc<Line>,
) -> Result<chatwright_loadtest::report::Report, UseError> {
    let (file, origin) = match (&args.target, &args.url) {
        (Some(path), _) => (TargetFile::load(path).map_err(|problem| UseError::new(problem.to_string()))?, None),
        (None, Some(url)) => {
            if let Some(host) = not_loopback(url) {
                return Err(UseError::new(format!(
                    "{url}: {host} is not this machine; load goes to loopback addresses only"
                )));
            }
            (running(url, args.dialect.as_deref().unwrap_or("rooms"), args.secret.as_deref())?, None)
        }
        (None, None) => {
            (reference.as_ref().map_err(|problem| UseError::new(problem.to_string()))?.one_of(&["load"])?, Some(ORIGIN))
        }
    };
    let backends = if file.needs.is_empty() {
        None
    } else {
        let started = Backends::start_secured(&file.needs, &file.tls, &backends::images(), Durability::Volatile).await;
        Some(started.map_err(|problem| UseError::new(format!("{}: {problem}", file.path.display())))?)
    };
    let options = StartOptions {
        backends: backends.as_ref().map(Backends::values).unwrap_or_default(),
        control: backends.as_ref().map(Backends::control),
        ..StartOptions::default()
    };
    let mut target = Target::start(&file, options).await.map_err(|problem| UseError::new(problem.to_string()))?;
    if let Some(origin) = origin {
        origin.clone_into(&mut target.origin);
    }
    if let Some(host) = target.instances().iter().find_map(|instance| not_loopback(instance.main())) {
        return Err(UseError::new(format!(
            "{}: {host} is not this machine; load goes to loopback addresses only",
            target.origin
        )));
    }
    let report = chatwright_loadtest::run(config, &target, line).await;
    target.stop().await;
    report.map_err(|problem| UseError::new(problem.to_string()))
}

fn config(args: &LoadArgs) -> Result<Config, UseError> {
    let wanted: Vec<&str> = match (&args.cut_every, args.require.as_slice()) {
        (Some(_), []) => ONCE_AND_IN_ORDER.to_vec(),
        (_, wanted) => wanted.iter().map(String::as_str).collect(),
    };
    let requirements: Vec<Requirement> = wanted
        .iter()
        .map(|text| {
            text.parse().map_err(|problem: chatwright_loadtest::requirement::RequirementError| {
                UseError::new(problem.to_string())
            })
        })
        .collect::<Result<_, _>>()?;
    if !(1..=CONNECTIONS_MAX).contains(&args.connections) {
        return Err(UseError::new(format!("--connections {}: 1 to {CONNECTIONS_MAX} connections", args.connections)));
    }
    if !(1..=3600).contains(&args.seconds) {
        return Err(UseError::new(format!("--seconds {}: 1 to 3600 seconds", args.seconds)));
    }
    if !(1..=1_000_000).contains(&args.rate) {
        return Err(UseError::new(format!("--rate {}: 1 to 1000000 messages a second", args.rate)));
    }
    if args.cut_every.is_some_and(|every| !(1..args.seconds).contains(&every)) {
        return Err(UseError::new(format!(
            "--cut-every: 1 second at least, and fewer than the {} of the run",
            args.seconds
        )));
    }
    let seed = seed::or_draw(args.seed);
    let plan = Plan {
        connections: u32::try_from(args.connections).unwrap_or(u32::MAX),
        room_size: ROOM_SIZE,
        rate: f64::from(u32::try_from(args.rate).unwrap_or(u32::MAX)),
        duration: Duration::from_secs(args.seconds),
    };
    Ok(Config {
        plan,
        message_bytes: MESSAGE_BYTES,
        requirements,
        seed,
        replay: replay(args, seed),
        cut_every: args.cut_every.map(Duration::from_secs),
    })
}

/// The command that makes this run again. The secret stays out of it.
fn replay(args: &LoadArgs, seed: u64) -> String {
    let mut command = "chatwright load".to_owned();
    if let Some(dialect) = &args.dialect {
        command += &format!(" --dialect {dialect}");
    }
    if let Some(path) = &args.target {
        command += &format!(" --target {}", path.display());
    }
    if let Some(url) = &args.url {
        command += &format!(" --url {url}");
    }
    command += &format!(" --connections {} --rate {} --seconds {}", args.connections, args.rate, args.seconds);
    if let Some(every) = args.cut_every {
        command += &format!(" --cut-every {every}");
    }
    for requirement in &args.require {
        command += &format!(" --require '{requirement}'");
    }
    command + &format!(" --seed {seed}")
}
