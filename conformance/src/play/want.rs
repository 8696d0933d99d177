//! What a step wants to see next, as a test over arrivals.

use std::time::Duration;

use super::{
    actor::Ears,
    got::{Got, What},
};
use crate::{
    case::{
        Arrives, Bindings, Expected, Incoming, Path, Pattern, Scope, Tail, TokenCall, eval_template, match_pattern,
        match_text,
    },
    datum::Datum,
    wire::{Raw, SocketPacket},
};

/// Something that a step waits for.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) line: u32,
    /// As the case writes it.
    pub(super) shown: String,
    pub(super) tail: Tail,
    pub(super) kind: Kind,
    /// In which rounds of `repeat` it stands, where it is met in a later one.
    pub(super) rounds: Bindings,
}

/// What it waits for.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Arrival(Arrives),
    /// CONNECT.
    Connected(String),
    Refused(Option<Pattern>),
    Closed(Vec<u16>),
    Disconnected(String),
    Wire(Incoming),
}

/// `never` and `allow` lines: they hold for the whole case.
#[derive(Debug, Default, Clone)]
pub(super) struct Standing {
    pub(super) never: Vec<Want>,
    pub(super) allow: Vec<Want>,
    pub(super) allow_end: bool,
    /// Its end is an answer: what lines still wait for then need not come.
    pub(super) end_instead: bool,
}

/// Why an arrival is not what is wanted; empty when it is something else altogether.
pub(super) type Differs = String;

impl Want {
    pub(super) fn of(expected: &Expected, shown: String) -> Self {
        Self {
            line: expected.line,
            shown,
            tail: expected.tail.clone(),
            kind: Kind::Arrival(expected.what.clone()),
            rounds: Bindings::new(),
        }
    }

    /// Whether this arrival is it.
    pub(super) fn test(&self, got: &Got, names: &dyn Scope, ears: &Ears) -> Result<Bindings, Differs> {
        let names: &dyn Scope = &NamesOfLine { rounds: &self.rounds, each: None, names };
        match &self.kind {
            Kind::Arrival(what) => arrival(what, got, names, ears),
            Kind::Connected(wanted) => match &got.what {
                What::Socket(SocketPacket::Connect { nsp, payload }) if nsp == wanted => {
                    Ok(vec![("CONNECT".to_owned(), payload.clone())])
                }
                What::Socket(_) | What::Raw(_) => Err(String::new()),
            },
            Kind::Refused(pattern) => refused(pattern.as_ref(), got, names),
            Kind::Closed(codes) => closed(codes, got),
            Kind::Disconnected(wanted) => match &got.what {
                What::Socket(SocketPacket::Disconnect { nsp }) if nsp == wanted => Ok(Vec::new()),
                What::Socket(_) | What::Raw(_) if got.is_ending() => Ok(Vec::new()),
                What::Socket(_) | What::Raw(_) => Err(String::new()),
            },
            Kind::Wire(incoming) => wire(incoming, got, names),
        }
    }

    /// Whether this arrival may stand before what is wanted.
    pub(super) fn passes_over(&self, got: &Got) -> bool {
        match &self.kind {
            Kind::Closed(codes) => {
                got.is_disconnect()
                    || (!codes.is_empty() && matches!(&got.what, What::Raw(Raw::Packet(p)) if p.starts_with('1')))
            }
            Kind::Wire(Incoming::End) => {
                got.is_disconnect() || (got.is_ending() && !matches!(got.what, What::Raw(Raw::End(_))))
            }
            Kind::Arrival(_) | Kind::Connected(_) | Kind::Refused(_) | Kind::Disconnected(_) | Kind::Wire(_) => false,
        }
    }

    /// Whether it has come to pass when there is no connection any more.
    pub(super) fn is_met_by_absence(&self) -> bool {
        match &self.kind {
            Kind::Closed(codes) => codes.is_empty(),
            Kind::Wire(Incoming::End) | Kind::Disconnected(_) => true,
            Kind::Arrival(_) | Kind::Connected(_) | Kind::Refused(_) | Kind::Wire(_) => false,
        }
    }

