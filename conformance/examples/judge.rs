//! Judges a running server from the command line, in plain text.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program, not a library")]

use std::{path::PathBuf, process::ExitCode};

use chatwright_conformance::{
    case::Transport,
    fixtures::Fixtures,
    outcome::{CaseReport, EntryKind, Verdict},
    run::{Observer, RunConfig, run},
    suite::Suite,
    target::{StartOptions, Target, TargetFile},
};

#[derive(Default)]
struct Typed {
    url: Option<String>,
    target: Option<PathBuf>,
    secret: Option<String>,
    fixtures: Option<PathBuf>,
    cases: Option<PathBuf>,
    instances: usize,
    quiet: bool,
    config: RunConfig,
}

fn typed() -> Result<Typed, String> {
    let mut typed = Typed { instances: 1, ..Typed::default() };
    typed.config.seed = u64::from(std::process::id());
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{flag} wants a value"));
        match flag.as_str() {
            "--url" => typed.url = Some(value()?),
            "--target" => typed.target = Some(value()?.into()),
            "--jwt-secret" => typed.secret = Some(value()?),
            "--fixtures" => typed.fixtures = Some(value()?.into()),
            "--cases" => typed.cases = Some(value()?.into()),
            "--filter" => typed.config.filter.push(value()?),
            "--instances" => typed.instances = value()?.parse().map_err(|_| "--instances wants a number")?,
            "--parallel" => typed.config.parallel = value()?.parse().map_err(|_| "--parallel wants a number")?,
            "--seed" => typed.config.seed = value()?.parse().map_err(|_| "--seed wants a number")?,
            "--strict" => typed.config.strict = true,
            "--quiet" => typed.quiet = true,
            "--transport" => {
                typed.config.transports = value()?
                    .split(',')
                    .map(|word| match word {
                        "websocket" => Ok(Transport::Websocket),
                        "polling" => Ok(Transport::Polling),
                        "upgrade" => Ok(Transport::Upgrade),
                        other => Err(format!("no transport {other}")),
                    })
                    .collect::<Result<_, _>>()?;
            }
            other => return Err(format!("what is {other}?")),
        }
    }
    Ok(typed)
}

struct Printer {
    quiet: bool,
}

impl Observer for Printer {
    fn planned(&self, cases: usize) {
        println!("{cases} cases");
    }
    fn started(&self, _: &str) {}
    fn finished(&self, report: &CaseReport) {
        let shown = match report.verdict {
            Verdict::Pass if self.quiet => return,
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::NonStrict => "non-strict",
            Verdict::KnownFailure => "known",
            Verdict::UnexpectedPass => "UNEXPECTED PASS",
            Verdict::NotRun => "not run",
        };
        let reason = report.reason.as_deref().unwrap_or("");
        println!("{shown:10} {} ({} ms) {reason}", report.name, report.elapsed.as_millis());
        let Some(failure) = &report.failure else { return };
        println!(
            "    line {}: {}   [{} {:?}, {:?}]",
            failure.line, failure.step, failure.clause.0, failure.level, failure.phase
        );
        println!("    expected {}\n    got      {}\n    why      {}", failure.expected, failure.got, failure.why);
        for entry in &report.transcript.entries {
            let sign = match entry.kind {
                EntryKind::Sent => ">",
                EntryKind::Received => "<",
                EntryKind::Note => "#",
            };
            let line = entry.line.map_or(String::new(), |line| format!("   (line {line})"));
            println!("      {:>6} ms  {} {sign} {}{line}", entry.at.as_millis(), entry.actor, entry.text);
        }
    }
}

async fn judge() -> Result<bool, String> {
    let mut typed = typed()?;
    let fixtures = typed.fixtures.take().map_or(Fixtures::Embedded, Fixtures::Folder);
    let suite = Suite::load(&fixtures).map_err(|e| e.to_string())?;
    if let Some(path) = &typed.cases {
        typed.config.cases = Some(suite.load_cases(path).map_err(|e| e.to_string())?);
    }
    let file = match (&typed.url, &typed.target) {
        (_, Some(path)) => TargetFile::load(path).map_err(|e| e.to_string())?,
        (Some(url), None) => {
            let auth =
                typed.secret.as_ref().map_or(String::new(), |secret| format!("[auth]\njwt_secret = {secret:?}\n"));
            let text = format!("name = {url:?}\ndialect = \"rooms\"\n[[instance]]\nsocket = {url:?}\n{auth}");
            TargetFile::parse(&PathBuf::from(url), &text).map_err(|e| e.to_string())?
        }
        (None, None) => return Err("give --url URL or --target FILE".to_owned()),
    };
    let options = StartOptions { instances: typed.instances, ..StartOptions::default() };
    let target = Target::start(&file, options).await.map_err(|e| e.to_string())?;
    let report = run(&suite, &typed.config, &target, &Printer { quiet: typed.quiet }).await.map_err(|e| e.to_string());
    target.stop().await;
    let report = report?;
    let count = |verdict| report.cases.iter().filter(|case| case.verdict == verdict).count();
    let failed = count(Verdict::Fail) + count(Verdict::UnexpectedPass);
    println!(
        "{:.1} s, seed {}: {} passed, {failed} failed, {} non-strict, {} known, {} not run",
        report.elapsed.as_secs_f64(),
        report.seed,
        count(Verdict::Pass),
        count(Verdict::NonStrict),
        count(Verdict::KnownFailure),
        count(Verdict::NotRun)
    );
    Ok(failed == 0)
}

#[tokio::main]
async fn main() -> ExitCode {
    match judge().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}
