//! HTTP: requests that go out, answers that are judged.

use tokio::time::timeout;

use super::{Blame, Go, Player, Site, Stop, actor::Actor, want::Want};
use crate::{
    case::{
        Answered, Bindings, Body, BodyPattern, Pattern, Request, StatusPattern, TextPattern, bytes_of, clipped, eval,
        eval_url, match_pattern, match_text,
    },
    datum::Datum,
    dialect::Carrier,
    outcome::Exchange,
    target::show_duration,
    wire::{Answer, Dial, HttpRequest, http_send},
};

/// Where cases of the protocol suites look for the carrier; replaced by where the dialect has it.
const PROTOCOL_PATH: &str = "/socket.io/";

impl Player<'_> {
    /// A path as this target knows it.
    pub(super) fn routed(&self, path: String) -> String {
        let path = match path.strip_prefix(PROTOCOL_PATH) {
            Some(rest) if self.stage.dialect.path.ends_with('/') => format!("{}{rest}", self.stage.dialect.path),
            // Raw WebSocket has its opening there, whatever the query says.
            Some(rest) if self.stage.dialect.carrier == Carrier::WebSocket && rest.starts_with('?') => {
                format!("{}{rest}", self.stage.dialect.path)
            }
            Some(_) | None => path,
        };
        self.ears().their_route(path)
    }

    /// Bytes that begin with a request for the carrier, with its path as this target knows it; any others as they are.
    pub(super) fn routed_request(&self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(start) = bytes.iter().position(|byte| *byte == b' ').map(|blank| blank + 1) else { return bytes };
        let length = bytes[start..].iter().position(|byte| byte.is_ascii_whitespace());
        let target = length.and_then(|length| std::str::from_utf8(&bytes[start..start + length]).ok());
        match target.filter(|target| target.starts_with(PROTOCOL_PATH)) {
            None => bytes,
            Some(target) => {
                [&bytes[..start], self.routed(target.to_owned()).as_bytes(), &bytes[start + target.len()..]].concat()
            }
        }
    }

    pub(super) fn request(&mut self, actor: &mut Actor, request: &Request, line: u32) -> Go {
        if actor.request.is_some() {
            return Err(Stop::Unplayable(format!(
                "{} asks again before the answer to the request before was judged",
                actor.key
            )));
        }
        let address = self.address(actor, request.on.as_deref().unwrap_or("rest"))?;
        let path = self.routed(eval_url(&request.path, &self.names).map_err(Stop::Unplayable)?);
        let mut headers = self.texts(&request.headers)?;
        let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !request.anonymous
            && !has(&headers, "authorization")
            && let Some(token) = self.names.token_of(&actor.user)
        {
            headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        let body = match &request.body {
            None => Vec::new(),
            Some(Body::Text(text)) => bytes_of(text, &self.names).map_err(Stop::Unplayable)?,
            Some(Body::Json(value)) => {
                if !has(&headers, "content-type") {
                    headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
                }
                let mut datum = eval(value, &self.names).map_err(Stop::Unplayable)?;
                self.ears().theirs(&mut datum);
                datum.to_plain_json().to_string().into_bytes()
            }
        };
        let shown =
            if body.is_empty() { String::new() } else { format!(" {}", clipped(String::from_utf8_lossy(&body))) };
        self.recorder.sent(&actor.key, &format!("requests {} {path}{shown}", request.method), line);
        let path = format!("{}{path}", address.path);
        self.recorder.exchanged(Exchange {
            line,
            base: format!("http://{}:{}", address.host, address.port),
            method: request.method.clone(),
            path: path.clone(),
            headers: headers.clone(),
            body: body.clone(),
        });
        let dial = Dial { address, window: None, beats: self.beats.clone() };
        let request = HttpRequest { dial, method: request.method.clone(), path, headers, body };
        actor.request = Some(tokio::spawn(http_send(request)));
        Ok(())
    }

    pub(super) async fn answered(&mut self, actor: &mut Actor, answered: &Answered, want: &Want, site: &Site) -> Go {
        let answer = match actor.dialled.take() {
            Some(answer) => answer,
            None => self.answer(actor, want, site).await?,
        };
        let whole = format!("{} {}", answer.status, answer.text());
        self.recorder.received(tokio::time::Instant::now(), &actor.key, &whole);
        self.recorder.consumed(&actor.key, site.line.unwrap_or(want.line));
        if let Some(after) = &want.tail.after {
            let (least, since) = (self.span(after)?, actor.last_step.elapsed());
            if since < least {
                let got = format!("{} after {}", words(&answer), show_duration(since));
                return Err(self.unanswered(want, site, (got, "it came too early".to_owned()), true));
            }
        }
        match self.judge(answered, &answer) {
            Ok(bound) => {
                for (name, datum) in bound {
                    self.names.bind(&name, datum);
                }
                Ok(())
            }
            Err(why) => Err(self.unanswered(want, site, (words(&answer), why), false)),
        }
    }

    async fn answer(&mut self, actor: &mut Actor, want: &Want, site: &Site) -> Go<Answer> {
        let Some(mut request) = actor.request.take() else {
            return Err(Stop::Unplayable(format!("{} has asked nothing", actor.key)));
        };
        let patience = self.patience(&want.tail)?;
        let mut timed = false;
        let got = match timeout(patience, &mut request).await {
            Ok(Ok(Ok(answer))) => return Ok(answer),
            Ok(Ok(Err(why))) => why,
            Ok(Err(_)) => "the request broke off".to_owned(),
            Err(_) => {
                request.abort();
                timed = true;
                format!("no answer for {}", show_duration(patience))
            }
        };
        self.recorder.note(&actor.key, &got, Some(want.line));
        Err(self.unanswered(want, site, (got, String::new()), timed))
    }

    fn unanswered(&self, want: &Want, site: &Site, (got, why): (String, String), timed: bool) -> Stop {
        self.failure(
            site,
            Blame {
                line: want.line,
                step: &want.shown,
                tail: &want.tail,
                expected: want.shown.clone(),
                got,
                timed,
                why,
            },
        )
    }

    fn judge(&self, answered: &Answered, answer: &Answer) -> Result<Bindings, String> {
        let mut bound = Bindings::new();
        let fits = answered.status.iter().any(|wanted| match wanted {
            StatusPattern::Exact(status) => answer.status == *status,
            StatusPattern::Class(class) => answer.status / 100 == *class,
        });
        if !fits {
            return Err(format!("the status is {}", answer.status));
        }
        for (name, pattern) in &answered.headers {
            let Some(value) = answer.header(name) else {
                // As with fields: what must not be so is not so where it is absent.
                if matches!(pattern, TextPattern::Pattern(Pattern::Not(_))) {
                    continue;
                }
                return Err(format!("the header {name} is absent"));
            };
            match_text(pattern, &value, &self.names, &mut bound).map_err(|m| format!("header {name}: {m}"))?;
        }
        match &answered.body {
            None => {}
            Some(BodyPattern::Text(pattern)) => {
                match_text(pattern, &answer.text(), &self.names, &mut bound).map_err(|m| m.to_string())?;
            }
            Some(BodyPattern::Json(pattern)) => {
                let json: serde_json::Value =
                    serde_json::from_slice(&answer.body).map_err(|e| format!("the body is no JSON: {e}"))?;
                let mut datum = Datum::from(json);
                self.ears().ours(&mut datum);
                match_pattern(pattern, &datum, &self.names, &mut bound).map_err(|m| m.to_string())?;
            }
        }
        Ok(bound)
    }
}

fn words(answer: &Answer) -> String {
    format!("{} {}", answer.status, clipped(answer.text()))
}
