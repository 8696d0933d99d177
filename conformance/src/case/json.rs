//! The published JSON form of cases (`chatwright cases --json`), for players in other languages.
//!
//! Each step holds its `line`, its `text` in the case language, and `do` with what that needs. Durations are texts such as `2s` or
//! `$timing.grace+1s`.

use serde_json::{Map, Value as Json, json};

use super::{
    act::{
        Act, Answered, Arrives, Body, BodyPattern, ExpectMode, Expected, Incoming, Outgoing, Request, StatusPattern,
        Tail,
    },
    ast::{Asked, Case, ConnectOptions, Own, Step, StepAct},
    json_value::{pattern, payload, template, text_pattern, value},
    serve::Serve,
    value::Payload,
};

impl Case {
    /// The case as data.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "name": self.name,
            "title": self.title,
            "clauses": self.clauses.iter().map(|clause| &clause.0).collect::<Vec<_>>(),
            "needs": self.needs,
            "within": self.within.as_ref().map(ToString::to_string),
            "manualPings": self.manual_pings,
            "ownInstance": self.own.as_ref().map(own),
            "let": self.lets.iter().map(|(name, of)| json!({"name": name, "value": value(of)})).collect::<Vec<_>>(),
            "steps": steps(&self.steps),
        })
    }
}

fn own(of: &Own) -> Json {
    let variables = |all: &[(String, Payload)]| {
        Json::Object(all.iter().map(|(name, text)| (name.clone(), payload(text))).collect::<Map<_, _>>())
    };
    json!({"mayFail": of.may_fail, "with": variables(&of.with), "without": of.without, "dotenv": variables(&of.dotenv)})
}

fn steps(of: &[Step]) -> Vec<Json> {
    of.iter().map(step).collect()
}

/// Adds to an object what is there.
fn joined(mut base: Json, more: Json) -> Json {
    if let (Json::Object(base), Json::Object(more)) = (&mut base, more) {
        base.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    }
    base
}

fn step(of: &Step) -> Json {
    let base = json!({"line": of.line, "text": of.to_string()});
    let more = match &of.act {
        StepAct::Use { actors, preamble, options } => {
            let names: Vec<String> = actors.iter().map(ToString::to_string).collect();
            let (name, args) = preamble
                .as_ref()
                .map_or((None, Vec::new()), |(name, args)| (Some(name), args.iter().map(value).collect()));
            joined(json!({"do": "use", "actors": names, "preamble": name, "args": args}), options_json(options))
        }
        StepAct::Actor { actor, does } => joined(json!({"actor": actor.key(), "instance": actor.instance}), act(does)),
        StepAct::Wait(span) => json!({"do": "wait", "for": span.to_string()}),
        StepAct::Repeat { name, from, to, steps: inner } => {
            json!({"do": "repeat", "name": name, "from": value(from), "to": value(to), "steps": steps(inner)})
        }
        StepAct::Retry { within, steps: inner } => {
            json!({"do": "retry", "within": within.to_string(), "steps": steps(inner)})
        }
        StepAct::Auth { status, user, delay, actor } => json!({
            "do": "auth", "status": status, "user": user.as_ref().map(value), "delay": delay.as_ref().map(ToString::to_string), "for": actor,
        }),
        StepAct::Target { verb, instance, code, tail: end } => {
            let does = json!({"do": "target", "verb": verb.to_string(), "instance": instance, "code": code});
            joined(does, tail(end))
        }
        StepAct::Asks { asked, says, tail: end } => {
            let whom = match asked {
                Asked::Backend { name, question } => {
                    json!({"do": "ask", "backend": name, "question": payload(question)})
                }
                Asked::Heard { backend } => json!({"do": "ask", "heard": backend}),
                Asked::Log => json!({"do": "ask", "log": true}),
                Asked::Ear => json!({"do": "ask", "ear": true}),
            };
            joined(joined(whom, json!({"says": pattern(says)})), tail(end))
        }
        StepAct::Listens { backend, channel } => {
            json!({"do": "listen", "backend": backend, "channel": payload(channel)})
        }
        StepAct::Backend { name, verb } => json!({"do": "backend", "verb": verb.to_string(), "name": name}),
    };
    joined(base, more)
}

