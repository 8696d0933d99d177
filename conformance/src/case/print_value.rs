//! Prints values and patterns as the case language writes them.

use std::fmt::{self, Display, Formatter, Write as _};

use super::value::{
    Amount, Bounds, Call, Expression, KINDS, Path, Pattern, Payload, Piece, Span, Template, TextPattern, TokenCall,
    Value,
};

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.0.join("."))
    }
}

/// A template in quotes.
pub(super) struct Quoted<'a>(pub(super) &'a Template);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for piece in &self.0.0 {
            match piece {
                Piece::Literal(text) => {
                    let json = serde_json::to_string(text).map_err(|_| fmt::Error)?;
                    f.write_str(&json[1..json.len() - 1].replace("${", "\\${"))?;
                }
                Piece::Name(path) => write!(f, "${{{}}}", path.0.join("."))?,
            }
        }
        f.write_char('"')
    }
}

/// A template without quotes.
pub(super) struct Bare<'a>(pub(super) &'a Template);

impl Display for Bare<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for piece in &self.0.0 {
            match piece {
                Piece::Literal(text) => f.write_str(text)?,
                Piece::Name(path) => write!(f, "${{{}}}", path.0.join("."))?,
            }
        }
        Ok(())
    }
}

pub(super) fn joined<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
    }
    Ok(())
}

fn fields<T: Display>(f: &mut Formatter<'_>, fields: &[(Template, T)]) -> fmt::Result {
    for (i, (name, value)) in fields.iter().enumerate() {
        write!(f, "{}{}: {value}", if i == 0 { "" } else { ", " }, Quoted(name))?;
    }
    Ok(())
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(text) => write!(f, "{}", Quoted(text)),
            Self::List(items) => {
                f.write_str("[")?;
                joined(f, items)?;
                f.write_str("]")
            }
            Self::Object(of) => {
                f.write_str("{")?;
                fields(f, of)?;
                f.write_str("}")
            }
            Self::Name(path) => write!(f, "{path}"),
            Self::Call(call) => write!(f, "{call}"),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh(None) => f.write_str("fresh()"),
            Self::Fresh(Some(inside)) => write!(f, "fresh({})", Quoted(inside)),
            Self::Repeat(what, times) => write!(f, "repeat({what}, {times})"),
            Self::Token(order) => write!(f, "{order}"),
            Self::Now => f.write_str("now()"),
            Self::Hex(digits) => write!(f, "hex({digits})"),
        }
    }
}

impl Display for TokenCall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "token({}", self.actor)?;
        if let Some(expires) = &self.expires {
            write!(f, ", exp={expires}")?;
        }
        if self.foreign_key {
            f.write_str(", key=other")?;
        }
        if let Some(algorithm) = &self.algorithm {
            write!(f, ", alg={algorithm}")?;
        }
        for claim in &self.dropped {
            write!(f, ", drop={claim}")?;
        }
        for (name, value) in &self.claims {
            write!(f, ", claim.{name}={value}")?;
        }
        f.write_str(")")
    }
}

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, term) in self.0.iter().enumerate() {
            match (term.minus, i) {
                (true, _) => f.write_str("-")?,
                (false, 0) => {}
                (false, _) => f.write_str("+")?,
            }
            match &term.amount {
                Amount::Millis(ms) if ms % 1000 == 0 => write!(f, "{}s", ms / 1000)?,
                Amount::Millis(ms) => write!(f, "{ms}ms")?,
                Amount::Clock(name) => write!(f, "$timing.{name}")?,
                Amount::Name(path) => write!(f, "{path}")?,
            }
        }
        Ok(())
    }
}

impl Display for Bounds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) if low == high => write!(f, "({low})"),
            (low, high) => {
                f.write_str("(")?;
                if let Some(low) = low {
                    write!(f, "{low}")?;
                }
                f.write_str("..")?;
                if let Some(high) = high {
                    write!(f, "{high}")?;
                }
                f.write_str(")")
            }
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Object { exact, fields: of } => {
                f.write_str(match (exact, of.is_empty()) {
                    (true, true) => "{=",
                    (true, false) => "{= ",
                    (false, _) => "{",
                })?;
                fields(f, of)?;
                f.write_str("}")
            }
            Self::List(items) => bracketed(f, "[", items),
            Self::Holds(items) => bracketed(f, "[* ", items),
            Self::Each(inner) => write!(f, "[+ {inner}]"),
            Self::Kind { kind, bounds } => {
                let name = KINDS.iter().find(|(_, k)| k == kind).map_or("any", |(name, _)| *name);
                write!(f, "@{name}")?;
                bounds.as_ref().map_or(Ok(()), |bounds| write!(f, "{bounds}"))
            }
            Self::Regex(expression) => write!(f, "{expression}"),
            Self::Text(name) => write!(f, "~{name}"),
            Self::Not(inner) => write!(f, "!{}", Tight(inner)),
            Self::As(inner, name) => write!(f, "{} as ${name}", Captured(inner)),
            Self::OneOf(options) => {
                for (i, option) in options.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { " | " })?;
                    if matches!(option, Self::OneOf(_)) { write!(f, "({option})")? } else { write!(f, "{option}")? }
                }
                Ok(())
            }
        }
    }
}

fn bracketed(f: &mut Formatter<'_>, open: &str, items: &[Pattern]) -> fmt::Result {
    f.write_str(open)?;
    joined(f, items)?;
    f.write_str("]")
}

/// Behind `!`: what binds less tightly stands in parentheses.
struct Tight<'a>(&'a Pattern);

impl Display for Tight<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if matches!(self.0, Pattern::As(..) | Pattern::OneOf(_)) {
            write!(f, "({})", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// Before `as`.
struct Captured<'a>(&'a Pattern);

impl Display for Captured<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if matches!(self.0, Pattern::OneOf(_)) { write!(f, "({})", self.0) } else { write!(f, "{}", self.0) }
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "~\"{}\"", self.source.replace('"', "\\\""))
    }
}

impl Display for TextPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "{pattern}"),
            Self::Exact(text) => write!(f, "{}", Bare(text)),
            Self::Json(prefix, json) => write!(f, "{}{json}", Bare(prefix)),
        }
    }
}

impl Display for Payload {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Bare(text) => write!(f, "{}", Bare(text)),
        }
    }
}
