//! Prints a case back in the language it was read from, comments aside.

use std::fmt::{self, Display, Formatter};

use super::{
    act::{
        Act, Answered, Arrives, Body, BodyPattern, ExpectMode, Expected, Incoming, Outgoing, Request, StatusPattern,
        Tail,
    },
    ast::{ActorName, Asked, Case, ConnectOptions, Own, Step, StepAct, Transport, WorldVerb},
    parse_options::TRANSPORTS,
    parse_world::VERBS,
    print_value::{Quoted, joined},
    value::{Call, Pattern, Payload, Template, Value},
};

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.title)?;
        let clauses: Vec<&str> = self.clauses.iter().map(|c| c.0.as_str()).collect();
        writeln!(f, "clause {}", clauses.join(" "))?;
        if !self.needs.is_empty() {
            writeln!(f, "needs {}", self.needs.join(" "))?;
        }
        if let Some(within) = &self.within {
            writeln!(f, "within {within}")?;
        }
        if self.manual_pings {
            writeln!(f, "manual pings")?;
        }
        for (name, value) in &self.lets {
            writeln!(f, "let ${name} = {value}")?;
        }
        if let Some(own) = &self.own {
            writeln!(f, "{own}")?;
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl Display for Own {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("own instance")?;
        maybe(f, " ", self.may_fail.then_some("may fail").as_ref())?;
        let variables = |f: &mut Formatter<'_>, word: &str, all: &[(String, Payload)]| {
            all.iter().try_for_each(|(name, text)| write!(f, "\n{word} {name}={text}"))
        };
        variables(f, "with", &self.with)?;
        self.without.iter().try_for_each(|name| write!(f, "\nwithout {name}"))?;
        variables(f, "dotenv", &self.dotenv)
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.act)
    }
}

impl Display for StepAct {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Use { actors, preamble, options } => {
                f.write_str("use ")?;
                joined(f, actors)?;
                if let Some((name, args)) = preamble {
                    write!(f, " {name}")?;
                    args.iter().try_for_each(|arg| write!(f, " {arg}"))?;
                }
                write!(f, "{options}")
            }
            Self::Actor { actor, does: Act::Expects { mode, group } } => expects(f, actor, *mode, group),
            Self::Actor { actor, does } => write!(f, "{actor} {does}"),
            Self::Wait(span) => write!(f, "wait {span}"),
            Self::Repeat { name, from, to, steps } => {
                writeln!(f, "repeat ${name} {from}..{to}")?;
                block(f, steps)
            }
            Self::Retry { within, steps } => {
                writeln!(f, "retry within {within}")?;
                block(f, steps)
            }
            Self::Auth { status, user, delay, actor } => {
                write!(f, "auth answers {status}")?;
                maybe(f, " user=", user.as_ref())?;
                maybe(f, " delay=", delay.as_ref())?;
                maybe(f, " for=", actor.as_ref())
            }
            Self::Target { verb, instance, code, tail } => {
                write!(f, "target {verb} {instance}")?;
                maybe(f, " code=", code.as_ref())?;
                write!(f, "{tail}")
            }
            Self::Backend { name, verb } => write!(f, "backend {name} {verb}"),
            Self::Asks { asked: Asked::Backend { name, question }, says, tail } => {
                write!(f, "backend {name} asked {question} says {says}{tail}")
            }
            Self::Listens { backend, channel } => write!(f, "backend {backend} listens {channel}"),
            Self::Asks { asked: Asked::Heard { backend }, says, tail } => {
                write!(f, "backend {backend} heard {says}{tail}")
            }
            Self::Asks { asked: Asked::Log, says, tail } => write!(f, "target logged {says}{tail}"),
            Self::Asks { asked: Asked::Ear, says, tail } => write!(f, "ear heard {says}{tail}"),
        }
    }
}

/// The steps of a block, indented, and its `end`.
fn block(f: &mut Formatter<'_>, steps: &[Step]) -> fmt::Result {
    for step in steps {
        step.to_string().lines().try_for_each(|line| writeln!(f, "  {line}"))?;
    }
    f.write_str("end")
}

fn expects(f: &mut Formatter<'_>, actor: &ActorName, mode: ExpectMode, group: &[Expected]) -> fmt::Result {
    let sign = match mode {
        ExpectMode::Next => "<",
        ExpectMode::Optional => "<?",
        ExpectMode::Skipping => "<*",
    };
    for (i, expected) in group.iter().enumerate() {
        if i == 0 {
            write!(f, "{actor} {sign} {expected}")?;
        } else {
            write!(f, "\n{actor} & {expected}")?;
        }
    }
    Ok(())
}

