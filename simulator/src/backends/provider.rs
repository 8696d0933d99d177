//! Backends for the wrong servers that need some: each of them gets containers of its own.

use std::collections::BTreeSet;

use chatwright_conformance::{
    target::{BackendName, BoxFuture},
    wrong::{Provided, Provider},
};

use super::{Backends, Durability, Images};

impl Provider for Images {
    fn provide<'a>(&'a self, backends: &'a BTreeSet<BackendName>) -> BoxFuture<'a, Result<Provided, String>> {
        Box::pin(async move {
            let started = Backends::start(backends, self, Durability::Durable).await.map_err(|e| e.to_string())?;
            Ok(Provided { values: started.values(), control: started.control(), keep: Box::new(started) })
        })
    }
}
