//! Real backends in containers: the only code that starts any. One file per service.
//!
//! Each container carries a label that names the process that started it. [`Backends::start`] first removes the containers of processes
//! that are gone (a killed run cannot clean up after itself), and never touches anything else.

mod container;
mod kafka;
mod mongodb;
mod owner;
mod postgresql;
mod provider;
mod rabbitmq;
mod redis;
mod redis_ask;
mod tls;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chatwright_conformance::target::{BackendName, Control, Controls};
use futures_util::future::{join_all, try_join_all};
use testcontainers::{
    TestcontainersError,
    bollard::{
        Docker, query_parameters::ListContainersOptionsBuilder, query_parameters::RemoveContainerOptionsBuilder,
    },
    core::client::docker_client_instance,
};

pub use self::container::Container;
use self::{container::Service, owner::Owner};

/// The label that names the owner of a container.
const OWNER_LABEL: &str = "chatwright.owner";

/// The services with their official images.
const SERVICES: [(BackendName, &str); 5] = [
    (BackendName::Redis, "redis:7.4"),
    (BackendName::Mongodb, "mongo:7.0"),
    (BackendName::Postgresql, "postgres:16"),
    (BackendName::Rabbitmq, "rabbitmq:3.13"),
    (BackendName::Kafka, "apache/kafka:3.9.1"),
];

/// What is special about a service; `tls`: it speaks nothing else, with a certificate made for it now.
fn service(name: BackendName, tls: bool) -> Result<Arc<dyn Service>, BackendError> {
    Ok(match name {
        BackendName::Redis if tls => Arc::new(redis::Redis::with_tls()?),
        BackendName::Redis => Arc::new(redis::Redis::default()),
        BackendName::Mongodb => Arc::new(mongodb::Mongodb),
        BackendName::Postgresql => Arc::new(postgresql::Postgresql),
        BackendName::Rabbitmq => Arc::new(rabbitmq::Rabbitmq),
        BackendName::Kafka => Arc::new(kafka::Kafka),
    })
}

/// Which image runs for which service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images(BTreeMap<BackendName, String>);

impl Images {
    /// The official images, except where a variable such as `CHATWRIGHT_IMAGE_REDIS` names another.
    #[must_use]
    pub fn named_by(variable: impl Fn(&str) -> Option<String>) -> Self {
        let image = |service: BackendName| variable(&variable_of(service.as_str())).filter(|image| !image.is_empty());
        let images =
            SERVICES.map(|(service, official)| (service, image(service).unwrap_or_else(|| official.to_owned())));
        Self(images.into_iter().collect())
    }

    /// The image of a service.
    #[must_use]
    pub fn of(&self, service: BackendName) -> &str {
        self.0.get(&service).map_or("", String::as_str)
    }

    /// The same with another image for one service.
    #[must_use]
    pub fn with(mut self, service: BackendName, image: impl Into<String>) -> Self {
        self.0.insert(service, image.into());
        self
    }
}

impl Default for Images {
    /// The official images.
    fn default() -> Self {
        Self::named_by(|_| None)
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
}

impl BackendError {
    fn act(action: &'static str, service: &'static str, reason: &impl ToString) -> Self {
        Self::Act { action, service, reason: reason.to_string() }
    }
}

/// The backends of one run.
#[derive(Debug)]
pub struct Backends(BTreeMap<BackendName, Arc<Container>>);

impl Backends {
    /// Removes the containers of dead runs, then starts these services, each in a container of its own; returns when clients can use them.
    ///
    /// # Errors
    /// No engine, no image, or no readiness in time.
    pub async fn start(
        services: &BTreeSet<BackendName>,
        images: &Images,
        durability: Durability,
    ) -> Result<Self, BackendError> {
        Self::start_secured(services, &BTreeSet::new(), images, durability).await
    }

    /// The same; those of `tls` speak TLS only, with a certificate made for this run. Where the certificate of its authority lies is one
    /// of a service's values: `{redis.ca}` in a target file.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn start_secured(
        services: &BTreeSet<BackendName>,
        tls: &BTreeSet<BackendName>,
        images: &Images,
        durability: Durability,
    ) -> Result<Self, BackendError> {
        if services.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let engine = engine().await?;
        remove_leftovers(&engine).await;
        // At once: the slowest takes ten times as long as the fastest.
        let starting = services.iter().map(|name| async move {
            Container::start(service(*name, tls.contains(name))?, images.of(*name), durability).await
        });
        let running = try_join_all(starting).await?;
        Ok(Self(running.into_iter().map(|container| (container.name(), Arc::new(container))).collect()))
    }

    /// Where they are, by name: `redis` has `host`, `port` and `url`. These are the values of a target file's `{redis.port}`.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.0.iter().map(|(name, container)| (name.as_str().to_owned(), container.values())).collect()
    }

    /// What can be done to them.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        let controls = self.0.values().map(|container| Arc::clone(container) as Arc<dyn Control>);
        Arc::new(Controls::new(controls.collect()))
    }

    /// What really runs, for reports: `redis: chatwright-test/redis:7.0.15`.
    #[must_use]
    pub fn images(&self) -> Vec<String> {
        self.0.iter().map(|(name, container)| format!("{}: {}", name.as_str(), container.image())).collect()
    }

    /// One of them, where it was asked for.
    #[must_use]
    pub fn get(&self, service: BackendName) -> Option<&Arc<Container>> {
        self.0.get(&service)
    }

    /// Removes the containers, all at once. Dropping does the same one by one, and blocks its thread for it.
    pub async fn stop(self) {
        join_all(self.0.into_values().map(Container::remove)).await;
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

/// The variable that names the image of a service.
fn variable_of(service: &str) -> String {
    format!("CHATWRIGHT_IMAGE_{}", service.to_uppercase())
}

/// What testcontainers says, with the advice that a missing image asks for.
fn start_error(service: &'static str, image: &str, error: &TestcontainersError) -> BackendError {
    BackendError::Start {
        service,
        image: image.to_owned(),
        reason: format!(
            "{error}; where no registry is in reach, make an image with fixtures/backends/build-images {service} and name it in {}",
            variable_of(service)
        ),
    }
}
