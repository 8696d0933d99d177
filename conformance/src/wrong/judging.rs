//! Playing cases on wrong servers and on what they are made of, so that the kill rule has something to weigh.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

use futures_util::StreamExt as _;
use globset::{Glob, GlobSetBuilder};

use super::{
    Bases, Defect, WrongServer,
    kill::{KillRow, KillTable, KillVerdict, clones, empty_run, passed, unproven, weigh},
    server::Misbehaviour,
    setting,
};
use crate::{
    outcome::{CaseReport, RunReport, Verdict},
    report::filter_of,
    target::{StartOptions, Target},
};

/// A case that takes longer on the base waits for a clock: the others that are sampled are quick ones, where there are enough.
const QUICK: Duration = Duration::from_millis(400);

/// On a busy machine a preamble breaks down now and then: who was not caught is tried once more, from the start.
const ATTEMPTS_MAX: u32 = 2;

/// How wrong servers are judged.
#[derive(Debug, Clone)]
pub struct Judging {
    /// What each of them is started with; so many instances at least as its `needs` say.
    pub start: StartOptions,
    /// How many are tried at the same time.
    pub at_once: usize,
    /// Beside the cases meant for a wrong server, so many others are played on it, spread over those that pass on its base; `None`:
    /// all of them. A sample shows that the rest still works; clones are looked for only where all are played.
    pub others_max: Option<usize>,
}

impl Default for Judging {
    fn default() -> Self {
        Self { start: StartOptions::default(), at_once: 2, others_max: None }
    }
}

/// Plays cases on each wrong server, and on their bases. `play` gets a target, and globs of cases (none: all); it plays and stops
/// the target. What cannot be started is *not tried*.
pub async fn judge_wrong_servers<P, F>(servers: &[WrongServer], bases: &Bases, judging: &Judging, play: P) -> KillTable
where
    P: Fn(Target, Vec<String>) -> F,
    F: Future<Output = Result<RunReport, String>>,
{
    let judge = Judge { bases, judging, play };
    let base_runs = judge.bases(servers).await;
    let rows = servers.iter().map(|server| judge.row(server, base_runs.get(&base_key(server))));
    let rows: Vec<KillRow> = futures_util::stream::iter(rows).buffered(judging.at_once.max(1)).collect().await;
    let played =
        base_runs.values().flatten().flat_map(|run| &run.report.cases).filter(|case| case.verdict != Verdict::NotRun);
    let played: BTreeSet<&str> = played.map(|case| filter_of(&case.name)).collect();
    let clones = if judging.others_max.is_none() { clones(&rows) } else { Vec::new() };
    KillTable { clones, unproven: unproven(&rows, &played), rows }
}

/// What happened on a server without the defect.
struct BaseRun {
    report: RunReport,
    /// Cases that do not pass there either, twice.
    weak: BTreeSet<String>,
}

struct Judge<'a, P> {
    bases: &'a Bases,
    judging: &'a Judging,
    play: P,
}

