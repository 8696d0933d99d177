//! Where a stranger names things otherwise: applied by the wire of the judge, listed in the report.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Renamings, each from the word of the SPEC to the word of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapt {
    /// Event names.
    #[serde(default)]
    pub rename_events: BTreeMap<String, String>,
    /// Fields of JSON objects, at any depth.
    #[serde(default)]
    pub rename_fields: BTreeMap<String, String>,
    /// Beginnings of HTTP paths, such as `/api/chat` = `/v2/chat`.
    #[serde(default)]
    pub rename_routes: BTreeMap<String, String>,
}

impl Adapt {
    /// Whether nothing is renamed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rename_events.is_empty() && self.rename_fields.is_empty() && self.rename_routes.is_empty()
    }

    /// One line for each, for the report.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let tables = [("event", &self.rename_events), ("field", &self.rename_fields), ("route", &self.rename_routes)];
        tables
            .into_iter()
            .flat_map(|(kind, table)| {
                table.iter().map(move |(ours, theirs)| format!("{kind} `{ours}` is `{theirs}` here"))
            })
            .collect()
    }
}
