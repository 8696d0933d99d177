//! An instance dies without a word: the others clear up after it, once.

mod support;

use std::time::{Duration, Instant};

use chatwright_server::SharedMemory;
use serde_json::json;
use support::{Client, server};

#[test]
fn the_users_of_a_dead_instance_are_gone_within_its_lease_and_are_missed_once() {
    let config = server::config();
    let lease = config.clocks.lease;
    let memory = SharedMemory::new(&config);
    let doomed = tokio::runtime::Runtime::new().expect("a runtime");
    let dying = doomed.block_on(server::beside(config.clone(), &memory));
    let surviving = tokio::runtime::Runtime::new().expect("a runtime");
    surviving.block_on(async {
        let (one, two) = (server::beside(config.clone(), &memory).await, server::beside(config, &memory).await);
        let mut alice = Client::in_room(one.address, "alice", "room").await;
        let mut carol = Client::in_room(two.address, "carol", "room").await;
        let bob = Client::in_room(dying.address, "bob", "room").await;
        alice.event("user_joined").await;
        for client in [&mut alice, &mut carol] {
            assert_eq!(client.event("user_joined").await["userId"], "bob");
        }
        let died = Instant::now();
        doomed.shutdown_background();
        for client in [&mut alice, &mut carol] {
            assert_eq!(
                client.event("user_left").await,
                json!({"roomId": "room", "userId": "bob", "username": "bob-name"})
            );
        }
        assert!(died.elapsed() < lease * 2 + Duration::from_millis(500), "{:?}", died.elapsed());
        assert_eq!(one.hub.room_users(&"room".into()).await, Ok(vec!["alice".into(), "carol".into()]));
        for client in [&mut alice, &mut carol] {
            client.nothing_more().await;
        }
        drop(bob);
    });
}
