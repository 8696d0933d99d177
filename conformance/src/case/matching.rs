//! Decides whether data matches a pattern, and if not, says where the two part. Pure.

use std::fmt;

use serde_json::Number;

use super::{
    eval::{Scope, eval, eval_template},
    value::{Bounds, Expression, KINDS, Kind, Path, Pattern, Template, TextPattern, TokenCall, Value},
};
use crate::datum::Datum;

/// How far a server's clock may be off before a timestamp is no timestamp.
const CLOCK_SKEW_MS_MAX: u64 = 10 * 60 * 1000;

/// The longest piece of data that an explanation quotes.
const QUOTED_CHARS_MAX: usize = 300;
/// What is kept of a thing said: a history or a list of users whole, a payload of megabytes not.
const RECORDED_CHARS_MAX: usize = 4000;

/// Where a pattern and what came part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// `.messages[2].userId`; empty at the top.
    pub path: String,
    /// In the case language.
    pub expected: String,
    /// In the case language.
    pub got: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "expected {}, got {}", self.expected, self.got)
    }
}

/// What a match has bound.
pub type Bindings = Vec<(String, Datum)>;

/// Matches data; `bound` grows by what the pattern captures, and is meaningful only after success.
///
/// # Errors
/// The first place that does not match.
pub fn match_pattern(pattern: &Pattern, got: &Datum, scope: &dyn Scope, bound: &mut Bindings) -> Result<(), Mismatch> {
    Matcher { scope, bound, path: String::new() }.pattern(pattern, got)
}

/// Matches a text.
///
/// # Errors
/// The first place that does not match.
pub fn match_text(pattern: &TextPattern, got: &str, scope: &dyn Scope, bound: &mut Bindings) -> Result<(), Mismatch> {
    let mut matcher = Matcher { scope, bound, path: String::new() };
    match pattern {
        TextPattern::Pattern(pattern) => matcher.pattern(pattern, &Datum::Text(got.to_owned())),
        TextPattern::Exact(text) => {
            let wanted = matcher.template(text)?;
            if wanted == got { Ok(()) } else { Err(matcher.differs(wanted, clipped(got))) }
        }
        TextPattern::Json(prefix, json) => {
            let prefix = matcher.template(prefix)?;
            let Some(rest) = got.strip_prefix(&prefix) else {
                return Err(matcher.differs(format!("{prefix}{json}"), clipped(got)));
            };
            match serde_json::from_str::<serde_json::Value>(rest) {
                Ok(parsed) => matcher.pattern(json, &Datum::from(parsed)),
                Err(_) => Err(matcher.differs(format!("JSON behind `{prefix}`"), clipped(got))),
            }
        }
    }
}

struct Matcher<'a> {
    scope: &'a dyn Scope,
    bound: &'a mut Bindings,
    path: String,
}

/// The case's scope, behind what this match has bound so far.
struct Inner<'a>(&'a dyn Scope, &'a Bindings);

impl Scope for Inner<'_> {
    fn lookup(&self, path: &Path) -> Option<Datum> {
        let first = path.0.first()?;
        let mut found = self.1.iter().rev().find(|(name, _)| name == first).map(|(_, datum)| datum);
        if found.is_none() {
            return self.0.lookup(path);
        }
        for part in &path.0[1..] {
            found = found.and_then(|datum| datum.field(part));
        }
        found.cloned()
    }
    fn clock(&self, name: &str) -> Option<std::time::Duration> {
        self.0.clock(name)
    }
    fn token(&self, call: &TokenCall) -> Result<String, String> {
        self.0.token(call)
    }
    fn fresh(&self, inside: Option<&str>) -> String {
        self.0.fresh(inside)
    }
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }
}

