//! Tokens of the user service under rules that demand more of a token, and what a refusal says.

use std::time::Duration;

use chatwright_protocol::dialects::gateway;
use chatwright_server::{
    Config, Server,
    auth::{ClaimNames, jwt::JwtRules},
    config::VerifierConfig,
};
use serde_json::{Value, json};

use crate::{
    http::{ask, get},
    support::{Client, server},
};

async fn start(rules: JwtRules) -> Server {
    let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = ["user", "message", "gateway", "web"].map(|name| (name, anywhere)).into();
    let verifier = VerifierConfig::Jwt(rules);
    let base = Config { engine_kind: server::engine_kind(), ..Config::of(&gateway::DIALECT) };
    Server::start(Config { listen: anywhere, listeners, verifier, clocks: server::config().clocks, ..base })
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_registration_opens_what_asks_for_an_issuer_an_audience_and_other_claims() {
    let names = ClaimNames { user: vec!["uid".to_owned()], name: vec!["nick".to_owned()], ..ClaimNames::default() };
    let (issuer, audience) = (Some("https://issuer.example".to_owned()), Some("chat".to_owned()));
    let server = start(JwtRules { names, issuer, audience, ..JwtRules::new(server::SECRET) }).await;
    let gateway = server.addresses().others["gateway"];
    let account = json!({"email": "ann@example.test", "password": "correct horse"}).to_string();
    let (status, answer) = ask(gateway, "POST", "/auth/register", "", &account).await;
    assert_eq!(status, 201, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let token = answer["token"].as_str().unwrap();
    assert_eq!(get(gateway, "/messages/history/lobby", token).await, (200, json!([])));
    let foreign = server::token("ann", Duration::from_secs(60));
    assert_eq!(get(gateway, "/messages/history/lobby", &foreign).await.0, 401, "a token without them opens nothing");
    server.drain(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_text_is_named_as_the_dialect_names_it() {
    let server = start(JwtRules::new(server::SECRET)).await;
    let mut ann = Client::connect(server.addresses().listen, "ann").await;
    assert_eq!(ann.ask("joinRoom", json!("lobby")).await, json!({"ok": true}));
    for (text, problem) in [(" ".to_owned(), "must not be blank"), ("x".repeat(5000), "is too long")] {
        let said = json!({"roomId": "lobby", "userId": "x", "username": "x", "text": text});
        let refused = json!({"ok": false, "error": format!("Invalid text: {problem}")});
        assert_eq!(ann.ask("sendMessage", said).await, refused);
    }
    server.drain(Duration::from_secs(5)).await;
}
