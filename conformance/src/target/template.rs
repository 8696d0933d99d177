//! Texts with `{names}` in a target file: addresses, commands and variables that are known only when an instance starts.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};

/// A text with `{names}`; `{{` and `}}` stand for the braces themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence about the brace that is out of place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if after.starts_with(brace) {
                plain.push_str(brace);
                rest = &after[1..];
                continue;
            }
            let name = after.split_once('}').filter(|(name, _)| brace == "{" && is_name(name));
            let Some((name, after)) = name else {
                return Err(format!(
                    "`{text}` has a brace that belongs to no {{name}}; write `{{{{` or `}}}}` for the brace itself"
                ));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Name(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The names that it asks for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Name(name) => Some(name.as_str()),
        })
    }

    /// The text with each name replaced.
    ///
    /// # Errors
    /// A sentence that names what has no value, and which names have one.
    pub fn fill(&self, values: &BTreeMap<String, String>) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Name(name) => text.push_str(values.get(name).ok_or_else(|| {
                    let known: Vec<_> = values.keys().map(|known| format!("{{{known}}}")).collect();
                    format!("`{{{name}}}` has no value here; known are {}", known.join(", "))
                })?),
            }
        }
        Ok(text)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_doubled_braces_kept() {
        let values = BTreeMap::from([("port".to_owned(), "81".to_owned())]);
        let template = Template::parse("http://h:{port}/{{x}}").expect("valid");
        assert_eq!(template.fill(&values), Ok("http://h:81/{x}".to_owned()));
        assert_eq!(template.names().collect::<Vec<_>>(), ["port"]);
    }

    #[test]
    fn a_missing_value_is_named_with_those_that_exist() {
        let values = BTreeMap::from([("port".to_owned(), "81".to_owned())]);
        let refusal = Template::parse("{redis.host}").expect("valid").fill(&values).expect_err("no value");
        assert!(refusal.contains("{redis.host}") && refusal.contains("{port}"), "{refusal}");
    }

    #[test]
    fn a_stray_brace_is_refused() {
        for text in ["{", "}", "a{b", "a}b", "{a b}", "{}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
