//! The only place that writes to the terminal. Colour goes only where it is wanted: `NO_COLOR`, `CLICOLOR`, pipes and `--color` are respected
//! by `anstream`.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};

/// Writes text (which may hold ANSI styles) to standard output. A closed pipe is not an error: the reader has seen enough.
pub(crate) fn out(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}

/// Writes a note to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes `warning: ...` to standard error.
pub(crate) fn warning(text: &str) {
    let style = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
    note(&format!("{style}warning{style:#}: {text}"));
}

/// Writes `error: ...` to standard error.
pub(crate) fn error(text: &str) {
    let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    note(&format!("{style}error{style:#}: {text}"));
}

/// Whether standard output shows colour.
pub(crate) fn colour() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}
