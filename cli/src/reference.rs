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

/// The files of the reference target; they live as long as this.
#[derive(Debug)]
pub(crate) struct Reference {
    folder: TempDir,
}

impl Reference {
    /// Lays out the files for one dialect.
    pub(crate) fn lay_out(dialect: &str) -> Result<Self, UseError> {
        if chatwright_protocol::dialects::by_name(dialect).is_none() {
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
        for file in FILES.files() {
            let text = file.contents_utf8().expect("embedded target files are text");
            let text = text.replace("{chatwright}", &escaped(&binary));
            std::fs::write(folder.path().join(file.path()), text).map_err(|problem| failed(&problem))?;
        }
        Ok(Self { folder })
    }

    /// One of its configurations: `target`, `auth-service`, `open`, `redis`.
    pub(crate) fn file(&self, configuration: &str) -> Result<TargetFile, UseError> {
        TargetFile::load(&self.folder.path().join(format!("{configuration}.toml")))
            .map_err(|problem| UseError::new(problem.to_string()))
    }
}

/// The dialects that the reference speaks.
pub(crate) fn spoken() -> String {
    chatwright_protocol::dialects::ALL.iter().map(|dialect| dialect.name).collect::<Vec<_>>().join(", ")
}

/// A path inside a TOML string that is a template: its braces, quotes and backslashes stand for themselves.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('{', "{{").replace('}', "}}")
}
