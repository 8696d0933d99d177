//! Real backends in containers: the only code that starts any. One file per service.
//!
//! Each container carries a label that names the process that started it. [`Backends::start`] first removes the containers of processes
//! that are gone (a killed run cannot clean up after itself), and never touches anything else.

mod owner;
mod redis;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chatwright_conformance::target::{BackendName, Control, Controls};
use testcontainers::{
    TestcontainersError,
    bollard::{
        Docker, query_parameters::ListContainersOptionsBuilder, query_parameters::RemoveContainerOptionsBuilder,
    },
    core::client::docker_client_instance,
};

use self::owner::Owner;
pub use self::redis::Redis;

/// The label that names the owner of a container.
const OWNER_LABEL: &str = "chatwright.owner";

/// Which image runs for which service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Redis.
    pub redis: String,
}

impl Default for Images {
    /// The official images.
    fn default() -> Self {
        Self { redis: "redis:7.4".to_owned() }
    }
}

/// What a backend keeps when its process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: fast, for runs that do not kill it.
    Volatile,
    /// Everything that it has confirmed: each write is on disk before its answer.
    Durable,
}

/// Why a backend is not there, or did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Start the engine.
    #[error("no container engine answers: start Docker, or run without containers ({0})")]
    NoEngine(String),
    /// Choose an image that can be had.
    #[error("failed to start {service} from the image {image}: {reason}")]
    Start {
        /// Which service.
        service: &'static str,
        /// Which image.
        image: String,
        /// Why.
        reason: String,
    },
    /// Report it: an engine that answers does this.
    #[error("failed to {action} the container of {service}: {reason}")]
    Act {
        /// What.
        action: &'static str,
        /// Which service.
        service: &'static str,
        /// Why.
        reason: String,
    },
    /// A backend that nobody here can start.
    #[error("{0} cannot be started here: run it yourself and say where it is")]
    Unsupported(&'static str),
}

impl BackendError {
    fn act(action: &'static str, service: &'static str, reason: &impl ToString) -> Self {
        Self::Act { action, service, reason: reason.to_string() }
    }
}

/// The backends of one run.
#[derive(Debug)]
pub struct Backends {
    redis: Option<Arc<Redis>>,
}

impl Backends {
    /// Removes the containers of dead runs, then starts these services, each in a container of its own; returns when clients can use them.
    ///
    /// # Errors
    /// No engine, no image, no readiness in time, or a service that has no recipe here.
    pub async fn start(
        services: &BTreeSet<BackendName>,
        images: &Images,
        durability: Durability,
    ) -> Result<Self, BackendError> {
        let mut backends = Self { redis: None };
        if services.is_empty() {
            return Ok(backends);
        }
        let engine = engine().await?;
        remove_leftovers(&engine).await;
        for service in services {
            match service {
                BackendName::Redis => backends.redis = Some(Arc::new(Redis::start(&images.redis, durability).await?)),
                BackendName::Mongodb | BackendName::Postgresql | BackendName::Rabbitmq | BackendName::Kafka => {
                    return Err(BackendError::Unsupported(service.as_str()));
                }
            }
        }
        Ok(backends)
    }

    /// Where they are, by name: `redis` has `host`, `port` and `url`. These are the values of a target file's `{redis.port}`.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.redis.iter().map(|redis| ("redis".to_owned(), redis.values())).collect()
    }

    /// What can be done to them.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        Arc::new(Controls::new(self.redis.iter().map(|redis| Arc::clone(redis) as Arc<dyn Control>).collect()))
    }

    /// What really runs, for reports: `redis: chatwright-test/redis:7.0.15`.
    #[must_use]
    pub fn images(&self) -> Vec<String> {
        self.redis.iter().map(|redis| format!("redis: {}", redis.image())).collect()
    }

    /// Redis, where it was asked for.
    #[must_use]
    pub fn redis(&self) -> Option<&Arc<Redis>> {
        self.redis.as_ref()
    }

    /// Removes the containers. Dropping does the same, but blocks its thread for it.
    pub async fn stop(self) {
        if let Some(redis) = self.redis {
            redis.remove().await;
        }
    }
}

async fn engine() -> Result<Docker, BackendError> {
    let engine = docker_client_instance().await.map_err(|error| BackendError::NoEngine(error.to_string()))?;
    engine.ping().await.map_err(|error| BackendError::NoEngine(error.to_string()))?;
    Ok(engine)
}

/// Removes the containers whose owner is gone. What cannot be removed is somebody else's trouble: the run goes on.
async fn remove_leftovers(engine: &Docker) {
    let filters = std::collections::HashMap::from([("label".to_owned(), vec![OWNER_LABEL.to_owned()])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let containers = match engine.list_containers(Some(options)).await {
        Ok(containers) => containers,
        Err(error) => {
            tracing::warn!(%error, "failed to list the containers of earlier runs");
            return;
        }
    };
    for container in containers {
        let owner = container.labels.as_ref().and_then(|labels| labels.get(OWNER_LABEL));
        let (Some(id), Some(owner)) = (container.id, owner) else { continue };
        if Owner::parse(owner).is_none_or(|owner| !owner.is_surely_gone()) {
            continue;
        }
        tracing::info!(%id, %owner, "removing the container of a run that is gone");
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        if let Err(error) = engine.remove_container(&id, Some(options)).await {
            tracing::warn!(%id, %error, "failed to remove the container of a run that is gone");
        }
    }
}

/// What testcontainers says, with the advice that a missing image asks for.
fn start_error(service: &'static str, image: &str, error: &TestcontainersError) -> BackendError {
    BackendError::Start {
        service,
        image: image.to_owned(),
        reason: format!("{error}; see fixtures/backends/README.md where no registry is in reach"),
    }
}
