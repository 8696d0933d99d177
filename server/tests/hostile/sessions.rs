//! Attacks by Engine.IO sessions: polling, upgrades, packets and session ids.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{
    Arena, config,
    raw::{Raw, frame, http, opening, poll_path, request, session, session_of, status},
};

fn upgrade_path(sid: &str) -> String {
    format!("/socket.io/?EIO=4&transport=websocket&sid={sid}")
}

/// Whether the session still exists: a pong is taken of every living one.
async fn lives(arena: &Arena, sid: &str) -> bool {
    status(arena.address, request("POST", &poll_path(sid), &[], "3")).await == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_ids_that_nobody_was_given_are_refused() {
    let arena = Arena::open().await;
    let long = "a".repeat(10_000);
    for sid in ["", "garbage", "AAAAAAAAAAAAAAAA", "..", "__proto__", "%00", "%F0%9F%98%80", &long] {
        for (method, body) in [("GET", ""), ("POST", "3")] {
            let answer = http(arena.address, request(method, &poll_path(sid), &[], body)).await.expect("an answer");
            assert_eq!(answer.status, 400, "{method} {sid}");
        }
    }
    assert_eq!(status(arena.address, request("POST", "/socket.io/?EIO=4&transport=polling", &[], "3")).await, 400);
    let closed = session(arena.address).await;
    assert_eq!(status(arena.address, request("POST", &poll_path(&closed), &[], "1")).await, 200);
    assert!(!lives(&arena, &closed).await);
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_ids_are_not_to_be_guessed() {
    let arena = Arena::open().await;
    let mut sids = Vec::new();
    for _ in 0..100 {
        sids.push(session(arena.address).await);
    }
    let prefixes: std::collections::BTreeSet<&str> = sids.iter().map(|sid| &sid[..4]).collect();
    assert!(prefixes.len() > 90 && sids.iter().all(|sid| sid.len() >= 16), "{sids:?}");
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_that_a_client_must_not_send_end_its_session() {
    let arena = Arena::open().await;
    for body in ["0{}", "5", "6", "7", "9", "a", "", "\u{1e}", "b", "b$$$$", "b4", "4\u{1e}8", "2probe\u{1e}zzz"] {
        let sid = session(arena.address).await;
        let answer = http(arena.address, request("POST", &poll_path(&sid), &[], body)).await;
        assert!(answer.is_none_or(|answer| answer.status == 400 || answer.status == 200), "{body:?}");
    }
    let sid = session_of(arena.address, "mallory").await;
    for content_type in ["application/octet-stream", "image/svg+xml", "multipart/form-data; boundary=x"] {
        let answer =
            status(arena.address, request("POST", &poll_path(&sid), &[("Content-Type", content_type)], "3")).await;
        assert!(matches!(answer, 200 | 400), "{content_type}: {answer}");
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_beyond_the_limit_and_bodies_that_lie_are_refused_in_time() {
    let arena = Arena::open().await;
    let limit = config().engine.packet_bytes_max;
    let sid = session_of(arena.address, "mallory").await;
    let large = status(arena.address, request("POST", &poll_path(&sid), &[], &"4".repeat(limit + 1))).await;
    assert!(matches!(large, 0 | 400 | 413), "{large}");
    let chunk = format!("{:x}\r\n{}\r\n", 8192, "4".repeat(8192));
    let sid = session_of(arena.address, "mallory").await;
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", poll_path(&sid));
    let mut endless = TcpStream::connect(arena.address).await.unwrap();
    endless.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    while endless.write_all(chunk.as_bytes()).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(5), "the server takes an endless body");
    }
    let sid = session_of(arena.address, "mallory").await;
    let short = format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n3", poll_path(&sid));
    let began = Instant::now();
    assert!(matches!(status(arena.address, &short).await, 0 | 400 | 408));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_sessions_that_vanish_while_they_poll_are_freed_by_the_heartbeat() {
    let arena = Arena::open().await;
    for number in 0..100 {
        let sid = session_of(arena.address, &format!("ghost-{number}")).await;
        let mut poll = TcpStream::connect(arena.address).await.unwrap();
        poll.write_all(request("GET", &poll_path(&sid), &[], "").as_bytes()).await.unwrap();
    }
    assert!(arena.instance.server.core().registry().all().len() > 2, "some of them were let in");
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_that_are_begun_and_never_finished_are_freed() {
    let arena = Arena::open().await;
    let mut held = Vec::new();
    for number in 0..50 {
        let sid = session_of(arena.address, &format!("upgrader-{number}")).await;
        let mut raw = Raw::open(arena.address, &upgrade_path(&sid)).await;
        if number % 2 == 0 {
            raw.send(&frame(0x81, b"2probe")).await;
        }
        held.push(raw);
    }
    arena.close().await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_probes_end_the_new_transport() {
    let arena = Arena::open().await;
    for (opcode, payload) in
        [(0x81, &b"2prob"[..]), (0x82, b"2probe"), (0x81, b"5"), (0x81, b""), (0x81, b"4"), (0x88, b"")]
    {
        let sid = session_of(arena.address, "upgrader").await;
        let mut raw = Raw::open(arena.address, &upgrade_path(&sid)).await;
        raw.send(&frame(opcode, payload)).await;
        raw.ended().await;
        status(arena.address, request("POST", &poll_path(&sid), &[], "1")).await; // if the session lived on, it ends here
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_websocket_of_a_session_is_refused_also_during_the_upgrade_and_the_first_goes_on() {
    let arena = Arena::open().await;
    let sid = session_of(arena.address, "alice").await;
    let mut first = Raw::open(arena.address, &upgrade_path(&sid)).await;
    first.send(&frame(0x81, b"2probe")).await;
    while first.frame().await.expect("the probe is answered").1 != b"3probe" {}
    let in_between = status(arena.address, opening(&upgrade_path(&sid), &[])).await;
    assert_eq!(in_between, 400);
    first.send(&frame(0x81, b"5")).await;
    first.send(&frame(0x81, b"420[\"nothing\"]")).await;
    while !first.frame().await.expect("upgraded").1.starts_with(b"430") {}
    let afterwards = status(arena.address, opening(&upgrade_path(&sid), &[])).await;
    assert_eq!(afterwards, 400);
    first.send(&frame(0x81, b"421[\"nothing\"]")).await;
    while !first.frame().await.expect("the first goes on").1.starts_with(b"431") {}
    drop(first);
    arena.close().await;
}
