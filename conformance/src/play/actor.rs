//! An actor while a case is played: its connection, what has arrived, and what may still come.

use std::collections::VecDeque;

use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::{
    got::{Got, What},
    want::{Standing, Want},
};
use crate::{
    case::ConnectOptions,
    datum::Datum,
    dialect::Dialect,
    target::Adapt,
    wire::{Answer, Arrival, Decoder, Link, Raw, Session, SocketPacket},
};

/// Everything seen is kept for `never`, but not without end.
const SEEN_MAX: usize = 20_000;

/// A connection of a user.
pub(super) struct Actor {
    /// `alice`, `alice.2`.
    pub(super) key: String,
    pub(super) user: String,
    /// 1-based.
    pub(super) instance: usize,
    pub(super) line: Line,
    /// There while Socket.IO is spoken.
    pub(super) decoder: Option<Decoder>,
    pub(super) inbox: VecDeque<Got>,
    pub(super) seen: Vec<Got>,
    /// `<?` lines that wait for what comes next.
    pub(super) optional: Vec<Want>,
    pub(super) standing: Standing,
    pub(super) request: Option<JoinHandle<Result<Answer, String>>>,
    /// The answer to `dials`.
    pub(super) dialled: Option<Answer>,
    /// Bytes of a bare connection that no step has taken yet.
    pub(super) bytes: Vec<u8>,
    /// Its end was expected: what still ends is no surplus.
    pub(super) over: bool,
    /// It speaks the dialect, and so the dialect's fence.
    pub(super) speaks: bool,
    /// It has said who it is, where the target verifies nobody.
    pub(super) greeted: bool,
    /// What comes now answers the dialect's fence and is no business of `never` lines.
    pub(super) at_fence: bool,
    /// It was told to stop reading: its stream cannot be judged to the end.
    pub(super) deaf: bool,
    pub(super) last_step: Instant,
    /// When that came which the step under way has taken.
    pub(super) consumed: Option<Instant>,
    pub(super) options: ConnectOptions,
}

/// What connects an actor.
pub(super) enum Line {
    None,
    Session(Box<Session>),
    Bare(Link),
}

impl Actor {
    pub(super) fn new(key: String, user: String) -> Self {
        Self {
            key,
            user,
            instance: 1,
            line: Line::None,
            decoder: None,
            inbox: VecDeque::new(),
            seen: Vec::new(),
            optional: Vec::new(),
            standing: Standing::default(),
            request: None,
            dialled: None,
            bytes: Vec::new(),
            over: false,
            speaks: false,
            greeted: false,
            at_fence: false,
            deaf: false,
            last_step: Instant::now(),
            consumed: None,
            options: ConnectOptions::default(),
        }
    }

    pub(super) fn link(&mut self) -> Option<&mut Link> {
        match &mut self.line {
            Line::None => None,
            Line::Session(session) => Some(&mut session.link),
            Line::Bare(link) => Some(link),
        }
    }

    /// Whether it is connected as the dialect's clients are, as far as is known.
    pub(super) fn is_there(&mut self) -> bool {
        self.speaks && !self.over && self.link().is_some()
    }

    /// Cuts the connection and forgets what was on its way.
    pub(super) fn hang_up(&mut self) {
        self.speaks = false;
        self.line = Line::None;
        self.decoder = None;
        self.inbox.clear();
        self.optional.clear();
        self.bytes.clear();
        if let Some(request) = self.request.take() {
            request.abort();
        }
    }

    /// The next arrival, `None` when none comes in time.
    pub(super) async fn next(&mut self, deadline: Instant, ears: &Ears<'_>) -> Option<Got> {
        if let Some(got) = self.inbox.pop_front() {
            return Some(got);
        }
        loop {
            let link = self.link()?;
            let arrival = match link.arrivals.try_recv() {
                Ok(arrival) => arrival,
                Err(_) => match timeout_at(deadline, link.arrivals.recv()).await {
                    Ok(Some(arrival)) => arrival,
                    Ok(None) => Arrival::now(Raw::End("the connection is gone".to_owned())),
                    Err(_) => return None,
                },
            };
            let ended = matches!(arrival.raw, Raw::End(_));
            if let Some(got) = self.hear(arrival, ears) {
                if ended {
                    self.line = Line::None;
                }
                return Some(got);
            }
        }
    }

    /// What has arrived already.
    pub(super) fn ready(&mut self, ears: &Ears<'_>) -> Option<Got> {
        if let Some(got) = self.inbox.pop_front() {
            return Some(got);
        }
        while let Ok(arrival) = self.link()?.arrivals.try_recv() {
            if let Some(got) = self.hear(arrival, ears) {
                return Some(got);
            }
        }
        None
    }

    /// Whether the end of its connection has arrived, read by a step or not.
    pub(super) fn end_has_come(&mut self, ears: &Ears<'_>) -> bool {
        let mut waiting = Vec::new();
        while let Some(got) = self.ready(ears) {
            waiting.push(got);
        }
        self.inbox.extend(waiting);
        self.over || self.inbox.iter().any(Got::is_last)
    }

    /// Reads an arrival as far as the actor's protocol goes; `None` while parts of it are missing.
    fn hear(&mut self, arrival: Arrival, ears: &Ears<'_>) -> Option<Got> {
        let Arrival { at, raw } = arrival;
        let (packet, decoded) = match (self.decoder.as_mut(), raw) {
            (Some(decoder), Raw::Packet(text)) if text.starts_with('4') => {
                (Some(text.clone()), decoder.text(&text[1..]))
            }
            (Some(_), Raw::Packet(text)) if text == "6" => return None,
            (Some(decoder), Raw::Binary(bytes)) => (None, decoder.binary(bytes)),
            (_, other) => {
                let packet = if let Raw::Packet(text) = &other { Some(text.clone()) } else { None };
                return Some(self.keep(Got { at, what: What::Raw(other), packet }));
            }
        };
        let what = match decoded {
            Ok(None) => return None,
            Ok(Some(socket)) => What::Socket(ears.adapted(socket)),
            Err(what) => What::Raw(Raw::Broken { protocol: "socket-io", what }),
        };
        Some(self.keep(Got { at, what, packet }))
    }

