//! What the process says when it ends: the exit codes, documented once.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0: everything held.
    Pass,
    /// 1: a finding.
    Fail,
    /// 2: wrong use or configuration.
    WrongUse,
    /// 3: the run could not tell.
    Inconclusive,
    /// 4: the run judged itself unfit.
    Invalid,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Pass => 0,
            Outcome::Fail => 1,
            Outcome::WrongUse => 2,
            Outcome::Inconclusive => 3,
            Outcome::Invalid => 4,
        })
    }
}

/// The text below every command's help.
pub(crate) const EXIT_CODES: &str =
    "Exit codes: 0 pass, 1 fail, 2 wrong use or configuration, 3 inconclusive, 4 invalid run.";

/// Wrong use or configuration: one message that names the file, place or URL and says what to do.
#[derive(Debug)]
pub(crate) struct UseError(String);

impl UseError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl std::fmt::Display for UseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints one message and gives exit code 2.
pub(crate) fn fail(message: &str) -> ExitCode {
    crate::terminal::error(message);
    Outcome::WrongUse.into()
}
