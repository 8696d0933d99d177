//! Configuration: the documented variables, the TOML form, the examples that are shipped, and errors that name the place.

use std::{collections::BTreeMap, time::Duration};

use chatwright_protocol::dialects::rooms;
use chatwright_server::{
    auth::IdentityMode,
    config::{Config, Configured, Origins, VerifierConfig, configure, parse_env_file, settings},
};

const EXAMPLE_ENV: &str = include_str!("../../fixtures/deploy/rooms.example.env");
const EXAMPLE_TOML: &str = include_str!("../../fixtures/deploy/rooms.example.toml");

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn from_variables(pairs: &[(&str, &str)]) -> Configured {
    configure(&rooms::DIALECT, None, &variables(pairs), None).expect("valid variables")
}

fn problem(file: &str) -> String {
    configure(&rooms::DIALECT, Some(file), &BTreeMap::new(), None).expect_err(file).to_string()
}

#[test]
fn nothing_set_means_documented_figures_and_everything_in_memory() {
    let Configured { config, warnings } = from_variables(&[]);
    assert_eq!(config, Config::default());
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(
        (config.listen.port(), config.limits.connections_per_user_max, config.limits.history_max),
        (5004, 5, 1000)
    );
    assert_eq!(config.history_ttl, Duration::from_secs(604_800));
    assert_eq!(
        (config.engine.connect_timeout, config.engine.ping_timeout, config.engine.ping_interval),
        (Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(25))
    );
    assert!(config.redis.is_none() && config.admin.is_none());
}

#[test]
fn the_example_env_file_says_what_the_document_says() {
    let variables = parse_env_file(EXAMPLE_ENV).expect("valid");
    let Configured { config, warnings } = configure(&rooms::DIALECT, None, &variables, None).expect("valid");
    assert_eq!(config.listen.to_string(), "0.0.0.0:5004");
    let redis = config.redis.expect("a host is set");
    assert_eq!((redis.host.as_str(), redis.port, redis.password, redis.prefix.as_str()), ("redis", 6379, None, ""));
    assert_eq!(config.origins, Origins::Any);
    assert_eq!(config.history_ttl, Duration::from_secs(7 * 86_400));
    assert!(matches!(config.verifier, VerifierConfig::Jwt(_)));
    assert_eq!(warnings, ["any web page may connect (origin *), without credentials"]);
}

#[test]
fn the_example_file_is_valid_and_its_commented_lines_show_the_defaults() {
    let Configured { config, .. } =
        configure(&rooms::DIALECT, Some(EXAMPLE_TOML), &BTreeMap::new(), None).expect("valid");
    let defaults = Config::default();
    assert_eq!(
        (&config.limits, &config.clocks, &config.engine),
        (&defaults.limits, &defaults.clocks, &defaults.engine)
    );
    let shown = EXAMPLE_TOML.replace("\n# ", "\n").replace("\nurl = \"redis:", "\n# url = \"redis:"); // or its parts
    let sections = |wanted: &[&str]| -> String {
        let with_headers = shown.split("\n[").skip(1);
        with_headers.filter(|s| wanted.iter().any(|w| s.starts_with(w))).map(|s| format!("[{s}\n")).collect()
    };
    let figures =
        configure(&rooms::DIALECT, Some(&sections(&["limits", "clocks"])), &BTreeMap::new(), None).expect("valid");
    assert_eq!(figures.config, defaults);
    let backends =
        configure(&rooms::DIALECT, Some(&sections(&["redis", "mongodb", "rabbitmq"])), &BTreeMap::new(), None)
            .expect("valid");
    assert!(backends.config.redis.is_some());
    assert!(backends.config.mongodb.is_some() && backends.config.rabbitmq.is_some());
    assert_eq!(backends.warnings, Vec::<String>::new());
}

#[test]
fn the_example_file_shows_each_setting_with_its_variable() {
    for setting in settings(&rooms::DIALECT) {
        let (_, section) = EXAMPLE_TOML.split_once(&format!("\n[{}]\n", setting.section())).expect(setting.key);
        let line = section
            .lines()
            .take_while(|line| !line.starts_with('['))
            .find(|line| line.trim_start_matches("# ").starts_with(&format!("{} = ", setting.name())))
            .unwrap_or_else(|| panic!("{} is not in the example", setting.key));
        if let Some(variable) = setting.variable {
            assert!(line.contains(&format!("({variable})")), "{line}");
        }
    }
}

