//! Starting an instance that one case has to itself: as the document says, changed by what the case wishes, beside the target's own instances
//! and on the same backends.

use std::sync::Arc;

use tokio::sync::Mutex as AsyncMutex;

use super::{
    Target,
    children::Children,
    deaths::Deaths,
    documented::{Scratch, Wishes},
    ear::Ear,
    file::{BackendName, Identity, StartSpec, TargetFile},
    launch::{self, StartOptions, TargetError},
    template::Template,
};

/// What such an instance is made from.
pub(super) struct OwnRecipe {
    file: TargetFile,
    spec: StartSpec,
    options: StartOptions,
    /// Of the target: what dies alone with its case has died as well.
    deaths: Deaths,
    /// Held by who has a port that is the same for everybody.
    ports: Arc<AsyncMutex<()>>,
}

/// Why a case has no instance to itself.
#[derive(Debug)]
pub enum OwnFailure {
    /// It could not be tried; the text says why.
    Hindered(String),
    /// It did not come up; the text says how, with its last lines.
    NotStarted(String),
}

impl OwnRecipe {
    /// `None` where the file has no `[start.documented]`.
    pub(super) fn of(file: &TargetFile, options: StartOptions, deaths: Deaths) -> Option<Self> {
        let start = file.start.as_ref()?;
        let documented = start.documented.as_ref()?;
        let identity = documented.identity.unwrap_or(file.identity);
        let spec = StartSpec { command: documented.command.clone(), env: documented.env.clone(), ..start.clone() };
        Some(Self { file: TargetFile { identity, ..file.clone() }, spec, options, deaths, ports: Arc::default() })
    }

    fn stands_on_backends(&self, without: &[String]) -> bool {
        let env = self.spec.env.iter().filter(|(name, _)| !without.contains(name)).map(|(_, text)| text);
        let mut names = self.spec.command.iter().chain(env).flat_map(Template::names);
        names.any(|name| {
            name.split_once('.').is_some_and(|(of, _)| BackendName::ALL.iter().any(|one| one.as_str() == of))
        })
    }

    /// The recipe with a case's wishes, in a folder of its own.
    fn spec_for(&self, wishes: &Wishes, root: &std::path::Path) -> Result<StartSpec, String> {
        let parsed = |all: &[(String, String)]| {
            all.iter()
                .map(|(name, text)| Ok((name.clone(), Template::parse(text)?)))
                .collect::<Result<Vec<_>, String>>()
        };
        let mut spec = self.spec.clone();
        spec.env.retain(|name, _| !wishes.without.contains(name));
        spec.env.extend(parsed(&wishes.with)?);
        spec.without.clone_from(&wishes.without);
        spec.scratch = Some(Scratch::below(root, parsed(&wishes.dotenv)?));
        if wishes.may_fail {
            spec.ready_timeout = spec.ready_timeout.min(MAY_FAIL_TIMEOUT);
        }
        Ok(spec)
    }
}

/// The port of the ear, where that is documented: `needs port.ear=6379`.
const EAR_PORT: &str = "port.ear";

/// How long a case waits for an instance that need not come up: it may as well hang.
const MAY_FAIL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

impl Target {
    /// A target of which nothing runs, for cases that have instances to themselves on no backend; `None` where its file has no recipe for
    /// these, or something must be set up before.
    #[must_use]
    pub fn vacant(file: &TargetFile) -> Option<Self> {
        file.start.as_ref().filter(|start| start.setup.is_empty())?;
        let deaths = Deaths::default();
        let owns = OwnRecipe::of(file, StartOptions::default(), deaths.clone())?;
        let mut target = launch::assemble(file, Vec::new(), None, (launch::tokens(file, None), None), None);
        let listeners = file.instances.iter().flat_map(|instance| instance.listeners.keys());
        target.capabilities.extend(listeners.map(|name| format!("listener={name}")));
        (target.owns, target.deaths) = (Some(owns), deaths);
        Some(target)
    }

