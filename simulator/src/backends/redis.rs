//! Redis in a container, at one address for its whole life: it keeps its port when it is killed and started again.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use chatwright_conformance::target::{Action, BoxFuture, Control, ControlError, Done, Subject};
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt,
    bollard::{models::PortBinding, query_parameters::KillContainerOptionsBuilder},
    core::client::docker_client_instance,
    core::{IntoContainerPort, WaitFor},
    runners::AsyncRunner,
};

use super::{BackendError, Durability, OWNER_LABEL, owner::Owner, start_error};

const SERVICE: &str = "redis";
/// The port inside the container.
const PORT: u16 = 6379;
/// A free port is free only until somebody else takes it: then the next one is tried.
const PORT_TRIES: usize = 3;
/// How long it may take from the start of its container to the first answer: 1.2 s were measured, and machines are busy.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long one attempt to get an answer may take, and the pause before the next.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
const PROBE_PAUSE: Duration = Duration::from_millis(20);
/// How long it may take to end when asked.
const STOP_TIMEOUT_S: i32 = 5;

/// One Redis.
#[derive(Debug)]
pub struct Redis {
    container: ContainerAsync<GenericImage>,
    image: String,
    port: u16,
}

impl Redis {
    /// Starts it and waits until a client gets an answer.
    ///
    /// # Errors
    /// No engine, no image, or no answer in time.
    pub async fn start(image: &str, durability: Durability) -> Result<Self, BackendError> {
        let mut tries = 1;
        loop {
            let port = free_port().map_err(|error| BackendError::act("find a free port for", SERVICE, &error))?;
            match start_container(image, durability, port).await {
                Ok(container) => {
                    let redis = Self { container, image: image.to_owned(), port };
                    redis.wait_until_ready().await?;
                    return Ok(redis);
                }
                Err(error) if tries < PORT_TRIES && error.to_string().contains("port is already allocated") => {
                    tries += 1
                }
                Err(error) => return Err(start_error(SERVICE, image, &error)),
            }
        }
    }

    /// The image that it runs from.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Its address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// `host`, `port` and `url`, for the templates of a target file.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("host".to_owned(), Ipv4Addr::LOCALHOST.to_string()),
            ("port".to_owned(), self.port.to_string()),
            ("url".to_owned(), self.url()),
        ])
    }

    /// Stops the world inside the container; connections stay open.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn pause(&self) -> Result<(), BackendError> {
        self.container.pause().await.map_err(|error| BackendError::act("pause", SERVICE, &error))
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn resume(&self) -> Result<(), BackendError> {
        self.container.unpause().await.map_err(|error| BackendError::act("resume", SERVICE, &error))?;
        self.wait_until_ready().await
    }

    /// Ends its process at once (SIGKILL); the disk is kept.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn kill(&self) -> Result<(), BackendError> {
        let engine = docker_client_instance().await.map_err(|error| BackendError::NoEngine(error.to_string()))?;
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let killed = engine.kill_container(self.container.id(), Some(options)).await;
        killed.map_err(|error| BackendError::act("kill", SERVICE, &error))
    }

    /// Asks its process to end; the disk is kept.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn end(&self) -> Result<(), BackendError> {
        let ended = self.container.stop_with_timeout(Some(STOP_TIMEOUT_S)).await;
        ended.map_err(|error| BackendError::act("stop", SERVICE, &error))
    }

    /// Starts its process again, at the same address, with what is on its disk.
    ///
    /// # Errors
    /// When the engine refuses, or no client gets an answer in time.
    pub async fn start_again(&self) -> Result<(), BackendError> {
        self.container.start().await.map_err(|error| BackendError::act("start", SERVICE, &error))?;
        self.wait_until_ready().await
    }

    /// Removes the container.
    pub(super) async fn remove(self: std::sync::Arc<Self>) {
        // Somebody who still holds a control keeps it alive; then the last one to let go removes it.
        if let Some(redis) = std::sync::Arc::into_inner(self)
            && let Err(error) = redis.container.rm().await
        {
            tracing::warn!(%error, "failed to remove the container of redis");
        }
    }

    /// A started container is not a ready service: only a client's answer says so.
    async fn wait_until_ready(&self) -> Result<(), BackendError> {
        let client = redis::Client::open(self.url()).map_err(|error| BackendError::act("reach", SERVICE, &error))?;
        let began = Instant::now();
        loop {
            let attempt = async {
                let mut connection = client.get_multiplexed_async_connection().await?;
                redis::cmd("PING").query_async::<String>(&mut connection).await
            };
            let reason = match tokio::time::timeout(PROBE_TIMEOUT, attempt).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if began.elapsed() > READY_TIMEOUT {
                let reason = format!("not ready after {} s: {reason}", READY_TIMEOUT.as_secs());
                return Err(BackendError::Start { service: SERVICE, image: self.image.clone(), reason });
            }
            tokio::time::sleep(PROBE_PAUSE).await;
        }
    }

    async fn do_it(&self, action: Action) -> Result<&'static str, BackendError> {
        match action {
            Action::Start => self.start_again().await.map(|()| "redis started with its data"),
            Action::Stop => self.end().await.map(|()| "redis stopped"),
            Action::Kill => self.kill().await.map(|()| "redis killed"),
            Action::Restart => {
                self.end().await?;
                self.start_again().await.map(|()| "redis restarted")
            }
            Action::Pause => self.pause().await.map(|()| "redis paused"),
            Action::Resume => self.resume().await.map(|()| "redis goes on"),
        }
    }
}

