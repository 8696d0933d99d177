//! The examples that are shipped for each dialect are valid, complete in what only that dialect has, and say what the documents say.

use std::{collections::BTreeMap, fs, path::Path};

use chatwright_protocol::dialects::{self, Dialect, rooms};
use chatwright_server::config::{Config, check_apart, configure, configure_all, parse_env_file, settings};

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

fn toml(dialect: &Dialect) -> String {
    shipped(&format!("{}.example.toml", dialect.name))
}

/// The file with its commented settings in force.
fn uncommented(text: &str) -> String {
    let is_setting = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', ':']));
    let lines = text.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_example_is_valid_as_it_is() {
    for dialect in dialects::ALL {
        configure(dialect, Some(&toml(dialect)), &BTreeMap::new(), None).expect(dialect.name);
        let variables = parse_env_file(&shipped(&format!("{}.example.env", dialect.name))).expect(dialect.name);
        configure(dialect, None, &variables, None).expect(dialect.name);
    }
}

#[test]
fn every_example_shows_what_only_its_dialect_has_with_its_variable() {
    for dialect in dialects::ALL {
        let text = toml(dialect);
        let is_shared = |key: &str| settings(&rooms::DIALECT).any(|setting| setting.key == key);
        for setting in settings(dialect).filter(|setting| *dialect == rooms::DIALECT || !is_shared(setting.key)) {
            let (_, section) = text.split_once(&format!("\n[{}]\n", setting.section())).expect(setting.key);
            let mut lines = section.lines().take_while(|line| !line.starts_with('['));
            let line = lines.find(|line| line.trim_start_matches("# ").starts_with(&format!("{} = ", setting.name())));
            let line = line.unwrap_or_else(|| panic!("{}: {} is not in its example", dialect.name, setting.key));
            let variable = setting.variable.map(|variable| format!("({variable})")).unwrap_or_default();
            assert!(line.contains(&variable), "{}: {line}", dialect.name);
        }
    }
}

#[test]
fn what_is_commented_in_an_example_is_valid_too() {
    for dialect in dialects::ALL.iter().filter(|dialect| **dialect != rooms::DIALECT) {
        configure(dialect, Some(&uncommented(&toml(dialect))), &BTreeMap::new(), None).expect(dialect.name);
    }
}

#[test]
fn one_file_configures_all_dialects_on_their_documented_ports_and_on_one_redis() {
    let all: Vec<&Dialect> = dialects::ALL.iter().collect();
    for text in [shipped("all.example.toml"), uncommented(&shipped("all.example.toml"))] {
        let configs: Vec<Config> = configure_all(&all, Some(&text), &BTreeMap::new())
            .expect("valid")
            .into_iter()
            .map(|configured| configured.config)
            .collect();
        check_apart(configs.iter()).expect("apart");
        for config in &configs {
            let documented = Config::of(config.dialect);
            assert_eq!((config.listen, &config.listeners), (documented.listen, &documented.listeners));
        }
    }
}
