//! The rules of the wire-rewriting proxy, as types: what a rule looks at, and what it does. Pure.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use regex::Regex;
use serde::Deserialize;

use crate::target::parse_duration;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// What it looks at.
    pub subject: Subject,
    /// What it looks for.
    pub pattern: Regex,
    /// Which way that goes.
    pub direction: Direction,
    /// Over which transport; `None`: any.
    pub over: Option<Transport>,
    /// Which of the matches it means.
    pub which: Which,
    /// What it does.
    pub act: Act,
    /// How often it did.
    hits: AtomicU64,
}

impl Clone for Rule {
    /// A clone has not been used yet.
    fn clone(&self) -> Self {
        Self {
            subject: self.subject,
            pattern: self.pattern.clone(),
            direction: self.direction,
            over: self.over,
            which: self.which,
            act: self.act.clone(),
            hits: AtomicU64::new(0),
        }
    }
}

impl Rule {
    /// Notes that it was applied.
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was applied.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An Engine.IO packet.
    Packet,
    /// An HTTP exchange.
    Http,
    /// A WebSocket control frame.
    Frame,
}

/// Which way something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the server.
    Client,
    /// From the client.
    Server,
}

/// How a packet travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// WebSocket.
    Websocket,
    /// HTTP long-polling.
    Polling,
}

/// Which matches a rule means; counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Each of them.
    All,
    /// From the first to the second number.
    Range(u64, u64),
    /// Every n-th.
    Every(u64),
}

impl Which {
    /// Whether the n-th match is meant.
    #[must_use]
    pub fn means(self, n: u64) -> bool {
        match self {
            Self::All => true,
            Self::Range(first, last) => (first..=last).contains(&n),
            Self::Every(step) => n.is_multiple_of(step),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let advice = || {
                format!(
                    "`which = \"{text}\"` counts nothing; write \"all\", \"2\", \"2..\", \"..2\" or \"/3\", from 1 on"
                )
            };
            text.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(advice)
        };
        match (text, text.strip_prefix('/'), text.split_once("..")) {
            ("all", _, _) => Ok(Self::All),
            (_, Some(step), _) => number(step).map(Self::Every),
            (_, None, Some(("", last))) => Ok(Self::Range(1, number(last)?)),
            (_, None, Some((first, ""))) => Ok(Self::Range(number(first)?, u64::MAX)),
            (_, None, Some((first, last))) => Ok(Self::Range(number(first)?, number(last)?)),
            (one, None, None) => number(one).map(|n| Self::Range(n, n)),
        }
    }
}

/// The part of an HTTP exchange that is rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The body.
    Body,
    /// `METHOD /path?query` of a request, the status of an answer.
    Line,
    /// A header.
    Header(String),
}

/// What a rule does.
#[derive(Debug, Clone)]
pub enum Act {
    /// It never arrives.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives later, the rest does not.
    Delay(Duration),
    /// It and what is behind it arrive later.
    Stall(Duration),
    /// It arrives behind the next.
    Swap,
    /// It is rewritten.
    Rewrite {
        /// What is replaced.
        find: Regex,
        /// By what, with `$1` for groups.
        with: String,
        /// Where.
        part: Part,
    },
    /// Something else is sent in front of it.
    Before(String),
    /// Something else is sent behind it.
    After(String),
    /// The other connections get it too.
    Copy,
    /// The TCP connection is cut.
    Cut,
    /// The connection is closed with this code.
    Close(u16),
}

/// A rule as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRule {
    to: Direction,
    packet: Option<String>,
    http: Option<String>,
    frame: Option<String>,
    over: Option<Transport>,
    which: Option<String>,
    r#do: String,
    by: Option<String>,
    find: Option<String>,
    with: Option<String>,
    part: Option<String>,
    code: Option<u16>,
}

/// Delays beyond this would outlast every case.
const DELAY_MAX: Duration = Duration::from_secs(60);

impl WrittenRule {
    /// The rule, or a sentence about what is wrong with it.
    pub(super) fn parse(&self) -> Result<Rule, String> {
        let (subject, pattern) = match (&self.packet, &self.http, &self.frame) {
            (Some(pattern), None, None) => (Subject::Packet, pattern),
            (None, Some(pattern), None) => (Subject::Http, pattern),
            (None, None, Some(pattern)) => (Subject::Frame, pattern),
            _ => return Err("looks at no one thing; write exactly one of `packet`, `http` and `frame`".to_owned()),
        };
        if self.over.is_some() && subject != Subject::Packet {
            return Err("`over` is for packets only; leave it out".to_owned());
        }
        let pattern = expression("pattern", pattern)?;
        let act = self.act(subject, &pattern)?;
        self.refuse_unused(&act)?;
        let which = self.which.as_deref().map_or(Ok(Which::All), Which::parse)?;
        Ok(Rule { subject, pattern, direction: self.to, over: self.over, which, act, hits: AtomicU64::new(0) })
    }

