//! Several dialects in one process: one file and one set of variables for all, and what they must not share.

use std::collections::BTreeMap;

use chatwright_protocol::dialects::{Dialect, rooms, sessions};
use chatwright_server::config::{Config, ConfigError, RedisConfig, Secret, check_apart, configure_all};

const TWO: [&Dialect; 2] = [&rooms::DIALECT, &sessions::DIALECT];

fn both(file: Option<&str>, variables: &[(&str, &str)]) -> Result<[Config; 2], ConfigError> {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let configs = configure_all(&TWO, file, &variables)?.into_iter().map(|configured| configured.config);
    let configs: Vec<Config> = configs.collect();
    check_apart(configs.iter())?;
    Ok(configs.try_into().expect("as many as were asked for"))
}

fn problem(file: &str) -> String {
    both(Some(file), &[]).expect_err(file).to_string()
}

#[test]
fn one_file_configures_each_dialect_in_its_own_tables() {
    let file = "[rooms.listen]\nport = 7001\n[sessions.listen]\nport = 7002\n[sessions.limits]\ntext = 5\n";
    let [rooms, sessions] = both(Some(file), &[]).expect("valid");
    assert_eq!((rooms.listen.port(), sessions.listen.port()), (7001, 7002));
    assert_eq!((rooms.limits.text_characters_max, sessions.limits.text_characters_max), (4096, 5));
}

#[test]
fn a_dialect_served_alone_takes_its_tables_from_a_file_for_several() {
    let file = "[rooms.listen]\nport = 7001\n[sessions.listen]\nport = 7002\n";
    let alone = configure_all(&[&sessions::DIALECT], Some(file), &BTreeMap::new()).expect("valid");
    assert_eq!(alone[0].config.listen.port(), 7002);
}

#[test]
fn sections_without_a_dialect_are_refused_when_several_are_served() {
    assert_eq!(
        problem("[listen]\nport = 1\n").split(';').next(),
        Some("line 1, listen: a dialect is expected before the section, such as [rooms.listen]")
    );
}

#[test]
fn each_dialect_has_variables_of_its_own() {
    let variables = [("PORT", "1"), ("ROOMS_PORT", "7001"), ("SESSIONS_PORT", "7002")];
    let [rooms, sessions] = both(None, &variables).expect("valid");
    assert_eq!((rooms.listen.port(), sessions.listen.port()), (7001, 7002));
}

#[test]
fn two_dialects_on_one_redis_have_their_names_before_each_key() {
    let hosts = [("ROOMS_REDIS_HOST", "redis"), ("SESSIONS_REDIS_HOST", "redis")];
    let [rooms, sessions] = both(None, &hosts).expect("valid");
    let prefix = |config: &Config| config.redis.as_ref().expect("set").prefix.clone();
    assert_eq!((prefix(&rooms).as_str(), prefix(&sessions).as_str()), ("rooms:", "sessions:"));
    let alone = BTreeMap::from([("REDIS_HOST".to_owned(), "redis".to_owned())]);
    let alone = configure_all(&[&rooms::DIALECT], None, &alone).expect("valid");
    assert_eq!(prefix(&alone[0].config), "", "alone: exactly the documented names");
}

#[test]
fn prefixes_of_which_one_begins_with_the_other_are_refused_on_one_redis() {
    let with = |rooms: &str, sessions: &str, host: &str| {
        let mut configs = TWO.map(Config::of);
        configs[0].redis = Some(RedisConfig { prefix: rooms.to_owned(), ..RedisConfig::at("redis", 6379) });
        configs[1].redis = Some(RedisConfig { prefix: sessions.to_owned(), ..RedisConfig::at(host, 6379) });
        check_apart(configs.iter())
    };
    for (rooms, sessions) in [("", ""), ("a:", "a:"), ("", "b:"), ("a:", "a:b:"), ("a:b:", "a:")] {
        let error = with(rooms, sessions, "Redis").expect_err("they overlap");
        assert_eq!(error.place, "sessions.redis.prefix");
        assert!(error.problem.contains("rooms"), "{error}");
    }
    with("a:", "b:", "redis").expect("apart");
    with("", "", "another").expect("not the same Redis");
}

#[test]
fn one_address_for_two_listeners_is_refused_and_any_free_one_is_not() {
    let same = problem("[rooms.listen]\nport = 5286\n");
    assert_eq!(same, "sessions (socket): another port is expected: rooms (socket) listens on 127.0.0.1:5286 already");
    both(Some("[rooms.listen]\nport = 0\n[sessions.listen]\nport = 0\n"), &[]).expect("any free ones");
}

#[test]
fn one_database_for_two_dialects_is_refused_without_showing_it() {
    let mut configs = TWO.map(Config::of);
    for config in &mut configs {
        config.mongodb = Some(Secret::new("mongodb://user:hunter2@mongo/chat"));
    }
    let error = check_apart(configs.iter()).expect_err("collections collide").to_string();
    assert!(error.starts_with("sessions.mongodb.uri: another database") && !error.contains("hunter2"), "{error}");
}
