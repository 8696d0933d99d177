//! Errors in TOML files that people write: they name the file, the line and the key, and say what to do.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// Something is wrong in a file, at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{}: {problem}", path.display(), Self::show_place(*line, *column), Self::show_key(key))]
pub struct FileError {
    /// The file as the user named it.
    pub path: PathBuf,
    /// 1-based; 0 when the file as a whole is meant.
    pub line: usize,
    /// 1-based; 0 when the file as a whole is meant.
    pub column: usize,
    /// The key with its table, such as `start.ready`; empty when none is meant.
    pub key: String,
    /// What is wrong, and what to do about it.
    pub problem: String,
}

impl FileError {
    fn show_place(line: usize, column: usize) -> String {
        if line == 0 { String::new() } else { format!(":{line}:{column}") }
    }

    fn show_key(key: &str) -> String {
        if key.is_empty() { String::new() } else { format!(": `{key}`") }
    }

    /// About the file as a whole.
    pub(crate) fn whole(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, column: 0, key: String::new(), problem: problem.into() }
    }

    /// About a stretch of its text.
    pub(crate) fn at(path: &Path, text: &str, span: &Range<usize>, problem: impl Into<String>) -> Self {
        let start = floor_char_boundary(text, span.start);
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { path: path.to_owned(), line, column, key: key_at(text, line), problem: problem.into() }
    }

    /// What serde says about a TOML text, with its place.
    pub(crate) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let problem = error.message().trim().replace('\n', "; ");
        match error.span() {
            Some(span) => Self::at(path, text, &span, problem),
            None => Self::whole(path, problem),
        }
    }
}

/// Reads a file, with advice when that fails.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String, FileError> {
    std::fs::read_to_string(path)
        .map_err(|e| FileError::whole(path, format!("failed to read the {what}: {e}; check the path")))
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// The key on a line, after the name of the table above it.
fn key_at(text: &str, line: usize) -> String {
    let mut table = String::new();
    for (number, content) in text.lines().enumerate() {
        let content = content.trim();
        if content.starts_with('[') && !content.contains('=') {
            table = content.split(']').next().unwrap_or_default().trim_start_matches('[').trim().to_owned();
            if number + 1 == line {
                return table;
            }
        }
        if number + 1 == line {
            let Some((key, _)) = content.split_once('=') else { return table };
            let key = key.trim();
            return if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_file_line_column_and_key() {
        let text = "name = \"x\"\n[start]\nredy = \"GET /\"\n";
        let at = text.find("redy").expect("there");
        let error = FileError::at(Path::new("a/target.toml"), text, &(at..at + 4), "unknown key");
        assert_eq!(error.to_string(), "a/target.toml:3:1: `start.redy`: unknown key");
    }

    #[test]
    fn an_error_about_the_whole_file_names_only_the_file() {
        let error = read_text(Path::new("/nowhere/target.toml"), "target file").expect_err("missing");
        assert!(error.to_string().starts_with("/nowhere/target.toml: failed to read the target file: "), "{error}");
    }
}