    fn act(&self, subject: Subject, pattern: &Regex) -> Result<Act, String> {
        let packets_only = |act| match subject {
            Subject::Packet => Ok(act),
            Subject::Http | Subject::Frame => Err(format!("`do = \"{}\"` is for packets only", self.r#do)),
        };
        let with = || self.with.clone().ok_or_else(|| format!("`do = \"{}\"` needs `with = \"...\"`", self.r#do));
        match self.r#do.as_str() {
            "drop" => Ok(Act::Drop),
            "duplicate" => Ok(Act::Duplicate),
            "delay" => self.by().map(Act::Delay),
            "stall" => self.by().map(Act::Stall),
            "swap" => packets_only(Act::Swap),
            "rewrite" => {
                let find = match (&self.find, subject) {
                    (Some(find), _) => expression("`find`", find)?,
                    (None, Subject::Packet | Subject::Frame) => pattern.clone(),
                    (None, Subject::Http) => Regex::new("(?s)^.*$").expect("a plain expression"),
                };
                Ok(Act::Rewrite { find, with: with()?, part: self.part(subject)? })
            }
            "before" => packets_only(Act::Before(with()?)),
            "after" => packets_only(Act::After(with()?)),
            "copy" if self.to == Direction::Client => packets_only(Act::Copy),
            "copy" => Err("`do = \"copy\"` is for what goes to the client".to_owned()),
            "cut" => Ok(Act::Cut),
            "close" => packets_only(Act::Close(self.code.ok_or("`do = \"close\"` needs `code = 1000`")?)),
            other => Err(format!("`do = \"{other}\"` is nothing a rule can do; see fixtures/wrong/README.md")),
        }
    }

    fn by(&self) -> Result<Duration, String> {
        let by = self.by.as_deref().ok_or_else(|| format!("`do = \"{}\"` needs `by = \"300ms\"`", self.r#do))?;
        parse_duration(by)
            .and_then(|by| if by <= DELAY_MAX { Ok(by) } else { Err(format!("`by` is longer than {DELAY_MAX:?}")) })
    }

    fn part(&self, subject: Subject) -> Result<Part, String> {
        match (self.part.as_deref(), subject) {
            (None, _) => Ok(Part::Body),
            (Some(_), Subject::Packet | Subject::Frame) => Err("`part` is for HTTP only; leave it out".to_owned()),
            (Some("body"), Subject::Http) => Ok(Part::Body),
            (Some("line"), Subject::Http) => Ok(Part::Line),
            (Some(part), Subject::Http) => match part.strip_prefix("header:") {
                Some(name) if !name.is_empty() => Ok(Part::Header(name.to_lowercase())),
                Some(_) | None => {
                    Err(format!("`part = \"{part}\"` is none; write \"body\", \"line\" or \"header:Name\""))
                }
            },
        }
    }

    /// A key that does nothing is a mistake about what the rule does.
    fn refuse_unused(&self, act: &Act) -> Result<(), String> {
        let uses: &[&str] = match act {
            Act::Delay(_) | Act::Stall(_) => &["by"],
            Act::Rewrite { .. } => &["find", "with", "part"],
            Act::Before(_) | Act::After(_) => &["with"],
            Act::Close(_) => &["code"],
            Act::Drop | Act::Duplicate | Act::Swap | Act::Copy | Act::Cut => &[],
        };
        let given = [
            ("by", self.by.is_some()),
            ("find", self.find.is_some()),
            ("with", self.with.is_some()),
            ("part", self.part.is_some()),
            ("code", self.code.is_some()),
        ];
        match given.into_iter().find(|(key, given)| *given && !uses.contains(key)) {
            Some((key, _)) => Err(format!("`{key}` means nothing to `do = \"{}\"`; leave it out", self.r#do)),
            None => Ok(()),
        }
    }
}

fn expression(what: &str, text: &str) -> Result<Regex, String> {
    Regex::new(text)
        .map_err(|e| format!("{what} `{text}` is no regular expression: {}", e.to_string().replace('\n', " ")))
}
