//! A case on an instance of its own: started before the first step, ended after the last, and judged by whether it comes up.

use std::time::{Duration, Instant};

use super::{Ending, Played, Player, Stage, play_on, seed_of};
use crate::{
    case::{Case, Own, Payload, eval, eval_text},
    outcome::{ClauseId, Failure, Level, Phase, Transcript},
    target::{OwnFailure, Wishes},
};

/// Plays a case that asks for an instance of its own.
pub(super) async fn play(case: &Case, own: &Own, stage: &Stage<'_>, bound: Duration) -> Played {
    let began = Instant::now();
    let wishes = match wishes(case, own, stage) {
        Ok(wishes) => wishes,
        Err(why) => return not_played(began, Ending::Unplayable(why)),
    };
    let target = match stage.target.own(&wishes).await {
        Ok(target) => target,
        Err(OwnFailure::Hindered(why)) => return not_played(began, Ending::Unplayable(why)),
        Err(OwnFailure::NotStarted(why)) => {
            return not_played(began, Ending::Failed(Box::new(not_started(case, stage, why))));
        }
    };
    let played = play_on(case, &stage.of_own(&target), bound).await;
    target.stop().await;
    played
}

fn not_played(began: Instant, end: Ending) -> Played {
    Played { transcript: Transcript::default(), elapsed: began.elapsed(), lag: Duration::ZERO, clocks: Vec::new(), end }
}

/// What the header says, with its names filled in; the target's own `{names}` are filled in when the instance starts.
fn wishes(case: &Case, own: &Own, stage: &Stage<'_>) -> Result<Wishes, String> {
    let mut player = Player::new(case, stage, seed_of(stage.seed, &case.name, stage.transport));
    for (name, value) in &case.lets {
        let datum = eval(value, &player.names)?;
        player.names.bind(name, datum);
    }
    let texts = |all: &[(String, Payload)]| {
        all.iter()
            .map(|(name, text)| Ok((name.clone(), eval_text(text, &player.names)?)))
            .collect::<Result<_, String>>()
    };
    let mut wishes = Wishes {
        instances: 1,
        may_fail: own.may_fail,
        with: texts(&own.with)?,
        without: own.without.clone(),
        dotenv: texts(&own.dotenv)?,
        ports: Vec::new(),
    };
    for (name, number) in case.needs.iter().filter_map(|need| need.split_once('=')) {
        if name == "instances" {
            wishes.instances = number.parse().unwrap_or(1);
        } else if name == "port" || name.starts_with("port.") {
            wishes.ports.extend(number.parse().ok().map(|number| (name.to_owned(), number)));
        }
    }
    Ok(wishes)
}

/// What is started as the document says and does not come up has failed the case, whatever that goes on to ask.
fn not_started(case: &Case, stage: &Stage<'_>, why: String) -> Failure {
    const HEADER: &str = "own instance";
    let clause = case.clauses.first().cloned().unwrap_or_else(|| ClauseId(case.name.clone()));
    let line = case.source.lines().position(|line| line.trim_start().starts_with(HEADER)).unwrap_or_default();
    Failure {
        phase: Phase::Step,
        line: u32::try_from(line + 1).unwrap_or(1),
        step: HEADER.to_owned(),
        level: stage.levels.get(&clause).copied().unwrap_or(Level::Must),
        clause,
        expected: "an instance that is ready".to_owned(),
        timed: false,
        got: why,
        why: String::new(),
    }
}
