//! What a run is asked to be.

use std::{path::PathBuf, time::Duration};

use chatwright_client_sdk::protocol::dialects;
use chatwright_conformance::target::TargetFile;

use crate::{Error, backends::Images, promises::Promises, schedule::Place, schedule::Schedule};

/// How long the cluster may take to agree after the faults without coming any nearer to it.
pub const CONVERGE_WITHIN_DEFAULT: Duration = Duration::from_secs(20);
/// How long a bot waits for a confirmation before nobody knows: longer than any fault that the seed draws.
pub const CONFIRM_WITHIN_DEFAULT: Duration = Duration::from_secs(8);
/// A run to be made.
#[derive(Debug, Clone)]
pub struct Config {
    /// The system under test. What it needs is started in containers; it is started as often as there are instances.
    pub target: TargetFile,
    /// How the user named the target; `None` for the reference. Only for the command that runs it again.
    pub target_argument: Option<PathBuf>,
    /// Which dialect of the reference the user named, if any; for the same command.
    pub dialect_argument: Option<String>,
    /// The word that chose what the reference stands on, if one was given.
    pub backends_argument: Option<String>,
    /// The target says of itself that what it keeps dies with its processes: where the dialect has a history they are paused, and never killed.
    pub in_memory: bool,
    /// Which images run for its backends.
    pub images: Images,
    /// What goes wrong.
    pub script: Script,
    /// How long the cluster may take to agree after the faults without coming any nearer to it.
    pub converge_within: Duration,
    /// How long a bot waits for a confirmation.
    pub confirm_within: Duration,
}

/// Where the schedule comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// Drawn from a seed.
    Draw {
        /// The seed.
        seed: u64,
        /// How many server processes.
        instances: usize,
        /// How long the bots talk.
        seconds: u64,
    },
    /// Written by an earlier run.
    Replay(PathBuf),
}

impl Config {
    /// A run with the default times and images.
    #[must_use]
    pub fn new(target: TargetFile, script: Script) -> Self {
        Self {
            target,
            target_argument: None,
            dialect_argument: None,
            backends_argument: None,
            in_memory: false,
            images: Images::default(),
            script,
            converge_within: CONVERGE_WITHIN_DEFAULT,
            confirm_within: CONFIRM_WITHIN_DEFAULT,
        }
    }

    /// What may be asked of the target.
    ///
    /// # Errors
    /// Wrong use: a dialect that bots do not speak.
    pub fn promises(&self) -> Result<Promises, Error> {
        let (target, dialect) = (&self.target, &self.target.dialect);
        let spoken = dialects::by_name(dialect)
            .ok_or_else(|| Error::Use(format!("{}: bots speak no dialect `{dialect}`", target.path.display())))?;
        Ok(Promises::of(spoken, &target.behaviour))
    }

    /// The schedule, and whether this target can be run by it.
    ///
    /// # Errors
    /// Wrong use, with the file or value that is wrong.
    pub fn schedule(&self) -> Result<Schedule, Error> {
        let target = self.target.path.display();
        let refused = |reason: String| Err(Error::Use(format!("{target}: {reason}")));
        let promises = self.promises()?;
        if self.target.start.is_none() {
            return refused("without [start] nobody can kill and restart it".to_owned());
        }
        if !self.target.adapt.rename_events.is_empty() || !self.target.adapt.rename_fields.is_empty() {
            return refused("bots speak the dialect as it stands, without renamed events or fields".to_owned());
        }
        let schedule = match &self.script {
            Script::Draw { seed, instances, seconds } => {
                let drawn = Schedule::draw(*seed, *instances, *seconds, &self.target.needs)?;
                if self.in_memory && promises.catch_up { drawn.without_deaths() } else { drawn }
            }
            Script::Replay(path) => Schedule::load(path)?,
        };
        let missing = schedule
            .faults
            .iter()
            .find(|fault| matches!(&fault.target, Place::Backend(name) if !self.target.needs.contains(name)));
        if let Some(fault) = missing {
            return refused(format!(
                "the schedule does something to {}, which this target does not need",
                fault.target
            ));
        }
        Ok(schedule)
    }

    /// The command that makes this run again.
    #[must_use]
    pub fn replay(&self) -> String {
        let script = match &self.script {
            Script::Draw { seed, instances, seconds } => {
                format!("--instances {instances} --seed {seed} --seconds {seconds}")
            }
            Script::Replay(path) => format!("--replay {}", path.display()),
        };
        let target =
            self.target_argument.as_ref().map(|path| format!(" --target {}", path.display())).unwrap_or_default();
        let dialect = self.dialect_argument.as_ref().map(|name| format!(" --dialect {name}")).unwrap_or_default();
        let backends = self.backends_argument.as_ref().map(|kind| format!(" --backends {kind}")).unwrap_or_default();
        format!("chatwright sim {script}{dialect}{backends}{target}")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chatwright_conformance::target::BackendName;

    use super::*;

    fn config(text: &str) -> Config {
        let target = TargetFile::parse(Path::new("own.toml"), text).expect("a target file");
        Config::new(target, Script::Draw { seed: 4, instances: 2, seconds: 12 })
    }

    const STARTED: &str = "name = \"own\"\ndialect = \"rooms\"\n[[instance]]\nsocket = \"http://127.0.0.1:{port}\"\n[start]\ncommand = [\"x\"]\nready = \"tcp\"\n";

    #[test]
    fn a_target_that_cannot_be_simulated_is_refused_with_its_name_and_the_reason() {
        let running = "name = \"own\"\ndialect = \"rooms\"\n[[instance]]\nsocket = \"http://127.0.0.1:1\"\n";
        let refusal = config(running).schedule().expect_err("nobody can kill it").to_string();
        assert!(refusal.contains("own.toml") && refusal.contains("[start]"), "{refusal}");
        let renamed = format!("{STARTED}[adapt]\nrename_events = {{ new_message = \"msg\" }}\n");
        assert!(config(&renamed).schedule().is_err());
    }

    #[test]
    fn a_server_that_says_that_it_keeps_everything_in_memory_is_not_killed_and_any_other_is() {
        use crate::schedule::FaultKind;

        let kinds = |text: &str, in_memory| {
            let config = Config { in_memory, ..config(text) };
            let schedule = config.schedule().expect("it can run");
            schedule.faults.iter().map(|fault| fault.fault).collect::<Vec<_>>()
        };
        assert!(kinds(STARTED, true).iter().all(|kind| *kind == FaultKind::Pause));
        assert!(kinds(STARTED, false).contains(&FaultKind::Kill));
        // Where nothing is stored, nothing is lost with it.
        assert!(kinds(&STARTED.replace("\"rooms\"", "\"sessions\""), true).contains(&FaultKind::Kill));
    }

    #[test]
    fn a_backend_is_paused_only_where_the_target_needs_it() {
        let without = config(STARTED).schedule().expect("it can run");
        assert!(without.faults.iter().all(|fault| matches!(fault.target, Place::Instance(_))));
        let with = config(&format!("{STARTED}[needs]\nredis = true\n")).schedule().expect("it can run");
        assert!(with.faults.iter().any(|fault| fault.target == Place::Backend(BackendName::Redis)));
    }

    #[test]
    fn the_replay_command_names_everything_that_was_drawn_from() {
        let mut config = config(STARTED);
        assert_eq!(config.replay(), "chatwright sim --instances 2 --seed 4 --seconds 12");
        config.target_argument = Some(PathBuf::from("own.toml"));
        config.script = Script::Replay(PathBuf::from("schedule.json"));
        assert_eq!(config.replay(), "chatwright sim --replay schedule.json --target own.toml");
    }
}
