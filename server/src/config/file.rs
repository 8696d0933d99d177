//! The TOML form: sections of keys, each key in the tables of settings. What is not in them is an error that names its line.
//!
//! Sections stand at the top (`[redis]`) when one dialect is served, or below their dialect (`[rooms.redis]`). In the second form a file
//! serves any number of dialects, and each of its dialects is checked, served or not.

use std::borrow::Cow;

use chatwright_protocol::dialects::{self, Dialect};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError,
    checks::Draft,
    raw::Raw,
    settings::{Setting, settings},
};

type Key<'a> = Spanned<Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

/// Applies each key of the file that is for the draft's dialect to the draft. `alone`: sections may stand at the top.
pub(super) fn apply(text: &str, draft: &mut Draft, alone: bool) -> Result<(), ConfigError> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        ConfigError { place: format!("line {line}"), problem: error.message().to_owned() }
    })?;
    let has_dialects = table.get_ref().keys().any(|key| dialects::by_name(key.get_ref()).is_some());
    if alone && !has_dialects {
        let sections = Sections { text, above: String::new() };
        return table.get_ref().iter().try_for_each(|(section, content)| sections.apply(section, content, draft));
    }
    for (name, content) in table.get_ref() {
        let line = line_of(text, name.span().start);
        let Some(dialect) = dialects::by_name(name.get_ref()) else {
            let problem = format!(
                "a dialect is expected before the section, such as [rooms.{}]; known are {}",
                name.get_ref(),
                known()
            );
            return Err(ConfigError { place: format!("line {line}, {}", name.get_ref()), problem });
        };
        let DeValue::Table(content) = content.get_ref() else {
            let problem = format!("sections are expected, such as [{}.listen]", dialect.name);
            return Err(ConfigError { place: format!("line {line}, {}", dialect.name), problem });
        };
        let sections = Sections { text, above: format!("{}.", dialect.name) };
        let mut others = Draft::of(dialect);
        let own: &mut Draft = if dialect == draft.config.dialect { draft } else { &mut others };
        content.iter().try_for_each(|(section, content)| sections.apply(section, content, own))?;
    }
    Ok(())
}

/// Where sections stand.
struct Sections<'a> {
    text: &'a str,
    /// What stands before a section's name: nothing, or a dialect and a point.
    above: String,
}

impl Sections<'_> {
    fn apply(&self, section: &Key<'_>, content: &Value<'_>, draft: &mut Draft) -> Result<(), ConfigError> {
        let dialect = draft.config.dialect;
        let place = |name: String| format!("line {}, {name}", line_of(self.text, section.span().start));
        let name = format!("{}{}", self.above, section.get_ref());
        let DeValue::Table(keys) = content.get_ref() else {
            let problem = format!("a section is expected: {}", sections(dialect));
            return Err(ConfigError { place: place(name), problem });
        };
        if !settings(dialect).any(|setting| setting.section() == section.get_ref()) {
            let problem = format!("unknown section; known are {}", sections(dialect));
            return Err(ConfigError { place: place(format!("[{name}]")), problem });
        }
        keys.iter().try_for_each(|(key, value)| self.apply_one(section.get_ref(), key, value, draft))
    }

    fn apply_one(&self, section: &str, key: &Key<'_>, value: &Value<'_>, draft: &mut Draft) -> Result<(), ConfigError> {
        let name = format!("{section}.{}", key.get_ref());
        let place = format!("line {}, {}{name}", line_of(self.text, key.span().start), self.above);
        let wrong = |problem| ConfigError { place: place.clone(), problem };
        let dialect = draft.config.dialect;
        let setting = settings(dialect).find(|setting| setting.key == name).ok_or_else(|| {
            wrong(format!("unknown key; [{}{section}] has {}", self.above, keys_of(dialect, section)))
        })?;
        let raw = Raw::of_toml(value.get_ref()).map_err(wrong)?;
        setting.set(draft, &raw, &place).map_err(wrong)
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

fn known() -> String {
    dialects::ALL.iter().map(|dialect| dialect.name).collect::<Vec<_>>().join(", ")
}

fn sections(dialect: &'static Dialect) -> String {
    let mut sections: Vec<&str> = Vec::new();
    for section in settings(dialect).map(Setting::section) {
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    sections.join(", ")
}

fn keys_of(dialect: &'static Dialect, section: &str) -> String {
    let keys: Vec<&str> = settings(dialect).filter(|setting| setting.section() == section).map(Setting::name).collect();
    keys.join(", ")
}