#[test]
fn a_history_that_is_set_short_is_shown_as_far_as_it_goes() {
    let limits = |history: &str| from_variables(&[("MAX_MESSAGE_HISTORY", history)]).config.limits;
    assert_eq!((limits("3").history_max, limits("3").history_default), (3, 3));
    assert_eq!(limits("500").history_default, 50);
    let problem = problem("[limits]\nhistory = 3\nhistory_default = 4\n");
    assert!(problem.contains("must not be above limits.history, which is 3"), "{problem}");
}

#[test]
fn a_variable_beats_the_file_and_an_empty_one_is_not_set() {
    let file = "[limits]\nhistory = 200\n[redis]\nhost = \"a\"\n";
    let set = variables(&[("MAX_MESSAGE_HISTORY", "300"), ("REDIS_HOST", ""), ("REDIS_PORT", "7000")]);
    let config = configure(&rooms::DIALECT, Some(file), &set, None).expect("valid").config;
    assert_eq!(config.limits.history_max, 300);
    let redis = config.redis.expect("from the file");
    assert_eq!((redis.host.as_str(), redis.port), ("a", 7000));
}

#[test]
fn with_several_dialects_each_has_variables_of_its_own() {
    let set = variables(&[("PORT", "1"), ("ROOMS_PORT", "6004"), ("REDIS_HOST", "not-ours")]);
    let config = configure(&rooms::DIALECT, None, &set, Some("ROOMS")).expect("valid").config;
    assert_eq!(config.listen.port(), 6004);
    assert!(config.redis.is_none());
}

#[test]
fn errors_of_a_file_name_line_and_key_and_what_is_expected() {
    for (file, expected) in [
        ("[listen]\nprot = 5004\n", "line 2, listen.prot: unknown key; [listen] has mode, host, port,"),
        ("[lisen]\nport = 1\n", "line 1, [lisen]: unknown section; known are listen, identity,"),
        ("port = 1\n", "line 1, port: a section is expected"),
        ("\n[listen]\nport = 70000\n", "line 3, listen.port: a whole number from 0 to 65535 is expected"),
        ("[listen]\nport = \n", "line 2: "),
        ("[limits]\ntext = -1\n", "line 2, limits.text: a whole number from 1 to"),
        ("[limits]\ntext = 1.5\n", "line 2, limits.text: a text, whole number,"),
        (
            "[clocks]\nping_interval = \"25 parsecs\"\n",
            "line 2, clocks.ping_interval: a time from 50ms to 3600s is expected",
        ),
        ("[identity]\nmode = \"closed\"\n", "line 2, identity.mode: token or open is expected"),
        ("[cors]\norigins = [\"https://a.example/\"]\n", "line 2, cors.origins: an origin such as"),
        (
            "[identity]\nauth_service = \"https://auth\"\n",
            "line 2, identity.auth_service: an address such as http://auth:3000",
        ),
        ("[limits]\npacket = 1000\n", "line 2, limits.packet: limits.packet is 1000; at least"),
        ("[listen]\nport = 1\nport = 2\n", "line 3: duplicate key"),
        ("[log]\nlevel = \"loud\"\n", "line 2, log.level: error, warn, info, debug or trace is expected"),
        ("[rooms.listen]\nprot = 1\n", "line 2, rooms.listen.prot: unknown key; [rooms.listen] has mode, host, port,"),
        ("[rooms.lisen]\nport = 1\n", "line 1, [rooms.lisen]: unknown section; known are listen,"),
        ("[rooms]\nport = 1\n", "line 2, rooms.port: a section is expected"),
        (
            "[rooms.listen]\nport = 1\n[redis]\n",
            "line 3, redis: a dialect is expected before the section, such as [rooms.redis]",
        ),
        ("[sessions.listen]\nprot = 1\n", "line 2, sessions.listen.prot: unknown key"),
    ] {
        let problem = problem(file);
        assert!(problem.starts_with(expected), "{file:?}: {problem}");
    }
}