fn maybe<T: Display>(f: &mut Formatter<'_>, before: &str, what: Option<&T>) -> fmt::Result {
    what.map_or(Ok(()), |what| write!(f, "{before}{what}"))
}

impl Display for WorldVerb {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(VERBS.iter().find(|(_, verb)| verb == self).map_or("", |(word, _)| word))
    }
}

impl Display for Transport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(TRANSPORTS.iter().find(|(_, t)| t == self).map_or("", |(word, _)| word))
    }
}

impl Display for ActorName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())?;
        maybe(f, "@", self.instance.as_ref())
    }
}

impl Display for ConnectOptions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        maybe(f, " auth=", self.auth.as_ref())?;
        maybe(f, " nsp=", self.nsp.as_ref())?;
        maybe(f, " transport=", self.transport.as_ref())?;
        maybe(f, " path=", self.path.as_ref())?;
        maybe(f, " on=", self.on.as_ref())?;
        maybe(f, " window=", self.window.as_ref())?;
        named(f, "header", &self.headers)?;
        named(f, "query", &self.query)
    }
}

fn named(f: &mut Formatter<'_>, kind: &str, all: &[(String, Payload)]) -> fmt::Result {
    all.iter().try_for_each(|(name, text)| write!(f, " {kind}.{name}={text}"))
}

impl Display for Act {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connects(options, tail) => write!(f, "connects{options}{tail}"),
            Self::Tries(options) => write!(f, "tries{options}"),
            Self::Opens(options, tail) => write!(f, "opens{options}{tail}"),
            Self::Refused(pattern, tail) => {
                f.write_str("refused")?;
                maybe(f, " ", pattern.as_ref())?;
                write!(f, "{tail}")
            }
            Self::Emits { event, args, ack, nsp } => {
                write!(f, "> {}", EventName(event))?;
                args.iter().try_for_each(|arg| write!(f, " {arg}"))?;
                maybe(f, " ack=", ack.as_ref())?;
                maybe(f, " nsp=", nsp.as_ref())
            }
            Self::Acknowledges { name, args, nsp } => {
                write!(f, "> ack=${name}")?;
                args.iter().try_for_each(|arg| write!(f, " {arg}"))?;
                maybe(f, " nsp=", nsp.as_ref())
            }
            Self::SendsJson(value) => write!(f, "> {value}"),
            Self::Expects { mode: _, group } => group.iter().try_for_each(|one| write!(f, "< {one}")),
            Self::Never(expected) => write!(f, "never {expected}"),
            Self::Allows(expected) => write!(f, "allow {expected}"),
            Self::AllowsEnd { instead } => {
                f.write_str(if *instead { "allow disconnected instead" } else { "allow disconnected" })
            }
            Self::Quiet(span, tail) => write!(f, "quiet {span}{tail}"),
            Self::Leaves(nsp) => {
                f.write_str("leaves")?;
                maybe(f, " nsp=", nsp.as_ref())
            }
            Self::Disconnected(nsp, tail) => {
                f.write_str("disconnected")?;
                maybe(f, " nsp=", nsp.as_ref())?;
                write!(f, "{tail}")
            }
            Self::Upgrades(tail) => write!(f, "upgrades{tail}"),
            Self::Closed(codes, tail) => write!(f, "closed{}{tail}", Codes(codes)),
            Self::Sends(outgoing) => write!(f, "sends {outgoing}"),
            Self::Gets(incoming, tail) => write!(f, "gets {incoming}{tail}"),
            Self::Requests(request) => write!(f, "requests {request}"),
            Self::Answered(answered, tail) => write!(f, "answered {answered}{tail}"),
            Self::Dials { path, on, headers, window } => {
                f.write_str("dials ")?;
                match path {
                    Some(path) => write!(f, "{path}")?,
                    None => f.write_str("tcp")?,
                }
                maybe(f, " on=", on.as_ref())?;
                maybe(f, " window=", window.as_ref())?;
                named(f, "header", headers)
            }
            Self::Drops => f.write_str("drops"),
            Self::StopsReading => f.write_str("stops reading"),
            Self::ResumesReading => f.write_str("resumes reading"),
            Self::Returns(tail) => write!(f, "returns{tail}"),
            Self::Serves(serve) => write!(f, "{serve}"),
        }
    }
}

/// Bare where the grammar can read it bare.
struct EventName<'a>(&'a Template);

impl Display for EventName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.as_literal() {
            Some(name)
                if name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:.-".contains(c)) =>
            {
                f.write_str(name)
            }
            Some(_) | None => write!(f, "{}", Quoted(self.0)),
        }
    }
}

