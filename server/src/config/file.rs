//! The TOML form: sections of keys, each key in the table of settings. What is not in the table is an error that names its line.

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

/// Applies each key of the file to the draft.
pub(super) fn apply(text: &str, draft: &mut Draft) -> Result<(), ConfigError> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        ConfigError { place: format!("line {line}"), problem: error.message().to_owned() }
    })?;
    for (section, content) in table.get_ref() {
        let DeValue::Table(keys) = content.get_ref() else {
            let place = format!("line {}, {}", line_of(text, section.span().start), section.get_ref());
            return Err(ConfigError { place, problem: format!("a section is expected: {}", sections(draft)) });
        };
        if !settings(draft.config.dialect).any(|setting| setting.section() == section.get_ref()) {
            let place = format!("line {}, [{}]", line_of(text, section.span().start), section.get_ref());
            return Err(ConfigError { place, problem: format!("unknown section; known are {}", sections(draft)) });
        }
        for (key, value) in keys {
            apply_one(text, section.get_ref(), key, value, draft)?;
        }
    }
    Ok(())
}

fn apply_one(
    text: &str,
    section: &str,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    draft: &mut Draft,
) -> Result<(), ConfigError> {
    let name = format!("{section}.{}", key.get_ref());
    let place = format!("line {}, {name}", line_of(text, key.span().start));
    let wrong = |problem| ConfigError { place: place.clone(), problem };
    let setting = settings(draft.config.dialect)
        .find(|setting| setting.key == name)
        .ok_or_else(|| wrong(format!("unknown key; [{section}] has {}", keys_of(draft, section))))?;
    let raw = Raw::of_toml(value.get_ref()).map_err(wrong)?;
    setting.set(draft, &raw, &place).map_err(wrong)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

fn sections(draft: &Draft) -> String {
    let mut sections: Vec<&str> = Vec::new();
    for section in settings(draft.config.dialect).map(Setting::section) {
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    sections.join(", ")
}

fn keys_of(draft: &Draft, section: &str) -> String {
    let keys: Vec<&str> =
        settings(draft.config.dialect).filter(|setting| setting.section() == section).map(Setting::name).collect();
    keys.join(", ")
}
