//! A service in a container, at one address for its whole life: it keeps its port when it is killed and started again.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use chatwright_conformance::target::{
    Action, AskError, BackendName, BoxFuture, Control, ControlError, Done, Port, Published, Subject,
};
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt,
    bollard::{models::PortBinding, query_parameters::KillContainerOptionsBuilder},
    core::client::docker_client_instance,
    core::{IntoContainerPort, WaitFor},
    runners::AsyncRunner,
};

use super::{BackendError, Durability, OWNER_LABEL, owner::Owner, start_error};

/// A free port is free only until somebody else takes it: then the next one is tried.
const PORT_TRIES: usize = 3;
/// The kernel gives up to freeze a container whose processes are busy just then, and the engine refuses ("unable to freeze"): it is asked again, after a rest.
const FREEZE_TRIES: usize = 5;
const FREEZE_REST: Duration = Duration::from_millis(200);
/// How long it may take from the start of a container to the first answer: up to 7.3 s were measured (RabbitMQ), and machines are busy.
const READY_TIMEOUT: Duration = Duration::from_secs(90);
/// How long one attempt to get an answer may take, and the pause before the next.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const PROBE_PAUSE: Duration = Duration::from_millis(20);
/// How long it may take to end when asked.
const STOP_TIMEOUT_S: i32 = 5;

/// What is special about a service.
pub(super) trait Service: Send + Sync + fmt::Debug {
    fn name(&self) -> BackendName;

    /// The port inside the container.
    fn port(&self) -> u16;

    /// The arguments of its image; empty: the image's own.
    fn command(&self, durability: Durability) -> Vec<&'static str>;

    /// Files that are in its container before it starts: where, and what.
    fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        Vec::new()
    }

    /// What clients are told beside where it is: names and values.
    fn facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The variables of its container, which clients reach at `address`.
    fn environment(&self, durability: Durability, address: SocketAddr) -> Vec<(&'static str, String)>;

    /// What clients need beside `host` and `port`: a name and its value.
    fn place(&self, address: SocketAddr) -> (&'static str, String);

    /// Whether a client gets an answer that means that everything can be used; the words are for an error.
    fn probe(&self, address: SocketAddr) -> BoxFuture<'_, Result<(), String>>;

    /// What it answers to a question in its own language, as plain data; the words of an error are its own.
    fn ask<'a>(&'a self, address: SocketAddr, question: &'a str) -> BoxFuture<'a, Result<serde_json::Value, String>>;

    /// What is published on these channels from the answer on; `None` where nothing is published.
    fn listen<'a>(&'a self, _: SocketAddr, _channel: &'a str) -> Option<BoxFuture<'a, Result<Published, String>>> {
        None
    }
}

/// One running service.
#[derive(Debug)]
pub struct Container {
    service: Arc<dyn Service>,
    container: ContainerAsync<GenericImage>,
    image: String,
    port: Port,
}

impl Container {
    /// Starts it and waits until a client gets an answer.
    ///
    /// # Errors
    /// No engine, no image, or no answer in time.
    pub(super) async fn start(
        service: Arc<dyn Service>,
        image: &str,
        durability: Durability,
    ) -> Result<Self, BackendError> {
        let name = service.name().as_str();
        let mut tries = 1;
        loop {
            let port = Port::reserve().map_err(|error| BackendError::act("find a free port for", name, &error))?;
            match start_container(service.as_ref(), image, durability, port.number()).await {
                Ok(container) => {
                    let running = Self { service, container, image: image.to_owned(), port };
                    running.wait_until_ready().await?;
                    return Ok(running);
                }
                Err(error) if tries < PORT_TRIES && error.to_string().contains("port is already allocated") => {
                    tries += 1
                }
                Err(error) => return Err(start_error(name, image, &error)),
            }
        }
    }

    /// The image that it runs from.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Which service it is.
    #[must_use]
    pub fn name(&self) -> BackendName {
        self.service.name()
    }

    /// Its address for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.number()))
    }

    /// What its clients are given: a URL, for Kafka `host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.service.place(self.address()).1
    }

    /// `host`, `port`, `url` (for Kafka `broker`) and whatever else its clients must know, for the templates of a target file.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, String> {
        let (name, place) = self.service.place(self.address());
        let mut values = BTreeMap::from([
            ("host".to_owned(), Ipv4Addr::LOCALHOST.to_string()),
            ("port".to_owned(), self.port.number().to_string()),
            (name.to_owned(), place),
        ]);
        values.extend(self.service.facts().into_iter().map(|(name, value)| (name.to_owned(), value)));
        values
    }

    /// Stops the world inside the container; connections stay open.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn pause(&self) -> Result<(), BackendError> {
        let mut tries = 1;
        loop {
            match self.container.pause().await {
                Ok(()) => return Ok(()),
                Err(error) if tries == FREEZE_TRIES => return Err(BackendError::act("pause", self.service(), &error)),
                Err(_) => tokio::time::sleep(FREEZE_REST).await,
            }
            tries += 1;
        }
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn resume(&self) -> Result<(), BackendError> {
        self.container.unpause().await.map_err(|error| BackendError::act("resume", self.service(), &error))?;
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
        killed.map_err(|error| BackendError::act("kill", self.service(), &error))
    }

    /// Asks its process to end; the disk is kept.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn end(&self) -> Result<(), BackendError> {
        let ended = self.container.stop_with_timeout(Some(STOP_TIMEOUT_S)).await;
        ended.map_err(|error| BackendError::act("stop", self.service(), &error))
    }

    /// Starts its process again, at the same address, with what is on its disk.
    ///
    /// # Errors
    /// When the engine refuses, or no client gets an answer in time.
    pub async fn start_again(&self) -> Result<(), BackendError> {
        self.container.start().await.map_err(|error| BackendError::act("start", self.service(), &error))?;
        self.wait_until_ready().await
    }

    /// Removes the container.
    pub(super) async fn remove(self: std::sync::Arc<Self>) {
        let service = self.service();
        // Somebody who still holds a control keeps it alive; then the last one to let go removes it.
        if let Some(running) = std::sync::Arc::into_inner(self)
            && let Err(error) = running.container.rm().await
        {
            tracing::warn!(%error, service, "failed to remove a container");
        }
    }

    /// A started container is not a ready service: only a client's answer says so.
    async fn wait_until_ready(&self) -> Result<(), BackendError> {
        let began = Instant::now();
        loop {
            let reason = match tokio::time::timeout(PROBE_TIMEOUT, self.service.probe(self.address())).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => reason,
                Err(_) => "no answer".to_owned(),
            };
            if began.elapsed() > READY_TIMEOUT {
                let reason = format!("not ready after {} s: {reason}", READY_TIMEOUT.as_secs());
                return Err(BackendError::Start { service: self.service(), image: self.image.clone(), reason });
            }
            tokio::time::sleep(PROBE_PAUSE).await;
        }
    }

    fn service(&self) -> &'static str {
        self.service.name().as_str()
    }

    async fn do_it(&self, action: Action) -> Result<&'static str, BackendError> {
        match action {
            Action::Start => self.start_again().await.map(|()| "started with its data"),
            Action::Stop => self.end().await.map(|()| "stopped"),
            Action::Kill => self.kill().await.map(|()| "killed"),
            Action::Restart => {
                self.end().await?;
                self.start_again().await.map(|()| "restarted")
            }
            Action::Pause => self.pause().await.map(|()| "paused"),
            Action::Resume => self.resume().await.map(|()| "goes on"),
        }
    }
}

