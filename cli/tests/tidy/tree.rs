//! The map in the README is the tree on disk: a newcomer finds what it names, and nothing beside it.

use std::collections::BTreeSet;

use super::{none, read, root};

/// What lies at the root without being on the map: the lock file, the toolchain and what runs leave behind.
const BESIDE_THE_MAP: [&str; 5] = ["Cargo.lock", "rust-toolchain.toml", "LICENSE-APACHE", "LICENSE-MIT", "target"];

#[test]
fn the_tree_in_the_readme_is_the_tree_on_disk() {
    let map = map_paths(&read("README.md".as_ref()));
    assert!(map.len() > 7, "the README has no indented block under `## Map`, or it is nearly empty: {map:?}");
    none("on the map, not on disk", map.iter().filter(|path| !root().join(path).exists()).cloned());
    let on_disk =
        std::fs::read_dir(root()).expect("the root is readable").map(|entry| entry.expect("readable").file_name());
    let unmapped = on_disk
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !name.starts_with("chatwright-report") && !name.ends_with(".log"))
        .filter(|name| !BESIDE_THE_MAP.contains(&name.as_str()) && !map.contains(name));
    none("on disk, not on the map", unmapped);
}

#[test]
fn a_map_is_read_with_its_nested_lines() {
    let readme =
        "## Map\n\n    server     the server\n      src/  code\n          lib.rs\n    README.md\n\nwords\n\n    other";
    let expected = ["server", "server/src", "server/src/lib.rs", "README.md"];
    assert_eq!(map_paths(readme), expected.into_iter().map(str::to_owned).collect());
}

/// The paths of the indented block below the heading `## Map`: the first word of each line, below the less indented line above it.
fn map_paths(readme: &str) -> BTreeSet<String> {
    let below = readme.split_once("## Map\n").map_or("", |(_, below)| below);
    let block = below.trim_start_matches('\n').lines().take_while(|line| line.starts_with("    "));
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut paths = BTreeSet::new();
    for line in block {
        let Some(name) = line.split_whitespace().next() else { continue };
        let indent = line.len() - line.trim_start().len();
        parents.retain(|(outer, _)| *outer < indent);
        let name = name.trim_end_matches('/');
        let path = parents.last().map_or_else(|| name.to_owned(), |(_, parent)| format!("{parent}/{name}"));
        parents.push((indent, path.clone()));
        paths.insert(path);
    }
    paths
}
