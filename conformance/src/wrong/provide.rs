//! What wrong servers need beside instances: backends, started by whoever can start some.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use super::WrongServer;
use crate::target::{BackendName, BoxFuture, Control};

/// How a need for a backend begins.
const BACKEND: &str = "backend=";

/// Backends of one server alone; they end when `keep` is dropped.
pub struct Provided {
    /// Where they are, by name: values for templates, such as `host`, `port`, `url`.
    pub values: BTreeMap<String, BTreeMap<String, String>>,
    /// What can be done to them.
    pub control: Arc<dyn Control>,
    /// Keeps them alive.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Who starts backends.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Starts these, empty, for one server.
    ///
    /// # Errors
    /// Why they are not there, in words for people.
    fn provide<'a>(&'a self, backends: &'a BTreeSet<BackendName>) -> BoxFuture<'a, Result<Provided, String>>;
}

impl WrongServer {
    /// The backends that its cases need.
    #[must_use]
    pub fn backends(&self) -> BTreeSet<BackendName> {
        let names: Vec<&str> = self.needs.iter().filter_map(|need| need.strip_prefix(BACKEND)).collect();
        BackendName::ALL.into_iter().filter(|backend| names.contains(&backend.as_str())).collect()
    }
}