fn options_json(of: &ConnectOptions) -> Json {
    json!({
        "auth": of.auth.as_ref().map(value),
        "nsp": of.nsp,
        "transport": of.transport.map(|transport| transport.to_string()),
        "path": of.path.as_ref().map(payload),
        "on": of.on,
        "headers": pairs(&of.headers),
        "query": pairs(&of.query),
        "window": of.window,
    })
}

fn pairs(of: &[(String, Payload)]) -> Json {
    if of.is_empty() {
        return Json::Null;
    }
    Json::Object(of.iter().map(|(name, text)| (name.clone(), payload(text))).collect::<Map<_, _>>())
}

fn tail(of: &Tail) -> Json {
    json!({
        "within": of.within.as_ref().map(ToString::to_string),
        "after": of.after.as_ref().map(ToString::to_string),
        "clause": of.clause.as_ref().map(|clause| &clause.0),
    })
}

fn act(of: &Act) -> Json {
    let does = |verb: &str, more: Json| joined(json!({"do": verb}), more);
    let judged = |verb: &str, more: Json, end: &Tail| joined(does(verb, more), tail(end));
    match of {
        Act::Connects(options, end) => judged("connects", options_json(options), end),
        Act::Tries(options) => does("tries", options_json(options)),
        Act::Opens(options, end) => judged("opens", options_json(options), end),
        Act::Refused(wanted, end) => judged("refused", json!({"payload": wanted.as_ref().map(pattern)}), end),
        Act::Emits { event, args, ack, nsp } => does(
            "emits",
            json!({"event": template(event), "args": args.iter().map(value).collect::<Vec<_>>(), "ack": ack, "nsp": nsp}),
        ),
        Act::Acknowledges { name, args, nsp } => does(
            "acknowledges",
            json!({"id": {"$name": name}, "args": args.iter().map(value).collect::<Vec<_>>(), "nsp": nsp}),
        ),
        Act::SendsJson(of) => does("sends-json", json!({"json": value(of)})),
        Act::Expects { mode, group } => {
            let mode = match mode {
                ExpectMode::Next => "next",
                ExpectMode::Optional => "optional",
                ExpectMode::Skipping => "skipping",
            };
            does("expects", json!({"mode": mode, "anyOrder": group.iter().map(expected).collect::<Vec<_>>()}))
        }
        Act::Never(one) => does("never", json!({"what": expected(one)})),
        Act::Allows(one) => does("allows", json!({"what": expected(one)})),
        Act::AllowsEnd { instead } => does("allows-end", json!({"instead": instead})),
        Act::Quiet(span, end) => judged("quiet", json!({"for": span.to_string()}), end),
        Act::Leaves(nsp) => does("leaves", json!({"nsp": nsp})),
        Act::Disconnected(nsp, end) => judged("disconnected", json!({"nsp": nsp}), end),
        Act::Upgrades(end) => judged("upgrades", Json::Null, end),
        Act::Closed(codes, end) => judged("closed", json!({"codes": codes}), end),
        Act::Sends(what) => does("sends", outgoing(what)),
        Act::Gets(what, end) => judged("gets", incoming(what), end),
        Act::Requests(what) => does("requests", request(what)),
        Act::Answered(what, end) => judged("answered", answered(what), end),
        Act::Dials { path, on, headers, window } => does(
            "dials",
            json!({"path": path.as_ref().map(payload), "on": on, "headers": pairs(headers), "window": window}),
        ),
        Act::Drops => does("drops", Json::Null),
        Act::StopsReading => does("stops-reading", Json::Null),
        Act::ResumesReading => does("resumes-reading", Json::Null),
        Act::Returns(end) => judged("returns", Json::Null, end),
        Act::Serves(of) => serve(of),
    }
}

