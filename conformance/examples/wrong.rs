//! Judges the judge from the command line: plays the suite on the servers of `fixtures/wrong` and says which of them were caught.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program, not a library")]

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use chatwright_conformance::{
    fixtures::Fixtures,
    suite::Suite,
    target::StartOptions,
    wrong::{Bases, Judging, KillRow, KillVerdict, OTHERS_MAX, Watcher, WrongServer, judge_wrong_servers, player},
};
use globset::{Glob, GlobSet, GlobSetBuilder};

/// Wrong servers mostly wait; so many at a time leave room for what else runs.
const AT_ONCE: usize = 4;

/// With `--others all` every case is played, and then clones are looked for.
struct Typed {
    fixtures: PathBuf,
    chatwright: Option<PathBuf>,
    names: Vec<String>,
    at_once: usize,
    others_max: Option<usize>,
    needs: bool,
    seed: u64,
    verbose: bool,
}

fn typed() -> Result<Typed, String> {
    let mut typed = Typed {
        fixtures: PathBuf::from("fixtures"),
        chatwright: built_beside(),
        names: Vec::new(),
        at_once: AT_ONCE,
        others_max: Some(OTHERS_MAX),
        needs: false,
        seed: u64::from(std::process::id()),
        verbose: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
        match arg.as_str() {
            "--fixtures" => typed.fixtures = value()?.into(),
            "--chatwright" => typed.chatwright = Some(value()?.into()),
            "--at-once" => typed.at_once = value()?.parse().map_err(|_| "--at-once wants a number")?,
            "--others" => {
                let count = value()?;
                let number = || count.parse().map(Some).map_err(|_| "--others wants a number, or `all`");
                typed.others_max = if count == "all" { None } else { number()? };
            }
            "--seed" => typed.seed = value()?.parse().map_err(|_| "--seed wants a number")?,
            "--needs" => typed.needs = true,
            "--verbose" => typed.verbose = true,
            flag if flag.starts_with("--") => return Err(format!("what is {flag}?")),
            _ => typed.names.push(arg),
        }
    }
    Ok(typed)
}

/// The reference server, where it was built with the same profile: `target/debug/chatwright` for `target/debug/examples/wrong`.
fn built_beside() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?.parent()?.parent()?.join("chatwright");
    binary.is_file().then_some(binary)
}

fn globs(names: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for name in names {
        set.add(Glob::new(name).map_err(|e| e.to_string())?);
    }
    set.build().map_err(|e| e.to_string())
}

/// Prints what happens as it happens.
struct Printer {
    began: Instant,
    verbose: bool,
}

impl Watcher for Printer {
    fn planned(&self, bases: usize, servers: usize) {
        println!("{servers} wrong servers, made of {bases} right ones");
    }

    fn base(&self, name: &str, played: Result<Duration, &str>) {
        let at = self.began.elapsed();
        match played {
            Ok(took) => println!("{at:>8.1?} base {name} in {took:.1?}"),
            Err(why) => println!("{at:>8.1?} base {name}: {why}"),
        }
    }

    fn judged(&self, row: &KillRow) {
        print!("{:>8.1?} ", self.began.elapsed());
        show(row, self.verbose);
    }
}

fn word(verdict: &KillVerdict) -> &'static str {
    match verdict {
        KillVerdict::Caught => "caught",
        KillVerdict::Missed => "MISSED",
        KillVerdict::CaughtElsewhere => "CAUGHT ELSEWHERE",
        KillVerdict::BreaksEverything => "BREAKS EVERYTHING",
        KillVerdict::Died(_) => "ITS SERVER DIED",
        KillVerdict::NotTried(_) => "NOT TRIED",
    }
}

fn show(row: &KillRow, verbose: bool) {
    let (passed, of) = row.others_passed;
    println!(
        "{} {} [{}] ({passed}/{of} others pass; attempt {}, {:.1?})",
        word(&row.verdict),
        row.name,
        row.clause.0,
        row.attempts,
        row.elapsed
    );
    if let KillVerdict::Died(how) | KillVerdict::NotTried(how) = &row.verdict {
        println!("    {how}");
    }
    if row.is_caught() && !verbose && passed == of {
        return;
    }
    for case in &row.survived {
        let weak = if row.weak.contains(case) { " (fails on the base too)" } else { "" };
        println!("    survived {case}{weak}");
    }
    for kill in &row.kills {
        println!("    kill     {}:{} {}", kill.case, kill.line, kill.clause.0);
    }
    for kill in &row.elsewhere {
        println!("    else     {}:{} {}", kill.case, kill.line, kill.clause.0);
    }
    if !row.broke_down.is_empty() {
        println!("    broke    {}", row.broke_down.join(" "));
    }
    if !row.unused_rules.is_empty() {
        println!("    rules that nothing matched: {:?}", row.unused_rules);
    }
}

async fn judge() -> Result<bool, String> {
    let typed = typed()?;
    let suite = Suite::load(&Fixtures::Folder(typed.fixtures.clone())).map_err(|e| e.to_string())?;
    let chosen = globs(&typed.names)?;
    let mut servers = WrongServer::load_all(&typed.fixtures.join("wrong")).map_err(|e| e.to_string())?;
    servers.retain(|server| {
        let asks = |need: &str| server.needs.iter().any(|each| each.starts_with(need));
        (typed.names.is_empty() || chosen.is_match(&server.name)) && (typed.needs || !asks("backend="))
    });
    let bases = Bases { targets: typed.fixtures.join("targets"), chatwright: typed.chatwright.clone() };
    let judging = Judging {
        start: StartOptions::default(),
        at_once: typed.at_once,
        others_max: typed.others_max,
        provider: None,
    };
    let play = player(Arc::new(suite), typed.seed);
    let printer = Printer { began: Instant::now(), verbose: typed.verbose };
    let table = judge_wrong_servers(&servers, &bases, &judging, &printer, play).await;
    let caught = table.rows.iter().filter(|row| row.is_caught()).count();
    let missed = table.rows.len() - caught;
    for row in table.rows.iter().filter(|row| !row.is_caught()) {
        show(row, true);
    }
    for clones in &table.clones {
        println!("clones: {}", clones.join(" "));
    }
    if typed.names.is_empty() {
        println!("unproven: {}", table.unproven.join(" "));
    }
    println!("{caught} caught, {missed} not");
    Ok(missed == 0)
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