    /// Whether an instance that a case has to itself verifies who connects; `None`: there can be none.
    pub(crate) fn own_identity(&self) -> Option<Identity> {
        self.owns.as_ref().map(|recipe| recipe.file.identity)
    }

    /// Whether such an instance uses one of this target's backends, unless it is told to by the case; `without`: variables that it is not given.
    pub(crate) fn own_stands_on_backends(&self, without: &[String]) -> bool {
        self.owns.as_ref().is_some_and(|recipe| recipe.stands_on_backends(without))
    }

    /// Starts instances for one case alone. They are a target of their own, whose backends are the same as this one's.
    ///
    /// # Errors
    /// [`OwnFailure`]
    pub async fn own(&self, wishes: &Wishes) -> Result<Self, OwnFailure> {
        let hindered = |problem: &dyn std::fmt::Display| OwnFailure::Hindered(problem.to_string());
        let recipe = self.owns.as_ref().ok_or_else(|| hindered(&"the target file has no [start.documented]"))?;
        let one_at_a_time =
            if wishes.ports.is_empty() { None } else { Some(Arc::clone(&recipe.ports).lock_owned().await) };
        let folder = tempfile::tempdir().map_err(|e| hindered(&e))?;
        let spec = recipe.spec_for(wishes, folder.path()).map_err(|problem| hindered(&problem))?;
        let stub = launch::auth_stub(&recipe.file).await.map_err(|e| hindered(&e))?;
        let ear_port = wishes.ports.iter().find(|(name, _)| name == EAR_PORT).map_or(0, |(_, number)| *number);
        let ear = Ear::listen(ear_port).await.map_err(|e| match ear_port {
            0 => hindered(&e),
            taken => hindered(&format!("needs {EAR_PORT}={taken}: {e}")),
        })?;
        let mut values = launch::shared_values(&recipe.file, &recipe.options, stub.as_ref());
        values.extend(ear.values());
        values.extend(wishes.ports.iter().map(|(name, number)| (name.clone(), number.to_string())));
        let (instances, children) = recipe.launch(&spec, &values, wishes).await?;
        let control = launch::joined(&children, recipe.options.control.clone());
        let tokens = launch::tokens(&recipe.file, stub.as_ref());
        let mut target = launch::assemble(&recipe.file, instances, Some(control), (tokens, stub), Some(children));
        target.ear = Some(ear);
        target.keep(folder);
        if let Some(held) = one_at_a_time {
            target.keep(held);
        }
        Ok(target)
    }
}

impl OwnRecipe {
    async fn launch(
        &self,
        spec: &StartSpec,
        values: &launch::Values,
        wishes: &Wishes,
    ) -> Result<(Vec<super::Instance>, Arc<Children>), OwnFailure> {
        let fixed = wishes.ports.iter().map(|(name, number)| format!("{name}={number}")).collect::<Vec<_>>().join(" ");
        let told = |problem: TargetError| match problem {
            TargetError::PortInUse { url, .. } => OwnFailure::Hindered(format!("needs {fixed}: {url} is taken")),
            TargetError::NotStarted { reason, .. } if fixed.is_empty() || !is_about_a_port(&reason) => {
                OwnFailure::NotStarted(reason)
            }
            TargetError::NotStarted { .. } => OwnFailure::Hindered(format!("needs {fixed}, which is taken")),
            TargetError::File(_) | TargetError::Needs { .. } | TargetError::Unreachable { .. } => {
                OwnFailure::Hindered(problem.to_string())
            }
        };
        if !wishes.may_fail {
            return launch::launch(&self.file, spec, values, wishes.instances, &self.deaths).await.map_err(told);
        }
        let templates: Vec<_> = self.file.instances.iter().take(1).collect();
        let (instances, recipes) = launch::plan(&self.file, spec, values, &templates).map_err(told)?;
        // What it came to is for the case to say, its end too.
        let children = Children::new(recipes, &Deaths::default());
        let _up_or_not = children.start_all().await;
        Ok((instances, children))
    }
}

fn is_about_a_port(reason: &str) -> bool {
    reason.contains("EADDRINUSE") || reason.to_lowercase().contains("address already in use")
}