impl Matcher<'_> {
    fn pattern(&mut self, pattern: &Pattern, got: &Datum) -> Result<(), Mismatch> {
        match pattern {
            Pattern::Value(value) => self.value(value, got),
            Pattern::Object { exact, fields } => self.object(*exact, fields, got),
            Pattern::List(items) => self.list(items, got),
            Pattern::Holds(items) => self.holds(items, got),
            Pattern::Each(each) => self.each(each, got),
            Pattern::Kind { kind, bounds } => self.kind(*kind, bounds.as_ref(), got),
            Pattern::Regex(expression) => self.regex(expression, got),
            Pattern::Text(name) => match eval(&Value::Name(name.clone()), &Inner(self.scope, self.bound)) {
                Ok(wanted) if got.as_text().is_some_and(|text| text.contains(&wanted.to_plain())) => Ok(()),
                Ok(_) => Err(self.differs(pattern.to_string(), clipped(got))),
                Err(why) => Err(self.differs(why, String::new())),
            },
            Pattern::Not(inner) => {
                let before = self.bound.len();
                let matched = self.pattern(inner, got).is_ok();
                self.bound.truncate(before);
                if matched { Err(self.differs(pattern.to_string(), clipped(got))) } else { Ok(()) }
            }
            Pattern::As(inner, name) => {
                self.pattern(inner, got)?;
                self.bound.push((name.clone(), got.clone()));
                Ok(())
            }
            Pattern::OneOf(options) => {
                let before = self.bound.len();
                for option in options {
                    if self.pattern(option, got).is_ok() {
                        return Ok(());
                    }
                    self.bound.truncate(before);
                }
                Err(self.differs(pattern.to_string(), clipped(got)))
            }
        }
    }

    fn value(&mut self, value: &Value, got: &Datum) -> Result<(), Mismatch> {
        let wanted = eval(value, &Inner(self.scope, self.bound))
            .map_err(|why| self.differs(format!("{value} ({why})"), clipped(got)))?;
        if wanted.same(got) { Ok(()) } else { Err(self.differs(clipped(&wanted), clipped(got))) }
    }

    fn template(&self, text: &Template) -> Result<String, Mismatch> {
        eval_template(text, &Inner(self.scope, self.bound)).map_err(|why| self.differs(why, String::new()))
    }

    fn object(&mut self, exact: bool, fields: &[(Template, Pattern)], got: &Datum) -> Result<(), Mismatch> {
        let Datum::Object(present) = got else {
            return Err(self.differs("an object".to_owned(), clipped(got)));
        };
        let mut names = Vec::with_capacity(fields.len());
        for (name, pattern) in fields {
            let name = self.template(name)?;
            let depth = self.enter(&format!(".{name}"));
            match (got.field(&name), pattern) {
                (Some(value), _) => self.pattern(pattern, value)?,
                (None, Pattern::Not(_)) => {}
                (None, _) => return Err(self.differs(pattern.to_string(), "nothing: the field is absent".to_owned())),
            }
            self.path.truncate(depth);
            names.push(name);
        }
        match present.iter().find(|(name, _)| exact && !names.contains(name)) {
            Some((name, value)) => {
                self.enter(&format!(".{name}"));
                Err(self.differs("no such field".to_owned(), clipped(value)))
            }
            None => Ok(()),
        }
    }

    fn items<'d>(&self, got: &'d Datum) -> Result<&'d [Datum], Mismatch> {
        if let Datum::List(items) = got { Ok(items) } else { Err(self.differs("an array".to_owned(), clipped(got))) }
    }

    fn list(&mut self, patterns: &[Pattern], got: &Datum) -> Result<(), Mismatch> {
        let items = self.items(got)?;
        for (i, (pattern, item)) in patterns.iter().zip(items).enumerate() {
            let depth = self.enter(&format!("[{i}]"));
            self.pattern(pattern, item)?;
            self.path.truncate(depth);
        }
        if items.len() == patterns.len() {
            return Ok(());
        }
        Err(self.differs(format!("{} elements", patterns.len()), format!("{}: {}", items.len(), clipped(got))))
    }

    /// Any order, each element used once: first fit, which suffices for the patterns that cases write.
    fn holds(&mut self, patterns: &[Pattern], got: &Datum) -> Result<(), Mismatch> {
        let items = self.items(got)?;
        let mut used = vec![false; items.len()];
        for pattern in patterns {
            let found = items.iter().enumerate().find(|(i, item)| {
                let before = self.bound.len();
                let fits = !used[*i] && self.pattern(pattern, item).is_ok();
                if !fits {
                    self.bound.truncate(before);
                }
                fits
            });
            match found.map(|(i, _)| i) {
                Some(i) => used[i] = true,
                None => return Err(self.differs(format!("an element {pattern}"), clipped(got))),
            }
        }
        Ok(())
    }

    fn each(&mut self, pattern: &Pattern, got: &Datum) -> Result<(), Mismatch> {
        let items = self.items(got)?;
        if items.is_empty() {
            return Err(self.differs("at least one element".to_owned(), "[]".to_owned()));
        }
        for (i, item) in items.iter().enumerate() {
            let depth = self.enter(&format!("[{i}]"));
            self.pattern(pattern, item)?;
            self.path.truncate(depth);
        }
        Ok(())
    }

    fn kind(&mut self, kind: Kind, bounds: Option<&Bounds>, got: &Datum) -> Result<(), Mismatch> {
        let measure = measure(kind, got, self.scope.now_ms());
        let Some(measure) = measure else { return Err(self.differs(kind_name(kind), clipped(got))) };
        let Some(bounds) = bounds else { return Ok(()) };
        let inside = self.bound_value(bounds.low.as_ref())?.is_none_or(|low| measure >= low)
            && self.bound_value(bounds.high.as_ref())?.is_none_or(|high| measure <= high);
        if inside {
            return Ok(());
        }
        let wanted = Pattern::Kind { kind, bounds: Some(bounds.clone()) };
        Err(self.differs(wanted.to_string(), format!("{measure}: {}", clipped(got))))
    }

    fn bound_value(&self, value: Option<&Value>) -> Result<Option<f64>, Mismatch> {
        let Some(value) = value else { return Ok(None) };
        match eval(value, &Inner(self.scope, self.bound)) {
            Ok(Datum::Number(n)) => Ok(n.as_f64()),
            Ok(other) => Err(self.differs(format!("a number as bound, not {other}"), String::new())),
            Err(why) => Err(self.differs(why, String::new())),
        }
    }

    fn regex(&mut self, expression: &Expression, got: &Datum) -> Result<(), Mismatch> {
        let regex = &expression.regex;
        let Some(found) = got.as_text().and_then(|text| regex.captures(text)) else {
            return Err(self.differs(expression.to_string(), clipped(got)));
        };
        for name in regex.capture_names().flatten() {
            if let Some(group) = found.name(name) {
                self.bound.push((name.to_owned(), Datum::Text(group.as_str().to_owned())));
            }
        }
        Ok(())
    }

    fn enter(&mut self, part: &str) -> usize {
        let depth = self.path.len();
        self.path.push_str(part);
        depth
    }

    fn differs(&self, expected: String, got: String) -> Mismatch {
        Mismatch { path: self.path.clone(), expected, got }
    }
}

