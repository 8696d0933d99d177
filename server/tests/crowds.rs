//! Crowds: peers that stall slow nobody else down and are gone after the write deadline; a crowd that has left leaves nobody behind.
//!
//! In small here; in full, measured, and with the figures printed, on an idle machine with enough descriptors:
//!
//!     CHATWRIGHT_CROWD=10000 CHATWRIGHT_STALLED=2000 CHATWRIGHT_ROUND_TRIP_MAX_MS=50 cargo test --release -p chatwright-server --test crowds -- --nocapture --test-threads 1

mod support;

use std::time::{Duration, Instant};

use chatwright_server::{
    Config,
    listener::{ListenerLimits, StallRules},
};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use support::{
    Client,
    server::{self, Instance},
};

/// A canary's round trip while peers stall, in milliseconds: far above what a busy machine does to it, far below the deadline that a stalled peer
/// would cost. On an idle machine one asks for less.
const ROUND_TRIP_MAX_MS: usize = 500;
const WRITE_DEADLINE: Duration = Duration::from_secs(2);
/// When everything must be over.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// Members of a room, and connections that are opened at once.
const ROOM: usize = 50;
const AT_ONCE: usize = 50;
/// All talkers together say something this often: what is to be seen is what stalled peers do to others, and not what work does.
const SAYING: Duration = Duration::from_millis(5);

fn sized(variable: &str, small: usize) -> usize {
    std::env::var(variable).ok().map_or(small, |text| text.parse().expect("a number"))
}

#[expect(clippy::print_stdout, reason = "figures for who measures")]
fn say(text: &str) {
    println!("{text}");
}

async fn until_connections(server: &Instance, count: usize) {
    let began = Instant::now();
    while server.server.tcp_connections() > count {
        assert!(began.elapsed() < GONE_AFTER, "{} connections are left", server.server.tcp_connections());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Says something and hears it.
async fn round_trip(canary: &mut Client) -> Duration {
    let began = Instant::now();
    canary.emit("send_message", json!({"roomId": "canary", "message": "peep"})).await;
    canary.event("new_message").await;
    began.elapsed()
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_stall_are_cut_in_time_and_nobody_else_is_slower() {
    let stalled = sized("CHATWRIGHT_STALLED", 100);
    let stall = StallRules { write_deadline: WRITE_DEADLINE, bytes_per_second_min: 1024 };
    let connections = ListenerLimits { stall, send_buffer_bytes: 16 * 1024, ..ListenerLimits::default() };
    let server = server::with(Config { connections, ..server::config() }).await;
    let mut canary = Client::in_room(server.address, "canary", "canary").await;
    let mut before = Vec::new();
    for _ in 0..200 {
        before.push(round_trip(&mut canary).await);
    }
    let rooms = stalled.div_ceil(ROOM);
    let mut talkers = Vec::new();
    for room in 0..rooms {
        talkers.push((Client::in_room(server.address, &format!("talker-{room}"), &format!("busy-{room}")).await, room));
    }
    let address = server.address;
    let join = |number: usize| async move {
        Client::in_room(address, &format!("stalled-{number}"), &format!("busy-{}", number / ROOM)).await
    };
    let crowd: Vec<Client> = stream::iter(0..stalled).map(join).buffer_unordered(AT_ONCE).collect().await;

    let pause = SAYING * u32::try_from(rooms).unwrap_or(u32::MAX);
    // They read nothing from here on, and are talked to until they are gone.
    let talking = talkers.into_iter().map(|(mut talker, room)| {
        tokio::spawn(async move {
            let event = json!({"roomId": format!("busy-{room}"), "message": "x".repeat(4000)});
            loop {
                talker.emit("send_message", event.clone()).await;
                talker.until("new_message").await;
                tokio::time::sleep(pause).await;
            }
        })
    });
    let talking: Vec<_> = talking.collect();
    let (began, mut during) = (Instant::now(), Vec::new());
    while server.server.tcp_connections() > rooms + 1 {
        during.push(round_trip(&mut canary).await);
        assert!(began.elapsed() < GONE_AFTER, "{} connections are left", server.server.tcp_connections());
    }
    talking.iter().for_each(tokio::task::JoinHandle::abort);
    let (gone, calm, busy) = (began.elapsed(), p99(before), p99(during));
    say(&format!(
        "{stalled} stalled peers were gone after {gone:.1?}; a canary's p99 was {calm:.1?} before, {busy:.1?} meanwhile"
    ));
    let allowed = sized("CHATWRIGHT_ROUND_TRIP_MAX_MS", ROUND_TRIP_MAX_MS);
    let allowed = Duration::from_millis(u64::try_from(allowed).expect("milliseconds"));
    assert!(busy <= calm.max(allowed), "p99 {busy:?}, before {calm:?}");
    drop(crowd);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_comes_and_goes_again_and_again_leaves_nobody_behind() {
    let crowd = sized("CHATWRIGHT_CROWD", 300);
    let server = server::alone().await;
    let address = server.address;
    for round in 0..3 {
        let connect = |number: usize| async move {
            Client::in_room(address, &format!("user-{number}"), &format!("room-{}", number / ROOM)).await
        };
        let began = Instant::now();
        let clients: Vec<Client> = stream::iter(0..crowd).map(connect).buffer_unordered(AT_ONCE).collect().await;
        assert_eq!(server.server.core().registry().all().len(), crowd);
        drop(clients);
        until_connections(&server, 0).await;
        while !server.server.core().registry().all().is_empty() {
            assert!(began.elapsed() < GONE_AFTER, "the chat core remembers some");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(server.hub.room_users(&"room-0".into()).await.unwrap().is_empty(), "a ghost in round {round}");
        say(&format!("round {round}: {crowd} came and went in {:.1?}", began.elapsed()));
    }
}
