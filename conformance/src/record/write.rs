//! Makes the lines of a case of what has passed: a name for each session, a line for each thing that was said.

use std::collections::{BTreeMap, btree_map::Entry};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    tap::{Heard, What},
    words::Words,
};
use crate::{
    datum::hex,
    dialect::{Carrier, Dialect},
    wrong::Transport,
};

/// Names for users in the order in which they come; more are numbered.
const USERS: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

/// The text of the case.
pub(super) fn case(heard: &[Heard], dialect: &Dialect, title: &str, clause: &str) -> String {
    let said = said(heard, dialect.carrier);
    let mut writer =
        Writer { words: Words::default(), actors: actors(heard, &said), lines: Vec::new(), left: BTreeMap::new() };
    writer.meet(&said);
    let values = said.iter().flat_map(|one| one.kind.values().into_iter().map(|value| (one.to_server, value)));
    writer.words.foresee(values);
    for (i, one) in said.iter().enumerate() {
        writer.line(one, &said[i + 1..]);
    }
    let mut text = format!(
        "# {title}\n# Recorded: the clause, and what is a matter of chance, are yours to correct.\nclause {clause}\n"
    );
    for name in &writer.words.fresh {
        text.push_str(&format!("let ${name} = fresh()\n"));
    }
    writer.lines.iter().for_each(|line| {
        text.push_str(line);
        text.push('\n');
    });
    text
}

/// One thing that was said, put together from its packets.
struct Said {
    session: usize,
    to_server: bool,
    kind: SaidKind,
    attachments: Vec<String>,
}

enum SaidKind {
    Connect { nsp: String, payload: Option<Value>, over: Way },
    Refused { nsp: String, payload: Value },
    Connected { nsp: String, payload: Value },
    Event { nsp: String, ack: Option<u64>, args: Vec<Value> },
    Ack { nsp: String, id: u64, args: Vec<Value> },
    Leave { nsp: String },
    Json(Value),
    End,
}

/// How the session was carried when it connected, and whether it moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Websocket,
    Polling,
    Upgrade,
}

impl SaidKind {
    fn values(&self) -> Vec<&Value> {
        match self {
            Self::Event { args, .. } | Self::Ack { args, .. } => args.iter().collect(),
            Self::Json(value) => vec![value],
            Self::Connect { .. } | Self::Refused { .. } | Self::Connected { .. } | Self::Leave { .. } | Self::End => {
                Vec::new()
            }
        }
    }
}

/// Reads the packets; what only keeps a session alive says nothing.
fn said(heard: &[Heard], carrier: Carrier) -> Vec<Said> {
    let mut all: Vec<Said> = Vec::new();
    // What waits for attachments, by session and direction: where it stands, and how many are missing.
    let mut open: BTreeMap<(usize, bool), (usize, usize)> = BTreeMap::new();
    let moved = |session: usize| {
        heard.iter().any(|one| {
            one.session == session
                && matches!(&one.what, What::Packet { over: Transport::Websocket, packet, .. } if packet == "5")
        })
    };
    for one in heard {
        let session = one.session;
        let (to_server, over, packet) = match &one.what {
            What::End => {
                all.push(Said { session, to_server: true, kind: SaidKind::End, attachments: Vec::new() });
                continue;
            }
            What::Packet { to_server, over, packet } => (*to_server, *over, packet.as_str()),
        };
        if carrier == Carrier::WebSocket {
            if let Ok(value) = serde_json::from_str(packet) {
                all.push(Said { session, to_server, kind: SaidKind::Json(value), attachments: Vec::new() });
            }
            continue;
        }
        if let Some(data) = packet.strip_prefix('b') {
            let bytes = STANDARD.decode(data).unwrap_or_default();
            if let Some((at, missing)) = open.get_mut(&(session, to_server)).filter(|(_, missing)| *missing > 0) {
                all[*at].attachments.push(hex(&bytes));
                *missing -= 1;
            }
            continue;
        }
        let way = match over {
            Transport::Websocket => Way::Websocket,
            Transport::Polling if moved(session) => Way::Upgrade,
            Transport::Polling => Way::Polling,
        };
        if let Some((kind, count)) = packet.strip_prefix('4').and_then(|message| read(message, to_server, way)) {
            open.insert((session, to_server), (all.len(), count));
            all.push(Said { session, to_server, kind, attachments: Vec::new() });
        }
    }
    all
}

