//! Where SPECs, cases and descriptors come from: embedded in the binary, or a folder that replaces them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use include_dir::{Dir, include_dir};

static DIALECTS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../fixtures/dialects");
static PROTOCOLS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../fixtures/protocols");
static WRONG: Dir = include_dir!("$CARGO_MANIFEST_DIR/../fixtures/wrong");

/// More files than this in a fixtures folder means that it is the wrong folder.
const FILES_MAX: usize = 20_000;

/// A place with fixtures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fixtures {
    /// Those that were built in.
    #[default]
    Embedded,
    /// A folder with `dialects/`, `protocols/` and perhaps `wrong/`.
    Folder(PathBuf),
}

/// A text file of the fixtures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixtureFile {
    /// For errors: as the user knows it.
    pub shown: String,
    /// Below the fixtures, `/` between its parts: `dialects/rooms/SPEC.md`.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// A fixture that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {path}: {reason}")]
pub struct FixtureError {
    /// What was to be read.
    pub path: String,
    /// Why not, and what to do.
    pub reason: String,
}

impl Fixtures {
    /// All text files that the judge reads, in order of their paths.
    ///
    /// # Errors
    /// The folder or file that cannot be read.
    pub fn files(&self) -> Result<Vec<FixtureFile>, FixtureError> {
        let mut files = Vec::new();
        match self {
            Self::Embedded => {
                for (name, dir) in [("dialects", &DIALECTS), ("protocols", &PROTOCOLS), ("wrong", &WRONG)] {
                    embedded(name, dir, &mut files);
                }
            }
            Self::Folder(root) => {
                if !root.join("dialects").is_dir() && !root.join("protocols").is_dir() {
                    let reason = "it holds neither `dialects/` nor `protocols/`; give a folder like the `fixtures` of the repository";
                    return Err(FixtureError { path: root.display().to_string(), reason: reason.to_owned() });
                }
                for name in ["dialects", "protocols", "wrong"] {
                    let folder = root.join(name);
                    if folder.is_dir() {
                        read_folder(&folder, name, &mut files)?;
                    }
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

fn wanted(path: &str) -> bool {
    [".case", ".md", ".toml"].iter().any(|ending| path.ends_with(ending))
}

fn embedded(root: &str, dir: &Dir, files: &mut Vec<FixtureFile>) {
    for file in dir.files() {
        let path = format!("{root}/{}", file.path().display()).replace('\\', "/");
        if let Some(text) = file.contents_utf8().filter(|_| wanted(&path)) {
            files.push(FixtureFile { shown: format!("fixtures/{path}"), path, text: text.to_owned() });
        }
    }
    dir.dirs().for_each(|inner| embedded(root, inner, files));
}

/// Reads the text files below a folder; `at` is what their paths begin with.
pub(crate) fn read_folder(folder: &Path, at: &str, files: &mut Vec<FixtureFile>) -> Result<(), FixtureError> {
    let error = |path: &Path, reason: String| FixtureError { path: path.display().to_string(), reason };
    let entries = fs::read_dir(folder).map_err(|e| error(folder, e.to_string()))?;
    for entry in entries {
        let path = entry.map_err(|e| error(folder, e.to_string()))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let below = if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
        if files.len() >= FILES_MAX {
            return Err(error(folder, format!("more than {FILES_MAX} files; is this the right folder?")));
        }
        if path.is_dir() && name != "node_modules" {
            read_folder(&path, &below, files)?;
        } else if path.is_file() && wanted(&below) {
            let text = fs::read_to_string(&path).map_err(|e| error(&path, e.to_string()))?;
            files.push(FixtureFile { shown: path.display().to_string(), path: below, text });
        }
    }
    Ok(())
}
