//! Reads one logical line of a case character by character and knows, for each error, the file, line and column.

use std::fmt;

use super::value::{Path, Piece, Template};

/// A place where a case does not follow the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CaseError {
    /// The file.
    pub file: String,
    /// 1-based.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
    /// What is wrong: `expected a pattern, found "%"`.
    pub message: String,
    /// The line as written.
    pub source_line: String,
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let indent: String = self
            .source_line
            .chars()
            .take(self.column as usize - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        writeln!(f, " {number} | {}", self.source_line)?;
        write!(f, " {:width$} | {indent}^", "", width = number.len())
    }
}

/// What the parser returns.
pub(super) type Parsed<T> = Result<T, CaseError>;

/// One logical line: continued lines are joined, each character knows where it stands.
pub(super) struct Cursor<'a> {
    file: &'a str,
    source: &'a [&'a str],
    chars: Vec<char>,
    places: Vec<(u32, u32)>,
    end: (u32, u32),
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The logical line that starts at `first` (0-based); also says how many lines it spans.
    pub(super) fn over(file: &'a str, source: &'a [&'a str], first: usize) -> (Self, usize) {
        let (mut chars, mut places, mut end) = (Vec::new(), Vec::new(), (0, 0));
        let mut spanned = 0;
        for line in &source[first..] {
            let number = u32::try_from(first + spanned + 1).unwrap_or(u32::MAX);
            spanned += 1;
            let continued = line.trim_end().strip_suffix('\\');
            let text = continued.unwrap_or(line);
            for (column, c) in (1_u32..).zip(text.chars()) {
                chars.push(c);
                places.push((number, column));
            }
            end = (number, u32::try_from(text.chars().count()).unwrap_or(u32::MAX) + 1);
            if continued.is_none() {
                break;
            }
            chars.push(' ');
            places.push(end);
        }
        let mut cursor = Self { file, source, chars, places, end, at: 0 };
        cursor.blanks();
        if cursor.peek() == Some('#') {
            cursor.at = cursor.chars.len();
        }
        (cursor, spanned)
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Skips blanks, and a comment: `#` behind two of them.
    pub(super) fn blanks(&mut self) {
        let start = self.at;
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        if self.peek() == Some('#') && self.at >= start + 2 {
            self.at = self.chars.len();
        }
    }

    pub(super) fn at_end(&mut self) -> bool {
        self.blanks();
        self.peek().is_none()
    }

    pub(super) fn mark(&self) -> usize {
        self.at
    }

    pub(super) fn back_to(&mut self, mark: usize) {
        self.at = mark;
    }

    pub(super) fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.peek_at(i) == Some(c))
    }

    /// Takes exactly this text.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.starts_with(text);
        if found {
            self.at += text.chars().count();
        }
        found
    }

    /// Takes this word if it stands alone, and the blanks behind it.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let mark = self.at;
        if self.eat(word) && self.peek().is_none_or(char::is_whitespace) {
            self.blanks();
            return true;
        }
        self.at = mark;
        false
    }

    pub(super) fn expect(&mut self, text: &str) -> Parsed<()> {
        if self.eat(text) { Ok(()) } else { Err(self.expected(&format!("`{text}`"))) }
    }

    /// The characters up to one that is not `wanted`.
    pub(super) fn take(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    /// The next blank-separated word without moving.
    pub(super) fn peek_word(&self) -> String {
        self.chars[self.at..].iter().take_while(|c| !c.is_whitespace()).collect()
    }

    /// `$name.field` without its `$`.
    pub(super) fn path(&mut self) -> Parsed<Path> {
        let mut parts = Vec::new();
        loop {
            let part = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
            if part.is_empty() {
                return Err(self.expected("a name"));
            }
            parts.push(part);
            let more =
                self.peek() == Some('.') && self.peek_at(1).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            if !more {
                return Ok(Path(parts));
            }
            self.at += 1;
        }
    }

    /// Bare text up to `stop`, with `${name}` inside.
    pub(super) fn bare(&mut self, stop: impl Fn(&Self, char) -> bool) -> Parsed<Template> {
        let (mut pieces, mut literal) = (Vec::new(), String::new());
        while let Some(c) = self.peek() {
            if self.eat("${") {
                push_literal(&mut pieces, &mut literal);
                pieces.push(Piece::Name(self.path()?));
                self.expect("}")?;
            } else if stop(self, c) {
                break;
            } else {
                literal.push(c);
                self.at += 1;
            }
        }
        push_literal(&mut pieces, &mut literal);
        Ok(Template(pieces))
    }

    /// Whether only a comment or nothing follows.
    pub(super) fn rest_is_void(&self) -> bool {
        let rest = &self.chars[self.at..];
        let blank = rest.iter().take_while(|c| c.is_whitespace()).count();
        blank == rest.len() || (blank >= 2 && rest[blank] == '#')
    }

    pub(super) fn expected(&self, what: &str) -> CaseError {
        let found = match self.peek() {
            None => "the end of the line".to_owned(),
            Some(c) if c.is_whitespace() => "a blank".to_owned(),
            Some(_) => format!("`{}`", self.peek_word().chars().take(24).collect::<String>()),
        };
        self.error(&format!("expected {what}, found {found}"))
    }

    pub(super) fn error(&self, message: &str) -> CaseError {
        self.error_at(self.at, message)
    }

    pub(super) fn error_at(&self, mark: usize, message: &str) -> CaseError {
        let (line, column) = self.places.get(mark).copied().unwrap_or(self.end);
        CaseError {
            file: self.file.to_owned(),
            line,
            column: column.max(1),
            message: message.to_owned(),
            source_line: self.source.get((line as usize).saturating_sub(1)).map_or(String::new(), |s| (*s).to_owned()),
        }
    }
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &mut String) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal)));
    }
}
