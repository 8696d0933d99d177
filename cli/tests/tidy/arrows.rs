//! Which crate may know which: read from `cargo metadata`, dev- and build-dependencies included.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{none, root};

const OURS: &str = "chatwright-";
/// Each of our crates with those of our crates that it may depend on. `cli` may depend on everything.
const ARROWS: [(&str, &[&str]); 6] = [
    ("protocol", &[]),
    ("server", &["protocol"]),
    ("client-sdk", &["protocol"]),
    ("conformance", &[]),
    ("simulator", &["client-sdk", "conformance", "server"]),
    ("loadtest", &["client-sdk", "conformance"]),
];
/// What does IO, measures time or draws random numbers: none of it may be below `protocol`, however deep.
const IMPURE: [&str; 12] = [
    "async-std",
    "getrandom",
    "hyper",
    "jiff",
    "mio",
    "rand",
    "rand_core",
    "socket2",
    "time",
    "tokio",
    "tungstenite",
    "uuid",
];
/// Heavy or far-reaching dependencies with the crates that may have them. The comparison of servers (`loadtest/peers`) is a program of
/// its own and one of its servers is bare socketioxide.
const RESERVED: [(&str, &[&str]); 6] = [
    ("clap", &["cli", "loadtest"]),
    ("clap_complete", &["cli"]),
    ("indicatif", &["cli"]),
    ("goose", &["loadtest"]),
    ("testcontainers", &["simulator"]),
    ("socketioxide", &["server", "loadtest"]),
];

#[test]
fn our_crates_depend_on_each_other_only_along_the_arrows() {
    let workspace = Workspace::load();
    let mut offences = Vec::new();
    for (name, allowed) in ARROWS {
        for dependency in workspace.direct(name) {
            let Some(ours) = dependency.strip_prefix(OURS) else { continue };
            if !allowed.contains(&ours) {
                offences.push(format!("{name} -> {ours}"));
            }
        }
    }
    none("arrows that the architecture does not have (dev-dependencies count)", offences);
}

#[test]
fn every_crate_of_the_workspace_has_its_arrows_written_down() {
    let mut members = Workspace::load().members();
    assert!(members.remove("cli"), "the binary's crate is missing");
    assert_eq!(members, ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn nothing_below_protocol_does_io_or_knows_a_clock_or_draws_random_numbers() {
    let workspace = Workspace::load();
    let mut below = workspace.below("protocol");
    assert!(below.contains("serde_json"), "the graph was not read: {below:?}");
    if !workspace.features["protocol"]["jiff"].contains("std") {
        below.remove("jiff"); // without it there is only the calendar
    }
    none("impure dependencies of protocol", below.into_iter().filter(|name| IMPURE.contains(&name.as_str())));
}

#[test]
fn heavy_dependencies_stay_in_the_crates_that_need_them() {
    let workspace = Workspace::load();
    let mut offences = Vec::new();
    for member in workspace.members() {
        for (dependency, owners) in RESERVED {
            if workspace.direct(&member).contains(dependency) && !owners.contains(&member.as_str()) {
                offences.push(format!("{member} -> {dependency}"));
            }
        }
    }
    none("dependencies that belong elsewhere", offences);
}

/// What `cargo metadata` says, as sets of names.
struct Workspace {
    /// Our crates without their common prefix -> every dependency that the manifest names, of any kind.
    manifests: BTreeMap<String, BTreeSet<String>>,
    /// The same -> dependency -> the features that the manifest asks of it.
    features: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// Package id -> (name, ids of normal dependencies).
    graph: BTreeMap<String, (String, Vec<String>)>,
}

impl Workspace {
    fn load() -> Self {
        // Only this platform's packages are surely on the disk.
        let platform = ["--filter-platform", &host()];
        let output = cargo(&[&["metadata", "--format-version", "1", "--locked", "--offline"], &platform[..]].concat());
        let metadata: Value = serde_json::from_str(&output).expect("cargo metadata writes JSON");
        let packages = list(&metadata["packages"]);
        let names: BTreeMap<&str, &str> =
            packages.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let features: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = packages
            .iter()
            .filter_map(|package| Some((text(&package["name"]).strip_prefix(OURS)?, package)))
            .map(|(name, package)| {
                let dependencies = list(&package["dependencies"]).iter().map(|dependency| {
                    let features = list(&dependency["features"]).iter().map(|feature| text(feature).to_owned());
                    (text(&dependency["name"]).to_owned(), features.collect())
                });
                (name.to_owned(), dependencies.collect())
            })
            .collect();
        let manifests = features.iter().map(|(name, asked)| (name.clone(), asked.keys().cloned().collect())).collect();
        let graph = list(&metadata["resolve"]["nodes"])
            .iter()
            .map(|node| {
                let id = text(&node["id"]);
                (id.to_owned(), (names[id].to_owned(), normal_dependencies(node)))
            })
            .collect();
        Self { manifests, features, graph }
    }

    fn members(&self) -> BTreeSet<String> {
        self.manifests.keys().cloned().collect()
    }

    fn direct(&self, member: &str) -> &BTreeSet<String> {
        &self.manifests[member]
    }

    /// Names of everything that is linked with a crate of ours, however deep.
    fn below(&self, member: &str) -> BTreeSet<String> {
        let start = self.graph.iter().find(|(_, (name, _))| name.strip_prefix(OURS) == Some(member));
        let mut pending: Vec<&String> = start.map(|(id, _)| id).into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = pending.pop() {
            if seen.insert(id) {
                pending.extend(&self.graph[id].1);
            }
        }
        seen.into_iter().map(|id| self.graph[id].0.clone()).collect()
    }
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// The platform that this runs on, such as `x86_64-unknown-linux-gnu`.
fn host() -> String {
    let version = cargo(&["-vV"]);
    version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo -vV names its host").to_owned()
}

fn normal_dependencies(node: &Value) -> Vec<String> {
    list(&node["deps"])
        .iter()
        .filter(|dependency| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()))
        .map(|dependency| text(&dependency["pkg"]).to_owned())
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("cargo metadata has a list here")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo metadata has text here")
}
