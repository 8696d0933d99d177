//! The text of an `.env` file as variables: `NAME=value`, comments, quotes. No expansion of `$NAME`.

use std::collections::BTreeMap;

use super::ConfigError;

/// The variables of an `.env` file. Of two lines with one name the later counts.
///
/// A value ends at ` #`, unless it is in quotes; in double quotes `\n`, `\"` and `\\` stand for themselves. `export ` may stand in front.
///
/// # Errors
/// [`ConfigError`] that names the first line that is not `NAME=value`.
pub fn parse_env_file(text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |problem: &str| ConfigError { place: format!("line {}", index + 1), problem: problem.to_owned() };
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("NAME=value is expected"))?;
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !is_name(name) {
            return Err(wrong("a variable's name is letters, digits and _"));
        }
        let value = unquoted(value.trim()).ok_or_else(|| wrong("the quote is not closed"))?;
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

fn unquoted(value: &str) -> Option<String> {
    match value.chars().next() {
        Some('\'') => value[1..].split_once('\'').map(|(inner, _)| inner.to_owned()),
        Some('"') => double_quoted(&value[1..]),
        Some('#') | None => Some(String::new()),
        Some(_) => Some(value.split(" #").next().unwrap_or_default().trim_end().to_owned()),
    }
}

fn double_quoted(rest: &str) -> Option<String> {
    let mut inner = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some(inner),
            '\\' => match characters.next()? {
                'n' => inner.push('\n'),
                other => inner.push(other),
            },
            other => inner.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_their_comments_and_quotes_and_nothing_else() {
        let text = "# head\n\nPORT=5004\nexport A = b c  # why\nB=\"x # \\\"y\\\"\"\nC='# z'\nD=\nE=a#b\nMESSAGE_HISTORY_TTL=604800  # 7 days\n";
        let variables = parse_env_file(text).expect("valid");
        let pairs: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("A", "b c"),
            ("B", "x # \"y\""),
            ("C", "# z"),
            ("D", ""),
            ("E", "a#b"),
            ("MESSAGE_HISTORY_TTL", "604800"),
            ("PORT", "5004"),
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn an_error_names_its_line() {
        for (text, line) in [("A=1\nnonsense\n", "line 2"), ("A B=1", "line 1"), ("\n\nA=\"open", "line 3")] {
            assert_eq!(parse_env_file(text).expect_err(text).place, line);
        }
    }
}
