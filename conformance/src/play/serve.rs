//! Steps that serve a client: it is started, its requests are let in or turned away, and what it prints is heard.

use std::time::Duration;

use rand::RngCore as _;
use tokio::time::{Instant, timeout_at};

use super::{
    Blame, Go, Player, Site, Stop,
    actor::{Actor, Line},
    want::{Kind, Want},
};
use crate::{
    case::{Pattern, Serve, Starting, Transport, eval, match_pattern},
    datum::Datum,
    target::show_duration,
    wire::{Decoder, Door, Inlet, Knock, Link, Raw},
};

/// A program that has not come to the judge by then does not come: a virtual machine on a busy computer takes its time.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The variables of the contract.
const URL: &str = "CHATWRIGHT_URL";
const TRANSPORTS: &str = "CHATWRIGHT_TRANSPORTS";
const AUTH: &str = "CHATWRIGHT_AUTH";

/// Of what the client has printed so many lines are shown when a case fails.
const LINES_SHOWN: usize = 20;

/// The client of a case, and where the judge listens for it.
pub(super) struct Served {
    pub(super) door: Door,
    /// The first request, which the start waited for.
    first: Option<Knock>,
    /// What the client has printed that is no line of the contract.
    lines: std::sync::Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

impl Player<'_> {
    pub(super) async fn serve(
        &mut self,
        actor: &mut Actor,
        serve: &Serve,
        (line, shown): (u32, &str),
        site: &Site,
    ) -> Go {
        let tail = serve.tail().cloned().unwrap_or_default();
        let want = Want { line, shown: shown.to_owned(), tail, kind: Kind::Closed(Vec::new()), rounds: Vec::new() };
        match serve {
            Serve::Starts(starting) => self.start(actor, starting, &want, site).await,
            Serve::Accepts { pattern, headers, .. } => {
                let knock = self.knock(actor, pattern.as_ref(), &want, site).await?;
                let headers = self.texts(headers)?;
                self.let_in(actor, knock, headers, &want, site).await
            }
            Serve::Refuses { status, pattern, .. } => {
                let knock = self.knock(actor, pattern.as_ref(), &want, site).await?;
                self.recorder.sent(&actor.key, &format!("refuses with {status}"), line);
                knock.refuse(*status);
                Ok(())
            }
            Serve::Unasked(span, _) => {
                let until = Instant::now() + self.span(span)?;
                match self.next_knock(until).await? {
                    None => Ok(()),
                    Some(knock) => {
                        self.recorder.received(knock.at, &actor.key, &words(&knock.shown));
                        Err(self.blamed(&want, &words(&knock.shown), "nothing was to be asked for", site))
                    }
                }
            }
        }
    }

    async fn start(&mut self, actor: &mut Actor, starting: &Starting, want: &Want, site: &Site) -> Go {
        let unplayable = |e: std::io::Error| Stop::Unplayable(format!("the client cannot be started: {e}"));
        let door = Door::open().await.map_err(unplayable)?;
        let mut variables = self.texts(&starting.variables)?;
        let transports = match starting.transport.unwrap_or(self.stage.transport) {
            Transport::Websocket => "websocket",
            Transport::Polling => "polling",
            Transport::Upgrade => "polling,websocket",
        };
        variables.push((URL.to_owned(), door.url.clone()));
        variables.push((TRANSPORTS.to_owned(), transports.to_owned()));
        if let Some(auth) = &starting.auth {
            let auth = eval(auth, &self.names).map_err(Stop::Unplayable)?;
            variables.push((AUTH.to_owned(), auth.to_plain_json().to_string()));
        }
        self.recorder.sent(&actor.key, &format!("starts for {transports} at {}", door.url), want.line);
        let program = self.stage.target.start_client(variables).map_err(unplayable)?;
        actor.hang_up();
        actor.over = false;
        let (lines, mut ended) = (program.lines(), program.ended.clone());
        actor.line = Line::Bare(Link::program(|inlet| tell(program, inlet)));
        self.served = Some(Served { door, first: None, lines });
        let within = || format!("it asked for nothing within {}", show_duration(START_TIMEOUT));
        let first = tokio::select! {
            biased;
            first = self.next_knock(Instant::now() + START_TIMEOUT) => first?.ok_or_else(within),
            () = async { drop(ended.wait_for(Option::is_some).await) } => Err(ended.borrow().clone().unwrap_or_default()),
        };
        let first = match first {
            Ok(first) => first,
            Err(got) => return Err(self.blamed(want, &format!("{got}{}", self.client_lines()), "", site)),
        };
        if let Some(served) = &mut self.served {
            served.first = Some(first);
        }
        Ok(())
    }

    fn served(&mut self) -> Go<&mut Served> {
        self.served.as_mut().ok_or_else(|| Stop::Unplayable("no client was started".to_owned()))
    }

