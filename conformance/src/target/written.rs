//! The target file as it is written: plain serde structs that refuse unknown keys. `file.rs` makes typed values of them.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Unexpected, Visitor, value::SeqAccessDeserializer},
};
use toml::Spanned;

use super::{
    adapt::Adapt,
    duration::Written,
    file::{BackendName, Identity, RowOverrides, StopSignal, Transport},
    template::Template,
};
use crate::{
    outcome::About,
    tokens::{ClaimNames, Hmac},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTarget {
    pub(super) name: Spanned<String>,
    pub(super) dialect: Spanned<String>,
    #[serde(default)]
    pub(super) about: About,
    pub(super) identity: Option<Spanned<Identity>>,
    #[serde(default)]
    pub(super) behaviour: RowOverrides,
    #[serde(default)]
    pub(super) instance: Vec<Spanned<BTreeMap<String, Spanned<Template>>>>,
    pub(super) start: Option<Spanned<WrittenStart>>,
    #[serde(default)]
    pub(super) needs: BTreeMap<BackendName, Spanned<WrittenNeed>>,
    pub(super) auth: Option<Spanned<WrittenAuth>>,
    #[serde(default)]
    pub(super) timing: BTreeMap<String, Spanned<Written>>,
    #[serde(default)]
    pub(super) limits: BTreeMap<String, Spanned<u64>>,
    #[serde(default)]
    pub(super) adapt: Adapt,
    #[serde(default)]
    pub(super) capabilities: BTreeMap<Transport, bool>,
    #[serde(default)]
    pub(super) known_failing: BTreeMap<String, Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenStart {
    #[serde(default)]
    pub(super) setup: Commands,
    pub(super) setup_makes: Option<String>,
    #[serde(default)]
    pub(super) setup_reads: Vec<String>,
    pub(super) setup_timeout: Option<Written>,
    pub(super) command: Spanned<Vec<Template>>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Template>,
    pub(super) cwd: Option<Spanned<String>>,
    pub(super) ready: Option<Spanned<String>>,
    pub(super) ready_timeout: Option<Written>,
    pub(super) stop_signal: Option<StopSignal>,
    pub(super) stop_timeout: Option<Written>,
    pub(super) documented: Option<WrittenDocumented>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenDocumented {
    pub(super) command: Option<Vec<Template>>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Template>,
    pub(super) identity: Option<Identity>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAuth {
    pub(super) jwt_secret: Option<Spanned<String>>,
    pub(super) algorithm: Option<Hmac>,
    #[serde(default)]
    pub(super) claims: ClaimNames,
    #[serde(default)]
    pub(super) stub: bool,
}

/// `true`, `false`, or `"tls"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WrittenNeed {
    No,
    Yes,
    Tls,
}

impl<'de> Deserialize<'de> for WrittenNeed {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = WrittenNeed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or \"tls\"")
            }

            fn visit_bool<E: Error>(self, needed: bool) -> Result<Self::Value, E> {
                Ok(if needed { WrittenNeed::Yes } else { WrittenNeed::No })
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
                if word == "tls" { Ok(WrittenNeed::Tls) } else { Err(E::invalid_value(Unexpected::Str(word), &self)) }
            }
        }
        input.deserialize_any(Either)
    }
}

/// `["npm", "ci"]`, or a list of such commands.
#[derive(Debug, Default)]
pub(super) struct Commands(pub(super) Vec<Vec<Template>>);

enum WordOrCommand {
    Word(Template),
    Command(Vec<Template>),
}

impl<'de> Deserialize<'de> for WordOrCommand {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = WordOrCommand;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command as a list of words, such as [\"npm\", \"ci\"], or a list of such commands")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
                Template::parse(word).map(WordOrCommand::Word).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, words: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(words)).map(WordOrCommand::Command)
            }
        }
        input.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let mut words = Vec::new();
        let mut commands = Vec::new();
        for item in Vec::<WordOrCommand>::deserialize(input)? {
            match item {
                WordOrCommand::Word(word) => words.push(word),
                WordOrCommand::Command(command) if command.is_empty() => {
                    return Err(D::Error::custom("a command needs at least one word"));
                }
                WordOrCommand::Command(command) => commands.push(command),
            }
        }
        if !words.is_empty() && !commands.is_empty() {
            return Err(D::Error::custom("words and commands are mixed; write one list of words, or a list of lists"));
        }
        if !words.is_empty() {
            commands.push(words);
        }
        Ok(Self(commands))
    }
}
