//! Hostile peers against a whole server over loopback. During each attack a canary talks: its round trips must stay short and in order;
//! after each attack nothing of the attackers may be left.
#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

mod frames;
mod openings;
mod raw;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use chatwright_server::{
    Config,
    listener::{ListenerLimits, StallRules},
    transport::EngineRules,
};
use serde_json::json;
use support::{
    Client, PATIENCE,
    server::{self, Instance},
};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// A canary's round trip on a machine that does other things as well; undisturbed it is a millisecond.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(2);
/// When all traces of an attack must be gone: the longest clock below, twice, and some air.
const GONE_AFTER: Duration = Duration::from_secs(12);

/// A server, its canary and its attackers.
struct Arena {
    instance: Instance,
    address: SocketAddr,
    stop: CancellationToken,
    canary: JoinHandle<Duration>,
}

fn config() -> Config {
    let short = Duration::from_millis(400);
    Config {
        connections: ListenerLimits {
            head_timeout: short,
            body_timeout: short,
            stall: StallRules { write_deadline: short, bytes_per_second_min: 1024 },
            send_buffer_bytes: 32 * 1024,
            ..ListenerLimits::default()
        },
        engine: EngineRules {
            ping_interval: short,
            ping_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2), // honest clients need that much when the machine does other things as well
            upgrade_timeout: Duration::from_secs(1),
            ..EngineRules::default()
        },
        ..server::config()
    }
}

impl Arena {
    async fn open() -> Self {
        let instance = server::with(config()).await;
        let address = instance.address;
        let stop = CancellationToken::new();
        let mut alice = Client::in_room(address, "canary-alice", "canary").await;
        let mut bob = Client::in_room(address, "canary-bob", "canary").await;
        alice.event("user_joined").await;
        let stopped = stop.clone();
        let canary = tokio::spawn(async move {
            let mut worst = Duration::ZERO;
            for number in 0.. {
                let began = Instant::now();
                alice.emit("send_message", json!({"roomId": "canary", "message": number.to_string()})).await;
                for client in [&mut bob, &mut alice] {
                    let heard = timeout(PATIENCE, client.event("new_message")).await;
                    assert_eq!(heard.expect("the canary's message came")["message"], number.to_string());
                }
                worst = worst.max(began.elapsed());
                if stopped.run_until_cancelled(tokio::time::sleep(Duration::from_millis(5))).await.is_none() {
                    break;
                }
            }
            worst
        });
        Self { instance, address, stop, canary }
    }

    /// The attack is over: checks that it did not disturb the canary and left nothing.
    async fn close(self) {
        let began = Instant::now();
        while self.instance.server.core().registry().all().len() > 2 || self.instance.server.tcp_connections() > 2 {
            let (chat, tcp) =
                (self.instance.server.core().registry().all().len(), self.instance.server.tcp_connections());
            assert!(
                began.elapsed() < GONE_AFTER,
                "still there: {chat} chat and {tcp} TCP connections, 2 are the canary's"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.instance.server.core().registry().all().len(), 2, "the canary is still connected");
        self.stop.cancel();
        let worst = self.canary.await.expect("the canary heard everything, in order");
        assert!(worst < ROUND_TRIP_MAX, "the canary waited {worst:?}");
    }
}