fn kind_name(kind: Kind) -> String {
    KINDS.iter().find(|(_, k)| *k == kind).map_or(String::new(), |(name, _)| format!("@{name}"))
}

/// What bounds apply to, if the data is of this kind: a length or a value; zero where neither makes sense.
fn measure(kind: Kind, got: &Datum, now_ms: u64) -> Option<f64> {
    let fits = match kind {
        Kind::Any => true,
        Kind::String => matches!(got, Datum::Text(_)),
        Kind::Int => whole(got).is_some(),
        Kind::Number => matches!(got, Datum::Number(_)),
        Kind::Bool => matches!(got, Datum::Bool(_)),
        Kind::Null => matches!(got, Datum::Null),
        Kind::Object => matches!(got, Datum::Object(_)),
        Kind::Array => matches!(got, Datum::List(_)),
        Kind::Bytes => matches!(got, Datum::Bytes(_)),
        Kind::Millis => whole(got).and_then(Number::as_u64).is_some_and(|ms| ms.abs_diff(now_ms) <= CLOCK_SKEW_MS_MAX),
        Kind::Uuid => got.as_text().is_some_and(is_uuid),
        Kind::Hex24 => got.as_text().is_some_and(|t| t.len() == 24 && t.bytes().all(|b| b.is_ascii_hexdigit())),
        Kind::Id => got.as_text().is_some_and(|t| !t.is_empty()),
    };
    #[expect(clippy::cast_precision_loss, reason = "lengths far below 2^52")]
    let measure = match got {
        Datum::Text(text) => text.chars().count() as f64,
        Datum::Bytes(bytes) => bytes.len() as f64,
        Datum::List(items) => items.len() as f64,
        Datum::Object(fields) => fields.len() as f64,
        Datum::Number(n) => n.as_f64().unwrap_or(0.0),
        Datum::Null | Datum::Bool(_) => 0.0,
    };
    fits.then_some(measure)
}

/// The number, if it is whole as JavaScript sees it: `3` and `3.0`.
fn whole(got: &Datum) -> Option<&Number> {
    match got {
        Datum::Number(n) if n.is_i64() || n.is_u64() || n.as_f64().is_some_and(|f| f.fract() == 0.0) => Some(n),
        Datum::Number(_)
        | Datum::Null
        | Datum::Bool(_)
        | Datum::Text(_)
        | Datum::Bytes(_)
        | Datum::List(_)
        | Datum::Object(_) => None,
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() })
}

/// A rendering short enough to read.
pub(crate) fn clipped(shown: impl fmt::Display) -> String {
    cut(shown, QUOTED_CHARS_MAX)
}

/// A rendering long enough to be compared with another.
pub(crate) fn recorded(shown: impl fmt::Display) -> String {
    cut(shown, RECORDED_CHARS_MAX)
}

fn cut(shown: impl fmt::Display, chars_max: usize) -> String {
    let text = shown.to_string();
    match text.char_indices().nth(chars_max) {
        Some((cut, _)) => format!("{}… ({} characters)", &text[..cut], text.chars().count()),
        None => text,
    }
}
