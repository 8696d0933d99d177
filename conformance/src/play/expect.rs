//! Compares what arrives with what a line wants, in the order of one actor.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Blame, Go, Player, Site, Stop,
    actor::{Actor, Ears, Line},
    forbidden,
    got::{Got, What},
    serve::well_formed,
    want::{Differs, Want},
};
use crate::{
    case::{Bindings, ExpectMode, Span, Tail, eval_span},
    clocks::EXCUSED_MAX,
    datum::Datum,
    dialect::Carrier,
    outcome::{ClauseId, Level},
    target::show_duration,
    wire::Raw,
};

impl<'a> Player<'a> {
    pub(super) fn ears(&self) -> Ears<'a> {
        Ears { adapt: &self.stage.target.adapt, dialect: self.stage.dialect }
    }

    pub(super) fn span(&self, span: &Span) -> Go<Duration> {
        eval_span(span, &self.names).map_err(Stop::Unplayable)
    }

    /// How long a step waits.
    pub(super) fn patience(&self, tail: &Tail) -> Go<Duration> {
        match tail.within.as_ref().or(self.case.within.as_ref()) {
            Some(span) => self.span(span),
            None => Ok(self.stage.deadline()),
        }
    }

    /// Waits until everything wanted has come. Optional wants only stand by until something else is wanted.
    pub(super) async fn expect(
        &mut self,
        actor: &mut Actor,
        mode: ExpectMode,
        mut wants: Vec<Want>,
        site: &Site,
    ) -> Go<Bindings> {
        if mode == ExpectMode::Optional {
            let patience = wants.iter().filter_map(|want| want.tail.within.as_ref()).map(|span| self.span(span));
            let patience = patience.collect::<Go<Vec<_>>>()?.into_iter().max();
            let standing = actor.optional.len();
            wants.iter_mut().for_each(|want| want.rounds.clone_from(&self.rounds));
            actor.optional.append(&mut wants);
            if let Some(patience) = patience {
                let standing = self.await_optional(actor, patience, standing).await?;
                actor.optional.truncate(standing);
            }
            return Ok(Bindings::new());
        }
        let started = Instant::now();
        let mut patience = Duration::ZERO;
        for want in &wants {
            patience = patience.max(self.patience(&want.tail)?);
        }
        let ears = self.ears();
        let (mut all, mut skipped) = (Bindings::new(), 0_usize);
        // A judge that is late waits for as much longer: what it misses may have come in time.
        let mut allowance = Duration::ZERO;
        while !wants.is_empty() {
            let Some(got) = actor.next(started + patience + allowance, &ears).await else {
                if self.lateness() > allowance && !matches!(actor.line, Line::None) {
                    allowance = self.lateness();
                    continue;
                }
                if matches!(actor.line, Line::None) && wants.iter().all(Want::is_met_by_absence) {
                    break;
                }
                if self.has_ended_instead(actor) {
                    return Err(Stop::EndedInstead);
                }
                self.read_clock(&wants[0].tail, actor.last_step.elapsed())?;
                return Err(self.missing(actor, &wants, site, (started.elapsed(), skipped)));
            };
            self.recorder.received(got.at, &actor.key, &got.to_string());
            self.refuse_broken(&got, &wants[0], site)?;
            if self.is_optional(actor, &got) {
                continue;
            }
            match self.pick(&wants, &got) {
                Ok((i, bound)) => {
                    let want = wants.remove(i);
                    self.consume(actor, &want, &got, &bound, site)?;
                    all.extend(bound);
                }
                Err(_) if wants.iter().any(|want| want.passes_over(&got)) => {}
                Err(_) if self.is_allowed(actor, &got) => self.refuse_never(actor, &got)?,
                Err(_) if mode == ExpectMode::Skipping && !got.is_ending() => skipped += 1,
                Err((blamed, why)) => return Err(self.mismatch(actor, &wants[blamed], &got, why, site)),
            }
        }
        Ok(all)
    }

    /// Waits for what an optional line with a time wants, as long as nothing comes but what `standing` optional lines before it want.
    /// Says how many of those still stand.
    async fn await_optional(&mut self, actor: &mut Actor, patience: Duration, mut standing: usize) -> Go<usize> {
        let ears = self.ears();
        let until = Instant::now() + patience;
        while let Some(got) = actor.next(until, &ears).await {
            let wanted = actor.optional.iter().any(|want| want.test(&got, &self.names, &ears).is_ok());
            if !wanted && !self.is_allowed(actor, &got) {
                actor.inbox.push_front(got);
                break;
            }
            self.recorder.received(got.at, &actor.key, &got.to_string());
            if wanted {
                let waiting = actor.optional.len();
                self.is_optional(actor, &got);
                let met = waiting - actor.optional.len();
                if met > standing {
                    return Ok(0);
                }
                standing -= met;
            } else {
                self.refuse_never(actor, &got)?;
            }
        }
        Ok(standing)
    }

    fn consume(&mut self, actor: &mut Actor, want: &Want, got: &Got, bound: &Bindings, site: &Site) -> Go {
        self.recorder.consumed(&actor.key, site.line.unwrap_or(want.line));
        if let Some(after) = &want.tail.after {
            let (least, since) = (self.span(after)?, got.at.saturating_duration_since(actor.last_step));
            self.read_clock(&want.tail, since)?;
            if since + self.lateness().min(EXCUSED_MAX) < least {
                return Err(self.failure(
                    site,
                    Blame {
                        line: want.line,
                        step: &want.shown,
                        tail: &want.tail,
                        expected: format!("{} not before {} have passed", want.shown, show_duration(least)),
                        got: format!("{got} after {}", show_duration(since)),
                        timed: true,
                        why: "it came too early".to_owned(),
                    },
                ));
            }
        }
        for (name, datum) in bound {
            self.names.bind(name, datum.clone());
        }
        actor.over |= want.ends(got);
        actor.consumed = Some(got.at);
        actor.optional.clear();
        Ok(())
    }

    /// Whether a connection has ended whose end answers for what does not come. Fences are answered all the same.
    fn has_ended_instead(&mut self, waiting: &mut Actor) -> bool {
        if waiting.at_fence {
            return false;
        }
        let ears = self.ears();
        let mut all = std::iter::once(waiting).chain(self.actors.values_mut());
        all.any(|actor| actor.standing.end_instead && actor.end_has_come(&ears))
    }

    /// The first want that this arrival is, or which one to blame and why.
    fn pick(&self, wants: &[Want], got: &Got) -> Result<(usize, Bindings), (usize, Differs)> {
        let ears = self.ears();
        let mut blamed = (0, String::new());
        for (i, want) in wants.iter().enumerate() {
            match want.test(got, &self.names, &ears) {
                Ok(bound) => return Ok((i, bound)),
                Err(why) if blamed.1.is_empty() && !why.is_empty() => blamed = (i, why),
                Err(_) => {}
            }
        }
        Err(blamed)
    }

    fn is_optional(&mut self, actor: &mut Actor, got: &Got) -> bool {
        let ears = self.ears();
        let found = actor
            .optional
            .iter()
            .enumerate()
            .find_map(|(i, want)| want.test(got, &self.names, &ears).ok().map(|bound| (i, bound)));
        let Some((i, bound)) = found else { return false };
        for (name, datum) in bound {
            self.names.bind(&name, datum);
        }
        self.recorder.consumed(&actor.key, actor.optional[i].line);
        actor.optional.drain(..=i);
        true
    }

    /// Whether this may come at any time.
    pub(super) fn is_allowed(&self, actor: &mut Actor, got: &Got) -> bool {
        let ears = self.ears();
        let ending = got.is_ending() || got.is_disconnect();
        if ending && actor.standing.allow_end {
            actor.over = true;
            return true;
        }
        // A client's `3` without a `2` is of no consequence, and no text forbids it.
        let is_client = self.stage.dialect.carrier == Carrier::Client;
        if is_client && matches!(&got.what, What::Raw(Raw::Packet(packet)) if packet == "3") {
            return true;
        }
        actor.standing.allows(&actor.key, got, &self.names, &ears)
    }

    pub(super) fn refuse_broken(&self, got: &Got, want: &Want, site: &Site) -> Go {
        let What::Raw(Raw::Broken { protocol, what }) = &got.what else { return Ok(()) };
        let clause = if self.stage.dialect.carrier == Carrier::Client {
            ClauseId(well_formed(protocol).to_owned())
        } else {
            forbidden::clause(protocol, what)
        };
        let tail = Tail { clause: Some(clause), ..Tail::default() };
        let mut stop = self.failure(
            site,
            Blame {
                line: want.line,
                step: &want.shown,
                tail: &tail,
                expected: format!("{}, in well-formed {protocol}", want.shown),
                got: got.to_string(),
                timed: false,
                why: String::new(),
            },
        );
        if let Stop::Failed(failure) = &mut stop {
            failure.level = Level::Must;
        }
        Err(stop)
    }

    fn missing(&self, actor: &Actor, wants: &[Want], site: &Site, (waited, skipped): (Duration, usize)) -> Stop {
        let want = &wants[0];
        let connected = !matches!(actor.line, Line::None);
        let got = match (connected, skipped) {
            (false, _) => format!("nothing: {} has no connection", actor.key),
            (true, 0) => format!("nothing for {}", show_duration(waited)),
            (true, others) => format!("{others} others, but not this one within {}", show_duration(waited)),
        };
        self.failure(
            site,
            Blame {
                line: want.line,
                step: &want.shown,
                tail: &want.tail,
                expected: want.shown.clone(),
                got,
                timed: connected,
                why: String::new(),
            },
        )
    }

    /// An arrival that `never` may come fails at that line, whatever else may be said about it.
    pub(super) fn refuse_never(&self, actor: &Actor, got: &Got) -> Go {
        let ears = self.ears();
        let never = actor.standing.forbids(&actor.key, got, &self.names, &ears);
        never.map_or(Ok(()), |never| Err(self.broke_never(never, got)))
    }

    pub(super) fn mismatch(&self, actor: &Actor, want: &Want, got: &Got, why: Differs, site: &Site) -> Stop {
        if let Err(stop) = self.refuse_never(actor, got) {
            return stop;
        }
        self.failure(
            site,
            Blame {
                line: want.line,
                step: &want.shown,
                tail: &want.tail,
                expected: want.shown.clone(),
                got: got.to_string(),
                timed: false,
                why,
            },
        )
    }

    pub(super) fn broke_never(&self, never: &Want, got: &Got) -> Stop {
        self.failure(
            &Site::CASE,
            Blame {
                line: never.line,
                step: &never.shown,
                tail: &never.tail,
                expected: never.shown.clone(),
                got: got.to_string(),
                timed: false,
                why: "it came".to_owned(),
            },
        )
    }

    /// Nothing arrives for this long.
    pub(super) async fn quiet(&mut self, actor: &mut Actor, length: Duration, want: Want, site: &Site) -> Go {
        let ears = self.ears();
        let until = Instant::now() + length;
        while let Some(got) = actor.next(until, &ears).await {
            self.recorder.received(got.at, &actor.key, &got.to_string());
            self.refuse_broken(&got, &want, site)?;
            if got.at > until {
                actor.inbox.push_front(got);
                break;
            }
            if !self.is_optional(actor, &got) && !self.is_allowed(actor, &got) {
                return Err(self.mismatch(actor, &want, &got, String::new(), site));
            }
        }
        // A connection that is gone says nothing at once; the time is to pass all the same.
        tokio::time::sleep_until(until).await;
        Ok(())
    }

    /// Raw bytes of a bare connection up to a match.
    pub(super) async fn bytes_until(
        &mut self,
        actor: &mut Actor,
        regex: &regex::Regex,
        want: &Want,
        site: &Site,
    ) -> Go {
        let ears = self.ears();
        let started = Instant::now();
        let until = started + self.patience(&want.tail)?;
        loop {
            let text = String::from_utf8_lossy(&actor.bytes).into_owned();
            if let Some(found) = regex.captures(&text) {
                for name in regex.capture_names().flatten() {
                    if let Some(group) = found.name(name) {
                        self.names.bind(name, Datum::Text(group.as_str().to_owned()));
                    }
                }
                // What was matched is consumed. Lossy text and bytes differ only where bytes are no UTF-8, and then all goes.
                let end = found.get(0).map_or(0, |all| all.end());
                let valid = text.as_bytes() == actor.bytes.as_slice();
                let end = if valid { end } else { actor.bytes.len() };
                actor.bytes.drain(..end);
                return Ok(());
            }
            let got = actor.next(until, &ears).await;
            if let Some(got) = &got {
                self.recorder.received(got.at, &actor.key, &got.to_string());
            }
            match got.map(|got| got.what) {
                Some(What::Raw(Raw::Bytes(more))) => actor.bytes.extend(more),
                other => {
                    let ended = other.map_or(format!("nothing more for {}", show_duration(started.elapsed())), |_| {
                        "the end".to_owned()
                    });
                    return Err(self.failure(
                        site,
                        Blame {
                            line: want.line,
                            step: &want.shown,
                            tail: &want.tail,
                            expected: want.shown.clone(),
                            got: format!("{:?} and then {ended}", crate::case::clipped(&text)),
                            timed: false,
                            why: String::new(),
                        },
                    ));
                }
            }
        }
    }
}