impl<P, F> Judge<'_, P>
where
    P: Fn(Target, Vec<String>) -> F,
    F: Future<Output = Result<RunReport, String>>,
{
    /// What happens on each base. Of what only differs in its setting from a base that many servers are made of, just the cases are
    /// played that its few servers want, and a sample of those that pass on the other.
    async fn bases(&self, servers: &[WrongServer]) -> BTreeMap<String, Result<BaseRun, String>> {
        let mut groups: BTreeMap<String, Vec<&WrongServer>> = BTreeMap::new();
        for server in servers {
            groups.entry(base_key(server)).or_default().push(server);
        }
        let mut largest: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (key, group) in &groups {
            let place = largest.entry(base_name(group[0])).or_default();
            if group.len() > place.0 {
                *place = (group.len(), key.clone());
            }
        }
        let at_once = self.judging.at_once.max(1);
        let whole = largest.values().filter_map(|(_, key)| Some((key, *groups.get(key)?.first()?)));
        let whole = whole.map(|(key, server)| async move { (key.clone(), self.base(server, Vec::new()).await) });
        let mut runs: BTreeMap<_, _> = futures_util::stream::iter(whole).buffer_unordered(at_once).collect().await;
        let others_max = self.judging.others_max;
        let rest = groups.iter().filter(|(key, _)| !runs.contains_key(*key)).map(|(key, group)| {
            let sibling = largest.get(&base_name(group[0])).and_then(|(_, key)| runs.get(key));
            let mut names: BTreeSet<String> = BTreeSet::new();
            if let (Some(others_max), Some(Ok(sibling))) = (others_max, sibling) {
                names.extend(group.iter().flat_map(|server| server.caught_by.iter().cloned()));
                let passing = sibling.report.cases.iter().filter(|case| passed(case));
                names.extend(spread(passing, 2 * others_max));
            }
            async move { (key.clone(), self.base(group[0], names.into_iter().collect()).await) }
        });
        let rest: Vec<_> = rest.collect();
        let rest: Vec<_> = futures_util::stream::iter(rest).buffer_unordered(at_once).collect().await;
        runs.extend(rest);
        runs
    }

    /// What a server is started with.
    fn start_options(&self, server: &WrongServer) -> StartOptions {
        let start = self.judging.start.clone();
        StartOptions { instances: start.instances.max(instances(server)), ..start }
    }

    async fn base(&self, server: &WrongServer, cases: Vec<String>) -> Result<BaseRun, String> {
        let start =
            || async { server.start_base(self.bases, self.start_options(server)).await.map_err(|e| e.to_string()) };
        let report = (self.play)(start().await?, cases).await?;
        let mut weak = failed(&report);
        if !weak.is_empty() {
            // A busy machine fails a case now and then; a kill must not be lost to that.
            let again: BTreeSet<String> = weak.iter().map(|name| filter_of(name).to_owned()).collect();
            let again = (self.play)(start().await?, again.into_iter().collect()).await?;
            weak = weak.intersection(&failed(&again)).cloned().collect();
        }
        Ok(BaseRun { report, weak })
    }

    async fn row(&self, server: &WrongServer, base: Option<&Result<BaseRun, String>>) -> KillRow {
        let not_tried = |why: String| KillRow {
            verdict: KillVerdict::NotTried(why),
            ..weigh(server, &empty_run(), &BTreeSet::new())
        };
        let base = match base {
            Some(Ok(base)) => base,
            Some(Err(why)) => return not_tried(format!("its base: {why}")),
            None => return not_tried("its base was not played".to_owned()),
        };
        let globs = match self.judging.others_max {
            None => server.play.clone(),
            Some(others_max) => match sample(server, &base.report, others_max) {
                Ok(names) => names,
                Err(why) => return not_tried(why),
            },
        };
        let mut row = None;
        for attempt in 1..=ATTEMPTS_MAX {
            let tried = match self.attempt(server, base, globs.clone()).await {
                Ok(tried) => KillRow { attempts: attempt, ..tried },
                Err(why) => not_tried(why),
            };
            let is_caught = tried.verdict == KillVerdict::Caught;
            row = Some(tried);
            if is_caught {
                break;
            }
        }
        row.expect("there is at least one attempt")
    }

    async fn attempt(&self, server: &WrongServer, base: &BaseRun, globs: Vec<String>) -> Result<KillRow, String> {
        let started = server.start(self.bases, self.start_options(server)).await;
        let (target, planted) = started.map_err(|e| e.to_string())?;
        let report = (self.play)(target, globs).await?;
        Ok(KillRow { unused_rules: planted.unused_rules(), ..weigh(server, &report, &base.weak) })
    }
}

fn failed(report: &RunReport) -> BTreeSet<String> {
    let failed = report.cases.iter().filter(|case| !passed(case) && case.verdict != Verdict::NotRun);
    failed.map(|case| case.name.clone()).collect()
}

/// The cases meant for a server, and some others that pass on its base, evenly spread over them.
fn sample(server: &WrongServer, base: &RunReport, others_max: usize) -> Result<Vec<String>, String> {
    let mut globs = GlobSetBuilder::new();
    for pattern in &server.play {
        globs.add(Glob::new(pattern).map_err(|e| format!("`play`: {e}"))?);
    }
    let globs = globs.build().map_err(|e| format!("`play`: {e}"))?;
    let is_other = |case: &&CaseReport| {
        let name = filter_of(&case.name);
        let in_play = server.play.is_empty() || globs.is_match(name);
        in_play
            && passed(case)
            && !case.clauses.contains(&server.clause)
            && !server.caught_by.iter().any(|own| own == name)
    };
    let mut names = server.caught_by.clone();
    names.extend(spread(base.cases.iter().filter(is_other), others_max));
    Ok(names)
}

