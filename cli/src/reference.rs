//! The reference server as a target like any other: its target files are embedded and laid into a scratch folder, with the path of the
//! running binary filled in, so that `check`, `sim` and `load` start it the way they start a stranger.

use std::path::Path;

use chatwright_conformance::target::TargetFile;
use include_dir::{Dir, include_dir};
use tempfile::TempDir;

use crate::exit::UseError;

static FILES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../fixtures/targets/reference");

/// How reports and replay commands name it.
pub(crate) const ORIGIN: &str = "reference";

/// What is served beside the dialects, and judged when it is named: the application with which the protocols are judged in depth. Each engine
/// has a file of its own, because what the ecosystem's fails is known; which one is judged says the variable that chooses the engine.
pub(crate) const ECHO: &str = "echo";
const ENGINE_VARIABLE: &str = "SOCKET_IO_ENGINE";
const OTHER_ENGINE: &str = "socketioxide";

/// What serves load only: as it is served, on slow clocks, so it says nothing that the others do not.
const LOAD: &str = "load";

/// The services in a process each, and in one process on the same backends. The first judges all that the second does, except what must be
/// played alone: two clusters take half the time of one.
pub(crate) const APART: &str = "apart";
pub(crate) const BACKENDS: &str = "backends";

/// The files of the reference target for one dialect; they live as long as this.
#[derive(Debug)]
pub(crate) struct Reference {
    folder: TempDir,
    dialect: String,
}

impl Reference {
    /// Lays out the files for one dialect: `<dialect>.toml`, everything in memory; `<dialect>-<configuration>.toml`, its further
    /// configurations; and what they name.
    pub(crate) fn lay_out(dialect: &str) -> Result<Self, UseError> {
        if dialect != ECHO && chatwright_protocol::dialects::by_name(dialect).is_none() {
            return Err(UseError::new(format!(
                "the reference server speaks no dialect `{dialect}`; it speaks {}",
                spoken()
            )));
        }
        let failed = |problem: &dyn std::fmt::Display| {
            UseError::new(format!("failed to lay out the reference target: {problem}"))
        };
        let folder = tempfile::Builder::new().prefix("chatwright-").tempdir().map_err(|problem| failed(&problem))?;
        let binary = std::env::current_exe().map_err(|problem| failed(&problem))?;
        write(&FILES, folder.path(), &escaped(&binary)).map_err(|problem| failed(&problem))?;
        let other = dialect == ECHO && std::env::var(ENGINE_VARIABLE).is_ok_and(|engine| engine == OTHER_ENGINE);
        let dialect = if other { format!("{ECHO}-{OTHER_ENGINE}") } else { dialect.to_owned() };
        Ok(Self { folder, dialect })
    }

    /// One of its configurations by name, such as `redis`; `None`: everything in memory.
    pub(crate) fn file(&self, configuration: Option<&str>) -> Result<TargetFile, UseError> {
        let name = configuration.map_or_else(|| self.dialect.clone(), |name| format!("{}-{name}", self.dialect));
        let path = self.folder.path().join(format!("{name}.toml"));
        if !path.is_file() {
            return Err(UseError::new(format!("the reference server has no configuration `{name}`")));
        }
        TargetFile::load(&path).map_err(|problem| UseError::new(problem.to_string()))
    }

    /// The first of these configurations that the dialect has; everything in memory if it has none.
    pub(crate) fn one_of(&self, configurations: &[&str]) -> Result<TargetFile, UseError> {
        let has = |name: &&&str| FILES.get_file(format!("{}-{name}.toml", self.dialect)).is_some();
        self.file(configurations.iter().find(has).copied())
    }

    /// All that it is judged in: in memory first, then the others in name order; with each, whether it leaves to the one behind it what
    /// must be played alone.
    pub(crate) fn configurations(&self) -> Result<Vec<(TargetFile, bool)>, UseError> {
        let mut names: Vec<&str> = FILES
            .files()
            .filter_map(|file| {
                file.path().file_stem()?.to_str()?.strip_prefix(self.dialect.as_str())?.strip_prefix('-')
            })
            .filter(|name| ![LOAD, OTHER_ENGINE].contains(name))
            .collect();
        names.sort_unstable();
        let leaves_alone = |name: Option<&str>| name == Some(APART) && names.contains(&BACKENDS);
        let all = std::iter::once(None).chain(names.iter().copied().map(Some));
        all.map(|name| Ok((self.file(name)?, leaves_alone(name)))).collect()
    }
}

/// Writes embedded files below a folder, with the path of the binary filled in.
fn write(dir: &Dir, root: &Path, binary: &str) -> std::io::Result<()> {
    for file in dir.files() {
        let text = file.contents_utf8().expect("embedded target files are text").replace("{chatwright}", binary);
        std::fs::write(root.join(file.path()), text)?;
    }
    for inner in dir.dirs() {
        std::fs::create_dir_all(root.join(inner.path()))?;
        write(inner, root, binary)?;
    }
    Ok(())
}

/// The dialects that the reference can be judged in: those that it speaks and has a target file for.
pub(crate) fn dialects() -> Vec<&'static str> {
    let has_file = |name: &&str| FILES.get_file(format!("{name}.toml")).is_some();
    chatwright_protocol::dialects::ALL.iter().map(|dialect| dialect.name).filter(has_file).collect()
}

/// The dialects that the reference speaks, for messages.
pub(crate) fn spoken() -> String {
    chatwright_protocol::dialects::ALL.iter().map(|dialect| dialect.name).collect::<Vec<_>>().join(", ")
}

/// A path inside a TOML string that is a template: its braces, quotes and backslashes stand for themselves.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('{', "{{").replace('}', "}}")
}
