//! What the engine does not promise by itself, and this server does: order, nothing lost behind CONNECT, slow readers cut off, no session id shown.

mod support;

use std::time::{Duration, Instant};

use chatwright_server::{
    Config,
    listener::{ListenerLimits, StallRules},
    transport::{EngineKind, EngineRules},
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use support::{Client, Got, PATIENCE, server};
use tokio::{net::TcpSocket, time::timeout};
use tokio_tungstenite::{client_async, tungstenite::Message};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_pipelined_events_take_effect_in_the_order_sent() {
    let server = server::alone().await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let mut bob = Client::in_room(server.address, "bob", "room").await;
    alice.event("user_joined").await;
    for number in 0..1000 {
        let event = json!(["send_message", {"roomId": "room", "message": format!("{number}")}]);
        alice.feed(&format!("42{event}")).await;
    }
    alice.flush().await;
    for client in [&mut alice, &mut bob] {
        for number in 0..1000 {
            let message = client.event("new_message").await;
            assert_eq!(message["message"], format!("{number}"));
            assert_eq!(message["sequence"], number + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_right_behind_the_connect_answer_are_handled() {
    let server = server::alone().await;
    for round in 0..200 {
        let mut client = Client::connect(server.address, &format!("user-{round}")).await;
        let (history, users) = client.join(&format!("room-{round}")).await;
        assert_eq!((history, users), (json!([]), json!([format!("user-{round}")])));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_and_a_leave_sent_together_take_effect_in_order() {
    let server = server::alone().await;
    let mut watcher = Client::in_room(server.address, "watcher", "room").await;
    let mut alice = Client::connect(server.address, "alice").await;
    for _ in 0..100 {
        alice.feed(r#"42["join_room",{"roomId":"room"}]"#).await;
        alice.feed(r#"42["send_message",{"roomId":"room","message":"in"}]"#).await;
        alice.feed(r#"42["leave_room",{"roomId":"room"}]"#).await;
        alice.flush().await;
        for expected in ["user_joined", "new_message", "user_left"] {
            watcher.event(expected).await;
        }
    }
}

fn quick_to_cut() -> Config {
    let stall = StallRules { write_deadline: Duration::from_millis(500), bytes_per_second_min: 1024 };
    Config {
        connections: ListenerLimits { stall, send_buffer_bytes: 16 * 1024, ..ListenerLimits::default() },
        engine: EngineRules { frames_waiting_bytes_max: 256 * 1024, ..EngineRules::default() },
        ..server::config()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_stops_reading_is_cut_off_and_leaves_no_ghost_while_others_go_on() {
    let server = server::with(quick_to_cut()).await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let stalled = Client::in_room(server.address, "stalled", "room").await;
    alice.event("user_joined").await;
    let started = Instant::now();
    let text = "x".repeat(4000);
    let left = loop {
        alice.emit("send_message", json!({"roomId": "room", "message": text})).await;
        match alice.next().await {
            Got::Event(name, data) if name == "user_left" => break data,
            Got::Event(name, _) if name == "new_message" => {}
            other @ (Got::Event(..) | Got::Ack(..) | Got::Disconnected | Got::End) => panic!("unexpected {other:?}"),
        }
        assert!(started.elapsed() < PATIENCE, "the stalled peer is still there");
    };
    assert_eq!(left["userId"], "stalled");
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
    assert_eq!(server.hub.room_users(&"room".into()).await.unwrap(), vec!["alice".into()]);
    assert_eq!(server.server.core().registry().all().len(), 1);
    for _ in 0..100 {
        if server.server.tcp_connections() == 1 {
            drop(stalled);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the stalled peer's socket is still open");
}

/// The socketioxide engine cuts such a client without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_too_slowly_is_told_so_behind_what_waits_for_him() {
    if server::engine_kind() != EngineKind::Lean {
        return;
    }
    let config = quick_to_cut();
    let patient = StallRules { write_deadline: PATIENCE, ..config.connections.stall };
    let connections = ListenerLimits { stall: patient, ..config.connections };
    let server = server::with(Config { connections, ..config }).await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", server.address);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap(); // what waits, waits in the server
    let (mut slow, _) = client_async(url, socket.connect(server.address).await.unwrap()).await.unwrap();
    let token = server::token("slow", Duration::from_secs(60));
    slow.send(Message::text(format!("40{}", json!({"token": token})))).await.unwrap();
    slow.send(Message::text(r#"42["join_room",{"roomId":"room"}]"#)).await.unwrap();
    alice.event("user_joined").await;
    let text = "x".repeat(4000);
    let mut said = 0;
    loop {
        alice.emit("send_message", json!({"roomId": "room", "message": text})).await;
        match alice.next().await {
            Got::Event(name, _) if name == "user_left" => break,
            Got::Event(name, _) if name == "new_message" => said += 1,
            other @ (Got::Event(..) | Got::Ack(..) | Got::Disconnected | Got::End) => panic!("unexpected {other:?}"),
        }
    }
    let mut heard = 0;
    let last = loop {
        match timeout(PATIENCE, slow.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => heard += usize::from(text.contains("new_message")),
            Message::Close(last) => break last.unwrap(),
            other @ (Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
                panic!("unexpected {other:?}")
            }
        }
    };
    assert_eq!((u16::from(last.code), last.reason.as_str()), (1013, "slow consumer"));
    assert!(heard >= said - 1, "{heard} of {said} came"); // all but the one for which there was no room
}

/// Others may keep a server waiting no longer than it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_keeps_its_time_whoever_does_not_answer() {
    const LIMIT: Duration = Duration::from_millis(400);
    const SLACK: Duration = Duration::from_millis(400);
    let server = server::alone().await;
    let silent = Client::in_room(server.address, "silent", "room").await;
    let began = Instant::now();
    server.server.drain(LIMIT).await;
    assert!(began.elapsed() < LIMIT + SLACK, "it took {:?}", began.elapsed());
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_id_is_shown_to_nobody() {
    let server = server::alone().await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let bob = Client::in_room(server.address, "bob", "room").await;
    let secret = bob.handshake["sid"].as_str().unwrap().to_owned();
    let mut seen: Vec<Value> = vec![alice.event("user_joined").await];
    alice.emit("send_message", json!({"roomId": "room", "message": "hi"})).await;
    seen.push(alice.event("new_message").await);
    let public: Vec<String> =
        server.server.core().registry().all().iter().map(|connection| connection.id().to_string()).collect();
    drop(bob);
    seen.push(alice.event("user_left").await);
    let seen = format!("{seen:?} {public:?}");
    assert!(!seen.contains(&secret), "{seen}");
    assert_eq!(public.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_floods_is_ended_and_nothing_is_dropped_in_silence() {
    let engine = EngineRules { events_waiting_max: 64, ..EngineRules::default() };
    let server = server::with(Config { engine, ..server::config() }).await;
    let mut watcher = Client::in_room(server.address, "watcher", "room").await;
    let mut flooder = Client::in_room(server.address, "flooder", "room").await;
    watcher.event("user_joined").await;
    // An engine may hold him back instead of ending him: then he is ended because he never reads.
    let flood = tokio::spawn(async move {
        for number in 0..20_000 {
            let event = json!(["send_message", {"roomId": "room", "message": format!("{number}")}]);
            flooder.feed(&format!("42{event}")).await;
        }
        let _ = flooder.try_flush().await; // the server may have cut it by now
        flooder
    });
    let mut next = 0;
    loop {
        match watcher.next().await {
            Got::Event(name, message) if name == "new_message" => {
                assert_eq!(message["message"], format!("{next}"), "in order and without a gap");
                next += 1;
            }
            Got::Event(name, _) if name == "user_left" => break,
            other @ (Got::Event(..) | Got::Ack(..) | Got::Disconnected | Got::End) => panic!("unexpected {other:?}"),
        }
        if next == 20_000 {
            break; // the server kept up: nothing was dropped
        }
    }
    flood.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_every_namespace_or_is_refused_again_and_again_does_not_stay() {
    let engine = EngineRules { connect_timeout: Duration::from_millis(300), ..EngineRules::default() };
    let server = server::with(Config { engine, ..server::config() }).await;
    let mut alice = Client::connect(server.address, "alice").await;
    alice.raw("41").await;
    assert_eq!(alice.next().await, Got::End);
    let refused = Client::try_connect(server.address, json!({"token": "nonsense"})).await;
    let message = refused.err().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Authentication error"), "{message}");
    for _ in 0..100 {
        if server.server.tcp_connections() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} connections stay", server.server.tcp_connections());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_token_ends_the_connection() {
    let server = server::alone().await;
    let token = server::token("alice", Duration::from_secs(2));
    let mut alice = Client::try_connect(server.address, json!({"token": token})).await.ok().unwrap();
    let started = Instant::now();
    let end = alice.next().await;
    assert!(matches!(end, Got::Disconnected | Got::End), "{end:?}");
    assert!(started.elapsed() < Duration::from_secs(4));
}