fn serve(of: &Serve) -> Json {
    let judged = |verb: &str, more: Json, end: &Tail| joined(joined(json!({"do": verb}), more), tail(end));
    match of {
        Serve::Starts(of) => json!({
            "do": "starts",
            "transport": of.transport.map(|transport| transport.to_string()),
            "auth": of.auth.as_ref().map(value),
            "env": pairs(&of.variables),
        }),
        Serve::Accepts { pattern: wanted, headers, tail } => {
            judged("accepts", json!({"request": wanted.as_ref().map(pattern), "headers": pairs(headers)}), tail)
        }
        Serve::Refuses { status, pattern: wanted, tail } => {
            judged("refuses", json!({"status": status, "request": wanted.as_ref().map(pattern)}), tail)
        }
        Serve::Unasked(span, tail) => judged("unasked", json!({"for": span.to_string()}), tail),
    }
}

fn expected(of: &Expected) -> Json {
    let what = match &of.what {
        Arrives::Event { names, args, ack, nsp } => json!({
            "events": names.iter().map(template).collect::<Vec<_>>(),
            "args": args.iter().map(pattern).collect::<Vec<_>>(),
            "asksForAck": ack,
            "nsp": nsp,
        }),
        Arrives::Ack { id, args, nsp } => {
            json!({"ack": id, "args": args.iter().map(pattern).collect::<Vec<_>>(), "nsp": nsp})
        }
        Arrives::Json(of) => json!({"json": pattern(of)}),
    };
    joined(joined(json!({"line": of.line}), what), tail(&of.tail))
}

fn outgoing(of: &Outgoing) -> Json {
    match of {
        Outgoing::Packet(text) => json!({"packet": payload(text)}),
        Outgoing::Binary(bytes) => json!({"binary": payload(bytes)}),
        Outgoing::Text(text) => json!({"frame": {"opcode": 1, "payload": payload(text)}}),
        Outgoing::Ping(text) => json!({"frame": {"opcode": 9, "payload": text.as_ref().map(payload)}}),
        Outgoing::Pong(text) => json!({"frame": {"opcode": 10, "payload": text.as_ref().map(payload)}}),
        Outgoing::Close(code, reason) => {
            json!({"frame": {"opcode": 8, "code": code, "payload": reason.as_ref().map(payload)}})
        }
        Outgoing::Frame { fin, rsv, opcode, mask, length, payload: text } => json!({"frame": {
            "fin": fin, "rsv": rsv, "opcode": opcode, "mask": mask, "length": length, "payload": payload(text),
        }}),
        Outgoing::Bytes(bytes) => json!({"bytes": payload(bytes)}),
    }
}

fn incoming(of: &Incoming) -> Json {
    match of {
        Incoming::Packet(text) => json!({"packet": text_pattern(text)}),
        Incoming::Binary(bytes) => json!({"binary": bytes.as_ref().map_or(json!({"$type": "bytes"}), pattern)}),
        Incoming::Text(text) => json!({"text": text_pattern(text)}),
        Incoming::Ping(text) => json!({"ping": text.as_ref().map_or(json!({"$type": "any"}), text_pattern)}),
        Incoming::Pong(text) => json!({"pong": text.as_ref().map_or(json!({"$type": "any"}), text_pattern)}),
        Incoming::Close(codes) => json!({"close": codes}),
        Incoming::End => json!({"end": true}),
        Incoming::Bytes(expression) => json!({"bytesUntil": {"$regex": expression.source}}),
    }
}

fn request(of: &Request) -> Json {
    let body = match &of.body {
        None => Json::Null,
        Some(Body::Json(of)) => json!({"json": value(of)}),
        Some(Body::Text(text)) => json!({"text": payload(text)}),
    };
    json!({
        "method": of.method, "path": payload(&of.path), "on": of.on, "headers": pairs(&of.headers), "anonymous": of.anonymous, "body": body,
    })
}

fn answered(of: &Answered) -> Json {
    let status = of.status.iter().map(|status| match status {
        StatusPattern::Exact(code) => json!(code),
        StatusPattern::Class(digit) => json!(format!("{digit}xx")),
    });
    let headers: Map<String, Json> =
        of.headers.iter().map(|(name, wanted)| (name.clone(), text_pattern(wanted))).collect();
    let body = match &of.body {
        None => Json::Null,
        Some(BodyPattern::Json(of)) => json!({"json": pattern(of)}),
        Some(BodyPattern::Text(of)) => json!({"text": text_pattern(of)}),
    };
    json!({"status": status.collect::<Vec<_>>(), "headers": headers, "body": body})
}