    fn keep(&mut self, got: Got) -> Got {
        if self.seen.len() < SEEN_MAX && !self.at_fence && !self.standing.never.is_empty() {
            self.seen.push(got.clone());
        }
        got
    }
}

/// The field that says what kind of frame a JSON frame is.
const KIND: &str = "type";
/// An Engine.IO message with a Socket.IO EVENT.
const EVENT: &str = "42";

/// How the words of the target become the words of the SPEC, and back.
pub(super) struct Ears<'a> {
    pub(super) adapt: &'a Adapt,
    pub(super) dialect: &'a Dialect,
}

impl Ears<'_> {
    fn adapted(&self, packet: SocketPacket) -> SocketPacket {
        match packet {
            SocketPacket::Event { nsp, name, mut args, ack } => {
                args.iter_mut().for_each(|arg| self.ours(arg));
                let name = reversed(&self.adapt.rename_events, &name).unwrap_or(name);
                let (name, args) = self.adapt.arriving(name, args);
                SocketPacket::Event { nsp, name: self.dialect.canonical_event(&name).to_owned(), args, ack }
            }
            SocketPacket::Ack { nsp, id, mut args } => {
                args.iter_mut().for_each(|arg| self.ours(arg));
                SocketPacket::Ack { nsp, id, args }
            }
            other @ (SocketPacket::Connect { .. }
            | SocketPacket::ConnectError { .. }
            | SocketPacket::Disconnect { .. }) => other,
        }
    }

    /// The target's fields named as the SPEC names them.
    pub(super) fn ours(&self, datum: &mut Datum) {
        if !self.adapt.rename_fields.is_empty() {
            datum.rename_fields(&|theirs| reversed(&self.adapt.rename_fields, theirs));
        }
    }

    /// The SPEC's fields named as the target names them.
    pub(super) fn theirs(&self, datum: &mut Datum) {
        if !self.adapt.rename_fields.is_empty() {
            datum.rename_fields(&|ours| self.adapt.rename_fields.get(ours).cloned());
        }
    }

    /// A JSON frame of the target in the words of the SPEC: its fields, and its `type`, which is the event's name where nothing else is.
    pub(super) fn our_frame(&self, datum: &mut Datum) {
        self.ours(datum);
        rename_kind(datum, &|theirs| reversed(&self.adapt.rename_events, theirs));
    }

    /// A JSON frame of the SPEC in the words of the target.
    pub(super) fn their_frame(&self, datum: &mut Datum) {
        rename_kind(datum, &|ours| self.adapt.rename_events.get(ours).cloned());
        self.theirs(datum);
    }

    /// A packet that a case writes out: an EVENT in the words of the target, anything else as it is.
    pub(super) fn their_packet(&self, packet: String) -> String {
        if self.adapt.is_empty() {
            return packet;
        }
        let Some((head, array)) = packet.strip_prefix(EVENT).and_then(|rest| Some(rest.split_at(rest.find('[')?)))
        else {
            return packet;
        };
        let Ok(serde_json::Value::Array(said)) = serde_json::from_str(array) else { return packet };
        let [serde_json::Value::String(name), args @ ..] = said.as_slice() else { return packet };
        let mut args: Vec<Datum> = args.iter().cloned().map(Datum::from).collect();
        let shaped = self.adapt.leaving(name, &mut args);
        args.iter_mut().for_each(|arg| self.theirs(arg));
        let name = self.their_event(shaped.as_deref().unwrap_or(name)).to_owned();
        let args = args.iter().map(Datum::to_plain_json);
        let event: Vec<serde_json::Value> = std::iter::once(name.into()).chain(args).collect();
        format!("{EVENT}{head}{}", serde_json::Value::from(event))
    }

    pub(super) fn their_event<'e>(&'e self, ours: &'e str) -> &'e str {
        self.adapt.rename_events.get(ours).map_or(ours, String::as_str)
    }

    pub(super) fn their_route(&self, path: String) -> String {
        let renamed = self
            .adapt
            .rename_routes
            .iter()
            .find_map(|(ours, theirs)| path.strip_prefix(ours).map(|rest| format!("{theirs}{rest}")));
        let route = renamed.unwrap_or(path);
        let Some((path, query)) = route.split_once('?') else { return route };
        let names = &self.adapt.rename_fields;
        let theirs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) => format!("{}={value}", names.get(name).map_or(name, String::as_str)),
            None => pair.to_owned(),
        });
        format!("{path}?{}", theirs.collect::<Vec<_>>().join("&"))
    }
}

/// Another name for what kind of frame this is.
fn rename_kind(datum: &mut Datum, rename: &dyn Fn(&str) -> Option<String>) {
    let Datum::Object(fields) = datum else { return };
    for (_, kind) in fields.iter_mut().filter(|(name, _)| name == KIND) {
        if let Some(new) = kind.as_text().and_then(rename) {
            *kind = Datum::Text(new);
        }
    }
}

fn reversed(table: &std::collections::BTreeMap<String, String>, theirs: &str) -> Option<String> {
    table.iter().find(|(_, name)| *name == theirs).map(|(ours, _)| ours.clone())
}