    /// Whether the actor's connection is meant to be over once it has come.
    pub(super) fn ends(&self, got: &Got) -> bool {
        match &self.kind {
            Kind::Closed(_) | Kind::Refused(_) | Kind::Wire(Incoming::End | Incoming::Close(_)) => true,
            Kind::Disconnected(_) | Kind::Arrival(_) | Kind::Connected(_) | Kind::Wire(_) => {
                got.is_ending() || got.is_disconnect()
            }
        }
    }
}

impl Standing {
    /// The `never` line of this actor that an arrival breaks.
    pub(super) fn forbids(&self, actor: &str, got: &Got, names: &dyn Scope, ears: &Ears) -> Option<&Want> {
        let names = NamesOfLine { rounds: &Bindings::new(), each: Some(actor), names };
        self.never.iter().find(|want| want.test(got, &names, ears).is_ok())
    }

    /// Whether an `allow` line of this actor lets an arrival come at any time.
    pub(super) fn allows(&self, actor: &str, got: &Got, names: &dyn Scope, ears: &Ears) -> bool {
        let names = NamesOfLine { rounds: &Bindings::new(), each: Some(actor), names };
        self.allow.iter().any(|want| want.test(got, &names, ears).is_ok())
    }
}

/// The names of a case as a line sees them: in certain rounds of `repeat`, or standing for `each` of several actors.
struct NamesOfLine<'n> {
    rounds: &'n Bindings,
    each: Option<&'n str>,
    names: &'n dyn Scope,
}

impl Scope for NamesOfLine<'_> {
    fn lookup(&self, path: &Path) -> Option<Datum> {
        if let (Some(actor), [first, fields @ ..]) = (self.each, path.0.as_slice())
            && first == "each"
        {
            let of_actor = actor.split('.').map(str::to_owned).chain(fields.iter().cloned());
            return self.names.lookup(&Path(of_actor.collect()));
        }
        let round = self.rounds.iter().rev().find(|(name, _)| matches!(path.0.as_slice(), [only] if only == name));
        round.map_or_else(|| self.names.lookup(path), |(_, number)| Some(number.clone()))
    }

    fn clock(&self, name: &str) -> Option<Duration> {
        self.names.clock(name)
    }

    fn token(&self, call: &TokenCall) -> Result<String, String> {
        self.names.token(call)
    }

    fn fresh(&self, inside: Option<&str>) -> String {
        self.names.fresh(inside)
    }

    fn now_ms(&self) -> u64 {
        self.names.now_ms()
    }
}

fn arrival(what: &Arrives, got: &Got, names: &dyn Scope, ears: &Ears) -> Result<Bindings, Differs> {
    match (what, &got.what) {
        (
            Arrives::Event { names: wanted, args, ack, nsp },
            What::Socket(SocketPacket::Event { nsp: there, name, args: given, ack: asked }),
        ) => {
            if nsp.as_deref().unwrap_or("/") != there || !is_named(wanted, name, names)? {
                return Err(String::new());
            }
            let mut bound = arguments(args, given, names)?;
            match (ack, asked) {
                (Some(capture), Some(id)) => bound.push((capture.clone(), Datum::Number((*id).into()))),
                (Some(_), None) => return Err("it asks for no acknowledgement".to_owned()),
                (None, _) => {}
            }
            Ok(bound)
        }
        (Arrives::Ack { id, args, nsp }, What::Socket(SocketPacket::Ack { nsp: there, id: given_id, args: given })) => {
            if nsp.as_deref().unwrap_or("/") != there || id != given_id {
                return Err(String::new());
            }
            arguments(args, given, names)
        }
        (Arrives::Json(pattern), What::Raw(Raw::Text(text))) => {
            let json: serde_json::Value = serde_json::from_str(text).map_err(|e| format!("it is no JSON: {e}"))?;
            let mut datum = Datum::from(json);
            ears.our_frame(&mut datum);
            let mut bound = Vec::new();
            match_pattern(pattern, &datum, names, &mut bound).map_err(|m| m.to_string())?;
            Ok(bound)
        }
        (Arrives::Event { .. } | Arrives::Ack { .. } | Arrives::Json(_), What::Socket(_) | What::Raw(_)) => {
            Err(String::new())
        }
    }
}

