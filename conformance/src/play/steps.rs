//! Walks through the steps of a case: one dispatcher for the world, one for the actors.

use std::{collections::BTreeSet, future::Future, pin::Pin, time::Duration};

use tokio::time::Instant;

use super::{
    Go, Phase, Player, Site, Stop,
    actor::Actor,
    connect::How,
    want::{Kind, Want},
};
use crate::{
    case::{Act, ActorName, ConnectOptions, Expected, Incoming, Serve, Step, StepAct, Tail, Value, eval},
    datum::Datum,
};

/// More rounds than this are a mistake of the case.
const ROUNDS_MAX: u64 = 100_000;

/// How long `retry` waits before it tries again: longer each time, since what asks too often slows down what it waits for.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(400);

/// A boxed step, because blocks make steps recursive.
type Boxed<'p> = Pin<Box<dyn Future<Output = Go> + Send + 'p>>;

/// The users of a case, from its actors.
pub(super) fn users(steps: &[Step], found: &mut BTreeSet<String>) {
    for step in steps {
        match &step.act {
            StepAct::Use { actors, .. } => found.extend(actors.iter().map(|a| a.user.clone())),
            StepAct::Actor { actor, .. } => {
                found.insert(actor.user.clone());
            }
            StepAct::Repeat { steps, .. } | StepAct::Retry { steps, .. } => users(steps, found),
            StepAct::Wait(_)
            | StepAct::Auth { .. }
            | StepAct::Target { .. }
            | StepAct::Listens { .. }
            | StepAct::Asks { .. }
            | StepAct::Backend { .. } => {}
        }
    }
}

impl<'a> Player<'a> {
    /// Makes `never` and `allow` lines stand before the first step.
    pub(super) fn stand(&mut self, steps: &[Step]) {
        for step in steps {
            match &step.act {
                StepAct::Actor { actor, does } => self.stand_one(actor, does),
                StepAct::Repeat { steps, .. } | StepAct::Retry { steps, .. } => self.stand(steps),
                StepAct::Use { .. }
                | StepAct::Wait(_)
                | StepAct::Auth { .. }
                | StepAct::Target { .. }
                | StepAct::Listens { .. }
                | StepAct::Asks { .. }
                | StepAct::Backend { .. } => {}
            }
        }
    }

    fn stand_one(&mut self, actor: &ActorName, does: &Act) {
        let shown = format!("{actor} {does}");
        if let Act::Never(expected) = does {
            self.actor(actor).standing.never.push(Want::of(expected, shown));
        } else if let Act::Allows(expected) = does {
            self.actor(actor).standing.allow.push(Want::of(expected, shown));
        } else if let Act::AllowsEnd { instead } = does {
            let standing = &mut self.actor(actor).standing;
            standing.allow_end = true;
            standing.end_instead |= instead;
        }
    }

    fn actor(&mut self, name: &ActorName) -> &mut Actor {
        let key = name.key();
        if !self.actors.contains_key(&key) {
            let mut actor = Actor::new(key.clone(), name.user.clone());
            for step in &self.stage.dialect.allow {
                if let StepAct::Actor { does: Act::Allows(expected), .. } = &step.act {
                    actor.standing.allow.push(Want::of(expected, step.to_string()));
                }
            }
            self.actors.insert(key.clone(), actor);
        }
        self.actors.entry(key).or_insert_with_key(|key| Actor::new(key.clone(), name.user.clone()))
    }