impl Control for Container {
    fn can(&self, subject: &Subject, _action: Action) -> bool {
        *subject == Subject::Backend(self.service().to_owned())
    }

    fn act<'a>(&'a self, subject: &'a Subject, action: Action) -> BoxFuture<'a, Result<Done, ControlError>> {
        Box::pin(async move {
            if !self.can(subject, action) {
                return Err(ControlError::Unable { subject: subject.clone(), action });
            }
            match self.do_it(action).await {
                Ok(note) => Ok(Done { exit_code: None, note: format!("{} {note}", self.service()) }),
                Err(error) => Err(ControlError::Failed { subject: subject.clone(), action, reason: error.to_string() }),
            }
        })
    }

    fn last_lines(&self, _subject: &Subject) -> Vec<String> {
        Vec::new()
    }

    fn ask<'a>(
        &'a self,
        subject: &'a Subject,
        question: &'a str,
    ) -> BoxFuture<'a, Result<serde_json::Value, AskError>> {
        if *subject != Subject::Backend(self.service().to_owned()) {
            return Box::pin(std::future::ready(Err(AskError::Unable)));
        }
        let address = self.address();
        Box::pin(async move { self.service.ask(address, question).await.map_err(AskError::Failed) })
    }

    fn listen<'a>(&'a self, subject: &'a Subject, channel: &'a str) -> BoxFuture<'a, Result<Published, AskError>> {
        let is_own = *subject == Subject::Backend(self.service().to_owned());
        match is_own.then(|| self.service.listen(self.address(), channel)).flatten() {
            Some(listening) => Box::pin(async move { listening.await.map_err(AskError::Failed) }),
            None => Box::pin(std::future::ready(Err(AskError::Unable))),
        }
    }
}

async fn start_container(
    service: &dyn Service,
    image: &str,
    durability: Durability,
    port: u16,
) -> Result<ContainerAsync<GenericImage>, testcontainers::TestcontainersError> {
    let (name, tag) = split_tag(image);
    let inside = service.port();
    let binding = PortBinding { host_ip: Some(Ipv4Addr::LOCALHOST.to_string()), host_port: Some(port.to_string()) };
    let mut request = GenericImage::new(name, tag)
        .with_exposed_port(inside.tcp())
        .with_wait_for(WaitFor::Nothing)
        .with_label(OWNER_LABEL, Owner::this_process().to_string())
        // On loopback only: there is no password.
        .with_host_config_modifier(move |config| {
            config.publish_all_ports = Some(false);
            config.port_bindings = Some(HashMap::from([(format!("{inside}/tcp"), Some(vec![binding.clone()]))]));
        });
    let command = service.command(durability);
    if !command.is_empty() {
        request = request.with_cmd(command);
    }
    for (place, content) in service.files() {
        request = request.with_copy_to(place, content);
    }
    for (variable, value) in service.environment(durability, SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        request = request.with_env_var(variable, value);
    }
    request.start().await
}

/// `name:tag`, where the name may hold the port of a registry.
fn split_tag(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        Some(_) | None => (image, "latest"),
    }
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
