//! Which cases are played on a wrong server, and which servers share what they are compared with.

use std::{collections::BTreeSet, time::Duration};

use globset::{Glob, GlobSetBuilder};

use super::{Defect, WrongServer, kill::passed, server::Misbehaviour, setting};
use crate::{
    outcome::{CaseReport, RunReport},
    report::filter_of,
};

/// A case that takes longer on the base waits for a clock: the others that are sampled are quick ones, where there are enough.
const QUICK: Duration = Duration::from_millis(400);

/// The cases meant for a server, and some others that pass on its base, evenly spread over them.
pub(super) fn sample(server: &WrongServer, base: &RunReport, others_max: usize) -> Result<Vec<String>, String> {
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
pub(super) fn spread<'c>(cases: impl Iterator<Item = &'c CaseReport>, max: usize) -> Vec<String> {
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
pub(super) fn instances(server: &WrongServer) -> usize {
    let counts = server.needs.iter().filter_map(|need| need.strip_prefix("instances=")?.parse().ok());
    counts.max().unwrap_or(1)
}

/// What a server is made of, whatever its setting.
pub(super) fn base_name(server: &WrongServer) -> String {
    match &server.defect {
        Defect::Patch { base, .. } => format!("patch:{base}"),
        Defect::Proxy { base, .. } => format!("proxy:{base}"),
        Defect::Server(_) => "server".to_owned(),
    }
}

/// What is right about a wrong server: two with the same key share their base's run.
pub(super) fn base_key(server: &WrongServer) -> String {
    let instances = instances(server);
    let key = match &server.defect {
        Defect::Patch { base, edits } => {
            let setting: Vec<_> = setting(edits).into_iter().map(|edit| (edit.find, edit.replace)).collect();
            format!("patch:{base}:{setting:?}")
        }
        Defect::Proxy { base, .. } => format!("proxy:{base}"),
        Defect::Server(_) => format!("server:{:?}", Misbehaviour::None),
    };
    format!("{key}:{instances}:{:?}:{:?}", server.backends(), server.clock_budget)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::Phase,
        wrong::kill::{
            empty_run,
            tests::{case, server},
        },
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
}
