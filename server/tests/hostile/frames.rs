//! Attacks by WebSocket frames of a client that is already in.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::timeout;

use super::{
    Arena, config,
    raw::{Raw, frame},
    support::{Client, Got, PATIENCE},
};

/// Bytes that no frame of a client may hold, each with the close codes that fit. The protocol leaves it free to close without one.
fn broken_frames() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let mut cases: Vec<(&'static str, Vec<u8>, &'static [u16])> = vec![
        ("RSV1 without an extension", frame(0xC1, b"42[\"x\"]"), &[1002]),
        ("RSV2", frame(0xA1, b"42[\"x\"]"), &[1002]),
        ("RSV3", frame(0x91, b"42[\"x\"]"), &[1002]),
        ("no mask", b"\x81\x0742[\"x\"]".to_vec(), &[1002]),
        ("a continuation of nothing", frame(0x80, b"x"), &[1002]),
        ("a message inside of another", [frame(0x01, b"42[\"x\""), frame(0x81, b"42[\"y\"]")].concat(), &[1002]),
        ("a ping in pieces", frame(0x09, b"x"), &[1002]),
        ("a ping of 126 bytes", frame(0x89, &[b'x'; 126]), &[1002]),
        ("a length of 2^63", b"\x81\xFF\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec(), &[1002, 1009]),
        ("a length of 2^63-1", b"\x81\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0".to_vec(), &[1002, 1009]),
        ("a length of 16 MB", b"\x81\xFF\0\0\0\0\x01\0\0\0\0\0\0\0x".to_vec(), &[1002, 1009]),
        ("a byte beyond the limit", frame(0x81, &vec![b'4'; config().engine.packet_bytes_max + 1]), &[1009]),
        ("invalid UTF-8", frame(0x81, b"42[\"\xC3\x28\"]"), &[1007]),
        ("overlong UTF-8", frame(0x81, b"42[\"\xC0\xAF\"]"), &[1007]),
        ("a surrogate", frame(0x81, b"42[\"\xED\xA0\x80\"]"), &[1007]),
        ("invalid UTF-8 over two frames", [frame(0x01, b"42[\"\xC3"), frame(0x80, b"\x28\"]")].concat(), &[1007]),
        ("a close of one byte", frame(0x88, b"\x03"), &[1002]),
        ("a close reason that is no UTF-8", frame(0x88, b"\x03\xE8\xC3\x28"), &[1002, 1007]),
    ];
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push(("a reserved opcode", frame(0x80 | opcode, b"x"), &[1002]));
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1016, 5000] {
        cases.push(("a close code that must not be sent", frame(0x88, &code.to_be_bytes()), &[1002]));
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_break_the_protocol_end_their_connection_and_no_other() {
    let arena = Arena::open().await;
    for (index, (what, bytes, codes)) in broken_frames().into_iter().enumerate() {
        let mut raw = Raw::of(arena.address, &format!("mallory-{index}")).await;
        raw.send(&bytes).await;
        let began = Instant::now();
        if let Some(code) = raw.ended().await {
            assert!(codes.contains(&code), "{what}: {code}");
        }
        assert!(began.elapsed() < Duration::from_secs(3), "{what}: {:?}", began.elapsed());
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_up_to_the_limit_and_one_in_many_pieces_are_taken() {
    let arena = Arena::open().await;
    let mut raw = Raw::of(arena.address, "alice").await;
    let longest = config().engine.packet_bytes_max;
    let filler = "x".repeat(longest - "420[\"nothing\",\"\"]".len());
    raw.send(&frame(0x81, format!("420[\"nothing\",\"{filler}\"]").as_bytes())).await;
    assert!(acknowledged(&mut raw, "430").await);
    let text = "421[\"nothing\",\"in pieces\"]";
    let (first, rest) = text.as_bytes().split_at(1);
    raw.send(&frame(0x01, first)).await;
    for byte in rest {
        raw.send(&[frame(0x00, &[*byte]), frame(0x89, b"between"), frame(0x00, b"")].concat()).await;
    }
    raw.send(&frame(0x80, b"")).await;
    assert!(acknowledged(&mut raw, "431").await);
    drop(raw);
    arena.close().await;
}

async fn acknowledged(raw: &mut Raw, prefix: &str) -> bool {
    while let Some((_, payload)) = raw.frame().await {
        if payload.starts_with(prefix.as_bytes()) {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_pings_and_of_empty_pieces_disturb_nobody() {
    let arena = Arena::open().await;
    let mut unread_pongs = Raw::of(arena.address, "pinger").await;
    let pings = frame(0x89, &[b'x'; 125]).repeat(1000);
    let mut pieces = Raw::of(arena.address, "piecemeal").await;
    pieces.send(&frame(0x01, b"42[\"x\"")).await;
    let empty = frame(0x00, b"").repeat(10_000);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        // Neither reads; a server that stops taking is as good as one that closes.
        let sent = tokio::time::timeout(Duration::from_millis(200), async {
            unread_pongs.send(&pings).await;
            pieces.send(&empty).await;
        });
        let _ = sent.await;
    }
    arena.close().await; // both stay connected here and answer no ping: it is the server that ends them
    drop((unread_pongs, pieces));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_never_ends_and_a_close_that_is_never_answered_end_in_time() {
    let arena = Arena::open().await;
    let mut slow = Raw::of(arena.address, "slow").await;
    slow.send(b"\x81\xFE\xFF\xFF\0\0\0\x0042[").await; // 65,535 bytes are announced
    let mut closed = Raw::of(arena.address, "closed").await;
    closed.send(&[frame(0x88, &1000_u16.to_be_bytes()), frame(0x81, b"42[\"x\"]").repeat(100)].concat()).await;
    for _ in 0..40 {
        slow.send(b"x").await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let code = closed.ended().await;
    assert!(matches!(code, None | Some(1000)), "{code:?}");
    slow.ended().await;
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_resets_in_the_middle_of_a_frame_are_twenty_departures() {
    let arena = Arena::open().await;
    let mut watcher = Client::in_room(arena.address, "watcher", "room").await;
    let mut victims = Vec::new();
    for number in 0..20 {
        let mut raw = Raw::of(arena.address, &format!("victim-{number}")).await;
        raw.send(&frame(0x81, b"42[\"join_room\",{\"roomId\":\"room\"}]")).await;
        watcher.until("user_joined").await;
        raw.send(b"\x81\xFE\x01\0\0\0").await;
        victims.push(raw);
    }
    for victim in victims {
        socket2::SockRef::from(&victim.stream).set_linger(Some(Duration::ZERO)).unwrap(); // a reset instead of a good end
    }
    let mut left = Vec::new();
    for _ in 0..20 {
        let departure = timeout(PATIENCE, watcher.until("user_left")).await;
        let departure = departure.unwrap_or_else(|_| panic!("only these left: {left:?}"));
        left.push(departure["userId"].as_str().unwrap().to_owned());
    }
    left.sort();
    left.dedup();
    assert_eq!(left.len(), 20, "{left:?}");
    watcher.emit("send_message", json!({"roomId": "room", "message": "fence"})).await;
    assert!(matches!(watcher.next().await, Got::Event(name, _) if name == "new_message"), "each left once");
    drop(watcher);
    arena.close().await;
}