#[test]
fn errors_of_variables_name_the_variable() {
    let wrong = |name: &str, value: &str| {
        configure(&rooms::DIALECT, None, &variables(&[(name, value)]), None).expect_err("wrong").to_string()
    };
    assert!(wrong("PORT", "http").starts_with("PORT: a whole number"));
    assert!(wrong("MAX_MESSAGE_HISTORY", "0").starts_with("MAX_MESSAGE_HISTORY: "));
    assert!(wrong("CORS_ORIGIN", "*,https://a.example").starts_with("CORS_ORIGIN: either"));
    assert!(wrong("AUTH_SERVICE_URL", "http://user:pass@auth").starts_with("AUTH_SERVICE_URL: "));
}

#[test]
fn redis_can_be_one_address() {
    let file = "[redis]\nurl = \"redis://us%65r:p%40ss@cache:7000/3\"\nprefix = \"a:\"\n";
    let config = configure(&rooms::DIALECT, Some(file), &BTreeMap::new(), None).expect("valid").config;
    let redis = config.redis.expect("set");
    assert_eq!((redis.host.as_str(), redis.port, redis.database, redis.prefix.as_str()), ("cache", 7000, 3, "a:"));
    assert_eq!((redis.user.as_deref(), redis.password.expect("set").expose()), (Some("user"), "p@ss"));
    for wrong in ["cache:6379", "http://cache", "redis://cache/x", "redis://p%zz@cache", "redis://onlyuser@cache"] {
        let problem = problem(&format!("[redis]\nurl = \"{wrong}\"\n"));
        assert!(problem.starts_with("line 2, redis.url: an address such as redis://"), "{wrong}: {problem}");
    }
    let both = problem("[redis]\nhost = \"a\"\nurl = \"redis://b\"\n");
    assert_eq!(both, "line 3, redis.url: either redis.url or redis.host is expected, not both");
}

#[test]
fn two_ways_to_verify_tokens_are_an_error_and_one_is_taken() {
    let both = variables(&[("JWT_SECRET", "x"), ("AUTH_SERVICE_URL", "http://auth:3000")]);
    let error = configure(&rooms::DIALECT, None, &both, None).expect_err("both");
    assert_eq!(error.to_string(), "AUTH_SERVICE_URL: only one way to verify tokens can be chosen");
    let service = from_variables(&[("AUTH_SERVICE_URL", "http://auth:3000/base"), ("AUTH_TIMEOUT", "750ms")]);
    let VerifierConfig::Service(rules) = service.config.verifier else { panic!("{:?}", service.config.verifier) };
    assert_eq!((rules.base.to_string().as_str(), rules.timeout), ("http://auth:3000/base", Duration::from_millis(750)));
    let grpc = from_variables(&[("AUTH_SERVICE_GRPC_URL", "http://auth:50051")]);
    assert!(matches!(grpc.config.verifier, VerifierConfig::Grpc { .. }));
}

#[test]
fn what_is_loose_or_without_effect_is_said() {
    let warnings = from_variables(&[
        ("IDENTITY", "open"),
        ("JWT_SECRET", "short"),
        ("CORS_ORIGIN", "*"),
        ("MONGODB_URI", "mongodb://mongo:27017/chat_db"),
        ("RABBITMQ_URL", "amqp://user:hidden@rabbitmq:5672"),
        ("REDIS_PORT", "6379"),
    ])
    .warnings;
    for word in [
        "identity is open",
        "fewer than 32 bytes",
        "any web page",
        "MongoDB",
        "RabbitMQ",
        "Redis is configured without a host",
    ] {
        assert_eq!(warnings.iter().filter(|warning| warning.contains(word)).count(), 1, "{word} in {warnings:?}");
    }
}

#[test]
fn no_secret_is_in_debug_output_or_warnings() {
    let configured = from_variables(&[
        ("JWT_SECRET", "hunter2"),
        ("REDIS_HOST", "redis"),
        ("REDIS_PASSWORD", "hunter2"),
        ("RABBITMQ_URL", "amqp://user:hunter2@rabbitmq:5672"),
    ]);
    assert!(!format!("{configured:?}").contains("hunter2"));
    assert_eq!(configured.config.identity, IdentityMode::Token);
}
