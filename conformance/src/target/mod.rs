//! The target: the system under test. Read from a target file, started where it must be, reached at named listeners, controlled
//! from outside, and ended together with everything that it started.

mod adapt;
mod address;
mod child;
mod children;
mod client;
mod control;
mod deaths;
mod documented;
mod duration;
mod ear;
mod file;
mod launch;
mod output;
mod own;
mod parse;
mod place;
mod port;
mod ready;
mod setup;
mod template;
mod written;

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

pub use self::{
    adapt::{Adapt, Ids, SplitEvent},
    address::Address,
    control::{Action, AskError, BoxFuture, Control, ControlError, Controls, Done, Published, Subject},
    deaths::{Death, Deaths},
    documented::{Documented, Scratch, Wishes},
    duration::{parse_duration, show_duration},
    file::{
        Auth, BackendName, CatchUp, Confirm, History, Identity, InstanceTemplate, KnownFailing, Limits, Order, Ready,
        RowOverrides, StartSpec, StopSignal, TargetFile, Timing, Transport,
    },
    launch::{StartOptions, TargetError},
    own::OwnFailure,
    place::FileError,
    port::Port,
    template::Template,
};
pub(crate) use self::{
    client::{ClientProgram, Said, command_of},
    place::read_text,
};
use crate::{auth_stub::AuthStubHandle, outcome::About, tokens::TokenMaker};

/// A system under test that is there to be talked to.
pub struct Target {
    /// Its own name.
    pub name: String,
    /// How it was reached: a path of a target file, a URL, or `reference`.
    pub origin: String,
    /// The dialect that it claims to speak.
    pub dialect: String,
    /// What its file says of the implementation.
    pub about: About,
    /// Whether it verifies who connects.
    pub identity: Identity,
    /// Its clocks.
    pub timing: Timing,
    /// Its limits.
    pub limits: Limits,
    /// What it names otherwise.
    pub adapt: Adapt,
    /// What it can do otherwise than the row of its dialect says.
    pub behaviour: RowOverrides,
    /// What is there, in the words of `needs` in the case language: `control`, `instances=2`, `auth-stub`, `identity=token`,
    /// `backend=redis`, `tls=redis`, `websocket`, `polling`.
    pub capabilities: BTreeSet<String>,
    /// What is known to fail.
    pub known_failing: Vec<KnownFailing>,
    /// What can be done to it from outside.
    pub control: Option<Arc<dyn Control>>,
    /// Who makes its tokens.
    pub tokens: Option<TokenMaker>,
    /// The auth service that it asks, where that is ours.
    pub auth_stub: Option<AuthStubHandle>,
    instances: Vec<Instance>,
    processes: Option<Arc<children::Children>>,
    deaths: Deaths,
    /// How the client is started that is judged, where it is one.
    client: Option<client::ClientRecipe>,
    /// How an instance is made that a case has to itself.
    owns: Option<own::OwnRecipe>,
    /// What listens for a case that has an instance to itself.
    pub(crate) ear: Option<ear::Ear>,
    /// Kept until the processes are gone: folders, proxies and the like.
    keep: Vec<Box<dyn Any + Send + Sync>>,
}

/// One server process, as its clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// 1 is the first, as in the case language.
    pub number: usize,
    listeners: BTreeMap<String, String>,
}

impl Instance {
    /// An instance reached at these base URLs.
    #[must_use]
    pub fn new(number: usize, listeners: BTreeMap<String, String>) -> Self {
        let listeners = listeners.into_iter().map(|(name, url)| (name, url.trim_end_matches('/').to_owned())).collect();
        Self { number, listeners }
    }

    /// The base URL of a listener, without a slash at its end. A target with one listener answers to every name.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<&str> {
        match self.listeners.get(name) {
            Some(url) => Some(url),
            None if self.listeners.len() == 1 => self.listeners.values().next().map(String::as_str),
            None => None,
        }
    }

    /// The listener that clients connect to.
    #[must_use]
    pub fn main(&self) -> &str {
        self.listener("socket").unwrap_or_default()
    }

    /// All listeners in name order.
    pub fn listeners(&self) -> impl Iterator<Item = (&str, &str)> {
        self.listeners.iter().map(|(name, url)| (name.as_str(), url.as_str()))
    }
}

impl Target {
    /// Starts what a target file describes, or attaches to it when it runs already; returns when it is ready.
    ///
    /// # Errors
    /// What is wrong, in one message that says what to do, with the last lines of output where there are some.
    pub async fn start(file: &TargetFile, options: StartOptions) -> Result<Self, TargetError> {
        launch::start(file, options).await
    }

    /// Runs the setup of a target file, where that has not been done, and starts nothing.
    ///
    /// # Errors
    /// What went wrong, with its output.
    pub async fn prepare(file: &TargetFile) -> Result<(), TargetError> {
        match &file.start {
            Some(spec) => setup::run(file, spec, &BTreeMap::new()).await,
            None => Ok(()),
        }
    }

    /// Attaches to a running server.
    ///
    /// # Errors
    /// A bad or dead URL.
    pub async fn from_url(url: &str, dialect: &str) -> Result<Self, TargetError> {
        Self::start(&TargetFile::for_url(url, dialect)?, StartOptions::default()).await
    }

    /// A target that somebody else runs (in the same process, in containers): `file` describes it, `instances` are reached at these
    /// listeners, and what `control` can do to them counts as a capability.
    #[must_use]
    pub fn attached(
        file: &TargetFile,
        instances: Vec<Instance>,
        control: Option<Arc<dyn Control>>,
        auth: (Option<TokenMaker>, Option<AuthStubHandle>),
    ) -> Self {
        launch::assemble(file, instances, control, auth, None)
    }

    /// An instance by its number; 1 is the first, as in the case language.
    #[must_use]
    pub fn instance(&self, number: usize) -> Option<&Instance> {
        self.instances.get(number.checked_sub(1)?)
    }

    /// All instances.
    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Puts something before the instances: the same target, reached elsewhere (a proxy, say).
    pub fn reach_at(&mut self, instances: Vec<Instance>) {
        self.instances = instances;
    }

    /// Keeps something alive until the target's processes have ended.
    pub fn keep(&mut self, thing: impl Any + Send + Sync) {
        self.keep.push(Box::new(thing));
    }

    /// The last lines that an instance printed, oldest first; empty when it is not ours.
    #[must_use]
    pub fn last_lines(&self, instance: usize) -> Vec<String> {
        self.control.as_ref().map(|control| control.last_lines(&Subject::Instance(instance))).unwrap_or_default()
    }

    /// The process groups of the instances that were started here: for who wants to know what they use.
    #[must_use]
    pub fn process_groups(&self) -> Vec<i32> {
        self.processes.as_ref().map(|processes| processes.groups()).unwrap_or_default()
    }

    /// Instances that ended although nobody asked them to; to be looked at when the target is gone.
    #[must_use]
    pub fn deaths(&self) -> Deaths {
        self.deaths.clone()
    }

    /// Ends everything that it started: asks first, then kills, process groups included. Dropping a target kills at once.
    pub async fn stop(mut self) {
        if let Some(processes) = self.processes.take() {
            processes.stop_all().await;
        }
        if let Some(stub) = self.auth_stub.take() {
            stub.stop();
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(processes) = self.processes.take() {
            processes.kill_all();
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("name", &self.name)
            .field("origin", &self.origin)
            .field("instances", &self.instances)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod own_tests;
#[cfg(test)]
mod process_tests;
