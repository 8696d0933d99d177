//! Tidy as a test: what a reviewer would otherwise have to see again and again. Shape of files, arrows between crates, clauses and their cases.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/clauses.rs"]
mod clauses;
#[path = "tidy/tree.rs"]
mod tree;

use std::path::{Path, PathBuf};

/// A screen is about 60 lines; a file of more than this many holds a second idea.
const FILE_LINES_MAX: usize = 400;
/// Names that say nothing about what is inside.
const FORBIDDEN_NAMES: [&str; 4] = ["utils", "common", "helpers", "manager"];
/// Folders that are not ours.
const FOREIGN_FOLDERS: [&str; 4] = ["target", "node_modules", ".venv", ".git"];
/// What a library must leave to the binary: the environment, the arguments, the terminal.
const ONLY_THE_BINARY: [&str; 6] = ["std::env", "env::var", "env::args", "println!", "eprintln!", " print!"];

#[test]
fn every_rust_file_says_in_its_first_line_why_it_exists() {
    let silent = rust_files().into_iter().filter(|file| !file.text.starts_with("//! ")).map(|file| file.path);
    none("files without a first `//!` line", silent);
}

#[test]
fn no_rust_file_is_longer_than_400_lines() {
    let long = rust_files().into_iter().filter(|file| file.text.lines().count() > FILE_LINES_MAX).map(|file| file.path);
    none("files of more than 400 lines: split them by idea", long);
}

#[test]
fn no_file_folder_or_module_has_a_name_that_says_nothing() {
    let paths = files().into_iter().filter(|path| path.iter().any(|part| is_forbidden_name(&part.to_string_lossy())));
    none("names that say nothing", paths.map(|path| path.display().to_string()));
    let mut modules = Vec::new();
    for file in rust_files() {
        let forbidden = module_names(&file.text).filter(|name| is_forbidden_name(name));
        modules.extend(forbidden.map(|name| format!("{}: mod {name}", file.path)));
    }
    none("modules whose names say nothing", modules);
}

#[test]
fn a_forbidden_name_is_seen_as_a_file_a_folder_and_a_module() {
    assert!(is_forbidden_name("utils.rs"));
    assert!(is_forbidden_name("test_helpers"));
    assert!(is_forbidden_name("session-manager.js"));
    assert!(!is_forbidden_name("commons_law.rs"));
    assert_eq!(
        module_names("pub(crate) mod common;\n  mod helpers {\n// mod utils;").collect::<Vec<_>>(),
        ["common", "helpers"]
    );
}

/// A sample target stands on its own: its folder is copied, read and run alone. What several of them need alike is one text.
#[test]
fn what_samples_have_alike_is_the_same_text() {
    let copies = ["conversations", "direct", "gateway", "sessions"]
        .map(|dialect| format!("fixtures/targets/{dialect}-node/src/peers.js"))
        .map(|path| (read(&root().join(&path)), path));
    let (first, name) = &copies[0];
    let others = copies.iter().filter(|(text, _)| text != first).map(|(_, path)| format!("{path} differs from {name}"));
    none("copies of peers.js that differ", others);
}

#[test]
fn no_library_reads_the_environment_or_the_arguments_or_prints() {
    let mut offences = Vec::new();
    let mut seen = 0;
    for file in rust_files().into_iter().filter(|file| file.is_library_source()) {
        seen += 1;
        for (index, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for needle in ONLY_THE_BINARY.iter().filter(|needle| line.contains(**needle)) {
                offences.push(format!("{}:{}: {needle}", file.path, index + 1));
            }
        }
    }
    assert!(seen > 10, "only {seen} library files were found: the walk is wrong");
    none("lines that belong into the binary", offences);
}

/// One Rust file of this repository.
struct RustFile {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl RustFile {
    fn is_library_source(&self) -> bool {
        let mut parts = self.path.split('/');
        let owner = parts.next();
        owner != Some("cli") && owner != Some("fixtures") && parts.next() == Some("src")
    }
}

fn rust_files() -> Vec<RustFile> {
    let found: Vec<RustFile> = files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| RustFile { text: read(&path), path: path.display().to_string() })
        .collect();
    assert!(found.len() > 20, "only {} Rust files were found: the walk is wrong", found.len());
    found
}

/// All files of the repository, relative to its root, in name order.
fn files() -> Vec<PathBuf> {
    walkdir::WalkDir::new(root())
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !FOREIGN_FOLDERS.iter().any(|foreign| entry.file_name() == *foreign))
        .map(|entry| entry.expect("the repository is readable"))
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(root()).expect("the walk starts at the root").to_path_buf())
        .collect()
}

/// Reads a file of the repository by its relative path.
fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}

/// The folder that holds the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn is_forbidden_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    stem.split(['_', '-']).any(|word| FORBIDDEN_NAMES.contains(&word))
}

fn module_names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let rest = match line.split_once("mod ") {
            Some(("", rest)) => rest,
            Some((visibility, rest)) if visibility.starts_with("pub") => rest,
            Some(_) | None => return None,
        };
        rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
    })
}

/// Fails with the whole list, so that one run shows everything there is to mend.
fn none(what: &str, offences: impl IntoIterator<Item = String>) {
    let offences: Vec<String> = offences.into_iter().collect();
    assert!(offences.is_empty(), "{what}:\n  {}", offences.join("\n  "));
}
