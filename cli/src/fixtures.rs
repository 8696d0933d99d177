//! Where SPECs and cases come from: embedded, or the folder given by `--fixtures`.

use std::path::PathBuf;

use chatwright_conformance::{dialect::Dialect, fixtures::Fixtures, suite::Suite};

use crate::{args::Global, exit::UseError};

/// Reads everything that the judge knows.
pub(crate) fn suite(global: &Global) -> Result<Suite, UseError> {
    let fixtures = global.fixtures.as_ref().map_or(Fixtures::Embedded, |dir| Fixtures::Folder(dir.clone()));
    Suite::load(&fixtures).map_err(|problem| UseError::new(problem.to_string()))
}

/// The dialect of this name in the suite.
pub(crate) fn dialect<'s>(suite: &'s Suite, name: &str) -> Result<&'s Dialect, UseError> {
    suite.dialects.get(name).ok_or_else(|| {
        let known = suite.dialects.keys().cloned().collect::<Vec<_>>().join(", ");
        UseError::new(format!("there is no dialect `{name}`; there is {known}"))
    })
}

/// A folder that exists, or is made, for reports.
pub(crate) fn report_folder(path: &PathBuf) -> Result<(), UseError> {
    std::fs::create_dir_all(path)
        .map_err(|problem| UseError::new(format!("failed to make the report folder {}: {problem}", path.display())))
}

/// Writes one file of a report.
pub(crate) fn write(path: &PathBuf, text: &str) -> Result<(), UseError> {
    std::fs::write(path, text)
        .map_err(|problem| UseError::new(format!("failed to write {}: {problem}", path.display())))
}