    pub(super) fn steps<'p>(&'p mut self, steps: &'p [Step], site: &'p Site) -> Boxed<'p> {
        Box::pin(async move {
            for step in steps {
                self.step(step, site).await?;
            }
            Ok(())
        })
    }

    async fn step(&mut self, step: &Step, site: &Site) -> Go {
        self.line = step.line;
        match &step.act {
            StepAct::Use { actors, preamble, options } => {
                for actor in actors {
                    self.bring_in(actor, preamble.as_ref(), options, step).await?;
                }
                Ok(())
            }
            StepAct::Actor { actor, does } => self.play_act(actor, does, step.line, site).await,
            StepAct::Wait(span) => {
                let length = self.span(span)?;
                tokio::time::sleep(length).await;
                Ok(())
            }
            StepAct::Repeat { name, from, to, steps } => {
                let (from, to) = (self.whole(from)?, self.whole(to)?);
                if to.saturating_sub(from) > ROUNDS_MAX {
                    return Err(Stop::Unplayable(format!("{from}..{to} are too many rounds")));
                }
                for i in from..=to {
                    self.names.bind(name, Datum::Number(i.into()));
                    self.rounds.push((name.clone(), Datum::Number(i.into())));
                    let played = self.steps(steps, site).await;
                    self.rounds.pop();
                    played?;
                }
                Ok(())
            }
            StepAct::Retry { within, steps } => {
                let until = Instant::now() + self.span(within)?;
                let mut pause = RETRY_PAUSE_MIN;
                loop {
                    match self.steps(steps, site).await {
                        Err(Stop::Failed(_)) if Instant::now() < until => tokio::time::sleep(pause).await,
                        ended => return ended,
                    }
                    pause = (pause * 3 / 2).min(RETRY_PAUSE_MAX);
                }
            }
            StepAct::Auth { status, user, delay, actor } => {
                self.script_auth(*status, user.as_ref(), delay.as_ref(), actor.as_deref())
            }
            StepAct::Target { verb, instance, code, tail } => {
                let subject = crate::target::Subject::Instance(*instance as usize);
                self.control(subject, *verb, (code.as_ref(), tail), step).await
            }
            StepAct::Listens { backend, channel } => self.listen(backend, channel, step).await,
            StepAct::Asks { asked, says, tail } => self.ask(asked, (says, tail), step, site).await,
            StepAct::Backend { name, verb } => {
                let subject = crate::target::Subject::Backend(name.clone());
                self.control(subject, *verb, (None, &Tail::default()), step).await
            }
        }
    }

    fn whole(&self, value: &Value) -> Go<u64> {
        let datum = eval(value, &self.names).map_err(Stop::Unplayable)?;
        datum.as_u64().ok_or_else(|| Stop::Unplayable(format!("`repeat` needs whole numbers, not {datum}")))
    }

    /// `use`: the preamble's steps for this actor, or just its connection.
    async fn bring_in(
        &mut self,
        name: &ActorName,
        preamble: Option<&(String, Vec<Value>)>,
        options: &ConnectOptions,
        step: &Step,
    ) -> Go {
        let site = Site { phase: Phase::Preamble, line: Some(step.line), before: format!("{step}: ") };
        let Some((preamble_name, args)) = preamble else {
            return self.play_act(name, &Act::Connects(options.clone(), Tail::default()), step.line, &site).await;
        };
        let dialect = self.stage.dialect;
        let Some(preamble) = dialect.preambles.get(preamble_name) else {
            return Err(Stop::Unplayable(format!("the dialect {} has no preamble `{preamble_name}`", dialect.name)));
        };
        let mut outer = Vec::new();
        let mut group = preamble_name.clone();
        for (param, arg) in preamble.params.iter().zip(args) {
            let datum = self.argument(arg)?;
            group += &format!(" {datum}");
            outer.push((param, self.names.unbind(param)));
            self.names.bind(param, datum);
        }
        let key = name.key();
        let earlier = self.added.get(&group).cloned().unwrap_or_default();
        self.names.stand_in("each", Some(&key));
        for inner in &preamble.steps {
            self.preamble_step(inner, name, &earlier, options, &site).await?;
        }
        self.names.stand_in("each", None);
        self.added.entry(group).or_default().push(key);
        for (param, before) in outer {
            if let Some(datum) = before {
                self.names.bind(param, datum);
            } else if !args.iter().any(|arg| matches!(arg, Value::Name(path) if path.0.as_slice() == [param.as_str()]))
            {
                self.names.unbind(param);
            }
        }
        Ok(())
    }

    /// An argument's value; a name without one gets a fresh string.
    fn argument(&mut self, arg: &Value) -> Go<Datum> {
        if let Value::Name(path) = arg
            && let [name] = path.0.as_slice()
            && !self.names.has(name)
        {
            let fresh = Datum::Text(crate::case::Scope::fresh(&self.names, None));
            self.names.bind(name, fresh);
        }
        eval(arg, &self.names).map_err(Stop::Unplayable)
    }

    async fn preamble_step(
        &mut self,
        step: &Step,
        each: &ActorName,
        earlier: &[String],
        options: &ConnectOptions,
        site: &Site,
    ) -> Go {
        let StepAct::Actor { actor, does } = &step.act else {
            return self.steps(std::slice::from_ref(step), site).await;
        };
        match (actor.user.as_str(), does) {
            ("each", Act::Connects(written, tail)) => {
                if self.actors.get_mut(&each.key()).is_some_and(Actor::is_there) {
                    return self.greet_by_name(&each.key(), site).await;
                }
                let merged = if *options == ConnectOptions::default() { written } else { options };
                self.play_act(each, &Act::Connects(merged.clone(), tail.clone()), step.line, site).await?;
                self.greet_by_name(&each.key(), site).await
            }
            (_, Act::Serves(Serve::Starts(starting))) => {
                let does = Act::Serves(Serve::Starts(starting.with(options)));
                self.play_act(actor, &does, step.line, site).await
            }
            ("each", Act::Never(_) | Act::Allows(_) | Act::AllowsEnd { .. }) => {
                self.stand_one(each, does);
                Ok(())
            }
            ("each", _) => self.play_act(each, does, step.line, site).await,
            ("earlier", _) => {
                for key in earlier {
                    let name = actor_named(key);
                    self.names.stand_in("earlier", Some(key));
                    self.play_act(&name, does, step.line, site).await?;
                }
                self.names.stand_in("earlier", None);
                Ok(())
            }
            _ => self.play_act(actor, does, step.line, site).await,
        }
    }

    pub(super) async fn greet_by_name(&mut self, key: &str, site: &Site) -> Go {
        let Some(mut actor) = self.actors.remove(key) else { return Ok(()) };
        let done = self.greet(&mut actor, site).await;
        self.actors.insert(key.to_owned(), actor);
        done
    }

    /// One step of one actor, who is taken out of the cast while it lasts.
    pub(super) async fn play_act(&mut self, name: &ActorName, does: &Act, line: u32, site: &Site) -> Go {
        self.actor(name);
        let Some(mut actor) = self.actors.remove(&name.key()) else { return Ok(()) };
        if let Some(instance) = name.instance {
            actor.instance = instance as usize;
        }
        let shown = format!("{} {does}", name.key());
        let line = site.line.unwrap_or(line);
        let began = Instant::now();
        actor.consumed = None;
        let done = self.act(&mut actor, does, (line, shown), site).await;
        // What follows is timed from when that came which was waited for, and from before that was sent which was sent: so that a judge
        // who is late itself takes nothing for too early.
        actor.last_step = match actor.consumed {
            Some(at) => at,
            None if is_sending(does) => began,
            None => Instant::now(),
        };
        self.actors.insert(name.key(), actor);
        done
    }

    /// A step inside a step, boxed because steps can be recursive.
    pub(super) fn act_boxed<'p>(
        &'p mut self,
        actor: &'p mut Actor,
        does: &'p Act,
        line: u32,
        site: &'p Site,
    ) -> Boxed<'p> {
        let shown = format!("{} {does}", actor.key);
        Box::pin(async move { self.act(actor, does, (site.line.unwrap_or(line), shown), site).await })
    }

    async fn act(&mut self, actor: &mut Actor, does: &Act, (line, shown): (u32, String), site: &Site) -> Go {
        let want =
            |kind, tail: &Tail| Want { line, shown: shown.clone(), tail: tail.clone(), kind, rounds: Vec::new() };
        let next = crate::case::ExpectMode::Next;
        match does {
            Act::Connects(options, tail) => {
                self.connect(actor, options, &How::connects(line, &shown, tail), site).await
            }
            Act::Tries(options) => self.connect(actor, options, &How::tries(line, &shown), site).await,
            Act::Opens(options, tail) => self.connect(actor, options, &How::opens(line, &shown, tail), site).await,
            Act::Returns(tail) => {
                let options = actor.options.clone();
                actor.hang_up();
                self.connect(actor, &options, &How::connects(line, &shown, tail), site).await
            }
            Act::Upgrades(tail) => self.upgrade(actor, &How::connects(line, &shown, tail), site).await,
            Act::Refused(pattern, tail) => {
                self.expect(actor, next, vec![want(Kind::Refused(pattern.clone()), tail)], site).await.map(drop)
            }
            Act::Closed(codes, tail) => {
                self.expect(actor, next, vec![want(Kind::Closed(codes.clone()), tail)], site).await.map(drop)
            }
            Act::Disconnected(nsp, tail) => {
                let nsp = nsp.clone().unwrap_or_else(|| "/".to_owned());
                self.expect(actor, next, vec![want(Kind::Disconnected(nsp), tail)], site).await.map(drop)
            }
            Act::Expects { mode, group } => {
                let wants = group.iter().map(|one| Want::of(one, expected_shown(&actor.key, one))).collect();
                self.expect(actor, *mode, wants, site).await.map(drop)
            }
            Act::Gets(Incoming::Bytes(expression), tail) => {
                let want = want(Kind::Wire(Incoming::Bytes(expression.clone())), tail);
                self.bytes_until(actor, &expression.regex, &want, site).await
            }
            Act::Gets(incoming, tail) => {
                self.expect(actor, next, vec![want(Kind::Wire(incoming.clone()), tail)], site).await.map(drop)
            }
            Act::Quiet(span, tail) => {
                let length = self.span(span)?;
                self.quiet(actor, length, want(Kind::Closed(Vec::new()), tail), site).await
            }
            Act::Never(_) | Act::Allows(_) | Act::AllowsEnd { .. } => Ok(()),
            Act::Serves(serve) => self.serve(actor, serve, (line, &shown), site).await,
            Act::Requests(request) => self.request(actor, request, line),
            Act::Answered(answered, tail) => {
                self.answered(actor, answered, &want(Kind::Closed(Vec::new()), tail), site).await
            }
            Act::Dials { path, on, headers, window } => {
                let dialling =
                    super::connect::Dialling { path: path.as_ref(), on: on.as_deref(), headers, window: *window };
                self.dial(actor, dialling, (line, &shown), site).await
            }
            Act::Emits { .. }
            | Act::Acknowledges { .. }
            | Act::SendsJson(_)
            | Act::Sends(_)
            | Act::Leaves(_)
            | Act::Drops
            | Act::StopsReading
            | Act::ResumesReading => self.send(actor, does, (line, &shown), site).await,
        }
    }
}

fn is_sending(does: &Act) -> bool {
    matches!(
        does,
        Act::Emits { .. }
            | Act::Acknowledges { .. }
            | Act::SendsJson(_)
            | Act::Sends(_)
            | Act::Leaves(_)
            | Act::Drops
            | Act::Requests(_)
    )
}

fn expected_shown(actor: &str, expected: &Expected) -> String {
    format!("{actor} < {expected}")
}

/// The name behind a key such as `alice.2`.
pub(super) fn actor_named(key: &str) -> ActorName {
    let (user, device) = key.split_once('.').unwrap_or((key, "1"));
    ActorName { user: user.to_owned(), device: device.parse().unwrap_or(1), instance: None }
}
