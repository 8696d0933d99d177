//! How the ports of a core are, for `/health`.

use std::fmt;

/// How the ports are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The store's technology, and what is wrong with it.
    pub store: PortHealth,
    /// The bus's technology, and what is wrong with it.
    pub bus: PortHealth,
    /// Messages that wait for the store.
    pub backlog: usize,
}

/// How one port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortHealth {
    /// E.g. `memory` or `redis`.
    pub technology: &'static str,
    /// Why it does not work now; `None`: it does.
    pub problem: Option<String>,
}

impl PortHealth {
    /// As it was answered when it was asked.
    pub(super) fn of<E: fmt::Display>(technology: &'static str, answer: Result<(), E>) -> Self {
        Self { technology, problem: answer.err().map(|problem| problem.to_string()) }
    }
}
