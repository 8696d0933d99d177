//! Instances that a case has to itself, really started: a shell says what it was given.

use std::path::Path;

use super::*;

/// A server that prints its variables and what lies in its folder, and then accepts connections nowhere.
const SCRIPT: &str = "echo A=$A B=$B HOME=$HOME; cat .env 2>/dev/null; echo in $PWD; echo ready; exec sleep 60";

fn file(documented: &str) -> TargetFile {
    let text = format!(
        r#"
name = "a shell"
dialect = "rooms"
[[instance]]
socket = "http://127.0.0.1:{{port}}"
[start]
command = ["sh", "-c", "{SCRIPT}"]
env = {{ A = "usual" }}
ready = "log ~ \"^ready\""
stop_timeout = "2s"
{documented}
[auth]
jwt_secret = "a secret"
"#
    );
    TargetFile::parse(Path::new("target.toml"), &text.replace("[start]", "[start]\ncwd = \"/\"")).expect("it is right")
}

fn documented() -> TargetFile {
    file("[start.documented]\nidentity = \"open\"\nenv = { A = \"documented {port}\", B = \"{folder}\" }")
}

async fn started(file: &TargetFile) -> Target {
    Target::start(file, StartOptions::default()).await.expect("it starts")
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn an_instance_of_ones_own_gets_the_documented_variables_and_what_the_case_wishes() {
    let target = started(&documented()).await;
    let wishes = Wishes {
        instances: 2,
        with: pairs(&[("B", "wished {ear.port}")]),
        without: vec!["HOME".to_owned()],
        dotenv: pairs(&[("C", "{port}")]),
        ..Wishes::default()
    };
    let own = target.own(&wishes).await.expect("it starts");
    assert_eq!(own.instances().len(), 2);
    assert_eq!(own.identity, Identity::Open);
    let main = own.instance(2).expect("two").main().to_owned();
    let port = main.rsplit(':').next().expect("a port");
    let lines = own.last_lines(2);
    assert!(
        lines[0].starts_with(&format!("A=documented {port} B=wished ")) && lines[0].ends_with("HOME="),
        "{lines:?}"
    );
    assert_eq!(lines[1], format!("C={port}"));
    assert!(lines[2].starts_with("in /") && lines[2].ends_with("/2"), "{lines:?}");
    let folder = lines[2].trim_start_matches("in ").to_owned();
    own.stop().await;
    assert!(!Path::new(&folder).exists(), "{folder} is left");
    assert_eq!(target.last_lines(1)[0].split(' ').next(), Some("A=usual"), "the others go on as they are");
    target.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_hinders_and_a_start_that_fails_is_told_unless_it_may() {
    let target = started(&documented()).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let wishes = Wishes { instances: 1, ports: vec![("port".to_owned(), port)], ..Wishes::default() };
    let Err(OwnFailure::Hindered(why)) = target.own(&wishes).await else { panic!("the port is taken") };
    assert!(why.contains(&format!("port={port}")), "{why}");

    let base = documented();
    let mut start = base.start.clone().expect("it starts");
    let command = ["sh", "-c", "echo no wool; exit 3"].map(|word| Template::parse(word).expect("plain"));
    start.documented.as_mut().expect("it has one").command = command.to_vec();
    let target = started(&TargetFile { start: Some(start), ..base }).await;
    let mut wishes = Wishes { instances: 1, ..Wishes::default() };
    let Err(OwnFailure::NotStarted(why)) = target.own(&wishes).await else { panic!("it cannot start") };
    assert!(why.contains("exit code 3") && why.contains("no wool"), "{why}");
    wishes.may_fail = true;
    let own = target.own(&wishes).await.expect("it may fail");
    assert_eq!(own.last_lines(1), ["no wool"]);
}

#[tokio::test]
async fn without_a_recipe_there_is_no_instance_of_ones_own() {
    let target = started(&file("")).await;
    assert_eq!(target.own_identity(), None);
    assert!(matches!(target.own(&Wishes::default()).await, Err(OwnFailure::Hindered(_))));
}
