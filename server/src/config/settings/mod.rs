//! The tables of everything that can be set. Help, the example files and the errors follow from them.
//!
//! [`shared`] holds what every dialect has; a file per dialect holds what only that dialect has, or has under a name of its own: a line
//! there hides the shared line with the same key. A dialect that wants a new setting adds a line to its file, and a field to what the
//! line fills: [`Config`](super::Config) itself, or [`Draft`] where several settings make one value.

mod conversations;
mod direct;
mod gateway;
mod rooms;
mod sessions;
mod shared;

use std::{collections::BTreeMap, time::Duration};

use chatwright_protocol::dialects::Dialect;

use super::{
    ConfigError,
    checks::Draft,
    raw::{Raw, Read},
};

/// One thing that can be set.
#[derive(Debug)]
pub struct Setting {
    /// `section.name` in the TOML file.
    pub key: &'static str,
    /// The environment variable with the same meaning, if there is one.
    pub variable: Option<&'static str>,
    /// What it is, in one line.
    pub help: &'static str,
    apply: fn(&mut Draft, &Raw) -> Read<()>,
}

impl Setting {
    /// The part of the key before the point.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.key.split('.').next().unwrap_or_default()
    }

    /// The part of the key after the point.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.key.split('.').nth(1).unwrap_or_default()
    }

    pub(super) fn set(&self, draft: &mut Draft, raw: &Raw, place: &str) -> Read<()> {
        (self.apply)(draft, raw)?;
        draft.places.insert(self.key, place.to_owned());
        Ok(())
    }
}

/// Applies each variable that is set (an empty one is not) to the draft.
pub(super) fn apply_variables(
    variables: &BTreeMap<String, String>,
    prefix: Option<&str>,
    draft: &mut Draft,
) -> Result<(), ConfigError> {
    for setting in settings(draft.config.dialect) {
        let Some(variable) = setting.variable else { continue };
        let name = prefix.map_or_else(|| variable.to_owned(), |prefix| format!("{prefix}_{variable}"));
        if let Some(value) = variables.get(&name).filter(|value| !value.trim().is_empty()) {
            let raw = Raw::Text(value.clone());
            setting.set(draft, &raw, &name).map_err(|problem| ConfigError { place: name.clone(), problem })?;
        }
    }
    Ok(())
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sizes in memory that a setting may ask for: up to a gibibyte.
const BYTES_MAX: u64 = 1 << 30;

macro_rules! setting {
    ($key:literal, $variable:expr, $help:literal, |$draft:ident, $raw:ident| $apply:expr) => {
        Setting {
            key: $key,
            variable: $variable,
            help: $help,
            apply: |$draft, $raw| {
                $apply;
                Ok(())
            },
        }
    };
}
use setting;

/// Everything that can be set for a dialect: the shared lines whose keys it has not taken, and its own.
///
/// Variables that a document names have its names, so the same key may have another variable in another dialect.
pub fn settings(dialect: &'static Dialect) -> impl Iterator<Item = &'static Setting> {
    let own = own(dialect.name);
    let is_shared = |setting: &&Setting| shared::SETTINGS.iter().any(|shared| shared.key == setting.key);
    let in_place = |shared: &'static Setting| own.iter().find(|setting| setting.key == shared.key).unwrap_or(shared);
    shared::SETTINGS.iter().map(in_place).chain(own.iter().filter(move |setting| !is_shared(setting)))
}

/// The lines that only this dialect has, or that it has otherwise.
fn own(dialect: &str) -> &'static [Setting] {
    match dialect {
        "rooms" => rooms::SETTINGS,
        "conversations" => conversations::SETTINGS,
        "sessions" => sessions::SETTINGS,
        "direct" => direct::SETTINGS,
        "gateway" => gateway::SETTINGS,
        _ => &[],
    }
}
