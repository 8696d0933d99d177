//! A changed copy of a target: the folder is copied, each edit must fit exactly once, and the copy is started like any target.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Edit, WrongError, WrongServer};
use crate::target::{FileError, StartOptions, Target, TargetFile, read_text};

/// What is linked as a whole instead of copied, unless an edit is in it: large, and mostly the same.
const PACKAGES: &str = "node_modules";
/// Deeper or larger trees are no sample target.
const DEPTH_MAX: usize = 24;
const FILES_MAX: usize = 20_000;

/// Starts the changed copy.
pub(super) async fn start(
    wrong: &WrongServer,
    base: &Path,
    edits: &[Edit],
    options: StartOptions,
) -> Result<Target, WrongError> {
    let of_base = |error| WrongError::Base { path: wrong.path.clone(), error };
    // Packages are installed where they are shared, never through the link in a copy.
    let original = TargetFile::load(&base.join("target.toml"))?;
    Target::prepare(&original).await.map_err(of_base)?;
    let copied = {
        let (base, edits, path) = (base.to_owned(), edits.to_vec(), wrong.path.clone());
        tokio::task::spawn_blocking(move || copy(&path, &base, &edits)).await
    };
    let folder = copied.map_err(|e| WrongError::Io { path: wrong.path.clone(), problem: e.to_string() })??;
    let mut file = TargetFile::load(&folder.path().join("target.toml"))?;
    if let Some(start) = &mut file.start {
        start.setup.clear();
    }
    let mut target = Target::start(&file, options).await.map_err(of_base)?;
    target.keep(folder);
    Ok(target)
}

/// The copy, with its edits made.
fn copy(wrong: &Path, base: &Path, edits: &[Edit]) -> Result<tempfile::TempDir, WrongError> {
    let failed = |e: io::Error| WrongError::Io {
        path: wrong.to_owned(),
        problem: format!("failed to copy {}: {e}", base.display()),
    };
    let folder = tempfile::Builder::new().prefix("chatwright-wrong-").tempdir().map_err(failed)?;
    let mut copier =
        Copier { left: FILES_MAX, edits_packages: edits.iter().any(|edit| edit.file.starts_with(PACKAGES)) };
    copier.folder(&base.canonicalize().map_err(failed)?, folder.path(), DEPTH_MAX, false).map_err(failed)?;
    for edit in edits {
        let place = folder.path().join(&edit.file);
        let text = read_text(&place, "file to change")
            .map_err(|e| FileError::whole(wrong, format!("{}: {}", edit.file.display(), e.problem)))?;
        let text = apply(edit, &text).map_err(|problem| FileError::whole(wrong, problem))?;
        // Removed first: it may be the same file as the original under a second name.
        std::fs::remove_file(&place).and_then(|()| std::fs::write(&place, text)).map_err(failed)?;
    }
    Ok(folder)
}

pub(super) fn apply(edit: &Edit, text: &str) -> Result<String, String> {
    match text.matches(&edit.find).count() {
        1 => Ok(text.replacen(&edit.find, &edit.replace, 1)),
        count => Err(format!(
            "`{}` stands {count} times in {}; it must stand there once",
            edit.find.trim(),
            edit.file.display()
        )),
    }
}

struct Copier {
    /// Files that may still be copied.
    left: usize,
    edits_packages: bool,
}

impl Copier {
    /// Copies a folder; inside packages a file gets a second name instead, where the file system has that.
    fn folder(&mut self, from: &Path, to: &Path, depth: usize, inside_packages: bool) -> io::Result<()> {
        if depth == 0 {
            return Err(io::Error::other("its folders are too deep"));
        }
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            let (source, goal): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type()?;
            self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("it has too many files"))?;
            if kind.is_symlink() {
                std::os::unix::fs::symlink(std::fs::read_link(source)?, goal)?;
            } else if entry.file_name() == PACKAGES && !self.edits_packages {
                std::os::unix::fs::symlink(source, goal)?;
            } else if kind.is_dir() {
                std::fs::create_dir(&goal)?;
                self.folder(&source, &goal, depth - 1, inside_packages || entry.file_name() == PACKAGES)?;
            } else if !inside_packages || std::fs::hard_link(&source, &goal).is_err() {
                std::fs::copy(source, goal)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(find: &str) -> Edit {
        Edit { file: "a.js".into(), find: find.to_owned(), replace: "Z".to_owned() }
    }

    #[test]
    fn an_edit_must_fit_exactly_once() {
        assert_eq!(apply(&edit("b"), "abc"), Ok("aZc".to_owned()));
        assert!(apply(&edit("b"), "abcb").expect_err("twice").contains("stands 2 times in a.js"));
        assert!(apply(&edit("x"), "abc").expect_err("never").contains("stands 0 times"));
    }

    #[test]
    fn a_copy_is_changed_and_its_original_is_not() {
        let base = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(base.path().join("src")).expect("made");
        std::fs::create_dir(base.path().join("node_modules")).expect("made");
        std::fs::write(base.path().join("src/a.js"), "let b = 1").expect("written");
        let edit = Edit { file: "src/a.js".into(), find: "1".to_owned(), replace: "2".to_owned() };
        let copy = copy(Path::new("w.toml"), base.path(), &[edit]).expect("it fits");
        assert_eq!(std::fs::read_to_string(copy.path().join("src/a.js")).expect("there"), "let b = 2");
        assert_eq!(std::fs::read_to_string(base.path().join("src/a.js")).expect("there"), "let b = 1");
        assert!(copy.path().join("node_modules").is_symlink());
    }

    #[test]
    fn packages_can_be_changed_and_their_originals_are_not() {
        let base = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(base.path().join("node_modules/lib")).expect("made");
        std::fs::write(base.path().join("node_modules/lib/a.js"), "one").expect("written");
        std::fs::write(base.path().join("node_modules/lib/b.js"), "two").expect("written");
        let edit = Edit { file: "node_modules/lib/a.js".into(), find: "one".to_owned(), replace: "1".to_owned() };
        let copy = copy(Path::new("w.toml"), base.path(), &[edit]).expect("it fits");
        let read = |folder: &Path, file: &str| {
            std::fs::read_to_string(folder.join("node_modules/lib").join(file)).expect("there")
        };
        assert_eq!((read(copy.path(), "a.js"), read(copy.path(), "b.js")), ("1".to_owned(), "two".to_owned()));
        assert_eq!(read(base.path(), "a.js"), "one");
    }

    #[test]
    fn packages_are_copied_where_one_of_them_is_edited() {
        let base = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(base.path().join("node_modules")).expect("made");
        std::fs::write(base.path().join("node_modules/a.js"), "let b = 1").expect("written");
        let edit = Edit { file: "node_modules/a.js".into(), find: "1".to_owned(), replace: "2".to_owned() };
        let copy = copy(Path::new("w.toml"), base.path(), &[edit]).expect("it fits");
        assert_eq!(std::fs::read_to_string(copy.path().join("node_modules/a.js")).expect("there"), "let b = 2");
        assert_eq!(std::fs::read_to_string(base.path().join("node_modules/a.js")).expect("there"), "let b = 1");
    }
}
