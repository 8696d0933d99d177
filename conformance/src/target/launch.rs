//! Starting a target: backends, auth stub, ports, setup, processes, readiness; then what it is capable of is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpStream;

use super::{
    Instance, Target,
    address::Address,
    child::Run,
    children::{Children, Recipe, StartFailure},
    client::ClientRecipe,
    control::{Action, Control, Controls, Subject},
    deaths::Deaths,
    file::{Auth, BackendName, InstanceTemplate, Ready, StartSpec, TargetFile, Transport},
    own::OwnRecipe,
    place::FileError,
    port::{self, Port},
    ready::Probe,
    setup,
    template::Template,
};
use crate::{
    auth_stub::AuthStubHandle,
    tokens::{ClaimNames, TokenMaker},
};

/// A free port is free only until somebody else takes it: then the next ones are tried.
const PORT_TRIES: usize = 3;
/// How long a running server may take to accept a connection.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);

/// What a target is started with, beside its file.
#[derive(Clone)]
pub struct StartOptions {
    /// How many instances, where the file has one that can be started N times.
    pub instances: usize,
    /// Where backends are, by name: values for templates, such as `host`, `port`, `url`.
    pub backends: BTreeMap<String, BTreeMap<String, String>>,
    /// What can be done to backends, and whatever else is controlled by others.
    pub control: Option<Arc<dyn Control>>,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self { instances: 1, backends: BTreeMap::new(), control: None }
    }
}

impl fmt::Debug for StartOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartOptions")
            .field("instances", &self.instances)
            .field("backends", &self.backends)
            .finish_non_exhaustive()
    }
}

/// Why a target is not there.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Fix the file.
    #[error("{0}")]
    File(#[from] FileError),
    /// Give it what it needs; it was not tried.
    #[error("{target}: it needs {missing}, which is not there; start it and say where it is, or check another target")]
    Needs {
        /// The target's file.
        target: String,
        /// The backend.
        missing: String,
    },
    /// Start it, or correct the address.
    #[error("{target}: failed to reach {url}: {reason}; is the server running there?")]
    Unreachable {
        /// The target's file or URL.
        target: String,
        /// The listener.
        url: String,
        /// Why.
        reason: String,
    },
    /// Stop whoever has the port, or choose another.
    #[error("{target}: {url} is in use by something else; stop that, or write {{port}} for a free port")]
    PortInUse {
        /// The target's file.
        target: String,
        /// The listener.
        url: String,
    },
    /// Look at its output.
    #[error("{target}: {reason}")]
    NotStarted {
        /// The target's file.
        target: String,
        /// Why, with the last lines of output.
        reason: String,
    },
}

pub(super) type Values = BTreeMap<String, String>;

pub(super) async fn start(file: &TargetFile, options: StartOptions) -> Result<Target, TargetError> {
    let origin = file.path.display().to_string();
    if let Some(missing) = file.needs.iter().find(|need| !options.backends.contains_key(need.as_str())) {
        return Err(TargetError::Needs { target: origin, missing: missing.as_str().to_owned() });
    }
    let stub = auth_stub(file)
        .await
        .map_err(|e| not_started(file, format!("failed to start the stub of the auth service: {e}")))?;
    let values = shared_values(file, &options, stub.as_ref());
    let tokens = tokens(file, stub.as_ref());
    let Some(spec) = &file.start else {
        let instances = attach(file, &values).await?;
        return Ok(assemble(file, instances, options.control, (tokens, stub), None));
    };
    setup::run(file, spec, &values).await?;
    if file.instances.is_empty() {
        let run = run(file, spec, &values, 1)?;
        let mut target = assemble(file, Vec::new(), None, (tokens, stub), None);
        target.client = Some(ClientRecipe::new(run));
        return Ok(target);
    }
    let deaths = Deaths::default();
    let (instances, children) = launch(file, spec, &values, options.instances, &deaths).await?;
    let control = joined(&children, options.control.clone());
    let mut target = assemble(file, instances, Some(control), (tokens, stub), Some(children));
    target.owns = OwnRecipe::of(file, options, deaths.clone());
    target.deaths = deaths;
    Ok(target)
}

/// Control over the children, and over what others have.
pub(super) fn joined(children: &Arc<Children>, others: Option<Arc<dyn Control>>) -> Arc<dyn Control> {
    let mut parts: Vec<Arc<dyn Control>> = vec![Arc::clone(children) as Arc<dyn Control>];
    parts.extend(others);
    Arc::new(Controls::new(parts))
}