fn is_named(wanted: &[crate::case::Template], name: &str, names: &dyn Scope) -> Result<bool, Differs> {
    if wanted.is_empty() {
        return Ok(true);
    }
    for template in wanted {
        if eval_template(template, names)? == name {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first arguments match; further ones are free, as objects are open.
fn arguments(patterns: &[Pattern], given: &[Datum], names: &dyn Scope) -> Result<Bindings, Differs> {
    let mut bound = Vec::new();
    for (i, pattern) in patterns.iter().enumerate() {
        let which = if patterns.len() == 1 { String::new() } else { format!("argument {}", i + 1) };
        let Some(datum) = given.get(i) else {
            return Err(format!("expected {pattern} as argument {}, got {} arguments", i + 1, given.len()));
        };
        match_pattern(pattern, datum, names, &mut bound).map_err(|m| format!("{which}{m}"))?;
    }
    Ok(bound)
}

fn refused(pattern: Option<&Pattern>, got: &Got, names: &dyn Scope) -> Result<Bindings, Differs> {
    match (&got.what, pattern) {
        (What::Socket(SocketPacket::ConnectError { payload, .. }), Some(pattern)) => {
            let mut bound = Vec::new();
            match_pattern(pattern, payload, names, &mut bound).map_err(|m| m.to_string())?;
            Ok(bound)
        }
        (What::Socket(SocketPacket::ConnectError { .. }), None) | (What::Raw(Raw::Refused(_)), _) => Ok(Vec::new()),
        // Without a pattern it is enough that nobody is let in, and that this is over.
        (What::Raw(_), None) if got.is_ending() => Ok(Vec::new()),
        (What::Socket(_) | What::Raw(_), _) => Err(String::new()),
    }
}

fn closed(codes: &[u16], got: &Got) -> Result<Bindings, Differs> {
    match &got.what {
        What::Raw(Raw::Close(code, _)) if !codes.is_empty() => {
            if code.is_some_and(|code| codes.contains(&code)) {
                Ok(Vec::new())
            } else {
                Err("another close code".to_owned())
            }
        }
        What::Raw(_) if codes.is_empty() && got.is_ending() => Ok(Vec::new()),
        What::Raw(Raw::End(_)) => Err("the connection ended without a close frame".to_owned()),
        What::Raw(_) | What::Socket(_) => Err(String::new()),
    }
}

fn wire(incoming: &Incoming, got: &Got, names: &dyn Scope) -> Result<Bindings, Differs> {
    let mut bound = Vec::new();
    let text =
        |pattern, text: &str, bound: &mut Bindings| match_text(pattern, text, names, bound).map_err(|m| m.to_string());
    match (incoming, &got.what) {
        (Incoming::Packet(pattern), _) if got.packet.is_some() => {
            text(pattern, got.packet.as_deref().unwrap_or_default(), &mut bound)?
        }
        (Incoming::Text(pattern), What::Raw(Raw::Text(given) | Raw::Packet(given))) => {
            text(pattern, given, &mut bound)?
        }
        (Incoming::Binary(pattern), What::Raw(Raw::Binary(bytes))) => {
            if let Some(pattern) = pattern {
                match_pattern(pattern, &Datum::Bytes(bytes.clone()), names, &mut bound).map_err(|m| m.to_string())?;
            }
        }
        (Incoming::Ping(pattern), What::Raw(Raw::Ping(payload)))
        | (Incoming::Pong(pattern), What::Raw(Raw::Pong(payload))) => {
            if let Some(pattern) = pattern {
                text(pattern, &String::from_utf8_lossy(payload), &mut bound)?;
            }
        }
        (Incoming::Close(codes), What::Raw(Raw::Close(code, _))) => {
            if !codes.is_empty() && !code.is_some_and(|code| codes.contains(&code)) {
                return Err("another close code".to_owned());
            }
        }
        (Incoming::End, What::Raw(Raw::End(_))) => {}
        _ => return Err(String::new()),
    }
    Ok(bound)
}