/// A packet of Socket.IO, and how many attachments follow.
fn read(message: &str, to_server: bool, over: Way) -> Option<(SaidKind, usize)> {
    let (kind, rest) = message.split_at_checked(1)?;
    let (count, rest) = match (kind, rest.split_once('-')) {
        ("5" | "6", Some((count, rest))) => (count.parse().ok()?, rest),
        (_, _) => (0, rest),
    };
    let (nsp, rest) = if rest.starts_with('/') {
        let (nsp, rest) = rest.split_once(',').unwrap_or((rest, ""));
        (nsp.split('?').next().unwrap_or(nsp).to_owned(), rest)
    } else {
        ("/".to_owned(), rest)
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (id, json) = rest.split_at(digits);
    let id = id.parse().ok();
    let value = || serde_json::from_str::<Value>(json).ok();
    let args = || match value() {
        Some(Value::Array(args)) => Some(args),
        Some(_) | None => None,
    };
    let kind = match kind {
        "0" if to_server => SaidKind::Connect { nsp, payload: value(), over },
        "0" => SaidKind::Connected { nsp, payload: value()? },
        "1" => SaidKind::Leave { nsp },
        "2" | "5" => SaidKind::Event { nsp, ack: id, args: args()? },
        "3" | "6" => SaidKind::Ack { nsp, id: id?, args: args()? },
        "4" => SaidKind::Refused { nsp, payload: value().unwrap_or(Value::Null) },
        _ => return None,
    };
    Some((kind, count))
}

/// The token in the payload of CONNECT.
fn token(payload: Option<&Value>) -> Option<&str> {
    payload?.get("token")?.as_str()
}

/// A name for each session: the same user again is `alice.2`.
fn actors(heard: &[Heard], said: &[Said]) -> BTreeMap<usize, String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut devices: BTreeMap<usize, usize> = BTreeMap::new();
    let mut actors = BTreeMap::new();
    for session in heard.iter().map(|one| one.session) {
        if actors.contains_key(&session) {
            continue;
        }
        let shown = said.iter().filter(|one| one.session == session).find_map(|one| {
            if let SaidKind::Connect { payload, .. } = &one.kind { token(payload.as_ref()) } else { None }
        });
        let identity = shown.map_or_else(|| format!("session {session}"), identity);
        let user = tokens.iter().position(|known| *known == identity).unwrap_or_else(|| {
            tokens.push(identity);
            tokens.len() - 1
        });
        let device = devices.entry(user).and_modify(|count| *count += 1).or_insert(1);
        let name = USERS.get(user).map_or_else(|| format!("user{}", user + 1), |name| (*name).to_owned());
        actors.insert(session, if *device == 1 { name } else { format!("{name}.{device}") });
    }
    actors
}

/// Who shows a token: tokens of one user differ in their times.
fn identity(token: &str) -> String {
    Words::default().meet("x", token).unwrap_or_else(|| token.to_owned())
}

struct Writer {
    words: Words,
    actors: BTreeMap<usize, String>,
    lines: Vec<String>,
    /// Sessions that have taken their leave.
    left: BTreeMap<usize, bool>,
}

impl Writer {
    /// Who the users are, from the tokens that they show.
    fn meet(&mut self, said: &[Said]) {
        for one in said {
            match &one.kind {
                SaidKind::Connect { payload, .. } => {
                    let user = self.actors[&one.session].split('.').next().unwrap_or_default().to_owned();
                    if let Some(token) = token(payload.as_ref()) {
                        self.words.meet(&user, token);
                    }
                }
                SaidKind::Connected { payload, .. } => {
                    if let Some(sid) = payload.get("sid").and_then(Value::as_str) {
                        self.words.name(sid, &format!("{}.socket", self.actors[&one.session]));
                    }
                }
                SaidKind::Refused { .. }
                | SaidKind::Event { .. }
                | SaidKind::Ack { .. }
                | SaidKind::Leave { .. }
                | SaidKind::Json(_)
                | SaidKind::End => {}
            }
        }
    }