/// The target, with its capabilities counted.
pub(super) fn assemble(
    file: &TargetFile,
    instances: Vec<Instance>,
    control: Option<Arc<dyn Control>>,
    (tokens, auth_stub): (Option<TokenMaker>, Option<AuthStubHandle>),
    processes: Option<Arc<Children>>,
) -> Target {
    let mut capabilities = BTreeSet::from([format!("identity={}", file.identity)]);
    capabilities.extend((1..=instances.len()).map(|n| format!("instances={n}")));
    capabilities.extend(instances.iter().flat_map(Instance::listeners).map(|(name, _)| format!("listener={name}")));
    capabilities.extend(file.transports.iter().map(|transport| match transport {
        Transport::Websocket => "websocket".to_owned(),
        Transport::Polling => "polling".to_owned(),
    }));
    if auth_stub.is_some() {
        capabilities.insert("auth-stub".to_owned());
    }
    if let Some(control) = &control {
        if control.can(&Subject::Instance(1), Action::Restart) {
            capabilities.insert("control".to_owned());
        }
        for backend in BackendName::ALL {
            if control.can(&Subject::Backend(backend.as_str().to_owned()), Action::Pause) {
                capabilities.insert(format!("backend={}", backend.as_str()));
                if file.tls.contains(&backend) {
                    capabilities.insert(format!("tls={}", backend.as_str()));
                }
            }
        }
    }
    Target {
        name: file.name.clone(),
        origin: file.path.display().to_string(),
        dialect: file.dialect.clone(),
        about: file.about.clone(),
        identity: file.identity,
        timing: file.timing.clone(),
        limits: file.limits.clone(),
        adapt: file.adapt.clone(),
        behaviour: file.behaviour,
        capabilities,
        known_failing: file.known_failing.clone(),
        control,
        tokens,
        auth_stub,
        instances,
        processes,
        deaths: Deaths::default(),
        client: None,
        owns: None,
        ear: None,
        keep: Vec::new(),
    }
}

fn not_started(file: &TargetFile, reason: String) -> TargetError {
    TargetError::NotStarted { target: file.path.display().to_string(), reason }
}

pub(super) async fn auth_stub(file: &TargetFile) -> std::io::Result<Option<AuthStubHandle>> {
    match &file.auth {
        Auth::Stub { names } => AuthStubHandle::start(names.clone()).await.map(Some),
        Auth::None | Auth::Secret { .. } => Ok(None),
    }
}

pub(super) fn tokens(file: &TargetFile, stub: Option<&AuthStubHandle>) -> Option<TokenMaker> {
    match &file.auth {
        Auth::None => None,
        Auth::Secret { secret, algorithm, names } => {
            Some(TokenMaker::new(secret.clone(), *algorithm, ClaimNames::clone(names)))
        }
        Auth::Stub { .. } => stub.map(AuthStubHandle::tokens),
    }
}

/// The values of templates that do not depend on the instance.
pub(super) fn shared_values(file: &TargetFile, options: &StartOptions, stub: Option<&AuthStubHandle>) -> Values {
    let mut values = Values::new();
    let folder = std::path::absolute(file.folder()).unwrap_or_else(|_| file.folder().to_owned());
    values.insert("folder".to_owned(), folder.display().to_string());
    if let Some(stub) = stub {
        values.insert("auth.url".to_owned(), stub.url());
        values.insert("auth.host".to_owned(), stub.address().ip().to_string());
        values.insert("auth.port".to_owned(), stub.address().port().to_string());
    }
    if let Auth::Secret { secret, .. } = &file.auth {
        values.insert("auth.jwt_secret".to_owned(), secret.clone());
    }
    for (name, facts) in &options.backends {
        values.extend(facts.iter().map(|(fact, value)| (format!("{name}.{fact}"), value.clone())));
    }
    values
}

/// The instances of a server that runs already; each listener must accept a connection.
async fn attach(file: &TargetFile, values: &Values) -> Result<Vec<Instance>, TargetError> {
    let mut instances = Vec::new();
    for (i, template) in file.instances.iter().enumerate() {
        let instance = Instance::new(i + 1, fill_listeners(file, template, values)?);
        for (_, url) in instance.listeners() {
            let address = Address::parse(url).map_err(|problem| FileError::whole(&file.path, problem))?;
            let connect = TcpStream::connect((address.host.as_str(), address.port));
            let reason = match tokio::time::timeout(REACH_TIMEOUT, connect).await {
                Ok(Ok(_)) => continue,
                Ok(Err(e)) => e.to_string(),
                Err(_) => format!("no answer within {REACH_TIMEOUT:?}"),
            };
            return Err(TargetError::Unreachable {
                target: file.path.display().to_string(),
                url: url.to_owned(),
                reason,
            });
        }
        instances.push(instance);
    }
    Ok(instances)
}