/// So many cases at most, evenly spread over these; quick ones where there are enough.
fn spread<'c>(cases: impl Iterator<Item = &'c CaseReport>, max: usize) -> Vec<String> {
    let cases: Vec<&CaseReport> = cases.collect();
    let names = |bound: Duration| -> BTreeSet<&str> {
        cases.iter().filter(|case| case.elapsed <= bound).map(|case| filter_of(&case.name)).collect()
    };
    let quick = names(QUICK);
    let chosen = if quick.len() < max { names(Duration::MAX) } else { quick };
    let step = chosen.len().div_ceil(max.max(1)).max(1);
    chosen.into_iter().step_by(step).map(str::to_owned).collect()
}

/// How many instances the cases meant for a server want.
fn instances(server: &WrongServer) -> usize {
    let counts = server.needs.iter().filter_map(|need| need.strip_prefix("instances=")?.parse().ok());
    counts.max().unwrap_or(1)
}

/// What a server is made of, whatever its setting.
fn base_name(server: &WrongServer) -> String {
    match &server.defect {
        Defect::Patch { base, .. } => format!("patch:{base}"),
        Defect::Proxy { base, .. } => format!("proxy:{base}"),
        Defect::Server(_) => "server".to_owned(),
    }
}

/// What is right about a wrong server: two with the same key share their base's run.
fn base_key(server: &WrongServer) -> String {
    let instances = instances(server);
    let key = match &server.defect {
        Defect::Patch { base, edits } => {
            let setting: Vec<_> = setting(edits).into_iter().map(|edit| (edit.find, edit.replace)).collect();
            format!("patch:{base}:{setting:?}")
        }
        Defect::Proxy { base, .. } => format!("proxy:{base}"),
        Defect::Server(_) => format!("server:{:?}", Misbehaviour::None),
    };
    format!("{key}:{instances}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::Phase,
        wrong::kill::tests::{case, others, server},
    };

    #[test]
    fn servers_share_a_base_when_they_share_their_setting() {
        let patched = |edits: &[&str]| {
            let edits: Vec<String> = edits
                .iter()
                .map(|file| format!("[[patch.edit]]\nfile = \"{file}\"\nfind = \"a\"\nreplace = \"b\"\n"))
                .collect();
            let text = format!(
                "title = \"t\"\nclause = \"rooms/5.1\"\ncaught_by = [\"a\"]\n[patch]\nbase = \"n\"\n{}",
                edits.concat()
            );
            base_key(&WrongServer::parse(std::path::Path::new("one.toml"), &text).expect("a good file"))
        };
        assert_eq!(patched(&["src/a.js"]), patched(&["src/b.js"]));
        assert_ne!(patched(&["src/a.js"]), patched(&["src/a.js", "target.toml"]));
        assert_eq!(patched(&["src/a.js"]), patched(&["target.toml"]), "alone, the setting is the defect");
    }

    #[test]
    fn a_sample_holds_the_meant_cases_and_is_spread_over_the_others() {
        let mut cases: Vec<_> = (0..10).map(|i| case(&format!("rooms/{i}"), "rooms/1.1", None)).collect();
        cases.push(case("rooms/a", "rooms/5.1", None));
        cases.push(case("rooms/b", "rooms/5.1", None));
        cases.push(case("rooms/c", "rooms/1.1", Some((Phase::Step, "rooms/1.1"))));
        let names = sample(&server(&["rooms/a"]), &RunReport { cases, ..empty_run() }, 3).expect("good globs");
        assert_eq!(names, ["rooms/a", "rooms/0", "rooms/4", "rooms/8"]);
    }

    #[tokio::test]
    async fn a_table_is_made_by_playing_on_the_base_and_on_each_wrong_server() {
        let bases = Bases { targets: "nowhere".into(), chatwright: None };
        let servers = [server(&["a"])];
        let play = |target: Target, _globs: Vec<String>| async move {
            target.stop().await;
            Ok(RunReport { cases: others(), ..empty_run() })
        };
        let table = judge_wrong_servers(&servers, &bases, &Judging::default(), play).await;
        assert_eq!(table.rows[0].verdict, KillVerdict::Missed);
        assert_eq!(table.unproven, ["x", "y", "z"]);
    }
}