    fn line(&mut self, one: &Said, after: &[Said]) {
        let actor = self.actors[&one.session].clone();
        let line = match &one.kind {
            SaidKind::Connect { nsp, payload, over } => {
                Some(self.connects(&actor, one.session, (nsp, payload.as_ref(), *over), after))
            }
            SaidKind::Connected { .. } => None,
            SaidKind::Refused { payload, .. } => Some(format!("{actor} refused {}", self.words.pattern(payload, &[]))),
            SaidKind::Event { nsp, ack, args } => self.event(&actor, one, (nsp, *ack, args)),
            SaidKind::Ack { nsp, id, args } => {
                let said =
                    if one.to_server { format!("{actor} > ack=$ack{id}") } else { format!("{actor} < ack={id}") };
                Some(format!("{said}{}{}", self.arguments(args, one), elsewhere(nsp)))
            }
            SaidKind::Leave { nsp } => {
                self.left.insert(one.session, true);
                Some(format!("{actor} {}{}", if one.to_server { "leaves" } else { "disconnected" }, elsewhere(nsp)))
            }
            SaidKind::Json(value) => {
                if let Entry::Vacant(unseen) = self.left.entry(one.session) {
                    unseen.insert(false);
                    self.lines.push(format!("{actor} connects"));
                }
                Some(if one.to_server {
                    format!("{actor} > {}", self.words.value(value, &[]))
                } else {
                    format!("{actor} < {}", self.words.pattern(value, &[]))
                })
            }
            // That a connection ends matters to those who go on.
            SaidKind::End => {
                let goes_on =
                    after.iter().any(|later| later.session != one.session && !matches!(later.kind, SaidKind::End));
                (goes_on && self.left.get(&one.session) != Some(&true)).then(|| format!("{actor} drops"))
            }
        };
        self.lines.extend(line);
    }

    fn connects(
        &self,
        actor: &str,
        session: usize,
        (nsp, payload, over): (&str, Option<&Value>, Way),
        after: &[Said],
    ) -> String {
        let answer = after.iter().find(|later| {
            later.session == session
                && matches!(&later.kind, SaidKind::Connected { nsp: there, .. } | SaidKind::Refused { nsp: there, .. } if there == nsp)
        });
        let refused = answer.is_some_and(|answer| matches!(answer.kind, SaidKind::Refused { .. }));
        let way = match over {
            Way::Websocket => "",
            Way::Polling => " transport=polling",
            Way::Upgrade => " transport=upgrade",
        };
        // A token that can be read is the actor's own; anything else is said as it is.
        let own = token(payload).is_some_and(|shown| self.words.value(&Value::from(shown), &[]).starts_with('$'));
        let auth = match payload {
            _ if own => String::new(),
            None => " auth=null".to_owned(),
            Some(payload) => format!(" auth={}", self.words.value(payload, &[])),
        };
        format!("{actor} {}{way}{auth}{}", if refused { "tries" } else { "connects" }, elsewhere(nsp))
    }

    fn event(&mut self, actor: &str, one: &Said, (nsp, ack, args): (&str, Option<u64>, &[Value])) -> Option<String> {
        let (name, args) = args.split_first()?;
        let name = match name.as_str() {
            Some(plain) if is_plain(plain) => plain.to_owned(),
            Some(_) | None => name.to_string(),
        };
        let ack = match (ack, one.to_server) {
            (None, _) => String::new(),
            (Some(id), true) => format!(" ack={id}"),
            (Some(id), false) => format!(" ack=$ack{id}"),
        };
        let arrow = if one.to_server { '>' } else { '<' };
        Some(format!("{actor} {arrow} {name}{}{ack}{}", self.arguments(args, one), elsewhere(nsp)))
    }

    fn arguments(&mut self, args: &[Value], one: &Said) -> String {
        let mut shown = String::new();
        for arg in args {
            shown.push(' ');
            shown.push_str(&if one.to_server {
                self.words.value(arg, &one.attachments)
            } else {
                self.words.pattern(arg, &one.attachments)
            });
        }
        shown
    }
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:.-".contains(c))
}

fn elsewhere(nsp: &str) -> String {
    if nsp == "/" { String::new() } else { format!(" nsp={nsp}") }
}
