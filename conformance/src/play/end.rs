//! The end of a case: fences bring out what was still on its way, surplus events and broken `never` lines are found.

use super::{
    Go, Phase, Player, Site, Stop,
    actor::Actor,
    got::{Got, What},
    steps::actor_named,
    want::{Kind, Want},
};
use crate::{
    case::{Scope, StepAct, Tail},
    datum::Datum,
    wire::Raw,
};

/// The name that the dialect's fence uses for a place of its own.
const FENCE_NAME: &str = "fence";

/// How many arrivals of a failed case are still shown per actor.
const DRAINED_MAX: usize = 50;

impl Player<'_> {
    pub(super) async fn fences(&mut self) -> Go {
        let keys: Vec<String> = self.actors.keys().cloned().collect();
        for key in &keys {
            self.fence(key).await?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> Go {
        let keys: Vec<String> = self.actors.keys().cloned().collect();
        for key in &keys {
            self.leftovers(key)?;
        }
        for actor in self.actors.values() {
            let ears = self.ears();
            for got in &actor.seen {
                if let Some(never) = actor.standing.forbids(&actor.key, got, &self.names, &ears) {
                    return Err(self.broke_never(never, got));
                }
            }
        }
        Ok(())
    }

    fn site(&self) -> Site {
        Site { phase: Phase::End, line: Some(self.line), before: "the end of the case: ".to_owned() }
    }

    async fn fence(&mut self, key: &str) -> Go {
        let Some(actor) = self.actors.get_mut(key) else { return Ok(()) };
        actor.at_fence = true;
        let fenceable = actor.is_there() && !actor.deaf;
        let steps = &self.stage.dialect.fence;
        if !fenceable || steps.is_empty() {
            return Ok(());
        }
        if self.ended_quietly(key)? {
            return Ok(());
        }
        let place = self.names.fresh(None);
        self.names.bind(FENCE_NAME, Datum::Text(place));
        self.names.stand_in("each", Some(key));
        let site = self.site();
        let name = actor_named(key);
        self.greet_by_name(key, &site).await?;
        for step in steps {
            let StepAct::Actor { does, .. } = &step.act else { continue };
            match self.play_act(&name, does, step.line, &site).await {
                Ok(()) => {}
                Err(_) if self.actors.get(key).is_some_and(|actor| actor.over && actor.standing.allow_end) => {
                    return Ok(());
                }
                Err(Stop::Failed(mut failure)) => {
                    failure.expected = format!("nothing more for {key} before the fence `{}`", failure.expected);
                    return Err(Stop::Failed(failure));
                }
                Err(unplayable) => return Err(unplayable),
            }
        }
        self.names.stand_in("each", None);
        Ok(())
    }

    /// Whether the connection has ended, as it was allowed to.
    fn ended_quietly(&mut self, key: &str) -> Go<bool> {
        let Some(mut actor) = self.actors.remove(key) else { return Ok(false) };
        let allowed = actor.standing.allow_end && actor.end_has_come(&self.ears());
        let judged = if allowed { self.judge_rest(&mut actor) } else { Ok(()) };
        self.actors.insert(key.to_owned(), actor);
        judged.map(|()| allowed)
    }

    /// What has come and was expected by nobody. Streams below Socket.IO have no fence: what has come there by now would depend on
    /// chance, so only what is forbidden outright is judged.
    fn leftovers(&mut self, key: &str) -> Go {
        let Some(mut actor) = self.actors.remove(key) else { return Ok(()) };
        let judged = self.judge_rest(&mut actor);
        self.actors.insert(key.to_owned(), actor);
        judged
    }

    fn judge_rest(&mut self, actor: &mut Actor) -> Go {
        let ears = self.ears();
        let site = self.site();
        let nothing = Want {
            line: self.line,
            shown: format!("nothing more for {}", actor.key),
            tail: Tail::default(),
            kind: Kind::Closed(Vec::new()),
            rounds: Vec::new(),
        };
        while let Some(got) = actor.ready(&ears) {
            self.recorder.received(got.at, &actor.key, &got.to_string());
            self.refuse_broken(&got, &nothing, &site)?;
            let judged = actor.speaks && !actor.deaf;
            let expected_end = actor.over && (got.is_ending() || got.is_disconnect());
            if !judged || expected_end || self.is_allowed(actor, &got) || self.stands_by(actor, &got) {
                self.refuse_never(actor, &got)?;
                continue;
            }
            return Err(self.mismatch(actor, &nothing, &got, String::new(), &site));
        }
        Ok(())
    }

    fn stands_by(&self, actor: &mut Actor, got: &Got) -> bool {
        let ears = self.ears();
        let found = actor.optional.iter().position(|want| want.test(got, &self.names, &ears).is_ok());
        found.map(|i| actor.optional.drain(..=i)).is_some()
    }

    /// Puts into the transcript what has arrived meanwhile, so that a failure shows it.
    pub(super) fn drain(&mut self) {
        let ears = self.ears();
        for actor in self.actors.values_mut() {
            for _ in 0..DRAINED_MAX {
                let Some(got) = actor.ready(&ears) else { break };
                if !matches!(got.what, What::Raw(Raw::End(_))) {
                    self.recorder.received(got.at, &actor.key, &got.to_string());
                }
            }
        }
    }
}
