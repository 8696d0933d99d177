//! Connection state recovery of the chat service across instances that share a Redis.

use std::time::Duration;

use chatwright_server::{
    Config, Server, SharedMemory,
    config::Role,
    transport::{EngineKind, EngineRules},
};
use serde_json::json;

use crate::{
    apart,
    support::{redis::Redis, visitor::Visitor},
};

/// Of everything that is kept.
const PREFIX: &str = "g:";
/// Of what only live connections need, below that.
const LIVE_PREFIX: &str = "g:live:";

fn config(redis: &Redis) -> Config {
    let engine = EngineRules { recovery_window: Duration::from_secs(60), ..EngineRules::default() };
    Config { engine, engine_kind: EngineKind::Lean, ..apart::config(Role::Chat, Some(&redis.config(PREFIX))) }
}

async fn says(bob: &mut Visitor, text: &str) {
    let message = json!({"roomId": "room", "userId": "x", "username": "x", "text": text, "timestamp": 1});
    bob.say(&format!("42{}", json!(["sendMessage", message]))).await;
    assert_eq!(bob.event().await[1]["text"], text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_to_another_instance_of_the_chat_service_has_missed_nothing() {
    let Some(redis) = Redis::start().await else { return };
    let config = config(&redis);
    let memory = SharedMemory::new(&config);
    let started = async || Server::start_beside(config.clone(), &memory).await.unwrap();
    let instances = [started().await, started().await];
    let [here, there] = [0, 1].map(|index: usize| instances[index].addresses().listen);

    let (mut bob, _) = Visitor::connect(there, "bob", json!({})).await;
    bob.say(r#"42["joinRoom","room"]"#).await;
    says(&mut bob, "bob is here").await;
    let (mut alice, _) = Visitor::connect(here, "alice", json!({})).await;
    alice.say(r#"42["joinRoom","room"]"#).await;
    says(&mut alice, "alice is here").await;
    assert_eq!(bob.event().await[1]["text"], "alice is here");
    for (round, to) in [there, here, there].into_iter().enumerate() {
        says(&mut bob, "here").await;
        assert_eq!(alice.event().await[1]["text"], "here");
        let (sid, claim) = (alice.sid.clone(), alice.claim());
        drop(alice);
        redis.keeps(LIVE_PREFIX, claim["pid"].as_str().unwrap()).await;
        says(&mut bob, "one").await;
        says(&mut bob, "two").await;
        let (mut back, mut missed) = Visitor::connect(to, "alice", claim).await;
        assert_eq!(back.sid, sid, "round {round}");
        while missed.len() < 2 {
            missed.push(back.event().await);
        }
        let texts: Vec<_> = missed.iter().map(|event| event[1]["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["one", "two"], "round {round}");
        says(&mut back, "back").await;
        assert_eq!(bob.event().await[1]["text"], "back");
        alice = back;
    }
}
