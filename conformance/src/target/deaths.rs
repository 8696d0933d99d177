//! Instances that ended although nobody asked them to: remembered beyond the instance, for whoever has to tell a refusal from a crash.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::children::show_output;

/// More says no more: a server that dies that often is known to die.
const DEATHS_MAX: usize = 16;

/// An instance that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// Its number; 1 is the first.
    pub instance: usize,
    /// A signal's number counts as 128 and more, as in a shell.
    pub exit_code: i32,
    /// What it printed last, oldest first.
    pub last_lines: Vec<String>,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instance {} ended by itself with exit code {}", self.instance, self.exit_code)?;
        show_output(f, &self.last_lines)
    }
}

/// Those of a target, its cases' own instances included. It outlives the target: also what died last is known when all is over.
#[derive(Debug, Clone, Default)]
pub struct Deaths(Arc<Mutex<Vec<Death>>>);

impl Deaths {
    /// All so far, in the order in which they were noticed: at the latest when the target is stopped or dropped.
    #[must_use]
    pub fn all(&self) -> Vec<Death> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, death: Death) {
        let mut deaths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if deaths.len() < DEATHS_MAX {
            deaths.push(death);
        }
    }
}