impl Control for Redis {
    fn can(&self, subject: &Subject, _action: Action) -> bool {
        *subject == Subject::Backend(SERVICE.to_owned())
    }

    fn act<'a>(&'a self, subject: &'a Subject, action: Action) -> BoxFuture<'a, Result<Done, ControlError>> {
        Box::pin(async move {
            if !self.can(subject, action) {
                return Err(ControlError::Unable { subject: subject.clone(), action });
            }
            match self.do_it(action).await {
                Ok(note) => Ok(Done { exit_code: None, note: note.to_owned() }),
                Err(error) => Err(ControlError::Failed { subject: subject.clone(), action, reason: error.to_string() }),
            }
        })
    }

    fn last_lines(&self, _subject: &Subject) -> Vec<String> {
        Vec::new()
    }
}

async fn start_container(
    image: &str,
    durability: Durability,
    port: u16,
) -> Result<ContainerAsync<GenericImage>, testcontainers::TestcontainersError> {
    let (name, tag) = split_tag(image);
    let binding = PortBinding { host_ip: Some(Ipv4Addr::LOCALHOST.to_string()), host_port: Some(port.to_string()) };
    GenericImage::new(name, tag)
        .with_exposed_port(PORT.tcp())
        .with_wait_for(WaitFor::Nothing)
        .with_cmd(command(durability))
        .with_label(OWNER_LABEL, Owner::this_process().to_string())
        // On loopback only: there is no password.
        .with_host_config_modifier(move |config| {
            config.publish_all_ports = Some(false);
            config.port_bindings = Some(HashMap::from([(format!("{PORT}/tcp"), Some(vec![binding.clone()]))]));
        })
        .start()
        .await
}

fn command(durability: Durability) -> Vec<&'static str> {
    let keeps: &[&str] = match durability {
        Durability::Volatile => &["--save", "", "--appendonly", "no"],
        Durability::Durable => &["--appendonly", "yes", "--appendfsync", "always"],
    };
    [&["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"], keeps].concat()
}

/// `name:tag`, where the name may hold the port of a registry.
fn split_tag(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        Some(_) | None => (image, "latest"),
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::split_tag;

    #[test]
    fn an_image_without_a_tag_is_the_latest_and_a_registrys_port_is_no_tag() {
        assert_eq!(split_tag("redis:7.4"), ("redis", "7.4"));
        assert_eq!(split_tag("redis"), ("redis", "latest"));
        assert_eq!(split_tag("registry.local:5000/redis"), ("registry.local:5000/redis", "latest"));
        assert_eq!(split_tag("registry.local:5000/redis:7"), ("registry.local:5000/redis", "7"));
    }
}
