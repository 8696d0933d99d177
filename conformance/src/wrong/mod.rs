//! The judge is judged: servers that are wrong on purpose, one defect each. A case is worth something when it fails on the server
//! whose defect it is meant for, at the step that states the broken clause, while the rest still passes.
//!
//! `file.rs` reads the files of `fixtures/wrong`; `patch.rs`, `proxy/` and `server/` are the three ways to be wrong; `sample.rs`
//! chooses what is played, `judging.rs` says who is played when, `player.rs` plays, `kill.rs` weighs what happened.

mod file;
mod frames;
mod judging;
mod kill;
mod patch;
mod player;
mod provide;
pub(crate) mod proxy;
mod rule;
mod sample;
mod server;
mod strangers;

use std::{path::PathBuf, sync::Arc};

pub use self::{
    file::{Defect, Edit, WrongServer, meant},
    judging::{Judging, NoWatcher, OTHERS_MAX, Round, Watcher, judge_wrong_servers},
    kill::{Kill, KillRow, KillTable, KillVerdict, proven_cases, weigh},
    player::player,
    provide::{Provided, Provider},
    rule::{Act, Direction, Part, Rule, Subject, Transport, Which},
    server::Misbehaviour,
    strangers::strangers,
};
use crate::target::{Address, FileError, Instance, StartOptions, Target, TargetError, TargetFile, read_text};

/// Where the right servers are that wrong ones are made of.
#[derive(Debug, Clone)]
pub struct Bases {
    /// The folder of `fixtures/targets`.
    pub targets: PathBuf,
    /// The binary of the reference server, where it is at hand: `{chatwright}` in its target files.
    pub chatwright: Option<PathBuf>,
}

/// Why a wrong server could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum WrongError {
    /// Fix its file.
    #[error("{0}")]
    File(#[from] FileError),
    /// Fix its base, or what the base needs.
    #[error("{path}: {error}", path = path.display())]
    Base {
        /// The file of the wrong server.
        path: PathBuf,
        /// What its base said.
        error: TargetError,
    },
    /// Give it what it needs; it was not tried.
    #[error("{path}: {missing} is not at hand", path = path.display())]
    Missing {
        /// The file of the wrong server.
        path: PathBuf,
        /// What.
        missing: String,
    },
    /// The machine would not have it: no port, no room for a copy.
    #[error("{path}: {problem}", path = path.display())]
    Io {
        /// The file of the wrong server.
        path: PathBuf,
        /// What happened.
        problem: String,
    },
}

/// What is known of a planted defect while it is tried.
#[derive(Debug, Clone, Default)]
pub struct Planted {
    rules: Vec<Arc<Vec<Rule>>>,
}

impl Planted {
    /// Rules of a proxy that nothing has matched so far, counted from 1: their defect was not there.
    #[must_use]
    pub fn unused_rules(&self) -> Vec<usize> {
        let count = self.rules.first().map_or(0, |rules| rules.len());
        (0..count).filter(|i| self.rules.iter().all(|rules| rules[*i].hits() == 0)).map(|i| i + 1).collect()
    }
}

impl WrongServer {
    /// Starts it. Whatever it is made of ends with the target.
    ///
    /// # Errors
    /// Why it could not be tried.
    pub async fn start(&self, bases: &Bases, options: StartOptions) -> Result<(Target, Planted), WrongError> {
        match &self.defect {
            Defect::Patch { base, edits } => {
                let target = patch::start(self, &bases.targets.join(base), edits, options).await?;
                Ok((target, Planted::default()))
            }
            Defect::Proxy { base, rules } => self.start_proxy(bases, base, rules, options).await,
            Defect::Server(misbehaviour) => Ok((self.start_server(*misbehaviour).await?, Planted::default())),
        }
    }

    /// Starts what it is made of, without the defect.
    ///
    /// # Errors
    /// Why that could not be started.
    pub async fn start_base(&self, bases: &Bases, options: StartOptions) -> Result<Target, WrongError> {
        match &self.defect {
            Defect::Patch { base, edits } => match setting(edits) {
                setting if setting.is_empty() => self.start_target(bases, base, options).await,
                setting => patch::start(self, &bases.targets.join(base), &setting, options).await,
            },
            Defect::Proxy { base, .. } => Ok(self.start_proxy(bases, base, &[], options).await?.0),
            Defect::Server(_) => self.start_server(Misbehaviour::None).await,
        }
    }

    async fn start_target(&self, bases: &Bases, base: &str, options: StartOptions) -> Result<Target, WrongError> {
        let file = match base.strip_prefix("reference/") {
            None => TargetFile::load(&bases.targets.join(base).join("target.toml"))?,
            Some(name) => {
                let Some(binary) = &bases.chatwright else {
                    return Err(WrongError::Missing {
                        path: self.path.clone(),
                        missing: "the reference server".to_owned(),
                    });
                };
                let path = bases.targets.join("reference").join(format!("{name}.toml"));
                let text = read_text(&path, "target file")?;
                TargetFile::parse(&path, &text.replace("{chatwright}", &binary.display().to_string()))?
            }
        };
        Target::start(&file, options).await.map_err(|error| WrongError::Base { path: self.path.clone(), error })
    }

    async fn start_proxy(
        &self,
        bases: &Bases,
        base: &str,
        rules: &[Rule],
        options: StartOptions,
    ) -> Result<(Target, Planted), WrongError> {
        let io = |problem: String| WrongError::Io { path: self.path.clone(), problem };
        let mut target = self.start_target(bases, base, options).await?;
        let mut planted = Planted::default();
        let mut instances = Vec::new();
        for instance in target.instances().to_vec() {
            let mut listeners = std::collections::BTreeMap::new();
            for (name, url) in instance.listeners() {
                let upstream = Address::parse(url).map_err(io)?;
                let proxy =
                    proxy::Proxy::start(upstream, Arc::new(rules.to_vec())).await.map_err(|e| io(e.to_string()))?;
                listeners.insert(name.to_owned(), proxy.url());
                planted.rules.push(Arc::clone(proxy.rules()));
                target.keep(proxy);
            }
            instances.push(Instance::new(instance.number, listeners));
        }
        target.reach_at(instances);
        Ok((target, planted))
    }

    async fn start_server(&self, misbehaviour: Misbehaviour) -> Result<Target, WrongError> {
        server::start(misbehaviour)
            .await
            .map_err(|e| WrongError::Io { path: self.path.clone(), problem: e.to_string() })
    }
}

/// The edits that are about how a target is set up: what a server is without its defect has them too. Where there are no others,
/// the setting is the defect.
fn setting(edits: &[Edit]) -> Vec<Edit> {
    let is_setting = |edit: &&Edit| edit.file.extension().is_some_and(|ending| ending == "toml");
    if edits.iter().all(|edit| is_setting(&edit)) {
        Vec::new()
    } else {
        edits.iter().filter(is_setting).cloned().collect()
    }
}

#[cfg(test)]
mod judging_tests;
#[cfg(test)]
mod proxy_tests;
#[cfg(test)]
mod tests;