/// Starts all instances; again on other ports when a free one was taken in between.
pub(super) async fn launch(
    file: &TargetFile,
    spec: &StartSpec,
    values: &Values,
    wanted: usize,
    deaths: &Deaths,
) -> Result<(Vec<Instance>, Arc<Children>), TargetError> {
    let templates: Vec<&InstanceTemplate> = match file.instances.as_slice() {
        [one] => std::iter::repeat_n(one, wanted.max(1)).collect(),
        several => several.iter().collect(),
    };
    let mut last: Option<(usize, StartFailure)> = None;
    for tried in 1..=PORT_TRIES {
        let (instances, recipes) = plan(file, spec, values, &templates)?;
        let urls = instances.iter().flat_map(Instance::listeners).map(|(_, url)| url);
        let taken = port::answering(urls).await.map_err(|problem| FileError::whole(&file.path, problem))?;
        if let Some((url, number)) = taken {
            let chosen = recipes.iter().flat_map(|recipe| recipe.ports.iter()).any(|port| port.number() == number);
            if chosen && tried < PORT_TRIES {
                continue;
            }
            return Err(TargetError::PortInUse { target: file.path.display().to_string(), url });
        }
        let children = Children::new(recipes, deaths);
        match children.start_all().await {
            Ok(()) => return Ok((instances, children)),
            Err((number, failure)) => {
                children.stop_all().await;
                let again = failure.port_in_use();
                last = Some((number, failure));
                if !again {
                    break;
                }
            }
        }
    }
    let (number, failure) = last.expect("at least one try was made, and the last one failed");
    Err(not_started(
        file,
        if templates.len() > 1 { format!("instance {number}: {failure}") } else { failure.to_string() },
    ))
}

pub(super) fn plan(
    file: &TargetFile,
    spec: &StartSpec,
    values: &Values,
    templates: &[&InstanceTemplate],
) -> Result<(Vec<Instance>, Vec<Recipe>), TargetError> {
    let mut instances = Vec::new();
    let mut recipes = Vec::new();
    for (i, template) in templates.iter().enumerate() {
        let mut values = values.clone();
        let mut ports = Vec::new();
        values.insert("instance".to_owned(), (i + 1).to_string());
        let asked = template.listeners.values().chain(&spec.command).chain(spec.env.values()).flat_map(Template::names);
        for name in asked.filter(|name| *name == "port" || name.starts_with("port.")) {
            if !values.contains_key(name) {
                let port =
                    Port::reserve().map_err(|e| not_started(file, format!("failed to find a free port: {e}")))?;
                values.insert(name.to_owned(), port.number().to_string());
                ports.push(port);
            }
        }
        let instance = Instance::new(i + 1, fill_listeners(file, template, &values)?);
        recipes.push(recipe(file, spec, &values, (&instance, ports))?);
        instances.push(instance);
    }
    Ok((instances, recipes))
}

fn filled(file: &TargetFile, key: &str, template: &Template, values: &Values) -> Result<String, TargetError> {
    let error = |problem| TargetError::File(FileError { key: key.to_owned(), ..FileError::whole(&file.path, problem) });
    template.fill(values).map_err(error)
}

/// What is run for the instance of this number.
fn run(file: &TargetFile, spec: &StartSpec, values: &Values, number: usize) -> Result<Run, TargetError> {
    let fill = |key: &str, template: &Template| filled(file, key, template, values);
    Ok(Run {
        command: spec.command.iter().map(|word| fill("start.command", word)).collect::<Result<_, _>>()?,
        env: spec
            .env
            .iter()
            .map(|(name, value)| Ok((name.clone(), fill("start.env", value)?)))
            .collect::<Result<_, TargetError>>()?,
        without: spec.without.clone(),
        cwd: match &spec.scratch {
            Some(scratch) => scratch.lay_out(number, values).map_err(|problem| not_started(file, problem))?,
            None => spec.cwd.clone(),
        },
    })
}

fn recipe(
    file: &TargetFile,
    spec: &StartSpec,
    values: &Values,
    (instance, ports): (&Instance, Vec<Port>),
) -> Result<Recipe, TargetError> {
    let fill = |key: &str, template: &Template| filled(file, key, template, values);
    let main = instance.main().to_owned();
    let probe = match &spec.ready {
        Ready::Get(template) => {
            let url = fill("start.ready", template)?;
            Probe::Get(if url.starts_with('/') { format!("{main}{url}") } else { url })
        }
        Ready::Log(pattern) => Probe::Log(pattern.clone()),
        Ready::Tcp => Probe::Tcp(Address::parse(&main).map_err(|problem| FileError::whole(&file.path, problem))?),
    };
    Ok(Recipe {
        run: run(file, spec, values, instance.number)?,
        probe,
        ready_timeout: spec.ready_timeout,
        stop_signal: spec.stop_signal,
        stop_timeout: spec.stop_timeout,
        ports: ports.into(),
    })
}

fn fill_listeners(
    file: &TargetFile,
    template: &InstanceTemplate,
    values: &Values,
) -> Result<BTreeMap<String, String>, FileError> {
    let fill = |(name, url): (&String, &Template)| {
        let url = url.fill(values).map_err(|problem| FileError {
            key: format!("instance.{name}"),
            ..FileError::whole(&file.path, problem)
        })?;
        Ok((name.clone(), url))
    };
    template.listeners.iter().map(fill).collect()
}
