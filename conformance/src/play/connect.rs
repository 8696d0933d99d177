//! Steps that connect: Engine.IO sessions, namespaces, WebSockets, bare TCP.

use std::time::Duration;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, timeout};

use super::{
    Blame, Go, Player, Site, Stop,
    actor::{Actor, Line},
    got::{Got, What},
    want::{Kind, Want},
};
use crate::{
    case::{ConnectOptions, ExpectMode, Payload, StepAct, Tail, Transport, eval, eval_text, eval_url},
    datum::Datum,
    dialect::Carrier,
    target::{Address, Identity, show_duration},
    wire::{Decoder, Dial, Opening, Raw, connect_tcp, connect_websocket, nsp_part, open},
};

/// How far a connection is to go, and the line that says so.
pub(super) struct How<'s> {
    line: u32,
    shown: &'s str,
    tail: Tail,
    aim: Aim,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// The namespace, and its answer.
    Answered,
    /// CONNECT is sent; the answer is for later lines.
    Asked,
    /// The Engine.IO session only.
    Opened,
}

impl<'s> How<'s> {
    pub(super) fn connects(line: u32, shown: &'s str, tail: &Tail) -> Self {
        Self { line, shown, tail: tail.clone(), aim: Aim::Answered }
    }

    pub(super) fn tries(line: u32, shown: &'s str) -> Self {
        Self { line, shown, tail: Tail::default(), aim: Aim::Asked }
    }

    pub(super) fn opens(line: u32, shown: &'s str, tail: &Tail) -> Self {
        Self { line, shown, tail: tail.clone(), aim: Aim::Opened }
    }
}

/// What `dials` says.
pub(super) struct Dialling<'s> {
    pub(super) path: Option<&'s Payload>,
    pub(super) on: Option<&'s str>,
    pub(super) headers: &'s [(String, Payload)],
    pub(super) window: Option<u32>,
}