    async fn next_knock(&mut self, until: Instant) -> Go<Option<Knock>> {
        let served = self.served()?;
        if let Some(first) = served.first.take() {
            return Ok(Some(first));
        }
        Ok(timeout_at(until, served.door.knocks.recv()).await.ok().flatten())
    }

    /// The client's next request that opens something, as it has to be.
    async fn knock(&mut self, actor: &Actor, pattern: Option<&Pattern>, want: &Want, site: &Site) -> Go<Knock> {
        let patience = self.patience(&want.tail)?;
        let Some(knock) = self.next_knock(Instant::now() + patience).await? else {
            let got = format!("no request for {}{}", show_duration(patience), self.client_lines());
            return Err(self.blamed(want, &got, "", site));
        };
        let shown = words(&knock.shown);
        self.recorder.received(knock.at, &actor.key, &shown);
        self.recorder.consumed(&actor.key, site.line.unwrap_or(want.line));
        if let Some(after) = &want.tail.after {
            let (least, since) = (self.span(after)?, knock.at.saturating_duration_since(actor.last_step));
            if since < least {
                let got = format!("{shown} after {}", show_duration(since));
                return Err(self.blamed(want, &got, "it came too early", site));
            }
        }
        if let Some(pattern) = pattern {
            let mut bound = Vec::new();
            if let Err(mismatch) = match_pattern(pattern, &knock.shown, &self.names, &mut bound) {
                return Err(self.blamed(want, &knock.shown.to_string(), &mismatch.to_string(), site));
            }
            bound.into_iter().for_each(|(name, datum)| self.names.bind(&name, datum));
        }
        Ok(knock)
    }

    async fn let_in(
        &mut self,
        actor: &mut Actor,
        knock: Knock,
        headers: Vec<(String, String)>,
        want: &Want,
        site: &Site,
    ) -> Go {
        let sid = format!("s{:016x}", self.rng.next_u64());
        actor.hang_up();
        actor.over = false;
        let manual_pings = self.case.manual_pings;
        match self.served()?.door.let_in(knock, &sid, headers, manual_pings).await {
            Ok(link) => {
                self.names.fact(&actor.key, "sid", Datum::Text(sid));
                actor.decoder = Some(Decoder::of_client());
                actor.line = Line::Bare(link);
                Ok(())
            }
            Err(why) => Err(self.blamed(want, &why, "", site)),
        }
    }

    fn blamed(&self, want: &Want, got: &str, why: &str, site: &Site) -> Stop {
        let blame = Blame {
            line: want.line,
            step: &want.shown,
            tail: &want.tail,
            expected: want.shown.clone(),
            got: crate::case::clipped(got),
            timed: false,
            why: why.to_owned(),
        };
        self.failure(site, blame)
    }

    /// What the client has printed beside the contract, for a failure.
    fn client_lines(&self) -> String {
        let lines = self.served.as_ref().map(|served| (served.lines)()).unwrap_or_default();
        if lines.is_empty() { String::new() } else { format!("; it printed: {}", lines.join(" | ")) }
    }

    /// Puts into the transcript what the client has printed beside the contract.
    pub(super) fn note_client_lines(&mut self) {
        let lines = self.served.as_ref().map(|served| (served.lines)()).unwrap_or_default();
        for line in &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
            self.recorder.note("", &format!("the client printed: {line}"), None);
        }
    }
}

/// The clause that a client breaks with what this protocol forbids.
pub(super) fn well_formed(protocol: &str) -> &str {
    match protocol {
        "rfc6455" => "client/2.1",
        "engine-io" => "client/2.2",
        "socket-io" => "client/2.3",
        other => other,
    }
}

/// A request in one line.
fn words(shown: &Datum) -> String {
    let text = |name: &str| shown.field(name).and_then(Datum::as_text).unwrap_or_default().to_owned();
    let query = shown.field("query").map(ToString::to_string).unwrap_or_default();
    let upgrade = shown.field("headers").and_then(|headers| headers.field("upgrade")).map_or("", |_| " (a WebSocket)");
    format!("{} {} {query}{upgrade}", text("method"), text("path"))
}

/// Hands on what the client prints, as frames of text, and its end.
async fn tell(mut program: crate::target::ClientProgram, inlet: Inlet) {
    while let Some(said) = program.said.recv().await {
        match said {
            crate::target::Said::Line(line) => inlet.put(Raw::Text(line)).await,
            crate::target::Said::Exited(code) => {
                let code = code.map_or(serde_json::Value::Null, serde_json::Value::from);
                inlet.put(Raw::Text(serde_json::json!({"exited": code}).to_string())).await;
                inlet.put(Raw::End("the client has ended".to_owned())).await;
            }
        }
    }
    std::future::pending().await
}
