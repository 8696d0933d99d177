//! The values of a recorded session in the words of the case language: who its users are, what it names itself, and what is new each time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use regex::Regex;
use serde_json::Value;

/// A shorter text stands in other words by accident.
const NAMED_CHARS_MIN: usize = 3;

/// Fields in which a client names a place of its own choice.
static PLACES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?i)(room|channel|group|conversation)(_?id)?$").expect("a fixed expression compiles")
});
static IDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24}|[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]{14,})$")
        .expect("a fixed expression compiles")
});
/// Fields that hold an id, however short it is.
static ID_FIELDS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(^|_)(id|ID)$|[a-z](Id|ID)$").expect("a fixed expression compiles"));
static TIMES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d").expect("a fixed expression compiles"));
static TOKENS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$").expect("a fixed expression compiles")
});
/// Milliseconds since the epoch in this century, as far as anybody records.
const MILLIS: std::ops::Range<u64> = 1_600_000_000_000..4_000_000_000_000;

/// Claims in which tokens say who somebody is, and how they are called.
const ID_CLAIMS: [&str; 4] = ["sub", "userId", "user_id", "id"];
const NAME_CLAIMS: [&str; 4] = ["username", "name", "displayName", "email"];

/// What the case calls the values of the session.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Value -> `alice.id`, `room`, `id1`: without the dollar.
    names: BTreeMap<String, String>,
    /// Names that the header makes: fresh ones.
    pub(super) fresh: Vec<String>,
    /// Ids that come from the server and are said again: each is captured where it comes first.
    again: BTreeSet<String>,
    captured: usize,
}

impl Words {
    /// Reads who somebody is from the token that they show; gives the id.
    pub(super) fn meet(&mut self, user: &str, token: &str) -> Option<String> {
        let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let said = |names: &[&str]| names.iter().find_map(|name| claims.get(name)?.as_str().map(ToOwned::to_owned));
        let id = said(&ID_CLAIMS)?;
        self.name(&id, &format!("{user}.id"));
        if let Some(name) = said(&NAME_CLAIMS) {
            self.name(&name, &format!("{user}.name"));
        }
        self.name(token, &format!("{user}.token"));
        Some(id)
    }

    pub(super) fn name(&mut self, value: &str, name: &str) {
        if value.len() >= NAMED_CHARS_MIN {
            self.names.entry(value.to_owned()).or_insert_with(|| name.to_owned());
        }
    }

    /// Looks at what will be sent and received, before anything is written: places that clients choose, ids that come more than once.
    pub(super) fn foresee<'v>(&mut self, sent: impl Iterator<Item = (bool, &'v Value)>) {
        let mut seen = BTreeSet::new();
        for (to_server, value) in sent {
            if to_server {
                self.places(value, &seen);
            }
            let mut texts = Vec::new();
            strings("", value, &mut texts);
            for (_, text) in texts.into_iter().filter(|(key, text)| is_id(key, text)) {
                if !seen.insert(text.to_owned()) {
                    self.again.insert(text.to_owned());
                }
            }
        }
    }

    fn places(&mut self, value: &Value, from_server: &BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let place = value.as_str().filter(|text| {
                        let is_new = !from_server.contains(*text) && !self.names.contains_key(*text);
                        PLACES.is_match(key) && is_new && text.len() >= NAMED_CHARS_MIN
                    });
                    if let Some(text) = place {
                        let count = self.fresh.len() + 1;
                        let name = if count == 1 { "room".to_owned() } else { format!("room{count}") };
                        self.name(text, &name);
                        self.fresh.push(name);
                    }
                    self.places(value, from_server);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.places(item, from_server)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// A value to send.
    pub(super) fn value(&self, value: &Value, attachments: &[String]) -> String {
        self.render(("", value), attachments, &mut |_, text| self.text(text), &|number| number.to_string())
    }

    /// A pattern for a value that was received.
    pub(super) fn pattern(&mut self, value: &Value, attachments: &[String]) -> String {
        let mut captured = Vec::new();
        let mut count = self.captured;
        let shown = {
            let mut text = |key: &str, text: &str| {
                let known = captured.iter().find(|(value, _)| value == text).map(|(_, name): &(String, String)| name);
                if let Some(name) = known {
                    return format!("${name}");
                }
                if self.names.contains_key(text) || !is_id(key, text) {
                    return self.received(text);
                }
                if !self.again.contains(text) {
                    return "@id".to_owned();
                }
                count += 1;
                captured.push((text.to_owned(), format!("id{count}")));
                format!("@id as $id{count}")
            };
            let number = |number: &serde_json::Number| match number.as_u64() {
                Some(millis) if MILLIS.contains(&millis) => "@millis".to_owned(),
                Some(_) | None => number.to_string(),
            };
            self.render(("", value), attachments, &mut text, &number)
        };
        self.captured = count;
        self.names.extend(captured);
        shown
    }

    fn received(&self, text: &str) -> String {
        match text {
            time if TIMES.is_match(time) => r#"~"^\\d{4}-\\d\\d-\\d\\dT""#.to_owned(),
            token if TOKENS.is_match(token) && !self.names.contains_key(token) => "@string".to_owned(),
            other => self.text(other),
        }
    }

    /// A text with the names of what stands in it.
    fn text(&self, text: &str) -> String {
        if let Some(name) = self.names.get(text) {
            return format!("${name}");
        }
        let mut shown = Value::from(text).to_string().replace('$', "\\$");
        let mut known: Vec<_> = self.names.iter().collect();
        known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        for (value, name) in known.into_iter().filter(|(value, _)| value.len() >= NAMED_CHARS_MIN) {
            shown = shown.replace(value.as_str(), &format!("${{{name}}}"));
        }
        shown
    }

    fn render(
        &self,
        (key, value): (&str, &Value),
        attachments: &[String],
        text: &mut dyn FnMut(&str, &str) -> String,
        number: &dyn Fn(&serde_json::Number) -> String,
    ) -> String {
        match value {
            Value::Null | Value::Bool(_) => value.to_string(),
            Value::Number(one) => number(one),
            Value::String(one) => text(key, one),
            Value::Array(items) => {
                let items: Vec<_> =
                    items.iter().map(|item| self.render((key, item), attachments, &mut *text, number)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Object(fields) => {
                if fields.get("_placeholder") == Some(&Value::Bool(true)) {
                    let which = fields.get("num").and_then(Value::as_u64).and_then(|num| usize::try_from(num).ok());
                    let bytes = which.and_then(|num| attachments.get(num)).map_or("", String::as_str);
                    return format!("hex({bytes})");
                }
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(key, value)| {
                        let value = self.render((key, value), attachments, &mut *text, number);
                        format!("{}: {value}", Value::from(key.as_str()))
                    })
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }
}

/// Whether a text is an id, by what it looks like or by the field that it stands in.
fn is_id(key: &str, text: &str) -> bool {
    !text.is_empty() && (IDS.is_match(text) || ID_FIELDS.is_match(key))
}

/// The texts inside a value, each with the field that it stands in.
fn strings<'v>(key: &'v str, value: &'v Value, found: &mut Vec<(&'v str, &'v str)>) {
    match value {
        Value::String(text) => found.push((key, text)),
        Value::Array(items) => items.iter().for_each(|item| strings(key, item, found)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| strings(key, value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
