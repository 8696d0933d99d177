//! The one place that starts containers, tried on a real engine: readiness, faults, durability, leftovers.

mod engine;

use std::{collections::BTreeSet, process::Command, time::Duration};

use chatwright_conformance::target::{Action, BackendName, Subject};
use chatwright_simulator::backends::{BackendError, Backends, Durability, Images};
use redis::AsyncCommands;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_comes_back_at_its_address_with_everything_it_had_confirmed() {
    let Some(backends) = engine::start(&[BackendName::Redis], Durability::Durable).await else { return };
    let redis = backends.get(BackendName::Redis).expect("it was asked for");
    let (url, control) = (redis.url(), backends.control());
    let _: () = connect(&url).await.set("key", "value").await.expect("redis answers");
    let subject = Subject::Backend("redis".to_owned());
    control.act(&subject, Action::Kill).await.expect("killed");
    assert!(redis::Client::open(url.as_str()).expect("a URL").get_multiplexed_async_connection().await.is_err());
    control.act(&subject, Action::Start).await.expect("started");
    let value: String = connect(&url).await.get("key").await.expect("redis answers");
    assert_eq!(value, "value");
    drop(control);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_is_silent_and_goes_on_where_it_was() {
    let Some(backends) = engine::start(&[BackendName::Redis], Durability::Volatile).await else { return };
    let redis = backends.get(BackendName::Redis).expect("it was asked for");
    let mut connection = connect(&redis.url()).await;
    redis.pause().await.expect("paused");
    let silent = tokio::time::timeout(Duration::from_millis(300), connection.get::<_, Option<String>>("key")).await;
    assert!(silent.is_err(), "{silent:?}");
    redis.resume().await.expect("resumed");
    let _: () = connection.set("key", "value").await.expect("the same connection goes on");
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_whose_owner_is_gone_is_removed_at_the_next_start_and_no_other() {
    let Some(backends) = engine::start(&[BackendName::Redis], Durability::Volatile).await else { return };
    let images = engine::images();
    let image = images.of(BackendName::Redis);
    let place = std::fs::read_link("/proc/self/ns/pid").expect("this is Linux");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("this is Linux");
    let gone = create(image, &format!("chatwright.owner=4294967295 1 {} {}", boot.trim(), place.display()));
    let elsewhere = create(image, "chatwright.owner=4294967295 1 another-kernel pid:[1]");
    engine::start(&[BackendName::Redis], Durability::Volatile).await.expect("as before").stop().await;
    assert!(!exists(&gone), "the leftover is still there");
    assert!(exists(&elsewhere), "a container of somebody else was removed");
    let mut own = connect(&backends.get(BackendName::Redis).expect("it was asked for").url()).await;
    let _: () = own.set("key", "value").await.expect("the living one was left alone");
    docker(&["rm", "-f", &elsewhere]);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_had_is_named_with_advice() {
    let Some(backends) = engine::start(&[BackendName::Redis], Durability::Volatile).await else { return };
    backends.stop().await;
    let images = Images::default().with(BackendName::Redis, "registry.invalid/no-such-image:1");
    let error = Backends::start(&BTreeSet::from([BackendName::Redis]), &images, Durability::Volatile)
        .await
        .expect_err("no such image");
    assert!(matches!(error, BackendError::Start { .. }), "{error:?}");
    let text = error.to_string();
    for said in ["registry.invalid/no-such-image:1", "fixtures/backends/build-images redis", "CHATWRIGHT_IMAGE_REDIS"] {
        assert!(text.contains(said), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_is_ready_at_once_and_says_where_it_is() {
    let services = [BackendName::Mongodb, BackendName::Postgresql, BackendName::Rabbitmq, BackendName::Kafka];
    let Some(backends) = engine::start(&services, Durability::Volatile).await else { return };
    let values = backends.values();
    for (service, key) in [("mongodb", "url"), ("postgresql", "url"), ("rabbitmq", "url"), ("kafka", "broker")] {
        assert!(values[service][key].contains(&values[service]["port"]), "{values:?}");
    }
    assert_eq!(backends.images().len(), services.len(), "{:?}", backends.images());
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_comes_back_at_its_address_after_it_was_killed_and_after_a_pause() {
    let services = [BackendName::Mongodb, BackendName::Postgresql, BackendName::Rabbitmq, BackendName::Kafka];
    let Some(backends) = engine::start(&services, Durability::Durable).await else { return };
    let (control, before) = (backends.control(), backends.values());
    for service in services {
        let subject = Subject::Backend(service.as_str().to_owned());
        // Each of the last ones returns only when a client gets an answer.
        for action in [Action::Kill, Action::Start, Action::Pause, Action::Resume, Action::Restart] {
            control.act(&subject, action).await.unwrap_or_else(|problem| panic!("{service:?} {action:?}: {problem}"));
        }
    }
    assert_eq!(backends.values(), before);
    drop(control);
    backends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_over_tls_is_known_by_its_authority_and_speaks_nothing_else() {
    let Some(plain) = engine::start(&[BackendName::Redis], Durability::Volatile).await else { return };
    plain.stop().await;
    let redis = BTreeSet::from([BackendName::Redis]);
    let start = async || Backends::start_secured(&redis, &redis, &engine::images(), Durability::Volatile).await;
    let (backends, other) = (start().await.expect("started"), start().await.expect("started"));
    let values = backends.values();
    let authority = std::fs::read(&values["redis"]["ca"]).expect("the authority's certificate is a file");
    let with = |authority: Vec<u8>| {
        let certificates = redis::TlsCertificates { client_tls: None, root_cert: Some(authority) };
        redis::Client::build_with_tls(values["redis"]["url"].as_str(), certificates).expect("a client")
    };
    let mut known = with(authority).get_multiplexed_async_connection().await.expect("its certificate is believed");
    let _: () = known.set("key", "value").await.expect("it answers");
    let stranger = std::fs::read(&other.values()["redis"]["ca"]).expect("a file");
    assert!(with(stranger).get_multiplexed_async_connection().await.is_err(), "any authority is believed");
    let plain = values["redis"]["url"].replace("rediss://", "redis://");
    let plain = redis::Client::open(plain).expect("a URL");
    let answer = tokio::time::timeout(Duration::from_secs(5), plain.get_multiplexed_async_connection()).await;
    assert!(!matches!(answer, Ok(Ok(_))), "it speaks without TLS");
    other.stop().await;
    backends.stop().await;
}

async fn connect(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).expect("a URL").get_multiplexed_async_connection().await.expect("redis answers")
}

fn create(image: &str, label: &str) -> String {
    docker(&["create", "--label", label, image])
}

fn exists(id: &str) -> bool {
    !docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &format!("id={id}")]).is_empty()
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("an engine that answers has a client");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