impl Player<'_> {
    /// The address of a listener of the instance on which the actor plays.
    pub(super) fn address(&self, actor: &Actor, listener: &str) -> Go<Address> {
        let target = self.stage.target;
        let instance = target
            .instance(actor.instance)
            .ok_or_else(|| Stop::Unplayable(format!("the target has no instance {}", actor.instance)))?;
        let url = instance
            .listener(listener)
            .ok_or_else(|| Stop::Unplayable(format!("the target has no listener `{listener}`")))?;
        Address::parse(url).map_err(Stop::Unplayable)
    }

    pub(super) fn texts(&self, pairs: &[(String, Payload)]) -> Go<Vec<(String, String)>> {
        pairs
            .iter()
            .map(|(name, text)| Ok((name.clone(), eval_text(text, &self.names).map_err(Stop::Unplayable)?)))
            .collect()
    }

    fn generator(&mut self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.rng.next_u64())
    }

    pub(super) async fn connect(
        &mut self,
        actor: &mut Actor,
        options: &ConnectOptions,
        how: &How<'_>,
        site: &Site,
    ) -> Go {
        let nsp = options.nsp.clone().unwrap_or_else(|| "/".to_owned());
        if how.aim == Aim::Answered && self.stage.dialect.carrier == Carrier::WebSocket {
            return self.connect_by_steps(actor, options, site).await;
        }
        let goes_on = how.aim != Aim::Opened && actor.is_there();
        self.recorder.sent(&actor.key, how.shown.split_once(' ').map_or(how.shown, |(_, act)| act), how.line);
        if !goes_on {
            actor.hang_up();
            actor.over = false;
            actor.greeted = false;
            actor.options = options.clone();
            if !self.open_session(actor, options, how, site).await? {
                return Ok(());
            }
        }
        if how.aim == Aim::Opened {
            return Ok(());
        }
        let auth = match &options.auth {
            Some(value) => Some(eval(value, &self.names).map_err(Stop::Unplayable)?),
            None => self.names.auth_of(&actor.user),
        };
        let payload =
            auth.filter(|auth| *auth != Datum::Null).map(|auth| auth.to_plain_json().to_string()).unwrap_or_default();
        let packet = format!("40{}{payload}", nsp_part(&nsp));
        let patience = self.patience(&how.tail)?;
        if let Some(link) = actor.link() {
            match timeout(patience, link.packet(&packet)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => self.recorder.note(&actor.key, &why, Some(how.line)),
                Err(_) => {
                    return Err(self.unconnected(
                        how,
                        site,
                        &format!("CONNECT could not be written within {}", show_duration(patience)),
                        true,
                    ));
                }
            }
        }
        if how.aim == Aim::Asked {
            return Ok(());
        }
        let want = Want {
            line: how.line,
            shown: how.shown.to_owned(),
            tail: how.tail.clone(),
            kind: Kind::Connected(nsp),
            rounds: Vec::new(),
        };
        let early = self.pings_before(actor, patience).await;
        let bound = self.expect(actor, ExpectMode::Next, vec![want], site).await?;
        early.into_iter().rev().for_each(|ping| actor.inbox.push_front(ping));
        let payload = self.names.unbind("CONNECT").or_else(|| bound.into_iter().next().map(|(_, payload)| payload));
        if let Some(sid) = payload.as_ref().and_then(|payload| payload.field("sid")) {
            self.names.fact(&actor.key, "socket", sid.clone());
        }
        let about_that = options.auth.is_some() || self.case.needs.iter().any(|need| need == "identity=open");
        if about_that || options.nsp.is_some() { Ok(()) } else { self.greet(actor, site).await }
    }

    /// Where pings are shown, one that comes before the answer to CONNECT is for later lines to judge, not for this one.
    async fn pings_before(&mut self, actor: &mut Actor, patience: Duration) -> Vec<Got> {
        let mut pings = Vec::new();
        if !self.case.manual_pings {
            return pings;
        }
        let (ears, until) = (self.ears(), Instant::now() + patience);
        while let Some(got) = actor.next(until, &ears).await {
            if got.packet.as_deref() != Some("2") {
                actor.inbox.push_front(got);
                break;
            }
            pings.push(got);
        }
        pings
    }

    /// `connects` on a carrier without a handshake of its own.
    async fn connect_by_steps(&mut self, actor: &mut Actor, options: &ConnectOptions, site: &Site) -> Go {
        let dialect = self.stage.dialect;
        for step in &dialect.connect {
            let StepAct::Actor { does, .. } = &step.act else { continue };
            let before = self.names.stand_in("each", Some(&actor.key));
            let done = self.act_boxed(actor, does, step.line, site).await;
            self.names.stand_in("each", before.as_deref());
            done?;
        }
        actor.speaks = true;
        actor.options = options.clone();
        Ok(())
    }

    /// On a target that verifies nobody, a connection says once who it is.
    pub(super) async fn greet(&mut self, actor: &mut Actor, site: &Site) -> Go {
        if self.stage.target.identity == Identity::Token || actor.greeted || actor.decoder.is_none() {
            return Ok(());
        }
        let dialect = self.stage.dialect;
        for step in &dialect.hello {
            let StepAct::Actor { does, .. } = &step.act else { continue };
            let before = self.names.stand_in("each", Some(&actor.key));
            let done = self.act_boxed(actor, does, step.line, site).await;
            self.names.stand_in("each", before.as_deref());
            done?;
        }
        Ok(())
    }

    /// Opens the session; `false` if that failed where failing is for later lines to judge.
    async fn open_session(
        &mut self,
        actor: &mut Actor,
        options: &ConnectOptions,
        how: &How<'_>,
        site: &Site,
    ) -> Go<bool> {
        let transport = options.transport.unwrap_or(self.stage.transport);
        let path = match &options.path {
            Some(path) => eval_url(path, &self.names).map_err(Stop::Unplayable)?,
            None => self.stage.dialect.path.clone(),
        };
        let opening = Opening {
            dial: Dial {
                address: self.address(actor, options.on.as_deref().unwrap_or("socket"))?,
                window: options.window,
                beats: self.beats.clone(),
            },
            path,
            query: self.texts(&options.query)?,
            headers: self.texts(&options.headers)?,
            polling: transport != Transport::Websocket,
            manual_pings: self.case.manual_pings,
            rng: self.generator(),
        };
        let patience = self.patience(&how.tail)?;
        let attempt = async {
            let mut session = open(opening).await?;
            if transport == Transport::Upgrade {
                session.upgrade().await?;
            }
            Ok(session)
        };
        let opened = match timeout(patience, attempt).await {
            Ok(opened) => opened,
            Err(_) => {
                return Err(self.unconnected(
                    how,
                    site,
                    &format!("no answer to the handshake within {}", show_duration(patience)),
                    true,
                ));
            }
        };
        match opened {
            Ok(session) => {
                self.names.fact(&actor.key, "sid", Datum::Text(session.sid.clone()));
                self.names.fact(&actor.key, "open", session.open.clone());
                actor.speaks = how.aim != Aim::Opened;
                actor.decoder = actor.speaks.then(Decoder::default);
                actor.line = Line::Session(Box::new(session));
                Ok(true)
            }
            Err(raw) => {
                let got = Got { at: Instant::now(), what: What::Raw(raw), packet: None };
                if how.aim == Aim::Asked {
                    actor.inbox.push_back(as_refusal(got));
                    return Ok(false);
                }
                self.recorder.received(got.at, &actor.key, &got.to_string());
                self.refuse_broken(&got, &how.want(), site)?;
                Err(self.unconnected(how, site, &got.to_string(), false))
            }
        }
    }

    fn unconnected(&self, how: &How, site: &Site, got: &str, timed: bool) -> Stop {
        let expected = if how.aim == Aim::Opened { "an Engine.IO session" } else { "a connection" };
        let blame = Blame {
            line: how.line,
            step: how.shown,
            tail: &how.tail,
            expected: expected.to_owned(),
            got: got.to_owned(),
            timed,
            why: String::new(),
        };
        self.failure(site, blame)
    }

    pub(super) async fn upgrade(&mut self, actor: &mut Actor, how: &How<'_>, site: &Site) -> Go {
        let patience = self.patience(&how.tail)?;
        self.recorder.sent(&actor.key, "upgrades", how.line);
        let Line::Session(session) = &mut actor.line else {
            return Err(Stop::Unplayable(format!("{} has no session to upgrade", actor.key)));
        };
        let raw = match timeout(patience, session.upgrade()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(raw)) => raw,
            Err(_) => Raw::End(format!("the upgrade was not done within {}", show_duration(patience))),
        };
        let got = Got { at: Instant::now(), what: What::Raw(raw), packet: None };
        self.recorder.received(got.at, &actor.key, &got.to_string());
        self.refuse_broken(&got, &how.want(), site)?;
        Err(self.failure(
            site,
            Blame {
                line: how.line,
                step: how.shown,
                tail: &how.tail,
                expected: "the upgrade to WebSocket".to_owned(),
                got: got.to_string(),
                timed: false,
                why: String::new(),
            },
        ))
    }

    pub(super) async fn dial(
        &mut self,
        actor: &mut Actor,
        dialling: Dialling<'_>,
        (line, shown): (u32, &str),
        site: &Site,
    ) -> Go {
        self.recorder.sent(&actor.key, shown.split_once(' ').map_or(shown, |(_, act)| act), line);
        actor.hang_up();
        actor.over = false;
        let address = self.address(actor, dialling.on.unwrap_or("socket"))?;
        let base = address.path.clone();
        let to = Dial { address, window: dialling.window, beats: self.beats.clone() };
        let patience = self.patience(&Tail::default())?;
        let attempt = async {
            let Some(path) = dialling.path else {
                return connect_tcp(&to).await.map(|link| (Some(link), None));
            };
            let path = eval_url(path, &self.names)?;
            let path = self.routed(path);
            let headers = self.texts(dialling.headers).map_err(|_| "a header has no value".to_owned())?;
            let rng = self.generator();
            let framing = (false, self.case.manual_pings);
            connect_websocket(&to, &format!("{base}{path}"), &headers, framing, rng)
                .await
                .map(|(link, answer)| (link, Some(answer)))
        };
        let failed = match timeout(patience, attempt).await {
            Ok(Ok((link, answer))) => {
                actor.dialled = answer;
                actor.line = link.map_or(Line::None, Line::Bare);
                return Ok(());
            }
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {}", show_duration(patience)),
        };
        let tail = Tail::default();
        Err(self.failure(
            site,
            Blame {
                line,
                step: shown,
                tail: &tail,
                expected: "a connection and an answer to the handshake".to_owned(),
                got: failed,
                timed: false,
                why: String::new(),
            },
        ))
    }
}

impl How<'_> {
    fn want(&self) -> Want {
        Want {
            line: self.line,
            shown: self.shown.to_owned(),
            tail: self.tail.clone(),
            kind: Kind::Refused(None),
            rounds: Vec::new(),
        }
    }
}

/// A handshake that came to nothing counts as refused, whatever it came to. Some servers refuse a WebSocket only after they have
/// accepted it, with bytes that are no frame: nobody is connected then either.
fn as_refusal(got: Got) -> Got {
    let what = match got.what {
        What::Raw(Raw::End(why) | Raw::Close(_, why) | Raw::Broken { protocol: "rfc6455", what: why }) => {
            What::Raw(Raw::Refused(crate::wire::Answer { status: 0, headers: Vec::new(), body: why.into_bytes() }))
        }
        other @ (What::Raw(_) | What::Socket(_)) => other,
    };
    Got { what, ..got }
}
