//! Where a stranger names things otherwise: applied by the wire of the judge, listed in the report.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::datum::Datum;

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
    /// Events of the SPEC that are several at the target, told apart by a field that they therefore lack.
    #[serde(default)]
    pub split_events: BTreeMap<String, SplitEvent>,
    /// Events of the SPEC whose first argument stands bare, and at the target in this field of an object.
    #[serde(default)]
    pub wrap_arguments: BTreeMap<String, String>,
    /// What the ids of users have to look like.
    #[serde(default)]
    pub ids: Ids,
}

/// How one event of the SPEC is several at the target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitEvent {
    /// The field of the SPEC's event that is the name of the target's.
    pub by: String,
    /// The target's events.
    pub into: Vec<String>,
}

/// What ids look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// Any text.
    #[default]
    Text,
    /// 24 hex digits, as MongoDB makes them.
    Hex24,
    /// A UUID.
    Uuid,
}

impl Ids {
    /// The id of this shape for somebody who is told apart by a text; the same text gives the same id.
    pub(crate) fn of(self, text: &str) -> String {
        // FNV-1a, once for each half: it has to differ from others', not to be hard to guess.
        let hash =
            |start: u64| text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let digits = format!("{:016x}{:016x}", hash(0xcbf2_9ce4_8422_2325), hash(0x9e37_79b9_7f4a_7c15));
        match self {
            Self::Text => text.to_owned(),
            Self::Hex24 => digits[..24].to_owned(),
            Self::Uuid => format!(
                "{}-{}-4{}-a{}-{}",
                &digits[..8],
                &digits[8..12],
                &digits[13..16],
                &digits[17..20],
                &digits[20..32]
            ),
        }
    }
}

impl Adapt {
    /// Whether nothing is renamed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// An event of the target in the shape of the SPEC; its names are the SPEC's already, where only they differ.
    pub(crate) fn arriving(&self, name: String, mut args: Vec<Datum>) -> (String, Vec<Datum>) {
        if let Some((ours, split)) = self.split_events.iter().find(|(_, split)| split.into.contains(&name)) {
            if let Some(Datum::Object(fields)) = args.first_mut() {
                fields.insert(0, (split.by.clone(), Datum::Text(name)));
            } else {
                args.insert(0, Datum::Object(vec![(split.by.clone(), Datum::Text(name))]));
            }
            return (ours.clone(), args);
        }
        let bare = self.wrap_arguments.get(&name).and_then(|field| args.first()?.field(field).cloned());
        if let (Some(bare), Some(first)) = (bare, args.first_mut()) {
            *first = bare;
        }
        (name, args)
    }

    /// An event of the SPEC in the shape of the target, before its names are the target's.
    pub(crate) fn leaving(&self, name: &str, args: &mut [Datum]) -> Option<String> {
        if let Some(split) = self.split_events.get(name)
            && let Some(Datum::Object(fields)) = args.first_mut()
            && let Some(at) = fields.iter().position(|(field, _)| *field == split.by)
            && let Some(theirs) = fields[at].1.as_text().map(ToOwned::to_owned)
            && split.into.contains(&theirs)
        {
            fields.remove(at);
            return Some(theirs);
        }
        if let (Some(field), Some(first)) = (self.wrap_arguments.get(name), args.first_mut()) {
            *first = Datum::Object(vec![(field.clone(), std::mem::replace(first, Datum::Null))]);
        }
        None
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
            .chain(self.split_events.iter().map(|(ours, split)| {
                format!("event `{ours}` is several here, told apart by its `{}`: {}", split.by, split.into.join(", "))
            }))
            .chain(
                self.wrap_arguments
                    .iter()
                    .map(|(ours, field)| format!("event `{ours}` holds its argument in `{field}` here")),
            )
            .chain(match self.ids {
                Ids::Text => None,
                Ids::Hex24 => Some("ids of users are 24 hex digits".to_owned()),
                Ids::Uuid => Some("ids of users are UUIDs".to_owned()),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn adapt() -> Adapt {
        let text = "ids = \"hex24\"\nwrap_arguments = { room_users = \"users\" }\n[split_events]\nsystem_message = { by = \"eventType\", into = [\"connect\", \"disconnect\"] }\n";
        toml::from_str(text).expect("a good table")
    }

    #[test]
    fn one_event_of_the_spec_can_be_several_of_the_target_both_ways() {
        let (name, args) = adapt().arriving("connect".to_owned(), vec![json!({"userId": "a"}).into()]);
        assert_eq!(
            (name.as_str(), &args[0]),
            ("system_message", &json!({"eventType": "connect", "userId": "a"}).into())
        );
        let mut args = args;
        assert_eq!(adapt().leaving("system_message", &mut args), Some("connect".to_owned()));
        assert_eq!(args, [json!({"userId": "a"}).into()]);
        let mut other = [json!({"eventType": "else"}).into()];
        assert_eq!(adapt().leaving("system_message", &mut other), None, "the target has no such event");
    }

    #[test]
    fn a_bare_argument_can_be_a_field_of_the_target_both_ways() {
        let (name, args) = adapt().arriving("room_users".to_owned(), vec![json!({"users": ["a"]}).into()]);
        assert_eq!((name.as_str(), &args[0]), ("room_users", &json!(["a"]).into()));
        let mut args = args;
        assert_eq!(adapt().leaving("room_users", &mut args), None);
        assert_eq!(args, [json!({"users": ["a"]}).into()]);
    }

    #[test]
    fn ids_take_the_shape_that_is_asked_for_and_differ_as_their_texts_do() {
        let hex = Ids::Hex24.of("alice-1");
        assert!(hex.len() == 24 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hex}");
        assert!(hex != Ids::Hex24.of("bob-1") && hex == Ids::Hex24.of("alice-1"));
        let uuid = Ids::Uuid.of("alice-1");
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uuid}");
        assert_eq!(Ids::Text.of("alice-1"), "alice-1");
    }

    #[test]
    fn each_adaptation_is_a_line_of_the_report() {
        assert_eq!(
            adapt().lines(),
            [
                "event `system_message` is several here, told apart by its `eventType`: connect, disconnect",
                "event `room_users` holds its argument in `users` here",
                "ids of users are 24 hex digits",
            ]
        );
    }
}