struct Codes<'a>(&'a [u16]);

impl Display for Codes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, code)| write!(f, "{}{code}", if i == 0 { ' ' } else { '|' }))
    }
}

impl Display for Expected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.what, self.tail)
    }
}

impl Display for Arrives {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { names, args, ack, nsp } => {
                if names.is_empty() {
                    f.write_str("*")?;
                }
                names
                    .iter()
                    .enumerate()
                    .try_for_each(|(i, n)| write!(f, "{}{}", if i == 0 { "" } else { "|" }, EventName(n)))?;
                args.iter().try_for_each(|arg| write!(f, " {arg}"))?;
                maybe(f, " ack=$", ack.as_ref())?;
                maybe(f, " nsp=", nsp.as_ref())
            }
            Self::Ack { id, args, nsp } => {
                write!(f, "ack={id}")?;
                args.iter().try_for_each(|arg| write!(f, " {arg}"))?;
                maybe(f, " nsp=", nsp.as_ref())
            }
            Self::Json(pattern) => write!(f, "{pattern}"),
        }
    }
}

impl Display for Tail {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        maybe(f, " within ", self.within.as_ref())?;
        maybe(f, " after ", self.after.as_ref())?;
        self.clause.as_ref().map_or(Ok(()), |clause| write!(f, " §{}", clause.0))
    }
}

impl Display for Outgoing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(payload) => write!(f, "packet {payload}"),
            Self::Binary(Payload::Value(Value::Call(Call::Hex(digits)))) => write!(f, "binary {digits}"),
            Self::Binary(payload) => write!(f, "binary {payload}"),
            Self::Text(payload) => write!(f, "text {payload}"),
            Self::Ping(payload) => {
                f.write_str("ping")?;
                maybe(f, " ", payload.as_ref())
            }
            Self::Pong(payload) => {
                f.write_str("pong")?;
                maybe(f, " ", payload.as_ref())
            }
            Self::Close(code, text) => {
                f.write_str("close")?;
                maybe(f, " ", code.as_ref())?;
                maybe(f, " ", text.as_ref())
            }
            Self::Frame { fin, rsv, opcode, mask, length, payload } => {
                f.write_str("frame")?;
                maybe(f, " ", (!fin).then_some("fin=0").as_ref())?;
                maybe(f, " rsv=", (*rsv != 0).then_some(rsv))?;
                maybe(f, " opcode=", opcode.as_ref())?;
                maybe(f, " ", (!mask).then_some("mask=0").as_ref())?;
                maybe(f, " length=", length.as_ref())?;
                write!(f, " {payload}")
            }
            Self::Bytes(payload) => write!(f, "bytes {payload}"),
        }
    }
}

impl Display for Incoming {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(pattern) => write!(f, "packet {pattern}"),
            Self::Binary(Some(Pattern::Value(Value::Call(Call::Hex(digits))))) => write!(f, "binary {digits}"),
            Self::Binary(pattern) => {
                f.write_str("binary")?;
                maybe(f, " ", pattern.as_ref())
            }
            Self::Text(pattern) => write!(f, "text {pattern}"),
            Self::Ping(pattern) => {
                f.write_str("ping")?;
                maybe(f, " ", pattern.as_ref())
            }
            Self::Pong(pattern) => {
                f.write_str("pong")?;
                maybe(f, " ", pattern.as_ref())
            }
            Self::Close(codes) => write!(f, "close{}", Codes(codes)),
            Self::End => f.write_str("end"),
            Self::Bytes(expression) => write!(f, "bytes {expression}"),
        }
    }
}

impl Display for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        maybe(f, " on=", self.on.as_ref())?;
        named(f, "header", &self.headers)?;
        if self.anonymous {
            f.write_str(" anonymous")?;
        }
        match &self.body {
            Some(Body::Json(value)) => write!(f, " body={value}"),
            Some(Body::Text(text)) => write!(f, " text={text}"),
            None => Ok(()),
        }
    }
}

impl Display for Answered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, status) in self.status.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "|" })?;
            match status {
                StatusPattern::Exact(code) => write!(f, "{code}")?,
                StatusPattern::Class(digit) => write!(f, "{digit}xx")?,
            }
        }
        self.headers.iter().try_for_each(|(name, pattern)| write!(f, " header.{name}={pattern}"))?;
        match &self.body {
            Some(BodyPattern::Json(pattern)) => write!(f, " {pattern}"),
            Some(BodyPattern::Text(pattern)) => write!(f, " text={pattern}"),
            None => Ok(()),
        }
    }
}
